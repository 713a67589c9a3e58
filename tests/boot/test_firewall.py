"""Real programs against the firewall: scanners, floods, downloads, through a router with rules."""
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import firewall_site
import pytest
import wires
from lab.namespace import tied
from firewall_site import A, B, OTHER_A, Router, Server, connect, echoed

MACHINES = ("q35-e1000e", "hosted-tap", "hosted-san")
SITE = firewall_site.SITE
WEB, PEER_CLOSED, RESET, PROHIBITED, DROPPED = 80, 81, 82, 83, 84  # ports, and what rules say of them
SCAN_RULES = ("default forward drop", "accept forward tcp,udp destination port 80-81", "reject forward tcp destination port 82",
              "reject icmp forward tcp,udp destination port 83")
FLOOD_FRAMES, FLOOD_US = 4000, 200
DOWNLOAD_BYTES = 4 << 20
IPERF_SECONDS = 1
IPERF_BYTES_MIN = 300_000  # far below what any machine reaches; far above a stalled connection
REFUSED_S = 1.5  # an unanswered SYN and one more


@pytest.fixture(scope="module")
def router(site):
    for program in ("nmap", "hping3", "curl", "tshark", "iperf3"):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing; cure: make packages")
    return Router(site)


@pytest.fixture(scope="module")
def web(router):
    with Server(router.other, WEB):
        yield


def scan(router, how, ports):
    """nmap's words about each port: {port: (state, reason)}."""
    done = router.one.run(f"nmap -n -Pn {how} -p {ports} --reason --max-retries 2 --initial-rtt-timeout 200ms "
                          f"--max-rtt-timeout 300ms --host-timeout 20s {B}")
    return {int(port): (state, reason)
            for port, state, reason in re.findall(r"^(\d+)/\w+ +(\S+) +\S+ +(.+?)(?: ttl \d+)?$", done.stdout, re.M)}


def test_scan_01_syn(router, web):
    """Open, closed behind the firewall, reset by it, prohibited, silent: nmap tells them apart."""
    router.rules(*SCAN_RULES)
    assert scan(router, "-sS", "80-84") == {
        WEB: ("open", "syn-ack"), PEER_CLOSED: ("closed", "reset"), RESET: ("closed", "reset"),
        PROHIBITED: ("filtered", f"admin-prohibited from {firewall_site.NEAR}"), DROPPED: ("filtered", "no-response")}


def test_scan_02_ack(router, web):
    """A connection may be picked up by an ACK where the rules let it begin; with pick_up=off none gets through."""
    router.rules(*SCAN_RULES)
    found = scan(router, "-sA", "80-84")
    assert {port: state for port, (state, _) in found.items()} == {
        WEB: "unfiltered", PEER_CLOSED: "unfiltered", RESET: "unfiltered", PROHIBITED: "filtered", DROPPED: "filtered"}
    router.rules(*SCAN_RULES, settings="pick_up=off")
    with router.counting() as grown:
        assert {state for state, _ in scan(router, "-sA", "80-82").values()} == {"filtered"}
    assert set(name for name in grown if name.startswith("drop.")) == {"drop.firewall-invalid"}


@pytest.mark.parametrize("how", ("-sF", "-sX"))
def test_scan_03_no_beginning(router, web, how):
    """FIN and Xmas probes are of no connection: nothing answers, whatever the port."""
    router.rules(*SCAN_RULES)
    with router.counting() as grown:
        assert set(scan(router, how, "80,82").values()) == {("open|filtered", "no-response")}
    assert grown["drop.firewall-invalid"] >= 2 and "firewall.flows_begun" not in grown


def test_scan_04_udp(router):
    """The closed port's own error comes through as related; the firewall's says prohibited."""
    router.rules(*SCAN_RULES)
    found = scan(router, "-sU", "81,83,84")
    assert found == {PEER_CLOSED: ("closed", "port-unreach"), PROHIBITED: ("filtered", f"admin-prohibited from {firewall_site.NEAR}"),
                     DROPPED: ("open|filtered", "no-response")}


def test_flood_01_syn(router, web):
    """A flood of SYNs from random sources: an open connection lives on, and a new one still gets through."""
    router.rules("default forward drop", "accept forward tcp destination port 80", settings="half_open=256")
    with connect(router.one, WEB) as old, router.counting() as grown:
        flood = router.one.namespace.start(f"hping3 -q -S -p {WEB} --rand-source -i u{FLOOD_US} -c {FLOOD_FRAMES} {B}")
        for i in range(8):
            assert echoed(old, f"still here {i}".encode())
            with connect(router.one, WEB) as new:
                assert echoed(new, b"new")
        flood.wait(30)
        assert echoed(old, b"here after it")
        assert re.search(r"(\d+) flows, (\d+) half-open", router.pigctl("services", "show", "firewall"))
    assert grown["firewall.flows_gave_way"] > FLOOD_FRAMES / 4 and "drop.firewall-state-full" not in grown, grown
    wires.figures.append(f"{router.site.name}: flood of {FLOOD_FRAMES} SYNs: {grown['firewall.flows_gave_way']} gave way")


def test_limit_01_of_a_source(router, web):
    """The fourth connection of a source is refused, another source's is not; one that ended makes room."""
    router.rules("default forward drop", "accept forward tcp destination port 80 limit 3")
    clients = [connect(router.one, WEB, A) for _ in range(3)]
    with router.counting() as grown:
        with pytest.raises(TimeoutError):
            connect(router.one, WEB, A, REFUSED_S)
    assert grown["drop.firewall-limit"] >= 1
    with connect(router.one, WEB, OTHER_A) as client:
        assert echoed(client, b"another")
    clients.pop().close()
    with connect(router.one, WEB, A) as client:  # by its second SYN perhaps, if the other's end took a while
        assert echoed(client, b"again")
    for client in clients:
        assert echoed(client, b"all the while")
        client.close()


def test_fragments_01_ping(router):
    """Pieces of a long ping pass by the rules' leave."""
    router.rules("default forward drop", "accept forward icmp type echo-request", "accept forward icmp fragments later")
    assert router.one.ping(B, 2, "-s 3000").returncode == 0
    router.rules("drop forward fragments later count")
    assert router.one.ping(B, 1, "-s 3000 -W 1").returncode == 1 and router.one.ping(B, 1, "-s 1000").returncode == 0
    assert router.packets()[0] >= 2


def test_fragments_02_cut_headers(router, web):
    """A TCP header in two fragments is in none of them: invalid, whatever the rules accept."""
    router.rules("accept any")
    with router.counting() as grown:
        done = router.one.run(f"hping3 -q -S -f -m 16 -p {WEB} -i u20000 -c 5 {B}", check=False)
    assert " 0 packets received" in done.stdout + done.stderr
    assert grown["drop.firewall-invalid"] == 5, grown


@pytest.mark.parametrize("flags", ("-S -F", "-S -R", "-F -P -U", ""))
def test_flags_01_bad(router, web, flags):
    """Flags that begin no connection are answered by nobody."""
    router.rules("accept any")
    with router.counting() as grown:
        done = router.one.run(f"hping3 -q {flags} -p {WEB} -i u20000 -c 5 {B}", check=False)
    assert " 0 packets received" in done.stdout + done.stderr
    assert grown["drop.firewall-invalid"] == 5 and "firewall.flows_begun" not in grown, grown


def test_flags_02_good(router, web):
    """What begins one is answered."""
    router.rules("default forward drop", "accept forward tcp destination port 80 flags syn/syn,ack,fin,rst")
    done = router.one.run(f"hping3 -q -S -p {WEB} -i u20000 -c 5 {B}", check=False)
    assert " 5 packets received" in done.stdout + done.stderr, done.stdout + done.stderr


@contextlib.contextmanager
def capturing(router, trace, *words):
    """`pigctl capture` into a file meanwhile; it has begun when the file has its header."""
    command = [wires.artefact("tools", "pigctl"), "-s", router.site.windows[1], "capture", "-w", trace, *words]
    capture = subprocess.Popen(tied(command), stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + firewall_site.PATIENCE_S
        while not os.path.exists(trace) or not os.path.getsize(trace):
            assert time.monotonic() < deadline and capture.poll() is None, "pigctl capture does not begin"
            time.sleep(.02)
        yield
        capture.send_signal(signal.SIGINT)
        capture.wait(firewall_site.PATIENCE_S)
    finally:
        capture.kill()
        capture.wait()


def test_curl_01_download(router, tmp_path):
    """A download comes through whole, and a capture of it reads as one connection."""
    router.rules("default forward drop", "accept forward tcp destination port 8080")
    blob = os.urandom(DOWNLOAD_BYTES)
    (tmp_path / "blob").write_bytes(blob)
    server = router.other.namespace.start(["/usr/bin/python3", "-u", "-m", "http.server", "-d", str(tmp_path), "8080"])
    server.stdout.readline()  # it serves
    trace = str(tmp_path / "trace.pcapng")
    with capturing(router, trace, "-n", "nic0", "--no-drops", "tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0"):
        done = router.one.namespace.run(["curl", "-s", "-S", "-o", str(tmp_path / "got"), f"http://{B}:8080/blob"])
    assert done.returncode == 0
    assert hashlib.sha256((tmp_path / "got").read_bytes()).digest() == hashlib.sha256(blob).digest()
    seen = subprocess.run(["tshark", "-r", trace, "-T", "fields", "-e", "tcp.flags.str"], capture_output=True, text=True, check=True)
    assert sum("S" in flags for flags in seen.stdout.split()) == 2 and "R" not in seen.stdout
    server.kill()


@pytest.mark.parametrize("direction", ("", "--reverse"))
def test_iperf_01_tcp(router, direction):
    """A stream through the firewall in either direction."""
    router.rules("default forward drop", "accept forward tcp from nic0 to nic1 destination port 5201")
    server = router.other.namespace.start("iperf3 -s -1 --forceflush")
    for line in server.stdout:
        if "listening" in line:
            break
    with router.counting() as grown:
        done = router.one.run(f"iperf3 -c {B} -t {IPERF_SECONDS} --json {direction}", timeout=30)
    received = json.loads(done.stdout)["end"]["sum_received"]
    server.wait(10)
    assert received["bytes"] > IPERF_BYTES_MIN
    assert grown["firewall.flows_begun"] == 2 and not [name for name in grown if name.startswith("drop.")], grown
    wires.figures.append(f"{router.site.name}: iperf3 {direction} {received['bits_per_second'] / 1e6:.0f} Mb/s through the firewall")
