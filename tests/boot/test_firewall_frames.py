"""Frames made by hand through a firewall: a TCP connection's good and bad segments, and a trace that is replayed."""
import time

import firewall_site
import pytest
from firewall_site import A, B, Router

scapy = pytest.importorskip("scapy.all")

MACHINES = ("q35-e1000e", "hosted-tap", "hosted-san")
SITE = firewall_site.SITE
PORT, CLIENT = 7777, 4000  # the hosts' own TCP hears nothing of PORT, and nothing of UDP
SEEN_S = 5
FLOWS, EACH = 30, 5  # what comes out waits in a socket
GOOD, LIMITED = 53, 54  # of the trace's ports


@pytest.fixture(scope="module")
def router(site):
    one = Router(site)
    for host in site.hosts:
        for rule in ("table ip t", "chain ip t i { type filter hook input priority 0 ; }",
                     f"rule ip t i tcp dport {PORT} drop", f"rule ip t i tcp sport {PORT} drop", "rule ip t i meta l4proto udp drop"):
            done = host.run("nft add " + rule.replace("{", "{{").replace("}", "}}"), check=False)
            if done.returncode:
                pytest.skip(f"no nftables here: {done.stderr.strip()}")
    return one


class Talk:
    """A connection between 10.0.0.1:4000 and 10.1.0.1:7777 whose segments are made here."""

    def __init__(self, router):
        self.router, self.next, self.id = router, [1000, 500000], 0
        self.raw = [host.raw_socket() for host in (router.one, router.other)]

    def send(self, side, flags, data=b"", off=0, again=False):
        """The next segment of this side, `off` in its sequence number; whether it came out at the other."""
        self.id += 1
        sequence = self.next[side] - (len(data) if again else 0)
        segment = scapy.TCP(sport=(CLIENT, PORT)[side], dport=(PORT, CLIENT)[side], flags=flags, seq=sequence + off & 0xffffffff, window=8192,
                            ack=self.next[not side] if "A" in flags else 0)
        packet = scapy.IP(src=(A, B)[side], dst=(B, A)[side], id=self.id) / segment / data
        self.put(side, packet)
        self.put(side, scapy.IP(src=(A, B)[side], dst=(B, A)[side], id=self.id + 10000) / scapy.ICMP(id=9, seq=self.id))
        passed = self.passed(not side)
        if passed and not off and not again:
            self.next[side] += len(data) + ("S" in flags) + ("F" in flags)
        return passed

    def put(self, side, packet):
        host = (self.router.one, self.router.other)[side]
        self.raw[side].send(bytes(scapy.Ether(src=host.mac, dst=self.router.site.mac(side)) / packet))

    def passed(self, side):
        """Whether the segment came before the ping that was sent behind it."""
        seen, deadline = False, time.monotonic() + SEEN_S
        while (left := deadline - time.monotonic()) > 0:
            self.raw[side].settimeout(left)
            frame = self.raw[side].recv(2048)
            if frame[12:14] == b"\x08\x00":
                number = int.from_bytes(frame[18:20], "big")
                seen |= number == self.id and frame[23] == 6
                if number == self.id + 10000:
                    return seen
        raise AssertionError("the ping behind it did not come")

    def close(self):
        for raw in self.raw:
            raw.close()


@pytest.fixture
def talk(router):
    router.rules("default forward drop", f"accept forward tcp destination port {PORT} from nic0", "accept forward icmp")
    one = Talk(router)
    yield one
    one.close()


def opened(talk):
    assert talk.send(0, "S") and talk.send(1, "SA") and talk.send(0, "A")


def test_segments_01_of_a_connection(router, talk):
    """Handshake, data, retransmits and the end pass; the far side may not begin."""
    assert not talk.send(1, "S")
    with router.counting() as grown:
        opened(talk)
        assert talk.send(0, "PA", b"request") and talk.send(1, "PA", b"answer")
        assert talk.send(1, "PA", b"answer", again=True) and talk.send(0, "PA", b"request", again=True)
        assert talk.send(0, "FA") and talk.send(1, "FA") and talk.send(0, "A")
    assert not [name for name in grown if name.startswith("drop.")], grown


def test_segments_02_invalid(router, talk):
    """Segments outside the window, resets that miss it and impossible flags are dropped, and the connection goes on."""
    opened(talk)
    bad = (("A", b"data", 20000), ("A", b"data", -20000), ("R", b"", 100000), ("RA", b"", -100000), ("SF", b"", 0), ("FR", b"", 0),
           ("", b"", 0), ("FPU", b"", 0))
    with router.counting() as grown:
        for flags, data, off in bad:
            for side in (0, 1):
                assert not talk.send(side, flags, data, off), (flags, off, side)
                assert talk.send(side, "A", b"good")
    assert grown["drop.firewall-invalid"] == 2 * len(bad), grown
    assert f"{A}:{CLIENT} > {B}:{PORT} established" in router.pigctl("services", "show", "firewall")
    assert talk.send(1, "R") and f"{A}:{CLIENT} > {B}:{PORT} closed" in router.pigctl("services", "show", "firewall")


def test_segments_03_half_open(router, talk):
    """Before the server has answered nothing but its answer passes."""
    assert talk.send(0, "S")
    for side, flags, data in ((0, "A", b"data"), (0, "FA", b""), (1, "A", b"data"), (1, "FA", b"")):
        assert not talk.send(side, flags, data), (side, flags)
    assert f"{A}:{CLIENT} > {B}:{PORT} opening" in router.pigctl("services", "show", "firewall")
    assert talk.send(1, "RA")


def test_replay_01_a_trace(router, tmp_path):
    """A trace that tcpreplay sends: what comes out, and what each rule has counted, is what the rules say."""
    router.rules("default forward drop", f"accept forward udp destination port {GOOD} count",
                 f"accept forward udp destination port {LIMITED} limit 10 count", "drop forward udp destination port 55")
    router.one.ping(B)
    ether = scapy.Ether(src=router.one.mac, dst=router.site.mac(0))
    frames = [ether / scapy.IP(src=A, dst=B) / scapy.UDP(sport=5000 + flow, dport=port) / f"{turn}".encode()
              for turn in range(EACH) for flow in range(FLOWS) for port in (GOOD, LIMITED, 55, 56)]
    trace = str(tmp_path / "trace.pcap")
    scapy.wrpcap(trace, frames)
    raw = router.other.raw_socket()
    with router.counting() as grown:
        router.one.run(f"tcpreplay -q -i {{wire}} --pps 5000 {trace}")
        raw.settimeout(1)
        came = {GOOD: 0, LIMITED: 0}
        try:
            while True:
                frame = raw.recv(2048)
                if frame[12:14] == b"\x08\x00" and frame[23] == 17:
                    came[int.from_bytes(frame[36:38], "big")] += 1
        except TimeoutError:
            pass
    raw.close()
    assert came == {GOOD: FLOWS * EACH, LIMITED: 10 * EACH}
    limited = (FLOWS - 10) * EACH
    assert grown["drop.firewall-limit"] == limited and grown["drop.firewall-drop"] == 2 * FLOWS * EACH
    assert router.packets()[:3] == [FLOWS * EACH, 10 * EACH + limited, FLOWS * EACH]
