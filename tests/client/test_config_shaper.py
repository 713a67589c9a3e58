"""The shaper block: what it compiles to, what is wrong with it, and how fast a Piglet sends with it."""
import os
import random
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from config_site import BASE, apply, pigctl, shared, shown, site, write  # noqa: E402, F401
from pigctl_site import DONE, MAC, PEER, PIGCTL, PIGLET, REFUSED, ROOT, TIMEOUT_S, USAGE  # noqa: E402

scapy = pytest.importorskip("scapy.all")

EXAMPLE = os.path.join(ROOT, "examples", "shaper.conf")
MAGIC, HEADER, CLASS, MATCH = struct.pack("<I", 0x70685370), "<IIIII12x", "<16sQQHBB7I8x", "<IIBBBBHHHHHH8x"
TOP = 0xFFFF
FRAME_MAX = 2048
LINK = "class link nic0 rate 10mbit"
VOICE = LINK + "\nclass voice parent link rate 1mbit ceiling 5mbit"


def block(text):
    return "shaper {\n" + text + "\n}\n"


def compiled(folder, text, code=DONE):
    (folder / "s.conf").write_text(text)
    done = subprocess.run([PIGCTL, "compile", "s.conf", "-o", "s.psr"], capture_output=True, text=True, timeout=TIMEOUT_S,
                          check=False, cwd=folder)
    assert done.returncode == code, done.stderr
    return done.stderr


def table(folder, text):
    """Classes and matches of a block."""
    assert compiled(folder, block(text)) == ""
    module = (folder / "s.psr").read_bytes()
    at = module.index(MAGIC)
    _, version, size, classes, matches = struct.unpack_from(HEADER, module, at)
    assert version == 1 and size == 32 + 72 * classes + 32 * matches
    first = at + 32
    return ([struct.unpack_from(CLASS, module, first + 72 * i) for i in range(classes)],
            [struct.unpack_from(MATCH, module, first + 72 * classes + 32 * i) for i in range(matches)])


# ---- what it compiles to --------------------------------------------------------------------------------------


def test_compile_01_classes(tmp_path):
    classes, matches = table(tmp_path, LINK + """
      class voice parent link rate 1000kbit ceiling 5mbit burst 16k priority 3 target 500us interval 1s
      class bulk parent link rate 2mbit ceiling 10mbit limit 200 frames limit 64k bytes quantum 300 target off
      class other nic3 rate 1gbit interval 2ms limit 7 frames
      default bulk""")
    assert matches == []
    assert classes == [
        (b"link".ljust(16, b"\0"), 10_000_000, 10_000_000, TOP, 0, 0, 0, FRAME_MAX + 1 + 6250, 5000, 100_000, 1514, 1000 * FRAME_MAX, 1000),
        (b"voice".ljust(16, b"\0"), 1_000_000, 5_000_000, 0, 0, 3, 0, 16384, 500, 1_000_000, 1514, 1000 * FRAME_MAX, 1000),
        (b"bulk".ljust(16, b"\0"), 2_000_000, 10_000_000, 0, 0, 0, 1, FRAME_MAX + 1 + 6250, 0, 100_000, 300, 65536, 200),
        (b"other".ljust(16, b"\0"), 10**9, 10**9, TOP, 3, 0, 0, FRAME_MAX + 1 + 625_000, 2000, 2000, 1514, 7 * FRAME_MAX, 7)]


ANYTHING = (0, 0, 0, 0, 0, 0, 0, 65535, 0, 65535, 0, 0)
IPV4, PROTOCOL, DSCP = 1, 2, 4
MATCHES = [
    ("udp dscp 46", {4: 17, 5: 46, 11: PROTOCOL | DSCP}),
    ("dscp ef protocol 47", {4: 47, 5: 46, 11: PROTOCOL | DSCP}),
    ("dscp af41", {5: 34, 11: DSCP}),
    ("dscp cs0", {11: DSCP}),
    ("ipv4", {11: IPV4}),
    ("tcp destination port 80-443 destination 10.0.0.0/8", {1: 10 << 24, 3: 8, 4: 6, 8: 80, 9: 443, 11: PROTOCOL}),
    ("source 10.0.0.2 port 53 protocol udp", {0: (10 << 24) + 2, 2: 32, 4: 17, 6: 53, 7: 53, 11: PROTOCOL}),
    ("source port 0-1023", {7: 1023}),
]


@pytest.mark.parametrize("words, fields", MATCHES)
def test_compile_02_matches(tmp_path, words, fields):
    """They may stand before the class that they name."""
    _, matches = table(tmp_path, f"match link {words}\n{LINK}")
    assert matches == [tuple(fields.get(i, value) for i, value in enumerate(ANYTHING))]


def test_compile_03_nothing(tmp_path):
    assert table(tmp_path, "") == ([], [])


def test_compile_04_lists(tmp_path):
    """A line is a match for each combination, in its place among the others."""
    _, matches = table(tmp_path, f"match link icmp\nmatch link tcp,udp source 10.0.0.0/24,10.1.0.9 destination port 80,443,1000-2000\n"
                                 f"match link dscp 8\n{LINK}")
    assert [matches[0][4], matches[-1][5], len(matches)] == [1, 8, 14]
    assert {(m[4], m[0], m[2], m[8], m[9]) for m in matches[1:-1]} == {
        (protocol, *source, *ports) for protocol in (6, 17) for source in ((10 << 24, 24), ((10 << 24) + (1 << 16) + 9, 32))
        for ports in ((80, 80), (443, 443), (1000, 2000))}
    assert {m[11] for m in matches[1:-1]} == {PROTOCOL}


# ---- what is wrong ----------------------------------------------------------------------------------------------

WRONG = [  # a block, its line behind `shaper {`, column, what is said
    ("clas link nic0 rate 1mbit", 1, 1, 'expected class, match, default or }, not "clas"'),
    ("class", 1, 6, "expected a class's name"),
    ("class sixteen-letters-x nic0 rate 1mbit", 1, 7, "of 1 to 15 characters"),
    ("class f\u00fcnf nic0 rate 1mbit", 1, 7, "ASCII"),
    ("class link", 1, 11, "expected a nic such as nic0, or parent"),
    ("class link eth0 rate 1mbit", 1, 12, 'not "eth0"'),
    ("class link nic256 rate 1mbit", 1, 12, "a nic such as nic0"),
    ("class link nic0", 1, 16, "expected rate and how much"),
    ("class link nic0 rate", 1, 21, "expected a rate from 8kbit to 100gbit"),
    ("class link nic0 rate 10", 1, 22, 'such as 10mbit, not "10"'),
    ("class link nic0 rate 7kbit", 1, 22, "from 8kbit"),
    ("class link nic0 rate 101gbit", 1, 22, "to 100gbit"),
    ("class link nic0 rate 99999999999999999gbit", 1, 22, "to 100gbit"),
    ("class link nic0 rate 1mbit rate 2mbit", 1, 28, '"rate" is said twice'),
    ("class link nic0 rate 1mbit speed 2mbit", 1, 28, "expected rate, ceiling, priority"),
    (LINK + " ceiling 11mbit", 1, 37, "no class is above that could lend"),
    (LINK + " burst 2048", 1, 35, "bytes from 2049 to 64m"),
    ("class link nic0 rate 10gbit burst 4k", 1, 35, "expected a burst from 14549 to 67108864 bytes"),
    (LINK + " priority 8", 1, 38, "a priority from 0, which is first, to 7"),
    (LINK + " target 5", 1, 36, "such as 5ms, or off"),
    (LINK + " target 200ms", 1, 36, "at most the interval, which is 100000 us"),
    (LINK + " quantum 255", 1, 37, "bytes from 256 to 64k"),
    (LINK + " limit", 1, 34, "such as 200 frames or 64k bytes"),
    (LINK + " limit 200", 1, 38, "expected frames or bytes"),
    (LINK + " limit 0 frames", 1, 35, "1 to 65536 frames"),
    (LINK + " limit 1k bytes", 1, 35, "2048 bytes to 1024m bytes"),
    ("class a parent link rate 1mbit", 1, 16, "a class of an earlier line"),
    ("class a parent a rate 1mbit", 1, 16, "a class of an earlier line"),
    (LINK + "\n" + LINK, 2, 7, 'line 2 has a class "link"'),
    (LINK + "\nclass a parent link rate 2mbit ceiling 1mbit", 2, 40, "a ceiling of at least the rate"),
    (LINK + "\nclass a parent link rate 8kbit ceiling 100gbit", 2, 40, "a smaller ceiling, or a greater rate"),
    (LINK + "".join(f"\nclass c{i} parent {f'c{i - 1}' if i else 'link'} rate 1mbit" for i in range(4)), 5, 17, "no more than 4 classes above"),
    (LINK + "".join(f"\nclass c{i} parent link rate 1mbit" for i in range(65)), 66, 18, "no more than 64 classes side by side"),
    ("\n".join(f"class c{i} nic0 rate 1mbit" for i in range(65)), 65, 11, "no more than 64 classes side by side"),
    (LINK + "\nmatch link udp" * 257, 258, 1, "no more than 256 matches"),
    (LINK + "\nmatch", 2, 6, "the name of a class"),
    (LINK + "\nmatch other udp", 2, 7, 'the name of a class, not "other"'),
    (VOICE + "\nmatch link udp", 3, 7, "only those have queues"),
    (LINK + "\nmatch link", 2, 11, "what it fits"),
    (LINK + "\nmatch link uddp", 2, 12, "expected a protocol's name, protocol, dscp"),
    (LINK + "\nmatch link udp tcp", 2, 16, '"tcp" is said twice'),
    (LINK + "\nmatch link protocol 256", 2, 21, "a protocol's name, such as tcp, or its number"),
    (LINK + "\nmatch link dscp 64", 2, 17, "a DSCP from 0 to 63"),
    (LINK + "\nmatch link dscp 1 dscp 2", 2, 19, '"dscp" is said twice'),
    (LINK + "\nmatch link source", 2, 18, "an address, a prefix"),
    (LINK + "\nmatch link source 10.0.0.1/8", 2, 19, "has bits behind its length; expected 10.0.0.0/8"),
    (LINK + "\nmatch link source 10.0.0.1 source 10.0.0.2", 2, 28, '"source" is said twice'),
    (LINK + "\nmatch link source port 5-4", 2, 24, "a port or a range"),
    (LINK + "\nmatch link source port 1 source port 2", 2, 33, '"port" is said twice'),
    (LINK + "\nmatch link udp destination port 80,443x", 2, 36, '"443x" is not understood; expected a port or a range'),
    (LINK + "\nmatch link udp,icmp destination port 80", 2, 1, "expected tcp or udp"),
    (LINK + "\nmatch link udp,x", 2, 16, '"x" is not understood; expected a protocol'),
    (LINK + "\nmatch link source 10.0.0.1,10.0.0.1/8", 2, 28, "has bits behind its length; expected 10.0.0.0/8"),
    (LINK + "\nmatch link source port " + ",".join(map(str, range(128))) + " destination port 1,2,3", 2, 1, "no more than 256 matches"),
    (LINK + "\nmatch link icmp destination port 80", 2, 1, "expected tcp or udp"),
    (LINK + "\ndefault", 2, 8, "the name of a class"),
    (LINK + "\ndefault link link", 2, 14, "the end of the line"),
    (VOICE + "\ndefault link", 3, 9, "only those have queues"),
    (VOICE + "\nclass b parent link rate 1mbit\ndefault b\ndefault voice", 5, 1, "line 5 has a default for nic0"),
]


@pytest.mark.parametrize("text, line, column, what", WRONG)
def test_errors_01_places(tmp_path, text, line, column, what):
    said = compiled(tmp_path, block(text), USAGE).splitlines()
    assert len(said) == 1 and said[0].startswith(f"s.conf:{line + 1}:{column}: shaper: "), said
    assert what in said[0]


def test_errors_02_all_of_them(tmp_path):
    """One for each line; a class that is wrong is there all the same."""
    said = compiled(tmp_path, block("class link nic0\nclass a parent link rate 1\nmatch a uddp\ndefault b"), USAGE).splitlines()
    assert [int(line.split(":")[1]) for line in said] == [2, 3, 4, 5]
    assert len(compiled(tmp_path, block("x\n" * 50), USAGE).splitlines()) == 20


def test_errors_03_whatever_compiles_is_loaded(site):
    """Random words for others: what pigctl lets pass, the shaper takes."""
    random_ = random.Random(3)
    pieces = ("class match default link a b nic0 parent rate ceiling burst target off interval quantum limit frames bytes priority "
              "8kbit 1mbit 2mbit 100gbit 2049 64k 64m 1ms 4s 0 7 46 udp tcp icmp dscp source destination port 10.0.0.0/8 80-443").split()
    good = (VOICE + "\nclass a parent voice rate 8kbit ceiling 1mbit burst 3k target 1ms\nclass b parent link rate 2mbit priority 7 limit "
            "1 frames\nmatch a udp dscp 46\nmatch b tcp source port 1-2\ndefault b").splitlines()
    loaded = 0
    for _ in range(250):
        lines = [line.split() for line in good]
        for _ in range(random_.randrange(1, 3)):
            words = random_.choice(lines)
            at = random_.randrange(len(words))
            words[at] = random_.choice([piece for piece in pieces if piece[0].isdigit() == words[at][0].isdigit()])
        said = apply(site, BASE + block("\n".join(" ".join(words) for words in lines)), None)[1]
        assert not said or ": shaper: " in said, said
        loaded += not said
    assert loaded > 10


# ---- applied ------------------------------------------------------------------------------------------------------


def test_apply_01_round_trip(site):
    text = BASE + "services start shaper\n" + block(
        "  class link nic0 rate 10mbit\n  class voice parent link rate 1mbit ceiling 5mbit\n  match voice udp dscp ef\n  default voice")
    assert sorted(apply(site, text)[0].splitlines()) == ["services start shaper", "shaper {...}"]
    assert shown(site) == text and pigctl(site, "diff", "site.conf")[0] == "nothing to do\n"
    assert "voice sent " in pigctl(site, "services", "show", "shaper")[0]
    said = apply(site, text.replace("nic0 rate", "nic9 rate"), REFUSED)[1]
    assert "nothing was changed: shaper {...}: no such thing" in said, said
    assert shown(site) == text
    apply(site, BASE)
    assert shown(site) == BASE


def test_apply_02_the_example(site, tmp_path):
    """On a Piglet with one nic, without what its second one has."""
    with open(EXAMPLE, encoding="ascii") as file:
        text = file.read()
    assert compiled(tmp_path, text) == ""
    apply(site, "\n".join(line for line in text.splitlines() if "@nic1" not in line).replace("nic1", "nic0"))
    apply(site, BASE)


def test_apply_03_rate(site):
    """Twice as much as the class may send is asked for: 10 Mbit/s is what comes."""
    apply(site, BASE + "services start echo shaper\n" + block("class all nic0 rate 10mbit\nmatch all udp source port 7"))
    got, answer = [], site.peer._answer

    def count(frame):
        if frame[12:14] == b"\x08\x00" and frame[23] == 17:
            got.append((time.monotonic(), len(frame)))
        else:
            answer(frame)

    nic = site.rows("nics", key="nic")["nic0"]
    frame = bytes(scapy.Ether(src=MAC, dst=nic["mac"]) / scapy.IP(src=PEER, dst=PIGLET) / scapy.UDP(sport=4000, dport=7) / bytes(1358))
    site.peer._answer = count
    try:
        start, sent, seconds = time.monotonic(), 0, 2.5
        while (now := time.monotonic() - start) < seconds:
            for _ in range(int(now * 20e6 / 8 / len(frame)) - sent):
                site.peer.send(frame)
                sent += 1
            time.sleep(0.002)
        time.sleep(0.2)
    finally:
        site.peer._answer = answer
    assert sent * len(frame) * 8 / seconds > 18e6
    mbit = sum(size for at, size in got if start + 0.5 <= at < start + seconds) * 8 / 2 / 1e6
    print(f"{mbit:.2f} Mbit/s of {sent * len(frame) * 8 / seconds / 1e6:.1f} asked for")
    assert 8 < mbit < 12
    shaped = pigctl(site, "services", "show", "shaper")[0]
    assert "all sent " in shaped and " dropped 0 " not in shaped, shaped
    apply(site, BASE)
