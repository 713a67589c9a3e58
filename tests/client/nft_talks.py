"""Random conversations: what connection tracking has to follow, and what it must not believe."""
import struct

from nft_frames import ACK, FIN, ICMP, RST, SYN, TCP, UDP, Packet, host, icmp, port, tcp, udp
from nft_rules import PROTOCOLS

WINDOW = 8192
OTHERS = ("esp", "ah", "ospf")  # Linux' conntrack looks into gre, sctp, dccp and udp-lite
ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED = 0, 3, 8, 11


class Talk:
    """Two ends, and the packets between them in their order."""

    def __init__(self, random, rule, protocol):
        self.side = random.randrange(2)  # who begins
        self.ends = (host(random, self.side, rule.source if random.random() < .8 else ()),
                     host(random, 1 - self.side, rule.destination if random.random() < .8 else ()))
        self.ports = (port(random, rule.source_ports), port(random, rule.destination_ports))
        self.protocol = protocol
        self.packets = []

    def say(self, reply, body, what, protocol=None):
        """`body`: a function of source, destination, ports."""
        source, destination = self.ends[reply], self.ends[not reply]
        ports = self.ports[::-1] if reply else self.ports
        self.packets.append(Packet(self.side ^ reply, source, destination, protocol or self.protocol,
                                   body(source, destination, ports), what))

    def error(self, random):
        """An ICMP error about a packet of before, from the end it was sent to."""
        about = random.choice(self.packets)
        if about.protocol == ICMP and about.body[0] not in (ECHO_REPLY, ECHO_REQUEST):
            return
        quoted = about.bytes(7)[:20 + random.choice((8, 8, 28))]
        quoted = quoted[:2] + struct.pack("!H", 20 + len(about.body)) + quoted[4:]
        reply = about.side == self.side
        self.say(reply, lambda *_: icmp(random.choice((UNREACHABLE, TIME_EXCEEDED)), random.randrange(2), data=quoted), "error", ICMP)


def udp_talk(random, rule, answered):
    talk = Talk(random, rule, UDP)
    talk.say(False, lambda *ends: udp(*ends, b"first"), "udp")
    if answered:
        talk.say(True, lambda *ends: udp(*ends, b"answer"), "udp reply")
    for _ in range(random.randrange(4)):
        reply = random.random() < .5
        talk.say(reply, lambda *ends: udp(*ends, b"more"), "udp more")
        if random.random() < .2:
            talk.error(random)
    return talk


def echo_talk(random, rule, answered):
    talk = Talk(random, rule, ICMP)
    ident = random.randrange(65536)
    talk.say(False, lambda *_: icmp(ECHO_REQUEST, 0, ident, 1), "echo")
    if answered:
        talk.say(True, lambda *_: icmp(ECHO_REPLY, 0, ident, 1), "echo reply")
    if random.random() < .2:
        talk.say(True, lambda *_: icmp(ECHO_REQUEST, 0, ident, 3), "echo of the other's")
    for _ in range(random.randrange(3)):
        reply = random.random() < .5
        other = 0 if random.random() < .7 else 1
        talk.say(reply, lambda *_: icmp(ECHO_REPLY if reply else ECHO_REQUEST, 0, ident ^ other, 2), "echo more")
        if random.random() < .2:
            talk.error(random)
    return talk


def other_talk(random, rule, answered):
    talk = Talk(random, rule, PROTOCOLS[random.choice(OTHERS)])
    talk.say(False, lambda *_: bytes(20), "other")
    if answered:
        talk.say(True, lambda *_: bytes(20), "other reply")
    for _ in range(random.randrange(3)):
        talk.say(random.random() < .5, lambda *_: bytes(24), "other more")
    return talk


class TcpTalk:
    """Both ends' numbers. step() says a segment as a TCP would; noise() one that none would, or again."""

    def __init__(self, random, rule):
        self.talk, self.random = Talk(random, rule, TCP), random
        self.next = [random.getrandbits(32), random.getrandbits(32)]
        self.begun = [False, False]
        self.segments = []

    def say(self, what, reply, flags, sequence, acknowledgement, data=b"", window=WINDOW):
        segment = (reply, flags, sequence & 0xffffffff, acknowledgement & 0xffffffff if flags & ACK else 0, data, window)
        self._put(what, *segment)
        return segment

    def _put(self, what, reply, flags, sequence, acknowledgement, data, window):
        self.talk.say(reply, lambda *ends: tcp(*ends, flags, sequence, acknowledgement, data, window), what)

    def step(self, reply, flags, data=b""):
        self.segments.append(self.say(f"tcp {flags:#x}", reply, flags, self.next[reply], self.next[not reply], data))
        self.next[reply] += len(data) + bool(flags & SYN) + bool(flags & FIN)

    def again(self):
        """No SYN: where the first was not let through, the other side may have begun the connection meanwhile, and of
        that side Linux takes no SYN, Piglet does."""
        self._put("tcp again", *self.random.choice([segment for segment in self.segments if not segment[1] & SYN]))

    def noise(self):
        """Not made, as the two differ: segments far behind (old data and old acknowledgements, which Linux has let pass
        for some years), one out of the window again (Linux gives in), resets whose number is not the next one or that
        come after such noise, and whatever comes behind a reset."""
        random = self.random
        reply = random.random() < .5
        sequence, acknowledgement = self.next[reply], self.next[not reply]
        kind = random.choice(("again", "sequence", "acknowledgement", "flags"))
        if kind == "again":
            self.again()
        elif kind == "sequence":
            off = random.choice((1, -1, 1000, -1000, WINDOW * 2, 100000))
            self.say(f"tcp sequence {off:+}", reply, ACK, sequence + off, acknowledgement, b"12345678")
        elif kind == "acknowledgement":
            off = random.choice((1, -1, 1000, -1000, WINDOW * 2, 100000))
            self.say(f"tcp acknowledgement {off:+}", reply, ACK, sequence, acknowledgement + off)
        else:
            flags = random.choice((0, FIN, SYN | FIN, SYN | RST, FIN | RST, SYN | ACK | FIN, 0x29, 0x08))
            self.say(f"tcp flags {flags:#x}", reply, flags, sequence, acknowledgement)


def tcp_talk(random, rule, noise):
    one = TcpTalk(random, rule)
    missing = random.choice((0, 0, 0, 0, 1, 2, 3)) if noise else 0  # segments of the beginning that went elsewhere
    for i, (reply, flags) in enumerate(((False, SYN), (True, SYN | ACK), (False, ACK))):
        one.step(reply, flags)
        if i < missing:
            one.talk.packets.pop()
        elif flags & SYN and not missing and random.random() < noise / 3:
            one.talk.packets.append(one.talk.packets[-1])
    for _ in range(random.randrange(7)):
        one.step(random.random() < .5, ACK, bytes(random.choice((0, 10, 1000))))
        if random.random() < noise:
            one.noise()
        if random.random() < .1:
            one.talk.error(random)
    end = random.random()
    if end < .4:
        first = random.random() < .5
        one.step(first, FIN | ACK)
        if random.random() < noise:
            one.noise()
        one.step(not first, random.choice((ACK, FIN | ACK)))
        one.step(not first, FIN | ACK)
        one.step(first, ACK)
    if random.random() < noise:
        one.noise()
    if .4 < end < .6 and not noise:
        one.step(random.random() < .5, RST | random.choice((0, ACK)))
    return one.talk


def talks(random, rules, mode, count):
    """Packets of many conversations, a round for each one's next; in a round those of a side together."""
    answered = mode == "every-packet"
    open_, taken, made = [], set(), 0
    while made < count:
        rule = random.choice(rules)
        wanted = [PROTOCOLS.get(name, name) for name in rule.protocols] if random.random() < .9 else ()
        kind = random.choice([number for number in (TCP, TCP, UDP, ICMP) if not wanted or number in wanted] or [0])
        if kind == TCP:
            talk = tcp_talk(random, rule, 0 if random.random() < .3 else .5)
        else:
            talk = {UDP: udp_talk, ICMP: echo_talk, 0: other_talk}[kind](random, rule, random.random() < .7 or answered)
        ends = frozenset(zip(talk.ends, talk.ports if kind in (TCP, UDP) else (kind, kind)))
        if talk.packets and (kind, ends) not in taken:  # two of the same ends would be one
            taken.add((kind, ends))
            open_.append(talk.packets)
            made += len(talk.packets)
    packets = []
    for turn in range(max(map(len, open_))):
        now = [talk[turn] for talk in open_ if turn < len(talk)]
        packets += sorted(now, key=lambda packet: packet.side)
    return packets
