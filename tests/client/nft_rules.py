"""Random rules of the firewall's language, and the same rules in nftables': what both can say.

A rule set is made from a random.Random, so a seed is a rule set. What is left out because the two differ by intent
is listed in docs/TESTING.md; each way out is at its place here and in nft_frames.py."""
from dataclasses import dataclass, field, replace

SIDES = ("10.1.0.0/16", "10.2.0.0/16")  # behind nic0, and behind nic1
NICS = ("nic0", "nic1")
SENTINELS = ("10.1.255.254", "10.2.255.254")  # their frames always pass, and tell that those before are through
PORTED = ("tcp", "udp", "sctp", "dccp", "udp-lite")
PROTOCOLS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "ospf": 89, "vrrp": 112,
             "sctp": 132, "udp-lite": 136}
FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ece": 64, "cwr": 128}
FRAGMENTS = {("whole",): "& 0x3fff == 0", ("first",): "& 0x3fff == 0x2000", ("later",): "& 0x1fff != 0",
             ("whole", "first"): "& 0x1fff == 0", ("first", "later"): "& 0x3fff != 0", ("whole", "later"): "& 0x3fff != 0x2000"}
PORTS = (1, 22, 25, 53, 80, 443, 1023, 1024, 8080, 33434, 65535)
ICMP_TYPES = (0, 3, 4, 5, 8, 11, 12, 13, 14)
STATES = (("new", "established"), ("related",), ("invalid",))  # Linux calls it new until it is answered, Piglet does not


@dataclass
class Rule:
    """One line. Lists hold texts, as both languages write them; an empty one is "any"."""
    verdict: str = "accept"  # accept, drop, reject, reject icmp
    direction: str = "forward"
    protocols: list = field(default_factory=list)
    source: list = field(default_factory=list)
    destination: list = field(default_factory=list)
    source_ports: list = field(default_factory=list)  # (first, last)
    destination_ports: list = field(default_factory=list)
    nic_in: str = ""
    nic_out: str = ""
    flags: tuple = ()  # (value, mask) as tuples of names; mask None: value
    icmp: tuple = ()  # (type,) or (type, code)
    fragments: tuple = ()
    states: tuple = ()
    expression: tuple = ()  # (pcap-filter's, nftables')
    extra: str = ""  # log, count

    def piglet(self):
        words = [*self.verdict.split()[:1], *(["icmp"] if self.verdict == "reject icmp" else []), self.direction]
        words += [",".join(self.protocols)] if self.protocols and set(self.protocols) <= set(PROTOCOLS) else \
            ["protocol " + ",".join(self.protocols)] if self.protocols else []
        for name, addresses, ports in (("source", self.source, self.source_ports),
                                       ("destination", self.destination, self.destination_ports)):
            if addresses or ports:
                words += [name, *([",".join(addresses)] if addresses else []),
                          *(["port " + ",".join(map(port_text, ports))] if ports else [])]
        words += [f"from {self.nic_in}"] if self.nic_in else []
        words += [f"to {self.nic_out}"] if self.nic_out else []
        if self.flags:
            value, mask = self.flags
            words.append("flags " + (",".join(value) or "none") + ("/" + ",".join(mask) if mask else ""))
        words += [f"type {self.icmp[0]}"] if self.icmp else []
        words += [f"code {self.icmp[1]}"] if len(self.icmp) > 1 else []
        words += ["fragments " + ",".join(self.fragments)] if self.fragments else []
        words += ["state " + ",".join(self.states)] if self.states else []
        words += [f'match "{self.expression[0]}"'] if self.expression else []
        return " ".join(words + [self.extra]).strip()

    def nftables(self, stateful):
        """The lines that do the same; two where a reject says different things to TCP and to others."""
        words = [f"iifname {self.nic_in}"] if self.nic_in else []
        words += [f"oifname {self.nic_out}"] if self.nic_out else []
        words += ["meta l4proto " + nft_set(str(PROTOCOLS.get(name, name)) for name in self.protocols)] if self.protocols else []
        for name, addresses in (("saddr", self.source), ("daddr", self.destination)):
            words += [f"ip {name} " + nft_set(addresses)] if addresses and "0.0.0.0/0" not in addresses else []
        for name, ports in (("sport", self.source_ports), ("dport", self.destination_ports)):
            words += [f"th {name} " + nft_set(map(port_text, ports))] if ports else []
        if self.flags:
            value, mask = (sum(FLAGS[name] for name in names or ()) for names in self.flags)
            words.append(f"tcp flags & {mask or value:#x} == {value:#x}")
        words += [f"icmp type {self.icmp[0]}"] if self.icmp else []
        words += [f"icmp code {self.icmp[1]}"] if len(self.icmp) > 1 else []
        if self.flags or self.icmp or self.source_ports or self.destination_ports or "tcp[" in "".join(self.expression):
            words.append("ip frag-off & 0x1fff == 0")  # nftables reads ports where later fragments have data
        words += ["ip frag-off " + FRAGMENTS[self.fragments]] if self.fragments and len(self.fragments) < 3 else []
        if stateful:
            words.append("ct state " + nft_set(self.states) if self.states else "ct state != invalid")
        words += [self.expression[1]] if self.expression else []
        head = " ".join(words)
        if self.verdict != "reject":
            return [f"{head} " + (self.verdict if self.verdict != "reject icmp" else "reject with icmp type admin-prohibited")]
        numbers = {str(PROTOCOLS.get(name, name)) for name in self.protocols}
        to_tcp = replace(self, protocols=["tcp"], verdict="").nftables(stateful)[0] + "reject with tcp reset"
        return [*([to_tcp] if not numbers or "6" in numbers else []),
                *([f"{head} reject with icmp type admin-prohibited"] if numbers != {"6"} else [])]


@dataclass
class RuleSet:
    rules: list
    default: str = "accept"
    mode: str = "stateless"  # or "", "every-packet"
    pick_up: bool = True

    def words(self):
        """Settings of Piglet's, and of Linux'."""
        return "" if self.pick_up else "firewall.pick_up=off"

    def settings(self):
        return {"net/netfilter/nf_conntrack_tcp_loose": int(self.pick_up)} if self.mode != "stateless" else {}

    def piglet(self):
        lines = [*([self.mode] if self.mode else []), f"default forward {self.default}",
                 f"accept forward udp source {','.join(SENTINELS)} destination {','.join(SENTINELS)}",
                 *(rule.piglet() for rule in self.rules)]
        return "firewall {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"

    def nftables(self):
        lines = [f"ip saddr {nft_set(SENTINELS)} ip daddr {nft_set(SENTINELS)} accept"]
        stateful = self.mode != "stateless"
        if not self.mode:
            lines.append("ct state established,related accept")
        for rule in self.rules:
            lines += rule.nftables(stateful)
        if stateful:
            lines.append("ct state invalid drop")
        lines += Rule(self.default, direction="forward").nftables(False)
        return ("table ip t {\n chain f {\n  type filter hook forward priority 0\n" +
                "".join(f"  {line.strip()}\n" for line in lines) + " }\n}\n")


def port_text(ports):
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


def nft_set(items):
    """Overlapping items are merged by nft itself, where the set has `auto-merge`; an anonymous set does so by default."""
    items = list(dict.fromkeys(items))
    return items[0] if len(items) == 1 else "{ " + ", ".join(items) + " }"


# ---- at random --------------------------------------------------------------------------------------------------

def prefix(random):
    """A prefix around the hosts that frames come from, wide or narrow."""
    address = 10 << 24 | random.choice((1, 2)) << 16 | random.randrange(4) << 8 | random.choice((0, 1, 7, 64, 128, 255))
    length = random.choice((0, 8, 14, 15, 16, 20, 22, 23, 24, 25, 28, 31, 32, 32))
    address &= -1 << (32 - length) & 0xffffffff
    text = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
    return text if length == 32 else f"{text}/{length}"


def apart(prefixes):
    """Without those inside another: nft wants intervals of a set apart."""
    spans = [span(text) for text in prefixes]
    return [text for i, text in enumerate(prefixes)
            if not any(first <= spans[i][0] and spans[i][1] <= last and ((first, last) != spans[i] or j < i)
                       for j, (first, last) in enumerate(spans) if j != i)]


def span(text):
    """A prefix's first and last address."""
    address, _, length = text.partition("/")
    first = int.from_bytes(bytes(map(int, address.split("."))), "big")
    return first, first | (1 << 32 - int(length or 32)) - 1


def port_list(random):
    ports = []
    for _ in range(random.choice((1, 1, 2, 4))):
        first = random.choice(PORTS) if random.random() < .7 else random.randrange(1, 65536)
        last = first if random.random() < .6 else min(65535, first + random.choice((1, 10, 1000, 65535)))
        if all(last < other[0] or other[1] < first for other in ports):
            ports.append((first, last))
    return ports


def expression(random, protocols):
    """Of pcap-filter, and what nftables says for it. Linux has counted the time to live down before its forward
    hook, and its packets begin with the IPv4 header."""
    number = random.randrange(2, 64)
    choices = [
        (f"ip[8] > {number}", f"ip ttl >= {number}"), (f"ip[1] = {number}", f"@nh,8,8 {number}"),
        (f"len < {500 + number}", f"meta length < {486 + number}"), ("ip[6] & 0x40 != 0", "@nh,48,8 & 0x40 == 0x40"),
        ("src net 10.1.0.0/17", "ip saddr 10.1.0.0/17"), (f"not (ip[1] & {number} = 0)", f"@nh,8,8 & {number} != 0")]
    if protocols in ([], ["tcp"]):
        choices.append(("tcp[13] & 2 != 0", "tcp flags & 2 == 2"))
    return random.choice(choices)


def flags(random):
    mask = random.sample(list(FLAGS), random.choice((1, 2, 3, 6)))
    value = [name for name in mask if random.random() < .5]
    return (value, mask) if random.random() < .7 or not value else (value, None)


def rule(random, mode):
    """Stateful rules ask about what stays the same for a connection's whole life: Linux asks them again about
    further packets of one that was not answered yet, Piglet does not."""
    made = Rule(random.choice(("accept", "accept", "drop", "reject", "reject icmp")), random.choice(("forward", "any")))
    if random.random() < .8:
        made.protocols = random.choice((["tcp"], ["udp"], ["icmp"], ["tcp", "udp"], ["tcp", "udp"],
                                        random.sample(list(PROTOCOLS), random.randrange(1, 5)), [str(random.randrange(256))]))
    for name in ("source", "destination"):
        if random.random() < .5:
            setattr(made, name, apart([prefix(random) for _ in range(random.choice((1, 1, 2, 5)))]))
        if made.protocols and set(made.protocols) <= set(PORTED) and random.random() < (.2 if name == "source" else .6):
            setattr(made, f"{name}_ports", port_list(random))
    made.nic_in, made.nic_out = (random.choice(NICS) if random.random() < .15 else "" for _ in NICS)
    made.extra = random.choice(("", "", "", "count", "log"))
    if mode != "stateless":
        states = STATES if mode else (("new",), ("invalid",))
        if random.random() < .3:
            made.states = sum(random.sample(states, random.randrange(1, len(states) + 1)), ())
        if "invalid" in made.states and made.verdict == "reject":
            made.verdict = "drop"  # Linux' own reset would end the connection that the packet pretended to be of
        return made
    if made.protocols == ["tcp"] and random.random() < .5:
        made.flags = flags(random)
    if made.protocols == ["icmp"] and random.random() < .8:
        made.icmp = (random.choice(ICMP_TYPES), *([random.randrange(4)] if random.random() < .3 else []))
    if random.random() < .15:
        kinds = list(FRAGMENTS) if not (made.flags or made.icmp or made.source_ports or made.destination_ports) else \
            [kind for kind in FRAGMENTS if "later" not in kind]
        made.fragments = random.choice(kinds)
    if random.random() < .1:
        made.expression = expression(random, made.protocols)
    return made


def rule_set(random):
    mode = random.choice(("stateless", "stateless", "", "", "every-packet"))
    count = random.choice((1, 3, 10, 10, 30, 100))
    return RuleSet([rule(random, mode) for _ in range(count)], random.choice(("accept", "drop", "reject", "reject icmp")), mode,
                   random.random() < .7)
