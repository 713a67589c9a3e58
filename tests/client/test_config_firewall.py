"""The firewall block: what it compiles to, what is wrong with it, and what a Piglet makes of it."""
import os
import random
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from config_site import BASE, apply, pigctl, shared, shown, site, wait_for, write  # noqa: E402, F401
from pigctl_site import DONE, MAC, PEER, PIGCTL, PIGLET, REFUSED, ROOT, TIMEOUT_S, USAGE  # noqa: E402

scapy = pytest.importorskip("scapy.all")

EXAMPLE = os.path.join(ROOT, "examples", "firewall.conf")
MAGIC, HEADER, RULE, STEP = struct.pack("<I", 0x6C775770), "<IHHIII4B40x", "<IIBBHHHHH13B3xIIIII24x", "<HBBI"
FIELDS = ("from to from_length to_length match from_port from_port_end to_port to_port_end protocol directions nic_in nic_out "
          "tcp_mask tcp_value icmp_type icmp_code fragments states verdict icmp_reject actions line limit limit_key bpf_at "
          "bpf_count").split()
ANY = {"from": 0, "to": 0, "from_length": 0, "to_length": 0, "match": 0, "from_port": 0, "from_port_end": 65535, "to_port": 0,
       "to_port_end": 65535, "protocol": 0, "nic_in": 255, "nic_out": 255, "tcp_mask": 0, "tcp_value": 0, "icmp_type": 0,
       "icmp_code": 0, "fragments": 0, "states": 0, "icmp_reject": 0, "actions": 0, "line": 2, "limit": 0, "limit_key": 0,
       "bpf_at": 0, "bpf_count": 0}
ACCEPT, DROP, REJECT, RESET = range(4)
IN, OUT, FORWARD = 1, 2, 4
STATELESS, EVERY_PACKET = 1, 2
RULES_MAX, STEPS_MAX = 10000, 4096


def compiled(folder, text, code=DONE):
    (folder / "fw.conf").write_text(text)
    done = subprocess.run([PIGCTL, "compile", "fw.conf", "-o", "fw.psr"], capture_output=True, text=True, timeout=TIMEOUT_S,
                          check=False, cwd=folder)
    assert done.returncode == code, done.stderr
    return done.stderr


def block(*lines):
    return "firewall {\n" + "".join(line + "\n" for line in lines) + "}\n"


def table(folder, text):
    """The table of a file: header flags, defaults and code, rules, steps."""
    assert compiled(folder, text) == ""
    module = (folder / "fw.psr").read_bytes()
    at = module.index(MAGIC)
    _, version, flags, size, rules, steps, *verdicts = struct.unpack_from(HEADER, module, at)
    assert version == 1 and size == 64 + 80 * rules + 8 * steps
    first = at + 64
    made = [dict(zip(FIELDS, struct.unpack_from(RULE, module, first + 80 * i))) for i in range(rules)]
    program = [struct.unpack_from(STEP, module, first + 80 * rules + 8 * i) for i in range(steps)]
    return flags, verdicts, made, program


def ip(text):
    return int.from_bytes(bytes(map(int, text.split("."))), "big")


# ---- compiling ----------------------------------------------------------------------------------------------

ONE_RULE = [
    ("accept in", {"verdict": ACCEPT, "directions": IN}),
    ("drop out", {"verdict": DROP, "directions": OUT}),
    ("drop any state invalid", {"verdict": DROP, "directions": IN | OUT | FORWARD, "states": 8}),
    ("reject forward tcp destination port 25 log", {
        "verdict": RESET, "icmp_reject": 13, "directions": FORWARD, "match": 1, "protocol": 6, "to_port": 25, "to_port_end": 25,
        "actions": 1}),
    ("reject tcp-reset in", {"verdict": RESET, "icmp_reject": 13, "directions": IN}),
    ("reject icmp in icmp", {"verdict": REJECT, "icmp_reject": 13, "directions": IN, "match": 1, "protocol": 1}),
    ("accept in icmp type echo-request", {"verdict": ACCEPT, "directions": IN, "match": 3, "protocol": 1, "icmp_type": 8}),
    ("accept in type 3 code 4 icmp", {"verdict": ACCEPT, "directions": IN, "match": 7, "protocol": 1, "icmp_type": 3, "icmp_code": 4}),
    ("accept in tcp destination port 22 source 10.0.0.0/24 limit 20", {
        "verdict": ACCEPT, "directions": IN, "match": 1, "protocol": 6, "to_port": 22, "to_port_end": 22, "from": ip("10.0.0.0"),
        "from_length": 24, "limit": 20, "limit_key": 2}),
    ("drop in udp source port 0-1023 count", {
        "verdict": DROP, "directions": IN, "match": 1, "protocol": 17, "from_port": 0, "from_port_end": 1023, "actions": 2}),
    ("accept forward from nic0 to nic31 source 10.0.0.9", {
        "verdict": ACCEPT, "directions": FORWARD, "nic_in": 0, "nic_out": 31, "from": ip("10.0.0.9"), "from_length": 32}),
    ("accept forward destination 0.0.0.0/0", {"verdict": ACCEPT, "directions": FORWARD}),
    ("accept in tcp source 10.0.0.1 port 99 destination 10.0.0.2 port 5-6", {
        "verdict": ACCEPT, "directions": IN, "match": 1, "protocol": 6, "from": ip("10.0.0.1"), "from_length": 32, "from_port": 99,
        "from_port_end": 99, "to": ip("10.0.0.2"), "to_length": 32, "to_port": 5, "to_port_end": 6}),
    ("drop in tcp flags syn,fin", {"verdict": DROP, "directions": IN, "match": 1, "protocol": 6, "tcp_mask": 3, "tcp_value": 3}),
    ("drop in tcp flags syn/syn,ack", {"verdict": DROP, "directions": IN, "match": 1, "protocol": 6, "tcp_mask": 18, "tcp_value": 2}),
    ("drop in tcp flags none/fin,syn,rst,psh,ack,urg,ece,cwr", {
        "verdict": DROP, "directions": IN, "match": 1, "protocol": 6, "tcp_mask": 255}),
    ("drop in fragments first,later", {"verdict": DROP, "directions": IN, "fragments": 6}),
    ("accept in state new,related", {"verdict": ACCEPT, "directions": IN, "states": 5}),
    ("accept in state established,related", {"verdict": ACCEPT, "directions": IN, "states": 6}),
    ("accept in protocol 47", {"verdict": ACCEPT, "directions": IN, "match": 1, "protocol": 47}),
    ("accept in protocol 0", {"verdict": ACCEPT, "directions": IN, "match": 1, "protocol": 0}),
    ("accept in udp-lite log count source port 7", {
        "verdict": ACCEPT, "directions": IN, "match": 1, "protocol": 136, "actions": 3, "from_port": 7, "from_port_end": 7}),
    ("accept in protocol ospf", {"verdict": ACCEPT, "directions": IN, "match": 1, "protocol": 89}),
]


@pytest.mark.parametrize("line, fields", ONE_RULE)
def test_compile_01_a_rule(tmp_path, line, fields):
    flags, verdicts, rules, program = table(tmp_path, block("  " + line + "  # comment"))
    assert (flags, verdicts, program) == (0, [ACCEPT, ACCEPT, ACCEPT, 13], [])
    assert rules == [{**ANY, **fields}]


def test_compile_02_lists(tmp_path):
    """A line is a rule for each combination; all of them have its line number, and share its limit."""
    rules = table(tmp_path, block("drop in", "", "accept in tcp,udp source 10.0.0.0/24,10.1.0.9 destination port 53,80-90,443 "))[2]
    rules = [rule for rule in rules if rule["verdict"] == ACCEPT]
    seen = {(r["protocol"], r["from"], r["from_length"], r["to_port"], r["to_port_end"]) for r in rules}
    assert seen == {(protocol, *source, *ports) for protocol in (6, 17) for source in ((ip("10.0.0.0"), 24), (ip("10.1.0.9"), 32))
                    for ports in ((53, 53), (80, 90), (443, 443))}
    assert len(rules) == 12 and {r["line"] for r in rules} == {4}
    rules = table(tmp_path, block("accept in tcp destination port 1,2 limit 3", "accept in udp limit 3"))[2]
    assert [r["limit_key"] for r in rules] == [2, 2, 3] and {r["limit"] for r in rules} == {3}


def test_compile_03_defaults_and_flags(tmp_path):
    assert table(tmp_path, block("default in drop", "default forward reject icmp", "default out reject"))[1] == [DROP, RESET, REJECT, 13]
    assert table(tmp_path, block("default any drop"))[1] == [DROP, DROP, DROP, 13]
    assert table(tmp_path, block("stateless"))[0] == STATELESS
    assert table(tmp_path, block("drop in state established", "every-packet"))[0] == EVERY_PACKET
    assert table(tmp_path, "firewall {\n}\n") == (STATELESS, [ACCEPT, ACCEPT, ACCEPT, 13], [], [])


def test_compile_04_the_example(tmp_path):
    """Each rule has the line it stands in."""
    with open(EXAMPLE, encoding="ascii") as file:
        text = file.read()
    _, verdicts, rules, _ = table(tmp_path, text)
    lines = [i for i, line in enumerate(text.split("\n"), 1) if line.startswith(("  accept ", "  drop ", "  reject "))]
    assert sorted({rule["line"] for rule in rules}) == lines and verdicts == [DROP, ACCEPT, DROP, 13]


def run(program, packet):
    """The instructions that these expressions use, as the kernel's bpf.c runs them."""
    at = accumulator = 0
    while True:
        code, true, false, k = program[at]
        at += 1
        if code in (0x28, 0x30):
            accumulator = int.from_bytes(packet[k:k + (2 if code == 0x28 else 1)], "big")
        elif code == 0x80:
            accumulator = len(packet)
        elif code == 0x06:
            return k != 0
        else:
            at += true if {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[code] else false


def test_compile_05_expressions(tmp_path):
    _, _, rules, program = table(tmp_path, block('accept forward match "ip[8] > 1 and len < 600" count', "drop in",
                                                 'drop in tcp destination port 1,2 match   "ip[1]  !=  0"'))
    assert [(rule["bpf_count"] > 0) for rule in rules] == [True, False, True, True]
    assert rules[2]["bpf_at"] == rules[0]["bpf_count"] and rules[2]["bpf_at"] == rules[3]["bpf_at"]
    assert len(program) == rules[0]["bpf_count"] + rules[2]["bpf_count"] and rules[0]["actions"] == 2
    first, other = program[:rules[2]["bpf_at"]], program[rules[2]["bpf_at"]:]
    for ttl in (0, 1, 2, 255):
        for tos in (0, 8):
            for size in (0, 565, 566, 900):
                packet = bytes(scapy.Ether() / scapy.IP(ttl=ttl, tos=tos, src=PEER, dst=PIGLET) / (b"x" * size))
                assert run(first, packet) == (ttl > 1 and len(packet) < 600) and run(other, packet) == (tos != 0)


def test_compile_06_bounds(tmp_path):
    """As many rules, and steps of programs, as a table may have; and one more."""
    ports = ",".join(str(port) for port in range(1, 101))
    many = ["accept in tcp source port " + ports + " destination port " + ports]
    assert len(table(tmp_path, block(*many))[2]) == RULES_MAX
    said = compiled(tmp_path, block(*many, "drop in", "drop out"), USAGE)
    assert said.startswith("fw.conf:3:1: firewall: with the 1 rules of this line it is more than 10000; expected fewer lines")
    steps = len(table(tmp_path, block('drop in match "ip[8] > 1"'))[3])
    lines = ['drop in match "ip[8] > 1"'] * (STEPS_MAX // steps)
    assert len(table(tmp_path, block(*lines))[3]) == STEPS_MAX // steps * steps
    said = compiled(tmp_path, block(*lines, lines[0]), USAGE)
    assert f"fw.conf:{len(lines) + 2}:15: firewall: the expressions of all rules take more than 4096 steps" in said
    long = " or ".join(f"ip[{i}] == {i}" for i in range(20, 60))  # some hundred steps, a hundred times
    said = compiled(tmp_path, block("drop in tcp destination port " + ports + f' match "{long}"'), USAGE)
    assert said.startswith("fw.conf:2:") and "more than 4096 steps" in said
    said = compiled(tmp_path, block('drop in match "' + "ip " * 1500 + '"'), USAGE)
    assert said.startswith("fw.conf:2:4111: firewall: the expression is too long; expected at most 4094 bytes")


WRONG = [
    ("pass in", 1, '"pass" is not understood; expected accept, drop, reject, default, stateless or every-packet'),
    ("accept", 7, "expected a direction, of in, out, forward, any"),
    ("accept inn", 8, '"inn" is not understood; expected a direction, of in, out, forward, any'),
    ("reject rst in", 8, '"rst" is not understood; expected a direction'),
    ("accept icmp in", 8, "expected a direction"),
    ("accept in tpc", 11, '"tpc" is not understood; expected a protocol, source, destination'),
    ("accept in tcp udp", 15, "column 11 says a protocol already; expected a list, such as tcp,udp"),
    ("accept in tcp,upd", 15, '"upd" is not understood; expected a protocol\'s name'),
    ("accept in protocol 256", 20, "expected a protocol's name, such as tcp, or its number"),
    ("accept in protocol", 19, "expected a protocol's name"),
    ("accept in source", 17, "expected an address, a prefix such as 10.0.0.0/24, or port"),
    ("accept in source 10.0.0.300", 18, '"10.0.0.300" is not understood; expected an address'),
    ("accept in source 10.0.0.1,10.0.0.0/33", 27, '"10.0.0.0/33" is not understood; expected an address'),
    ("accept in source 10.0.0.1/24", 18, '"10.0.0.1/24" has bits behind its length; expected 10.0.0.0/24'),
    ("accept in source 10.0.0.1 source 10.0.0.2", 27, "it is said in column 18 already"),
    ("accept in tcp source port 1 source 10.0.0.2 port 4", 45, "it is said in column 27 already"),
    ("accept in tcp destination port", 31, "expected a port or a range, such as 80 or 1024-65535"),
    ("accept in tcp destination port http", 32, '"http" is not understood; expected a port or a range'),
    ("accept in tcp destination port 80,65536", 35, '"65536" is not understood'),
    ("accept in tcp destination port 80-70", 32, '"80-70" is not understood'),
    ("accept in tcp destination port 80-", 32, '"80-" is not understood'),
    ("accept in tcp destination port 80,,81", 35, '"" is not understood'),
    ("accept in tcp destination port 80,", 35, '"" is not understood'),
    ("accept in tcp destination port " + "0" * 60 + "80", 32, '..." is not understood'),
    ("accept in tcp destination port " + ",".join("7" * 129), 288, "a list may have 128 items; expected another line for the rest"),
    ("accept in destination port 80", 28, "expected protocols with ports: tcp, udp, dccp, sctp or udp-lite"),
    ("accept in tcp,icmp source port 80", 32, "expected protocols with ports"),
    ("accept in udp flags syn", 15, "expected protocol tcp with flags"),
    ("accept in tcp flags", 20, "syn/syn,ack, of fin, syn, rst, psh, ack, urg, ece, cwr, none"),
    ("accept in tcp flags syn,sin", 25, '"sin" is not understood; expected flags that are set'),
    ("accept in tcp flags syn/ack", 21, "expected flags that are set among those looked at"),
    ("accept in tcp flags none", 21, "expected flags that are set among those looked at"),
    ("accept in tcp flags syn/syn/ack", 25, '"syn" is not understood'),
    ("accept in type echo-request", 11, "expected protocol icmp with a type"),
    ("accept in icmp type ping", 21, '"ping" is not understood; expected a number, or a name, of echo-reply, unreachable'),
    ("accept in icmp type 256", 21, "is not understood"),
    ("accept in icmp code 3", 16, "expected an ICMP type with the code"),
    ("accept in icmp type 3 code port", 28, "expected a code: 0 to 255"),
    ("accept in from eth0", 16, '"eth0" is not understood; expected a nic: nic0 to nic31'),
    ("accept in from nic32", 16, "expected a nic: nic0 to nic31"),
    ("accept in to nic0", 11, "expected out, forward or any: what is for Piglet leaves by no nic"),
    ("accept out from nic0", 12, "expected in, forward or any: what Piglet sends comes from no nic"),
    ("accept forward from nic0 from nic1", 26, "it is said in column 16 already"),
    ("drop in fragments middle", 19, "expected fragments, of whole, first, later"),
    ("drop in tcp fragments later source port 7", 41, "expected no port: later fragments have none"),
    ("drop in tcp fragments later flags syn", 29, "expected no flags: later fragments have none"),
    ("drop in state old", 15, "expected states, of new, established, related, invalid"),
    ("drop in state new,", 19, '"" is not understood; expected states'),
    ("drop in state established", 9, "packets of connections pass without the rules; expected a line of every-packet in this block"),
    ("accept in state related log", 11, "expected a line of every-packet in this block, or other states"),
    ("accept in limit 0", 17, "expected connections of one source: 1 to 65535"),
    ("accept in limit 65536", 17, "expected connections of one source"),
    ("accept in limit", 16, "expected connections of one source"),
    ("drop in limit 5", 9, "expected accept with a limit"),
    ("drop in log log", 13, "it is said in column 9 already"),
    ("drop in match", 14, 'expected an expression in quotation marks, such as "ip[8] > 1"'),
    ("drop in match ip[8]", 15, "expected an expression in quotation marks"),
    ('drop in match ""', 15, "expected an expression in quotation marks"),
    ('drop in match " "', 15, "expected an expression in quotation marks"),
    ('drop in match "ip[8] > 1', 25, "expected the expression's closing quotation mark"),
    ('drop in match "ip[8] > 1"log', 24, '"log" does not end with its quotation mark; expected a blank behind it'),
    ('drop in match "tcp prt 22"', 15, "syntax error; expected what pcap-filter(7) says"),
    ('drop in match "ip6 and ip"', 15, "rejects all packets"),
    ("default", 8, "expected a direction"),
    ("default drop", 9, "expected a direction"),
    ("default in", 11, "expected a verdict, of accept, drop, reject"),
    ("default in drop log", 17, '"log" is not understood; expected the end of the line'),
    ("stateless now", 11, "expected the end of the line"),
    ("default in drop\ndefault any drop", 9, "line 2 says this default already; expected one for each direction"),
    ("stateless\nevery-packet", 1, "line 2 has said how connections are followed; expected one of stateless, every-packet"),
    ("stateless\naccept in limit 3", 11, "line 2 says stateless, and there are no connections then; expected neither state nor limit"),
    ("stateless\naccept in state new", 11, "there are no connections then"),
    ("in {", 1, '"in" is not understood'),
]


@pytest.mark.parametrize("text, column, what", WRONG)
def test_errors_01_positions(tmp_path, text, column, what):
    said = compiled(tmp_path, block(*text.split("\n"), *(["}"] if text.endswith("{") else [])), USAGE).splitlines()[0]
    assert said.startswith(f"fw.conf:{text.count(chr(10)) + 2}:{column}: firewall: ") and what in said, said
    assert not (tmp_path / "fw.psr").exists()


def test_errors_02_all_of_them(tmp_path):
    said = compiled(tmp_path, block("oops", "drop in", *["drop"] * 30), USAGE).splitlines()
    assert [int(line.split(":")[1]) for line in said] == [2, *range(4, 23)]


def test_errors_03_any_words(tmp_path):
    """Whatever words stand there, pigctl says what is wrong, or compiles a table."""
    random_ = random.Random(3)
    with open(EXAMPLE, encoding="ascii") as file:
        words = sorted({word for line in file for word in line.split()} - {"#", "{", "}"}) + ['"', "flags", "code", "any", "syn/", ",", "/"]
    good = 0
    for _ in range(400):
        line = " ".join(random_.choices(["accept", "drop", "reject"]) + random_.choices(["in", "out", "forward"]) +
                        random_.choices(words, k=random_.randrange(5)))
        (tmp_path / "any.conf").write_text(block(line))
        done = subprocess.run([PIGCTL, "compile", "any.conf", "-o", "any.psr"], capture_output=True, text=True, timeout=TIMEOUT_S,
                              check=False, cwd=tmp_path)
        assert done.returncode in (DONE, USAGE), line
        assert (done.returncode == DONE) == (done.stderr == "") and (not done.stderr or done.stderr.startswith("any.conf:"))
        good += done.returncode == DONE
    assert 20 < good < 380


# ---- in force -----------------------------------------------------------------------------------------------


@pytest.fixture
def wire(site):
    """The site's Piglet with an ear at the peer: send(payload) from it, heard(layer) of what Piglet answered."""
    class Wire:
        def __init__(self):
            self.site, self.frames, self.answer = site, [], site.peer._answer
            site.peer._answer = self.hear
            self.mac = site.json("nics")[0]["mac"]

        def hear(self, frame):
            self.frames.append(scapy.Ether(frame))
            self.answer(frame)

        def send(self, payload, **fields):
            ether = scapy.Ether(src=":".join(f"{byte:02x}" for byte in MAC), dst=self.mac)
            site.peer.send(bytes(ether / scapy.IP(**{"src": PEER, "dst": PIGLET, **fields}) / payload))

        def heard(self, is_it):
            wait_for(lambda: any(is_it(frame) for frame in list(self.frames)))

        def dropped(self, what):
            """The record of the drop of a frame that pigctl tells of so."""
            deadline = time.monotonic() + TIMEOUT_S
            while time.monotonic() < deadline:
                rows = [row for row in site.json("why") if what in row["what"]]
                if rows:
                    line = next(line for line in site.run("why").splitlines() if what in line)
                    return rows[-1], line
                time.sleep(0.05)
            raise AssertionError(site.run("why"))
    one = Wire()
    yield one
    apply(site, BASE)
    site.peer._answer = one.answer


def fire(*lines):
    return BASE + "services start echo firewall\n" + block(*lines)


def test_live_01_round_trip(site):
    text = fire("  default in drop", "  default out accept", "  accept in icmp type echo-request",
                '  drop in udp match "ip[8] > 1 and len < 600"', "  drop any state invalid")
    assert apply(site, text)[0].startswith("firewall {...}\n")
    now = shown(site)
    assert block(*text.split("\n")[3:8]) in now
    assert pigctl(site, "diff", "site.conf")[0] == "nothing to do\n"
    assert pigctl(site, "diff", "-", text=text.replace("  accept in ", "# note\n\taccept   in\t"))[0] == "nothing to do\n"
    write(site, now, "again.conf")
    assert pigctl(site, "diff", "again.conf")[0] == "nothing to do\n"
    assert pigctl(site, "diff", "-", text=text.replace("600", "601"), code=REFUSED)[0] == "firewall {...}\n"
    apply(site, BASE)
    assert shown(site) == BASE
    pigctl(site, "apply", "again.conf")
    assert shown(site) == now
    apply(site, BASE)


def test_live_02_the_service_takes_every_line(site):
    """What compiles is a table that the service's own check finds good."""
    good = [line for line, _ in ONE_RULE]
    assert apply(site, fire(*good, 'drop in match "ip[8] > 1 and len < 600"', 'drop in match "tcp port 22 and not src net 10.0.0.0/8"',
                            "drop in tcp,udp destination port 1,2,30-40"))[0]
    for lines in (["stateless"], ["every-packet", "drop in state established log"], ["default any reject icmp"]):
        assert apply(site, fire(*lines))[0] == "firewall {...}\n"
    with open(EXAMPLE, encoding="ascii") as file:
        text = file.read()
    assert apply(site, BASE + text[text.index("firewall {"):])[0]
    apply(site, BASE)


def test_live_03_accept_and_drop(wire):
    """ICMP echo is let in, UDP echo is not, and why names the line."""
    apply(wire.site, fire("default in drop", "accept in icmp type echo-request", "drop in udp destination port 7 count"))
    wire.send(scapy.UDP(sport=5001, dport=7) / b"no")
    wire.send(scapy.ICMP(id=5001, seq=1) / b"yes")
    wire.heard(lambda frame: scapy.ICMP in frame and frame[scapy.ICMP].type == 0 and frame[scapy.ICMP].id == 5001)
    row, line = wire.dropped(f"{PEER}:5001 > {PIGLET}:7 udp")
    assert (row["by"], row["reason"], row["line"]) == ("firewall", "firewall-drop", 6)
    assert line.endswith("(firewall-drop); site.conf:6: drop in udp destination port 7 count")
    assert not any(scapy.UDP in frame and frame[scapy.UDP].dport == 5001 for frame in wire.frames)
    apply(wire.site, BASE + "services start echo\n")
    wire.send(scapy.UDP(sport=5002, dport=7) / b"yes")
    wire.heard(lambda frame: scapy.UDP in frame and frame[scapy.UDP].dport == 5002)


def test_live_04_reject(wire):
    apply(wire.site, fire("reject in tcp destination port 22", "reject icmp in tcp destination port 23",
                          "reject in udp destination port 7"))
    wire.send(scapy.TCP(sport=5011, dport=22, flags="S", seq=77))
    wire.heard(lambda frame: scapy.TCP in frame and frame[scapy.TCP].dport == 5011 and frame[scapy.TCP].flags == "RA" and
               frame[scapy.TCP].ack == 78)
    for layer in (scapy.TCP(sport=5012, dport=23, flags="S"), scapy.UDP(sport=5013, dport=7)):
        wire.send(layer)
        wire.heard(lambda frame, port=layer.sport: scapy.ICMP in frame and (frame[scapy.ICMP].type, frame[scapy.ICMP].code) == (3, 13) and
                   struct.pack("!H", port) in bytes(frame[scapy.ICMP].payload))
    assert [wire.dropped(f":{port} > ")[0]["line"] for port in (5011, 5012, 5013)] == [4, 5, 6]


def test_live_05_an_expression(wire):
    apply(wire.site, fire("default in drop", 'accept in udp destination port 7 match "ip[8] > 100"'))
    wire.send(scapy.UDP(sport=5021, dport=7) / b"no", ttl=100)
    wire.send(scapy.UDP(sport=5022, dport=7) / b"yes", ttl=101)
    wire.heard(lambda frame: scapy.UDP in frame and frame[scapy.UDP].dport == 5022)
    row, line = wire.dropped(":5021 > ")
    assert row["line"] == 4 and line.endswith("; site.conf:4: default in drop")


def test_live_06_a_limit(wire):
    """Two connections of one source, by a line that is several rules."""
    apply(wire.site, fire("accept in udp destination port 7,8 limit 2"))
    for port in (5031, 5032, 5033):
        wire.send(scapy.UDP(sport=port, dport=7) / b"x")
    assert wire.dropped(":5033 > ")[0]["reason"] == "firewall-limit"
    for port in (5031, 5032):
        wire.heard(lambda frame, port=port: scapy.UDP in frame and frame[scapy.UDP].dport == port)


def test_live_07_every_packet(wire):
    """A rule has a say about a packet of a live connection where the block says so."""
    apply(wire.site, fire("every-packet", "reject in udp destination port 7 state established"))
    wire.send(scapy.UDP(sport=5041, dport=7) / b"first")
    wire.heard(lambda frame: scapy.UDP in frame and frame[scapy.UDP].dport == 5041)
    wire.send(scapy.UDP(sport=5041, dport=7) / b"second")
    assert wire.dropped(":5041 > ")[0]["line"] == 5
