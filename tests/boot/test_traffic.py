"""A Linux host's own tools against Piglet: ping, arping, nmap, UDP."""
import random
import re
import socket

import pytest
import wires
from lab import console

MACHINES = wires.ALL_MACHINES
PIGLET = "10.0.0.2"
SITE = {"words": "ip=10.0.0.2::10.0.0.1:255.255.255.0::nic0:off services=+echo"}
FLOOD_COUNT = 10000
UDP_WINDOW = 32


def test_boot_01_self_test(site):
    """The boot log names nic, MAC, link, address and gateway, then says ready."""
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", site.mac())
    site.console.wait(console.link_up("nic0"))
    site.console.wait(console.address_taken("nic0", "10.0.0.2/24"))
    site.console.wait(console.READY)
    assert site.console.wait(console.gateway_at("10.0.0.1"))["mac"] == site.host.mac


@pytest.mark.parametrize("size", (64, 65, 127, 512, 1023, 1024, 1471, 1472))
def test_ping_01_sizes(site, size):
    """Every reply comes back with the bytes it was sent with, up to what fits a frame."""
    text, sent, received = site.host.ping_all(PIGLET, 5, f"-i 0.01 -s {size} -M do -p 5a5bff00")
    assert sent == received == 5 and "wrong data" not in text, text


def test_ping_02_flood(site):
    """ping -f: 10,000 requests, none lost."""
    text, sent, received = site.host.ping_all(PIGLET, FLOOD_COUNT, "-q -f")
    assert sent == received == FLOOD_COUNT and "errors" not in text and "duplicates" not in text, text


def test_ping_03_fragments_refused(site):
    """Three fragments of one big ping: each is counted, none answered."""
    before = site.counters()
    assert ", 0 received" in site.host.run(f"ping -n -c 1 -W 0.3 -s 3000 {PIGLET}", check=False).stdout
    assert site.drops_since(before) == {"ip-fragment": 3}


def test_ping_04_record_route(site):
    """ping -R is answered."""
    assert site.host.ping(PIGLET, 1, "-R").returncode == 0


def test_ping_05_broadcast_silent(site):
    """A broadcast ping gets no answer (RFC 1122 3.2.2.6 allows that; smurf is why)."""
    before = site.counters()
    done = site.host.run("ping -n -b -c 2 -i 0.1 -W 0.3 10.0.0.255", check=False)
    assert ", 0 received" in done.stdout, done.stdout
    assert site.drops_since(before) == {"icmp-broadcast": 2}


def test_arping_01_answers(site):
    """arping sees one station at the address, the nic that the boot log named."""
    done = site.host.run(f"arping -c 3 -w 3 -I {{wire}} {PIGLET}")
    assert set(re.findall(r"\[([0-9A-F:]{17})\]", done.stdout)) == {site.mac().upper()}
    assert "Received 3 response(s)" in done.stdout, done.stdout


def test_arping_02_duplicate_detection(site):
    """arping -D sees Piglet's address as taken, and a free one as free."""
    assert site.host.run(f"arping -D -c 2 -w 2 -I {{wire}} {PIGLET}", check=False).returncode == 1
    assert site.host.run("arping -D -c 1 -w 1 -I {wire} 10.0.0.77", check=False).returncode == 0


@pytest.mark.parametrize("how", ("-PR", "--disable-arp-ping -PE"))
def test_nmap_01_host_discovery(site, how):
    """nmap's host discovery, by ARP and by ICMP echo, finds Piglet up."""
    done = site.host.run(f"nmap -n -sn {how} {PIGLET}")
    assert "Host is up" in done.stdout and site.mac().upper() in done.stdout, done.stdout


def test_nmap_02_udp_ports(site):
    """A UDP scan sees closed ports as closed (ICMP port unreachable) and the echo port not closed."""
    done = site.host.run(f"nmap -n -Pn -sU -p 7,9,5353 --max-retries 3 --host-timeout 20 {PIGLET}", timeout=40)
    assert len(re.findall(r"^(?:9|5353)/udp +closed", done.stdout, re.M)) == 2, done.stdout
    assert not re.search(r"^7/udp +closed", done.stdout, re.M), done.stdout


def test_nmap_03_tcp_ports(site):
    """A TCP scan sees every port as closed."""
    done = site.host.run(f"nmap -n -Pn -sS -p 22,80,443 --max-retries 3 --host-timeout 20 {PIGLET}", timeout=40)
    assert len(re.findall(r"^\d+/tcp +closed", done.stdout, re.M)) == 3, done.stdout


def udp_socket(site, port=7):
    """A UDP socket on the host, connected to Piglet."""
    udp = site.host.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(3)
    udp.connect((PIGLET, port))
    return udp


def test_udp_01_echo_sizes(site):
    """Datagrams of every size class come back byte for byte."""
    randoms = random.Random(1)
    sizes = {*range(0, 40), 63, 64, 127, 128, 511, 512, 1023, 1024, 1470, 1471, 1472}
    with udp_socket(site) as udp:
        for size in sorted(sizes):
            payload = randoms.randbytes(size)
            udp.send(payload)
            assert udp.recv(2048) == payload, f"{size} bytes"


def test_udp_02_echo_window(site):
    """2,000 datagrams, 32 under way at a time: all come back, each once, in order."""
    with udp_socket(site) as udp:
        for first in range(0, 2000, UDP_WINDOW):
            window = [f"datagram {i}".encode() * 5 for i in range(first, first + UDP_WINDOW)]
            for payload in window:
                udp.send(payload)
            assert [udp.recv(2048) for _ in window] == window


def test_udp_03_closed_port(site):
    """A datagram to a port nobody listens on is refused by ICMP, and counted."""
    before = site.counters()
    with udp_socket(site, 9) as udp:
        udp.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            udp.recv(64)
    assert site.drops_since(before) == {"udp-no-port": 1}
