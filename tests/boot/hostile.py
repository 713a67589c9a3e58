"""Hostile frames: what each is, which drop reason it must be counted under, whether it may be answered.

Every entry's frames carry its tag (IP id, ICMP id, source port), so that an answer can be laid at its door."""
import random
import struct
from dataclasses import dataclass, field

from scapy.compat import raw
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

ANY = None  # whatever it is counted as: it must be survived
BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
TAG_FIRST = 0x4000
GARBAGE_FRAMES = 10000
STORM_FRAMES = 2000
FLAG_MORE, FLAG_DONT = "MF", "DF"


@dataclass
class Hostile:
    """`drops`: the reasons that together count every frame (a padding device may see another one);
    empty: none is dropped; ANY: not compared. `answers`: how many frames must come back; ANY: any number."""
    name: str
    frames: list
    drops: tuple | None
    count: int | None = None
    answers: int | None = ANY
    filtered: bool = False  # a nic's address filter may take the frames before they are counted
    tag: int = 0

    def __post_init__(self):
        if self.count is None:
            self.count = len(self.frames) if self.drops else 0


@dataclass
class Wire:
    """The two ends, and the entries made for them."""
    host_mac: str
    host: str
    piglet_mac: str
    piglet: str
    broadcast: str
    entries: list = field(default_factory=list)

    @property
    def tag(self):
        return TAG_FIRST + len(self.entries)

    def add(self, name, frames, drops, **more):
        frames = frames if isinstance(frames, list) else [frames]
        drops = (drops,) if isinstance(drops, str) else drops
        frames = [frame if isinstance(frame, bytes) else raw(frame) for frame in frames]
        self.entries.append(Hostile(name, frames, drops, tag=self.tag, **more))

    def eth(self, **fields):
        return Ether(**{"src": self.host_mac, "dst": self.piglet_mac, **fields})

    def ip(self, **fields):
        return self.eth(type=0x0800) / IP(**{"src": self.host, "dst": self.piglet, "id": self.tag, **fields})

    def ping(self, size=32, **fields):
        return self.ip(**fields) / ICMP(id=self.tag, seq=1) / Raw(b"h" * size)

    def udp(self, port=7, size=32, **fields):
        return self.ip() / UDP(**{"sport": self.tag, "dport": port, **fields}) / Raw(b"h" * size)

    def tcp(self, **fields):
        return self.ip() / TCP(**{"sport": self.tag, "dport": 80, "seq": 1, **fields})

    def arp(self, eth=None, **fields):
        return self.eth(dst=BROADCAST_MAC, **(eth or {})) / ARP(**{
            "op": 1, "hwsrc": self.host_mac, "psrc": self.host, "hwdst": "00:00:00:00:00:00",
            "pdst": self.piglet, **fields})


def cut(frame, length):
    return raw(frame)[:length]


def poke(frame, offset, *values):
    """The frame with bytes replaced."""
    data = bytearray(raw(frame))
    data[offset:offset + len(values)] = bytes(values)
    return bytes(data)


def ip_poke(frame, offset, *values):
    """The frame with bytes of its IPv4 header replaced and the header's checksum right again."""
    data = bytearray(poke(frame, 14 + offset, *values))
    header = 14 + max((data[14] & 15) * 4, 20)
    data[24:26] = b"\0\0"
    words = data[14:header] + b"\0" * (len(data[14:header]) % 2)
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    data[24:26] = struct.pack("!H", ~total & 0xffff)
    return bytes(data)


def ethernet(w):
    w.add("eth-type-experimental", w.eth(type=0x88B5) / Raw(b"x" * 46), "eth-unknown-type")
    w.add("eth-ipv6", w.eth(type=0x86DD) / Raw(b"\x60" + b"\0" * 60), "eth-unknown-type")
    w.add("eth-vlan", w.eth() / Dot1Q(vlan=5) / IP(src=w.host, dst=w.piglet) / ICMP(), "eth-unknown-type", answers=0)
    w.add("eth-llc-length", w.eth(type=0x0026) / Raw(b"\x42\x42\x03" + b"\0" * 43), "eth-unknown-type")
    w.add("eth-runt-ip", cut(w.ping(), 14), ("ip-too-short", "ip-version"))
    w.add("eth-runt-arp", cut(w.arp(), 14), "arp-malformed")
    w.add("eth-source-multicast", poke(w.ping(), 6, 1, 0, 0x5e, 0, 0, 5), "eth-source-invalid", answers=0)
    w.add("eth-source-broadcast", poke(w.ping(), 6, *b"\xff" * 6), "eth-source-invalid", answers=0)
    w.add("eth-other-station", poke(w.ping(), 0, 0x52, 0x54, 0, 0x99, 0x99, 0x99), "eth-not-for-us",
          filtered=True, answers=0)
    w.add("eth-multicast", poke(w.ping(dst="224.0.0.1"), 0, 1, 0, 0x5e, 0, 0, 1), "ip-multicast",
          filtered=True, answers=0)
    w.add("eth-longest", w.ping(size=1472), (), answers=1)
    for length in (1536, 2048, 4000, 9000):
        w.add(f"eth-oversize-{length}", w.ping(size=length - 42), ANY, answers=0)


def ip_header(w):
    w.add("ip-cut-in-header", cut(w.ping(), 14 + 11), ("ip-too-short", "ip-total-length"))
    for version in (0, 5, 6, 15):
        w.add(f"ip-version-{version}", ip_poke(w.ping(), 0, version << 4 | 5), "ip-version", answers=0)
    for words in (0, 1, 4):
        w.add(f"ip-header-words-{words}", ip_poke(w.ping(), 0, 0x40 | words), "ip-header-length", answers=0)
    w.add("ip-header-beyond-frame", poke(w.ping(size=0), 14, 0x4F), "ip-header-length", answers=0)
    for total in (0, 19, 1500, 65535):
        w.add(f"ip-total-length-{total}", ip_poke(w.ping(), 2, total >> 8, total & 255), "ip-total-length", answers=0)
    w.add("ip-checksum-wrong", w.ping(chksum=0x1234), "ip-checksum", answers=0)
    w.add("ip-checksum-zero", w.ping(chksum=0), "ip-checksum", answers=0)
    w.add("ip-protocol-253", w.ip(proto=253) / Raw(b"x" * 32), "ip-protocol")


def addresses(w):
    w.add("land-icmp", w.ping(src=w.piglet), "ip-source-ours", answers=0)
    w.add("land-udp", w.eth() / IP(src=w.piglet, dst=w.piglet) / UDP(sport=7, dport=7), "ip-source-ours", answers=0)
    w.add("land-tcp", w.eth() / IP(src=w.piglet, dst=w.piglet) / TCP(sport=80, dport=80), "ip-source-ours", answers=0)
    for source in ("0.0.0.0", "127.0.0.1", "224.1.1.1", "240.0.0.1", "255.255.255.255", w.broadcast):
        w.add(f"source-{source}", w.ping(src=source), "ip-source-invalid", answers=0)
    for to in ("127.0.0.1", "0.0.0.0", "240.0.0.1", "10.0.0.77"):
        w.add(f"to-{to}", w.ping(dst=to), "ip-not-for-us", answers=0)
    w.add("to-nowhere", w.ping(dst="192.0.2.1"), "ip-no-route", answers=0)
    w.add("broadcast-frame-for-other", poke(w.ping(dst="192.0.2.1"), 0, *b"\xff" * 6), "ip-not-for-us", answers=0)
    w.add("smurf-subnet", poke(w.ping(dst=w.broadcast), 0, *b"\xff" * 6), "icmp-broadcast", answers=0)
    w.add("smurf-limited", poke(w.ping(dst="255.255.255.255"), 0, *b"\xff" * 6), "icmp-broadcast", answers=0)
    w.add("smurf-broadcast-frame", poke(w.ping(), 0, *b"\xff" * 6), "icmp-broadcast", answers=0)
    w.add("fraggle", poke(w.ip(dst=w.broadcast) / UDP(sport=w.tag, dport=7) / Raw(b"x" * 8), 0, *b"\xff" * 6),
          "udp-broadcast", answers=0)


def options(w):
    def option(data):
        return w.ping(options=[Raw(data + b"\0" * (-len(data) % 4))])
    w.add("option-record-route", option(b"\x07\x0b\x04" + b"\0" * 8), (), answers=1)
    w.add("option-timestamp", option(b"\x44\x08\x05\0" + b"\0" * 4), (), answers=1)
    w.add("option-end-then-anything", option(b"\x00\x07\x63\x63"), (), answers=1)
    w.add("option-loose-source-route", option(b"\x83\x07\x04" + bytes((192, 0, 2, 1)) + b"\0"), "ip-source-route",
          answers=0)
    w.add("option-strict-source-route", option(b"\x89\x07\x04" + bytes((192, 0, 2, 1)) + b"\0"), "ip-source-route",
          answers=0)
    for name, data in (("length-0", b"\x07\0\x04\0"), ("length-1", b"\x07\x01\x04\0"),
                       ("length-beyond", b"\x07\xff\x04\0"), ("length-missing", b"\x01\x01\x01\x07")):
        w.add(f"option-{name}", option(data), "ip-options-malformed", answers=0)


def fragments(w):
    def fragment(offset, size, flags=""):
        return w.ip(frag=offset // 8, flags=flags, proto=1) / Raw(b"f" * size)
    w.add("fragment-first", fragment(0, 64, FLAG_MORE), "ip-fragment", answers=0)
    w.add("fragment-last", fragment(64, 33), "ip-fragment", answers=0)
    w.add("fragment-overlap", [fragment(0, 64, FLAG_MORE), fragment(24, 64)], "ip-fragment", answers=0)
    w.add("fragment-tiny", fragment(0, 8, FLAG_MORE), "ip-fragment", answers=0)
    w.add("fragment-do-not-fragment", fragment(0, 64, "MF+DF"), "ip-fragment", answers=0)
    w.add("fragment-off-grid", fragment(0, 33, FLAG_MORE), "ip-fragment-invalid", answers=0)
    w.add("fragment-ping-of-death", fragment(65528, 400), "ip-fragment-invalid", answers=0)


def icmp(w):
    w.add("icmp-short", w.ip(proto=1) / Raw(b"\x08\0\0\0\0\0\0"), "icmp-too-short", answers=0)
    w.add("icmp-empty", w.ip(proto=1), "icmp-too-short", answers=0)
    w.add("icmp-checksum", w.ip() / ICMP(id=w.tag, chksum=0x1111) / Raw(b"x" * 33), "icmp-checksum", answers=0)
    for kind in (13, 15, 17, 37, 255):
        w.add(f"icmp-type-{kind}", w.ip() / ICMP(type=kind) / Raw(b"x" * 32), "icmp-unknown-type", answers=0)
    for kind in (0, 3, 4, 5, 11, 12):  # replies and errors that nobody asked for: taken, never answered
        w.add(f"icmp-type-{kind}", w.ip() / ICMP(type=kind) / Raw(b"x" * 28), (), answers=0)


def udp(w):
    w.add("udp-short", w.ip(proto=17) / Raw(b"\x40\0\0\x07\0\x07\0"), "udp-too-short", answers=0)
    w.add("udp-length-7", w.udp(len=7), "udp-length", answers=0)
    w.add("udp-length-beyond", w.udp(len=41), "udp-length", answers=0)
    w.add("udp-length-65535", w.udp(len=65535), "udp-length", answers=0)
    w.add("udp-length-less", w.udp(len=16, chksum=0), (), answers=1)
    w.add("udp-checksum", w.udp(chksum=0x2222), "udp-checksum", answers=0)
    w.add("udp-no-checksum", w.udp(chksum=0), (), answers=1)
    w.add("udp-loop", w.ip() / UDP(sport=7, dport=7) / Raw(b"x" * 16), "udp-loop", answers=0)
    w.add("udp-no-port", w.udp(port=9), "udp-no-port")
    w.add("udp-no-port-broadcast", poke(w.ip(dst=w.broadcast) / UDP(sport=w.tag, dport=9), 0, *b"\xff" * 6),
          ("udp-no-port", "udp-broadcast"), answers=0)


def tcp(w):
    w.add("tcp-short", w.ip(proto=6) / Raw(b"x" * 19), "tcp-too-short", answers=0)
    w.add("tcp-offset-4", w.tcp(dataofs=4), "tcp-too-short", answers=0)
    w.add("tcp-offset-15", w.tcp(dataofs=15), "tcp-too-short", answers=0)
    w.add("tcp-xmas", w.tcp(flags="FPU"), "tcp-no-port")
    w.add("tcp-reset", w.tcp(flags="R"), "tcp-no-port", answers=0)


def arp(w):
    for name, offset, value in (("hardware", 1, 6), ("protocol", 2, 0x86), ("hardware-length", 4, 8),
                                ("protocol-length", 5, 16)):
        w.add(f"arp-{name}", poke(w.arp(), 14 + offset, value), "arp-malformed", answers=0)
    w.add("arp-cut", cut(w.arp(), 14 + 5), "arp-malformed", answers=0)
    for operation in (0, 9):
        w.add(f"arp-operation-{operation}", w.arp(op=operation), "arp-malformed", answers=0)
    for name, mac in (("group", "01:00:5e:00:00:01"), ("zero", "00:00:00:00:00:00"), ("ours", w.piglet_mac)):
        w.add(f"arp-sender-{name}", w.arp(hwsrc=mac), "arp-sender-invalid", answers=0)
    for source in (w.broadcast, "224.0.0.1", "127.0.0.1"):
        w.add(f"arp-sender-{source}", w.arp(psrc=source), "arp-sender-invalid", answers=0)
    w.add("arp-probe", w.arp(psrc="0.0.0.0"), ())
    w.add("arp-for-other", w.arp(pdst="10.0.0.77"), "arp-not-for-us", answers=0)
    others = [f"10.0.{i >> 8}.{i & 255}" for i in range(1000, 1000 + STORM_FRAMES)]
    w.add("arp-storm-for-others", [raw(w.arp(pdst=other)) for other in others], "arp-not-for-us", answers=0)
    stations = [f"52:54:00:77:{i >> 8:02x}:{i & 255:02x}" for i in range(STORM_FRAMES)]
    w.add("arp-storm-for-us", [raw(w.arp({"src": mac}, hwsrc=mac, psrc=f"10.0.0.{100 + i % 100}"))
                               for i, mac in enumerate(stations)], ANY)
    w.add("arp-claims-our-address", w.arp({"src": "52:54:00:66:66:66"}, hwsrc="52:54:00:66:66:66",
                                          psrc=w.piglet, pdst=w.piglet), ANY)


def garbage(w):
    """Random bytes behind a right MAC address; each frame has to be counted under some reason."""
    randoms = random.Random(7)
    frames = []
    for i in range(GARBAGE_FRAMES):
        kind = (0x0800, 0x0806, randoms.randrange(0x10000), randoms.randrange(0x600))[i % 4]
        body = bytearray(randoms.randbytes(randoms.randrange(46, 1400)))
        if i % 8 == 0:
            body[0] = 0x45
        head = raw(w.eth())[:12]
        frames.append(head + kind.to_bytes(2, "big") + bytes(body))
    w.add("garbage", frames, ("*",), answers=ANY)


def corpus(host_mac, host, piglet_mac, piglet, broadcast):
    """All entries for these two ends."""
    wire = Wire(host_mac, host, piglet_mac, piglet, broadcast)
    for group in (ethernet, ip_header, addresses, options, fragments, icmp, udp, tcp, arp, garbage):
        group(wire)
    return wire.entries


def answered_tag(frame):
    """Whose frame this one from Piglet answers: a tag, or None."""
    if len(frame) < 38 or frame[12:14] != b"\x08\x00":
        return None
    l4 = 14 + (frame[14] & 15) * 4
    protocol, body = frame[23], frame[l4:]
    if protocol == 1 and body[0] == 0:
        return int.from_bytes(body[4:6], "big")
    if protocol == 1 and body[0] in (3, 11, 12):
        return int.from_bytes(body[12:14], "big")
    if protocol in (6, 17):
        return int.from_bytes(body[2:4], "big")
    return None
