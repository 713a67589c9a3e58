"""pigctl why explains every drop: each reason of kernel/drop.h, provoked against a hosted Piglet with two wires, and
each frame of the hostile corpus."""
import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pigctl_site import BUILD, DONE, PIGCTL, REFUSED, ROOT, TIMEOUT_S, USAGE, machine  # noqa: E402

scapy = pytest.importorskip("scapy.all")
sys.path.insert(0, os.path.join(ROOT, "tests", "boot"))
import hostile  # noqa: E402

PIGLET, PEER, SILENT = "10.0.0.2", "10.0.0.1", "10.0.0.77"
FAR, FAR_PEER, FAR_SILENT = "192.0.2.2", "192.0.2.1", "192.0.2.77"
MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"
RECORDS = 2048
CONNECTIONS_MAX = 16384
BASE = f"addresses add {PIGLET}/24@nic0\naddresses add {FAR}/24@nic1\nservices start echo\n"
ROUTER = BASE + "services start forward\n"

with open(os.path.join(ROOT, "kernel", "drop.h"), encoding="ascii") as header:
    REASONS = [name for name in re.findall(r'^    X\(\w+, "([a-z-]+)"', header.read(), re.M) if name != "none"]

# Not to be caused through two datagram sockets and pigctl alone: who provokes it instead, and why not here.
ELSEWHERE = {
    "ip-too-big": ("service/test_echo.c", "needs a nic with a smaller MTU; those of wires are all the same"),
    "nic-down": ("unit/test_record.c", "the link of a datagram socket is always up"),
    "nic-ring-full": ("unit/test_chain.c", "a datagram socket that is full waits, and its backlog is as long as a turn"),
    "send-backlog": ("unit/test_chain.c", "no service here sends more frames in a turn than it gets"),
    "yield-backlog": ("unit/test_chain.c", "no service yields frames now"),
    "no-frame": ("unit/test_chain.c", "would starve the client that asks why"),
    "client-full": ("psr/test_stations.c", "pigctl takes its frames; needs a client that does not"),
}


class Host:
    """The other end of a wire: answers ARP for its addresses, keeps what it got."""

    def __init__(self, wire, mac, addresses):
        self._there, self.frames, self.mac = wire, [], mac
        self._hardware = bytes.fromhex(mac.replace(":", ""))
        self._addresses = [socket.inet_aton(address) for address in addresses]
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(wire + ".peer")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def send(self, frame):
        self._socket.sendto(bytes(frame), self._there)

    def _serve(self):
        while frame := self._socket.recv(2048):
            self.frames.append(frame)
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] in self._addresses:
                with contextlib.suppress(OSError):
                    self.send(frame[6:12] + self._hardware + frame[12:20] + b"\0\2" + self._hardware + frame[38:42] + frame[22:32])

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()


class Router:
    """A Piglet with two wires and a host at the end of each."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="why-")
        path = os.path.join(self.directory, "piglet.sock")
        wires = [os.path.join(self.directory, name) for name in ("w0", "w1")]
        self.where = f"unix:{path}"
        self.host = [Host(wires[0], MACS[0], [PEER]), Host(wires[1], MACS[1], [FAR_PEER])]
        self.piglet = machine.Machine([os.path.join(BUILD, "hosted", "piglet"), "--window", path, "--nic", f"pair:{wires[0]}",
                                       "--nic", f"pair:{wires[1]}", "--", "window=4M arp.dad=off icmp.rate=1000000"])
        self.piglet.wait_ready()
        self.macs = [nic["mac"] for nic in self.json("nics")]

    def run(self, *words, code=DONE, text=None):
        done = subprocess.run([PIGCTL, "-s", self.where, *words], capture_output=True, text=True, timeout=TIMEOUT_S,
                              check=False, input=text, cwd=self.directory)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def json(self, *words):
        return json.loads(self.run(*words, "--json"))

    def apply(self, text, code=DONE):
        with open(os.path.join(self.directory, "site.conf"), "w", encoding="ascii") as file:
            file.write(text + "services set arp dad=off icmp rate=1000000\n")
        return self.run("apply", "site.conf", code=code)

    def drops(self):
        return {row["name"].removeprefix("drop."): row["value"] for row in self.json("counters", "drop.")}

    def eth(self, nic=0, **fields):
        return scapy.Ether(**{"src": MACS[nic], "dst": self.macs[nic], **fields})

    def ip(self, nic=0, **fields):
        return self.eth(nic) / scapy.IP(**{"src": (PEER, FAR_PEER)[nic], "dst": (PIGLET, FAR)[nic], **fields})

    def recorded(self, reason, since):
        """The record of the first drop for this reason behind number `since`, and what is said of it."""
        rows = [row for row in self.json("why") if row["number"] >= since and row["reason"] == reason]
        if not rows:
            return None, None
        at = f"{rows[0]['time_ns'] // 10**9:5}.{rows[0]['time_ns'] // 1000 % 10**6:06} "
        lines = [line for line in self.run("why").splitlines() if line.startswith(at) and f"({reason})" in line]
        return rows[0], lines[0]

    def next_number(self):
        return max((row["number"] for row in self.json("why")), default=-1) + 1

    def close(self):
        status = self.piglet.stop()
        for host in self.host:
            host.close()
        shutil.rmtree(self.directory)
        return status


@pytest.fixture(scope="module")
def router():
    one = Router()
    yield one
    assert one.piglet.failure() is None
    assert one.close() == 0


# ---- causes: each is a configuration, and what to do once it is in force ----------------------------------------

CORPUS = {entry.name: entry for entry in hostile.corpus(MACS[0], PEER, "02:aa:aa:aa:aa:aa", PIGLET, "10.0.0.255")}
FROM_CORPUS = {
    "eth-not-for-us": "eth-other-station", "eth-source-invalid": "eth-source-multicast", "eth-unknown-type": "eth-ipv6",
    "arp-malformed": "arp-cut", "arp-sender-invalid": "arp-sender-group", "arp-not-for-us": "arp-for-other",
    "ip-too-short": "ip-cut-in-header", "ip-version": "ip-version-6", "ip-header-length": "ip-header-beyond-frame",
    "ip-total-length": "ip-total-length-65535", "ip-checksum": "ip-checksum-wrong", "ip-source-invalid": "source-127.0.0.1",
    "ip-source-ours": "land-icmp", "ip-options-malformed": "option-length-0", "ip-source-route": "option-loose-source-route",
    "ip-fragment": "fragment-first", "ip-fragment-invalid": "fragment-ping-of-death", "ip-not-for-us": "to-10.0.0.77",
    "ip-protocol": "ip-protocol-253", "ip-multicast": "eth-multicast", "icmp-too-short": "icmp-short",
    "icmp-checksum": "icmp-checksum", "icmp-broadcast": "smurf-subnet", "icmp-unknown-type": "icmp-type-13",
    "udp-too-short": "udp-short", "udp-length": "udp-length-7", "udp-checksum": "udp-checksum", "udp-no-port": "udp-no-port",
    "udp-loop": "udp-loop", "udp-broadcast": "fraggle", "tcp-too-short": "tcp-offset-4", "tcp-no-port": "tcp-xmas",
}


def entry_frames(router, name):
    """An entry's frames, with the right MAC addresses in place of those that the corpus was made for."""
    there, here = bytes.fromhex("02aaaaaaaaaa"), bytes.fromhex(router.macs[0].replace(":", ""))
    return [frame.replace(there, here) for frame in CORPUS[name].frames]


def send(*frames, nic=0):
    def act(router):
        for frame in frames:
            router.host[nic].send(frame(router) if callable(frame) else frame)
    return act


def from_corpus(name):
    def act(router):
        for frame in entry_frames(router, name):
            router.host[0].send(frame)
    return act


def echo(source, count=1, port=7, gap=0.0, size=8):
    def act(router):
        for i in range(count):
            router.host[0].send(router.ip() / scapy.UDP(sport=source, dport=port) / bytes([i & 255] * size))
            time.sleep(gap)
    return act


def through(router, to=FAR_PEER, **fields):
    return router.ip(dst=to, **fields) / scapy.UDP(sport=6000, dport=6001) / b"through"


def to_the_silent(router):
    for _ in range(300):
        router.host[0].send(through(router, FAR_SILENT))


def offer(router, options, xid=None):
    """Offers the lease that nic1's client asks for, with these options."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (asked := [scapy.Ether(frame)[scapy.BOOTP] for frame in list(router.host[1].frames) if scapy.DHCP in scapy.Ether(frame)]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    bootp = scapy.BOOTP(op=2, xid=asked[-1].xid if xid is None else xid, chaddr=asked[-1].chaddr, yiaddr="198.51.100.9")
    head = router.eth(1, dst="ff:ff:ff:ff:ff:ff") / scapy.IP(src=FAR_PEER, dst="255.255.255.255") / scapy.UDP(sport=67, dport=68)
    router.host[1].send(head / bytes(bootp) / (b"\x63\x82\x53\x63\x35\x01\x02" + options + b"\xff"))


def hold_and_stop(router):
    echo(7100, 20)(router)
    time.sleep(0.3)
    router.run("services", "stop", "shaper")


def fill_the_table(router):
    """More connections than there is room for; those that were answered do not give way."""
    for i in range(CONNECTIONS_MAX + 200):
        head = router.ip(src=f"10.0.0.{100 + i // 1000}") if i % 1000 == 0 else head
        packet = bytes(head / scapy.UDP(sport=2000 + i % 1000, dport=7, chksum=0) / b"x")
        router.host[0].send(packet)


SHAPER = ROUTER + "services start shaper\nshaper {\n  class link nic0 rate 10mbit\n\n  class slow parent link rate %s\n  match slow udp\n}\n"
FIREWALL = ROUTER + "services start firewall\nfirewall {\n  # ssh for nobody\n  drop in tcp destination port 22\n%s}\n"
DHCP = ROUTER.replace(f"addresses add {FAR}/24@nic1\n", "") + "services start dhcp\nservices set dhcp nic1=on\n"
SERVER, LEASE = b"\x36\x04" + socket.inet_aton(FAR_PEER), b"\x33\x04\0\0\2\0"

# reason: (configuration, what to do, service or nic, the line that says so: number and text)
CAUSES = {
    **{reason: (BASE, from_corpus(name), None, None) for reason, name in FROM_CORPUS.items()},
    "eth-too-short": (BASE, send(b"\1\2\3\4\5\6\7\10\11\12"), "nic0", None),
    "ip-no-route": (BASE, send(lambda r: through(r, "203.0.113.1")), None, None),
    "tcp-checksum": (BASE, send(lambda r: r.ip() / scapy.TCP(sport=7001, dport=99, flags="S", chksum=1)), "icmp", None),
    "ip-ttl": (ROUTER, send(lambda r: through(r, ttl=1)), "icmp", None),
    "arp-pending-full": (ROUTER, to_the_silent, "arp", None),
    "arp-unresolved": (ROUTER, send(lambda r: through(r, FAR_SILENT)), None, None),
    "dhcp-malformed": (DHCP, lambda r: offer(r, SERVER + b"\x33\x02\0\0"), "dhcp", None),
    "dhcp-unexpected": (DHCP, lambda r: offer(r, SERVER + LEASE, xid=1), "dhcp", None),
    "dhcp-unusable": (DHCP, lambda r: offer(r, SERVER), "dhcp", None),
    "shaper-limit": (SHAPER % "64kbit limit 2 frames", echo(7101, 40, size=500), "shaper",
                     (9, "class slow parent link rate 64kbit limit 2 frames")),
    "shaper-codel": (SHAPER % "64kbit target 1ms interval 2ms", echo(7102, 60, gap=0.01, size=800), "shaper",
                     (9, "class slow parent link rate 64kbit target 1ms interval 2ms")),
    "service-stopped": (SHAPER % "8kbit", hold_and_stop, None, None),
    "firewall-drop": (FIREWALL % "", send(lambda r: r.ip() / scapy.TCP(sport=7200, dport=22, flags="S")), "firewall",
                      (8, "drop in tcp destination port 22")),
    "firewall-invalid": (FIREWALL % "", send(lambda r: r.ip() / scapy.TCP(sport=7201, dport=23, flags="R")), "firewall", None),
    "firewall-limit": (FIREWALL % "accept in udp limit 1\n", lambda r: (echo(7202)(r), echo(7203)(r)), "firewall",
                       (9, "accept in udp limit 1")),
    "firewall-state-full": (FIREWALL % "  accept in udp\n", fill_the_table, "firewall", (9, "accept in udp")),
}


def test_why_01_every_reason_has_a_cause():
    """A new reason wants a frame here that causes it, or a test elsewhere, named with why it cannot be here."""
    assert len(REASONS) > 50
    assert sorted(REASONS) == sorted([*CAUSES, *ELSEWHERE])
    assert not set(CAUSES) & set(ELSEWHERE)
    for reason, (test, why) in ELSEWHERE.items():
        with open(os.path.join(ROOT, "tests", test), encoding="ascii") as file:
            text = file.read()
        assert f"drop.{reason}" in text or "DROP_" + reason.upper().replace("-", "_") in text, (reason, test)
        assert why


@pytest.mark.parametrize("reason", CAUSES)
def test_why_02_says_it(router, reason):
    """Service, reason, nic, time, addresses; of a table's drop its own line, with the file and the number."""
    config, cause, who, rule = CAUSES[reason]
    if config == DHCP:
        router.apply(BASE)  # so that it asks again at once
    router.host[1].frames.clear()
    router.apply(config)
    since, before = router.next_number(), router.json("status")
    cause(router)
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := router.recorded(reason, since))[0]:
        assert time.monotonic() < deadline, f"{router.drops()}\n{router.run('why')[-2000:]}"
        time.sleep(0.05)
    row, line = found
    assert f" nic{row['nic']} {row['direction']}, {row['length']} bytes, {row['what']}: dropped by {row['by']}: " in line
    assert f": {row['sentence']} ({reason})" in line and row["sentence"]
    assert row["by"] and (who is None or row["by"] == who)
    assert before["up_ns"] <= row["time_ns"] <= router.json("status")["up_ns"]
    if rule:
        assert (row["line"], row["file"], row["text"], row["replaced"]) == (rule[0], "site.conf", rule[1], "no")
        assert line.endswith(f"({reason}); site.conf:{rule[0]}: {rule[1]}")
    else:
        assert row["line"] == 0 and line.endswith(f"({reason})")
    if reason.startswith(("udp", "tcp", "icmp", "firewall")):
        assert f"{PEER}" in row["what"] or "10.0.0." in row["what"]


def test_why_03_a_rule_that_was_replaced(router):
    """What is in force now did not do it; the same rules again are other ones."""
    router.apply(FIREWALL % "")
    since = router.next_number()
    CAUSES["firewall-drop"][1](router)
    while not router.recorded("firewall-drop", since)[0]:
        time.sleep(0.05)
    router.apply(SHAPER % "1mbit" + "services start firewall\nfirewall {\n  # ssh for nobody\n  drop in tcp destination port 22\n}\n")
    row, line = router.recorded("firewall-drop", since)
    assert row["text"] == "drop in tcp destination port 22" and row["replaced"] == "no"  # another service's table
    router.apply(FIREWALL % "  drop in tcp destination port 23\n")
    row, line = router.recorded("firewall-drop", since)
    assert (row["line"], row["text"], row["replaced"]) == (8, "", "yes")
    assert line.endswith("(firewall-drop); line 8 of a table that was replaced since")


def test_why_04_a_default_and_a_rejection(router):
    """A default has a line, too; who rejected is named, not who tells the sender."""
    router.apply(FIREWALL % "  reject in udp destination port 9\n  default in drop\n")
    for reason_text, frame in (("default in drop", router.ip() / scapy.UDP(sport=7300, dport=7)),
                               ("reject in udp destination port 9", router.ip() / scapy.UDP(sport=7301, dport=9))):
        since = router.next_number()
        router.host[0].send(frame)
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := router.recorded("firewall-drop", since))[0]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found[0]["by"] == "firewall" and found[0]["text"] == reason_text
    router.apply(BASE)


def test_why_05_refused_tables_name_the_line(router):
    """What only the kernel can find wrong, here a nic that is not there, is said with its line."""
    said = router.apply(SHAPER.replace("nic0 rate", "nic9 rate") % "1mbit", code=REFUSED)
    assert "site.conf:7:1: nothing was changed: shaper {...}: " in said and "at byte " in said


@pytest.mark.parametrize("name", [name for name in CORPUS if CORPUS[name].drops and len(CORPUS[name].frames) < RECORDS])
def test_corpus_01_recorded(router, name):
    """Every frame of the corpus that is counted as dropped has its record, reason by reason."""
    if name == next(iter(CORPUS)):
        router.apply(BASE)
    since, before = router.next_number(), router.drops()
    frames = entry_frames(router, name)
    for frame in frames:
        router.host[0].send(frame)
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        now = router.drops()
        counted = {reason: now[reason] - before.get(reason, 0) for reason in now if now[reason] != before.get(reason, 0)}
        if sum(counted.values()) >= len(frames) or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    recorded = {}
    for row in router.json("why"):
        if row["number"] >= since:
            recorded[row["reason"]] = recorded.get(row["reason"], 0) + 1
            assert row["sentence"] and row["by"]
    assert recorded == counted and sum(counted.values()) == len(frames)


def test_corpus_02_the_longest(router):
    """Of more frames than there are records, the last ones."""
    frames = entry_frames(router, "garbage")
    before = sum(router.drops().values())
    for frame in frames:
        router.host[0].send(frame)
    deadline = time.monotonic() + TIMEOUT_S
    while sum(router.drops().values()) < before + len(frames):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    rows = router.json("why")
    assert len(rows) == RECORDS and [row["number"] for row in rows] == list(range(rows[0]["number"], rows[0]["number"] + RECORDS))
    assert rows[-1]["bytes"] == frames[-1][:96].hex()


def test_why_06_what_passed(router):
    """While the recorder runs, where a frame came from, where it went, and which rule let it: only with --all."""
    router.apply(FIREWALL % "  accept forward udp\n" + "services start recorder\n")
    since = router.next_number()
    frame = bytes(through(router))
    router.host[0].send(frame)
    deadline = time.monotonic() + TIMEOUT_S
    while len(rows := [row for row in router.json("why", "--all", "udp dst port 6001") if row["number"] >= since]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    came, left = rows
    assert (came["nic"], came["direction"], came["reason"], came["line"]) == (0, "in", "none", 0)
    assert (left["nic"], left["direction"], left["reason"], left["text"]) == (1, "out", "none", "accept forward udp")
    assert came["bytes"] == frame[:96].hex() and left["bytes"][56:] == frame[28:96].hex()[:len(left["bytes"]) - 56]
    told = router.run("why", "--all", "udp dst port 6001")
    assert f"{PEER}:6000 > {FAR_PEER}:6001 udp: received\n" in told and "udp: sent; site.conf:9: accept forward udp\n" in told
    assert router.run("why", "udp dst port 6001 and not host " + FAR_SILENT).count("received") == 0
    router.apply(BASE)
    before = router.json("why", "--all")
    echo(7501)(router)
    time.sleep(0.2)
    assert router.json("why", "--all")[-1]["number"] == before[-1]["number"]


# ---- flows ------------------------------------------------------------------------------------------------------

def test_flows_01_who_and_how_much(router):
    """Frames and bytes of both directions, the state, and the rule that let it in."""
    router.apply(BASE)
    assert "only the firewall follows connections" in router.run("flows", code=REFUSED)
    router.apply(FIREWALL % "  accept in udp destination port 7\n  default in drop\n")
    for port, count in ((7400, 1), (7401, 3)):
        echo(port, count)(router)  # 42 and 8 bytes, each there and back
    deadline = time.monotonic() + TIMEOUT_S
    while sum(row["frames"] for row in router.json("flows")) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    rows = router.json("flows")
    assert [(row["from"], row["frames"], row["bytes"]) for row in rows] == [(f"{PEER}:7401", 6, 300), (f"{PEER}:7400", 2, 100)]
    for row in rows:
        assert (row["protocol"], row["to"], row["state"]) == ("udp", f"{PIGLET}:7", "udp")
        assert (row["line"], row["rule"]) == (9, "accept in udp destination port 7")
        assert row["left_ns"] > 0 and row["age_ns"] < 60 * 10**9
    assert [row["from"] for row in router.json("flows", "-n", "1")] == [f"{PEER}:7401"]
    assert [row["from"] for row in router.json("flows", "--sort", "frames", "src port 7400")] == [f"{PEER}:7400"]
    assert router.json("flows", "tcp") == [] and router.run("flows", "tcp") == "no connections\n"
    assert "expected bytes, frames or age" in router.run("flows", "--sort", "x", code=USAGE)
    assert "syntax error" in router.run("flows", "tcp prt", code=USAGE)


def test_flows_02_the_block_goes_and_comes(router):
    """Without the block everything passes, at once; with it again, who was let in before still is."""
    rules = FIREWALL % "  accept in udp source port 7410\n  default in drop\n"
    router.apply(rules)
    for config, passes in ((rules, 1), (ROUTER + "services start firewall\n", 2), (rules, 1), (ROUTER, 2), (rules, 1)):
        router.apply(config)
        router.host[0].frames.clear()
        echo(7411)(router)
        echo(7410)(router)
        deadline = time.monotonic() + TIMEOUT_S
        while len(got := [frame[36:38] for frame in list(router.host[0].frames) if frame[12:14] == b"\x08\x00"]) < passes:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert struct.pack("!H", 7410) in got and len(got) == passes
    router.apply(BASE)
