"""Two hosts on two wires, and Piglet between them as their router."""
import json
import re

import pytest
import wires

A, B = "10.0.0.1", "10.1.0.1"
NEAR, FAR = "10.0.0.2", "10.1.0.2"  # Piglet's two sides
MACHINES = (*wires.MACHINES, "hosted-xdp")
SITE = {"words": f"ip={NEAR}/24@nic0 ip={FAR}/24@nic1 services=+forward",
        "hosts": ((f"{A}/24",), (f"{B}/24",))}
FLOOD_COUNT = 3000
IPERF_SECONDS = 2
IPERF_BYTES_MIN = 1_000_000  # far below what any machine reaches; far above a stalled connection


@pytest.fixture(scope="module")
def hosts(site):
    """Both hosts, each with Piglet as its default gateway."""
    one, other = site.hosts
    one.run(f"ip route add default via {NEAR}")
    other.run(f"ip route add default via {FAR}")
    assert one.answers(NEAR) and other.answers(FAR)
    return one, other


@pytest.mark.parametrize("size", (64, 1472))
def test_forward_01_ping(hosts, size):
    """Pings pass both ways, and lose one hop of TTL each."""
    for host, peer in ((hosts[0], B), (hosts[1], A)):
        text, sent, received = host.ping_all(peer, 5, f"-i 0.01 -s {size} -M do")
        assert sent == received == 5 and set(re.findall(r"ttl=(\d+)", text)) == {"63"}, text


def test_forward_02_flood(hosts):
    """A flood through the router loses none."""
    text, sent, received = hosts[0].ping_all(B, FLOOD_COUNT, "-q -f")
    assert sent == received == FLOOD_COUNT, text


@pytest.mark.parametrize("how", ("", "-I"))
def test_traceroute_01_first_hop(hosts, how):
    """traceroute, by UDP and by ICMP, shows Piglet as hop 1 and the far host as hop 2."""
    done = hosts[0].run(f"traceroute -n {how} -q 1 -w 2 -N 1 -m 4 {B}")
    assert re.search(rf"^ 1  {re.escape(NEAR)} ", done.stdout, re.M), done.stdout
    assert re.search(rf"^ 2  {re.escape(B)} ", done.stdout, re.M), done.stdout


def test_forward_03_time_exceeded(site, hosts):
    """A TTL of 1 ends at Piglet: ICMP time exceeded, one drop."""
    before = site.counters()
    assert f"From {NEAR} icmp_seq=1 Time to live exceeded" in hosts[0].ping(B, 1, "-t 1").stdout
    assert site.drops_since(before) == {"ip-ttl": 1}


def test_forward_04_no_route(site, hosts):
    """A destination without a route: network unreachable, one drop."""
    before = site.counters()
    done = hosts[0].ping("192.0.2.1")
    assert re.search(rf"From {re.escape(NEAR)} icmp_seq=1 Destination (Net|Host) Unreachable", done.stdout), done.stdout
    assert site.drops_since(before) == {"ip-no-route": 1}


def test_forward_05_silent_next_hop(site, hosts):
    """A next hop that answers no ARP: host unreachable, one drop, after the last try."""
    before = site.counters()
    done = hosts[0].run("ping -n -c 1 -W 8 10.1.0.77", check=False)
    assert f"From {NEAR} icmp_seq=1 Destination Host Unreachable" in done.stdout, done.stdout
    assert site.drops_since(before) == {"arp-unresolved": 1}


def test_forward_06_udp_refused_end_to_end(hosts):
    """The far host's port unreachable finds its way back through the router."""
    done = hosts[0].run(f"nmap -n -Pn -sU -p 9 --max-retries 2 --host-timeout 10 {B}")
    assert re.search(r"^9/udp +closed", done.stdout, re.M), done.stdout


@pytest.mark.parametrize("direction", ("", "--reverse"))
def test_iperf_01_tcp(site, hosts, direction):
    """A TCP connection moves data through the router in either direction."""
    server = hosts[1].namespace.start("iperf3 -s -1 --forceflush")
    for line in server.stdout:
        if "listening" in line:
            break
    done = hosts[0].run(f"iperf3 -c {B} -t {IPERF_SECONDS} --json {direction}", timeout=30)
    received = json.loads(done.stdout)["end"]["sum_received"]
    server.wait(10)
    assert received["bytes"] > IPERF_BYTES_MIN
    wires.figures.append(f"{site.name}: iperf3 {direction} {received['bits_per_second'] / 1e6:.0f} Mb/s forwarded")
