"""Random frames that meet a rule set's rules: packets on their own, and conversations.

A frame's number is its IPv4 identification, which both routers leave as it is."""
import struct
from dataclasses import dataclass

from lab.traffic import checksum
from nft_rules import FLAGS, PORTS, PROTOCOLS, SENTINELS, span

TCP, UDP, ICMP, DCCP, SCTP, UDP_LITE = (PROTOCOLS[name] for name in ("tcp", "udp", "icmp", "dccp", "sctp", "udp-lite"))
FIN, SYN, RST, ACK = (FLAGS[name] for name in ("fin", "syn", "rst", "ack"))
ICMP_ERRORS = (3, 4, 5, 11, 12)
MORE_FRAGMENTS, DONT_FRAGMENT = 0x2000, 0x4000
NUMBERS_MAX = 65535  # 0 is the sentinels'


@dataclass
class Packet:
    """One IPv4 packet and the side it is sent from."""
    side: int
    source: int
    destination: int
    protocol: int
    body: bytes
    what: str = ""
    ttl: int = 64
    tos: int = 0
    fragment: int = 0  # flags and offset
    options: bytes = b""

    def bytes(self, number):
        head = struct.pack("!BBHHHBBHII", 0x45 + len(self.options) // 4, self.tos, 20 + len(self.options) + len(self.body),
                           number, self.fragment, self.ttl, self.protocol, 0, self.source, self.destination) + self.options
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + self.body


def transport(protocol, source, destination, rest=b"", at=16, header=b""):
    """A transport header and data, the checksum at its place."""
    body = header + rest
    pseudo = struct.pack("!IIHH", source, destination, protocol, len(body))
    return body[:at] + struct.pack("!H", checksum(pseudo + body) or 0xffff) + body[at + 2:]


def tcp(source, destination, ports, flags, sequence=0, acknowledgement=0, data=b"", window=8192, options=b""):
    header = struct.pack("!HHIIBBHHH", *ports, sequence & 0xffffffff, acknowledgement & 0xffffffff,
                         (20 + len(options)) // 4 << 4, flags, window, 0, 0) + options
    return transport(TCP, source, destination, data, 16, header)


def udp(source, destination, ports, data=b"", protocol=UDP):
    return transport(protocol, source, destination, data, 6, struct.pack("!HHHH", *ports, 8 + len(data), 0))


def icmp(kind, code, ident=0, sequence=0, data=b""):
    body = struct.pack("!BBHHH", kind, code, 0, ident, sequence) + data
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def sentinel(side):
    source, destination = (span(SENTINELS[i])[0] for i in (side, 1 - side))
    return Packet(side, source, destination, UDP, udp(source, destination, (9, 9)))


def answer_counts(packet):
    """Whether both tell the sender that the packet was rejected. Linux says nothing where a 16-bit sum over the packet is
    wrong, as it is of first fragments and, from kernel to kernel, of other protocols; nor about ICMP types that it does
    not know. Piglet's ICMP errors look at no sum."""
    if packet.protocol == ICMP:
        return packet.body[0] not in (1, 2, 6, 7, 9, 10) and checksum(packet.body) == 0
    pseudo = struct.pack("!IIHH", packet.source, packet.destination, packet.protocol, len(packet.body))
    return packet.protocol in (TCP, UDP) and checksum(pseudo + packet.body) == 0


# ---- packets on their own ---------------------------------------------------------------------------------------

def host(random, side, wanted=()):
    """An address of this side: of one of these prefixes if there is such a one, often at its edge."""
    low, high = (10 << 24 | (side + 1) << 16), (10 << 24 | (side + 1) << 16 | 0x3ff)
    for text in random.sample(wanted, len(wanted)):
        first, last = span(text)
        if first <= high and low <= last:
            near = random.choice((first, last, first - 1, last + 1, first + 1))
            return min(max(near, low), high)
    return random.randrange(low, high + 1)


def port(random, wanted=()):
    if wanted and random.random() < .9:
        first, last = random.choice(wanted)
        return min(max(random.choice((first, last, first - 1, last + 1, (first + last) // 2)), 0), 65535)
    return random.choice(PORTS) if random.random() < .7 else random.randrange(65536)


def body(random, protocol, source, destination, rule):
    """The transport header and data of a packet on its own."""
    ports = (port(random, rule.source_ports), port(random, rule.destination_ports))
    data = bytes(random.choice((0, 1, 8, 64, 500, 900)))
    if protocol == TCP:
        mask = sum(FLAGS[name] for name in (rule.flags[1] or rule.flags[0])) if rule.flags else 255
        value = sum(FLAGS[name] for name in rule.flags[0]) if rule.flags else random.choice((SYN, ACK, SYN | ACK, RST, 0))
        bits = value | random.randrange(256) & ~mask if random.random() < .7 else random.randrange(256)
        return tcp(source, destination, ports, bits, random.getrandbits(32), random.getrandbits(32), data)
    if protocol in (UDP, UDP_LITE):
        return udp(source, destination, ports, data, protocol)
    if protocol == ICMP:
        kind = rule.icmp[0] if rule.icmp and random.random() < .8 else random.randrange(19)
        return icmp(kind, random.randrange(4), ports[0], 1, data)
    if protocol in (DCCP, SCTP):
        return struct.pack("!HH", *ports) + bytes(12) + data
    return struct.pack("!II", random.getrandbits(32), 1) + data


def single(random, rules):
    """A packet that a rule may match, or one out of the blue."""
    rule = random.choice(rules)
    side = random.randrange(2)
    source = host(random, side, rule.source if random.random() < .8 else ())
    destination = host(random, 1 - side, rule.destination if random.random() < .8 else ())
    protocol = random.choice((TCP, UDP, ICMP, random.randrange(256)))
    if rule.protocols and random.random() < .85:
        name = random.choice(rule.protocols)
        protocol = int(PROTOCOLS.get(name, name))
    packet = Packet(side, source, destination, protocol, body(random, protocol, source, destination, rule), "single",
                    random.randrange(2, 66), random.randrange(64), random.choice((0, DONT_FRAGMENT)))
    if random.random() < (.4 if rule.fragments else .05):
        packet.fragment = random.choice((MORE_FRAGMENTS, MORE_FRAGMENTS | 100, 100))
        packet.body += bytes(-len(packet.body) % 8)
        packet.what = "fragment"
    if random.random() < .05:
        packet.options = b"\x01\x01\x01\0"
    return packet


def singles(random, rules, count):
    return [single(random, rules) for _ in range(count)]


