"""Configuration files: their language, compile, apply, diff, show config; and blocks."""
import os
import random
import re
import struct
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from config_site import (BASE, RAW, apply, pigctl, raw, routes, shaper, shared, shown, site, wait_for,  # noqa: E402, F401
                         write)
from pigctl_site import DONE, PIGCTL, PIGLET, REFUSED, ROOT, TIMEOUT_S, USAGE, Site  # noqa: E402

ROUTER = os.path.join(ROOT, "examples", "router.conf")
CHAIN = 32  # addresses and routes that one chain has room for


# ---- the language -------------------------------------------------------------------------------------------

WRONG = [
    ("addresses add 10.0.0.300/24", 1, 15, '"10.0.0.300/24" is no address with its length; for instance 10.0.0.2/24@nic0'),
    ("addresses add 10.0.0.2", 1, 15, "is no address with its length"),
    ("addresses add 10.0.0.2/33", 1, 15, "is no address with its length"),
    ("  addresses   add", 1, 18, "address with its length is missing"),
    ("addresses add 10.0.0.2/24@eth0", 1, 27, '"eth0" is no nic'),
    ("addresses add 10.0.0.2/24 gateway", 1, 34, "gateway is missing; for instance gateway 10.0.0.1"),
    ("addresses add 10.0.0.2/24 gateway 0.0.0.0", 1, 35, "is no gateway"),
    ("addresses", 1, 10, "no verb of it, which are add, delete"),
    ("addresses show", 1, 11, '"show" is no verb of it, which are add, delete'),
    ("\n\n# one\nroutes add 10.5.0.0/16 vai 10.0.0.9", 4, 24, '"vai" is no gateway or nic'),
    ("routes add 10.5.1.0/16 via 10.0.0.9", 1, 12, "has bits behind its length; expected 10.5.0.0/16"),
    ("routes add 10.5.0.0/16", 1, 23, "gateway or nic is missing"),
    ("routes add 10.5.0.0/16 via x", 1, 28, '"x" is no gateway'),
    ("routes add 10.5.0.0/16 nic0 delete 10.5.0.0", 1, 36, "is no prefix with its length"),
    ("services start", 1, 15, "service is missing"),
    ("services set echo", 1, 18, "setting is missing; for instance services set arp lifetime=30"),
    ("services set echo port", 1, 19, '"port" is no setting'),
    ("services set echo port=" + "1" * 100, 1, 19, "is no setting"),
    ("service start echo", 1, 1, '"service" is not understood; expected addresses, routes, services'),
    ("add 10.0.0.2/24", 1, 1, '"add" is not understood'),
    ("include other.conf", 1, 1, '"include" is not understood'),
    ("unknown {\n  anything\n}\nservices start", 4, 15, "service is missing"),
    ("addresses add 10.0.0.7/24\naddresses add 10.0.0.7/25", 2, 15, "line 1 has it already"),
    ("routes add 10.5.0.0/16 nic0\nroutes add 10.5.0.0/16 nic1", 2, 12, "line 1 has it already"),
    ("routes delete 10.5.0.0/16", 1, 15, "no earlier line adds it"),
    ("addresses delete 10.0.0.9", 1, 18, "no earlier line adds it"),
]


@pytest.mark.parametrize("text, line, column, what", WRONG)
def test_errors_01_positions(tmp_path, text, line, column, what):
    """Compiling needs no kernel; nothing is written where something is wrong."""
    (tmp_path / "bad.conf").write_text(text)
    done = subprocess.run([PIGCTL, "compile", "bad.conf", "-o", "out.psr"], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False, cwd=tmp_path)
    assert done.returncode == USAGE and done.stdout == ""
    assert f"bad.conf:{line}:{column}: " in done.stderr, done.stderr
    assert what in next(said for said in done.stderr.splitlines() if said.startswith(f"bad.conf:{line}:")), done.stderr
    assert not (tmp_path / "out.psr").exists()


def test_errors_02_all_of_them(tmp_path):
    """Every line that is wrong is named, up to 20; a block that is unknown once."""
    (tmp_path / "bad.conf").write_text("services start\n" * 3 + "nonsense {\n x\n y {\n }\n}\n" + "oops\n" * 30)
    done = subprocess.run([PIGCTL, "compile", "bad.conf", "-o", "out.psr"], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False, cwd=tmp_path)
    lines = [int(line.split(":")[1]) for line in done.stderr.splitlines() if line.startswith("bad.conf:")]
    assert lines == [1, 2, 3, 4] + list(range(9, 25)) and "no more is read after 20 errors" in done.stderr


@pytest.mark.parametrize("words", [["compile"], ["compile", "x"], ["compile", "x", "-o"], ["apply"], ["apply", "--confirm", "x"],
                                   ["apply", "--confirm", "0", "x"], ["apply", "-x"], ["diff"], ["diff", "a", "b"], ["show"],
                                   ["show", "x"], ["confirm", "x"], ["compile", "no-such-file", "-o", "x"], ["diff", "/dev/zero"]])
def test_errors_03_usage(site, words):
    said = pigctl(site, *words, code=USAGE)[1]
    assert said.startswith("pigctl: ") and said.count("\n") == 1


def test_language_01_one_line_or_many(site):
    """Several parts of a line, comments, other line ends, standard input: the same."""
    many = BASE + "addresses add 10.7.0.2/24@nic0\nroutes add 10.8.0.0/16 via 10.7.0.1\nservices start forward\n"
    one = f"addresses add {PIGLET}/24 add 10.7.0.2/24 routes add 10.8.0.0/16 via 10.7.0.1 services start forward # all"
    apply(site, many)
    write(site, one)
    assert pigctl(site, "diff", "site.conf")[0] == "nothing to do\n"
    for text in (many.replace("\n", "\r\n"), "# a\n\n" + many.replace("\n", "  # b\n\n"), many.rstrip("\n"),
                 many + "routes add 10.9.0.0/16 nic0\nroutes delete 10.9.0.0/16\nservices set arp lifetime=9 arp lifetime=060\n"):
        assert pigctl(site, "diff", "-", text=text)[0] == "nothing to do\n", text


def test_language_02_typed_lines_are_the_same(site):
    """What apply says it does can be typed."""
    said = apply(site, BASE + "addresses add 10.7.0.2/24 gateway 10.7.0.1\nroutes add 10.8.0.0/16 via 10.0.0.9\n"
                              "services start echo\nservices set echo port=4007 arp dad=off\n")[0]
    there = shown(site)
    apply(site, BASE)
    for line in said.splitlines():
        pigctl(site, *line.split())
    assert shown(site) == there


def test_errors_04_any_bytes(tmp_path):
    """Whatever a file holds, pigctl says what is wrong, or compiles it."""
    random_ = random.Random(7)
    with open(ROUTER, "rb") as file:
        good = file.read()
    pieces = [b"{", b"}", b"\n", b" ", b"#", b"=", b"add", b"services set", b"10.0.0.1/24", b"@nic", b"\xff", b"via", b"shaper {"]
    for _ in range(300):
        text = bytearray(good)
        for _ in range(random_.randrange(1, 6)):
            at = random_.randrange(len(text))
            if random_.random() < 0.5:
                text[at:at + random_.randrange(8)] = random_.choice(pieces)
            else:
                text[at] = random_.randrange(1, 256)
        (tmp_path / "any.conf").write_bytes(text)
        done = subprocess.run([RAW, "compile", "any.conf", "-o", "any.psr"], capture_output=True, timeout=TIMEOUT_S, check=False,
                              cwd=tmp_path)
        assert done.returncode in (DONE, USAGE), done.stderr
        assert (done.returncode == DONE) == (done.stderr == b"")


# ---- compiling ----------------------------------------------------------------------------------------------


def test_compile_01_a_module(site):
    write(site, BASE + "services start echo\nservices set echo port=7777\n")
    said = pigctl(site, "compile", "site.conf", "-o", "site.psr", "--json")[0]
    assert said == '{"changes": 3, "requests": 4, "chains": 1}\n'
    module = (site.tmp / "site.psr").read_bytes()
    magic, major, _, requests, data, pages, size, _, source = struct.unpack_from("<QHHIIIII32s", module)
    assert (magic, major, requests, data, pages, size) == (0x454C55444F4D4750, 1, 4, 64 + 4 * 64, 1, len(module))
    assert source.rstrip(b"\0") == b"site.conf"
    lines = [struct.unpack_from("<Q", module, 64 + 64 * i + 48)[0] for i in range(requests)]
    assert sorted(lines) == [1, 2, 3, 3] and module[data:].startswith(b"echoport=7777\0")


def test_compile_02_nothing_and_nowhere(site):
    write(site, "# nothing\n")
    assert "nothing in it" in pigctl(site, "compile", "site.conf", "-o", "x.psr", code=USAGE)[1]
    write(site, BASE)
    assert "No such file" in pigctl(site, "compile", "site.conf", "-o", "no/such/x.psr", code=REFUSED)[1]


# ---- applying -----------------------------------------------------------------------------------------------


def test_apply_01_round_trip(site):
    text = BASE + "addresses add 10.7.0.2/24@nic0 gateway 10.7.0.1\nroutes add 10.8.0.0/16 via 10.7.0.9\n" \
                  "routes add 10.9.0.0/24 nic0\nservices start echo forward\nservices set echo port=7777\n"
    write(site, text)
    planned = pigctl(site, "diff", "site.conf", code=REFUSED)[0]
    assert pigctl(site, "apply", "site.conf")[0] == planned
    assert sorted(planned.splitlines()) == sorted([
        "addresses add 10.7.0.2/24@nic0 gateway 10.7.0.1", "routes add 10.8.0.0/16 via 10.7.0.9", "routes add 10.9.0.0/24 nic0",
        "services start echo", "services start forward", "services set echo port=7777"])
    assert pigctl(site, "apply", "site.conf")[0] == "nothing to do\n"
    assert pigctl(site, "diff", "site.conf", "--json")[0] == '{"changes": 0, "lines": []}\n'
    now = shown(site)
    write(site, now, "again.conf")
    assert pigctl(site, "diff", "again.conf")[0] == "nothing to do\n"
    assert site.rows("services", key="service")["echo"]["running"] is True
    assert any(row["prefix"] == "0.0.0.0/0" for row in site.json("routes"))
    apply(site, BASE)
    assert shown(site) == BASE
    assert site.rows("services", key="service")["echo"]["running"] is False
    pigctl(site, "apply", "again.conf")
    assert shown(site) == now


def test_apply_02_what_is_left_out_is_at_its_default(site):
    apply(site, BASE + "services stop icmp\nservices set arp lifetime=30 dad=off\n")
    assert "services stop icmp\n" in shown(site) and "services set arp lifetime=30\n" in shown(site)
    said = apply(site, BASE)[0]
    assert said.splitlines() == ["services set arp lifetime=60", "services set arp dad=on", "services start icmp"]
    assert shown(site) == BASE


COLLIDING = [
    "",
    BASE,
    f"addresses add {PIGLET}/24 gateway 10.0.0.1\n",
    f"addresses add {PIGLET}/24 gateway 10.0.0.9\n",
    f"addresses add {PIGLET}/25\n",
    f"addresses add {PIGLET}/24\nroutes add 0.0.0.0/0 via 10.0.0.1\n",
    "addresses add 10.0.0.3/24\nroutes add 0.0.0.0/0 via 10.0.0.1 add 10.5.0.0/16 via 10.0.0.9\n",
    "addresses add 10.0.0.3/24 add 10.7.0.2/24\nroutes add 10.5.0.0/16 via 10.7.0.9\n",
    "addresses add 10.7.0.2/24\nroutes add 10.0.0.0/24 nic0\n",
    "addresses add 10.7.0.2/24\nroutes add 10.0.0.0/24 via 10.7.0.9\n",
    "addresses add 10.7.0.2/32\nroutes add 10.7.0.0/24 nic0\nroutes add 10.5.0.0/16 via 10.7.0.9\n",
    "addresses add 10.7.0.2/24 add 10.7.0.3/24\n",
]


def test_apply_03_every_way_from_one_to_another(site):
    """What is in the way of something goes first, what it needs comes first."""
    for one in COLLIDING:
        for other in COLLIDING:
            for text in (one, other):
                apply(site, text)
                assert pigctl(site, "diff", "site.conf")[0] == "nothing to do\n"


def random_config(random_):
    lines = [f"addresses add 10.{i}.0.2/24@nic0" for i in random_.sample(range(1, 9), 3)]
    links = [line.split()[2].rsplit(".", 1)[0] for line in lines]
    lines += [f"routes add 172.{random_.randrange(16, 20)}.{i}.0/24 via {random_.choice(links)}.{random_.randrange(9, 12)}"
              for i in random_.sample(range(20), 12)]
    lines += [f"services {random_.choice(['start', 'stop'])} {name}" for name in ("echo", "forward", "icmp")]
    lines += [f"services set echo port={random_.randrange(1, 65536)}", f"services set arp dad={random_.choice(['on', 'off'])}"]
    random_.shuffle(lines)
    return "\n".join(lines[:random_.randrange(len(lines) + 1)]) if random_.random() < 0.2 else "\n".join(lines)


def test_apply_04_random_ones(site):
    """Each is compiled, applied and shown; what is shown is the same again."""
    random_ = random.Random(4)
    applied = 0
    for _ in range(60):
        write(site, random_config(random_))
        before = shown(site)
        said = pigctl(site, "apply", "site.conf", code=None)[1]
        if said:  # a route whose address was left out
            assert re.match(r"site\.conf:\d+:\d+: nothing was changed: routes add ", said) and shown(site) == before
            continue
        applied += 1
        assert pigctl(site, "diff", "site.conf")[0] == "nothing to do\n"
        write(site, shown(site), "shown.conf")
        assert pigctl(site, "diff", "shown.conf")[0] == "nothing to do\n"
    assert applied > 40


def test_apply_05_more_than_a_chain(site):
    """Several chains; when one is refused, those before it are taken back."""
    said = apply(site, BASE + routes(600))[0]
    assert said.count("\n") == 600 and pigctl(site, "diff", "site.conf")[0] == "nothing to do\n"
    before = shown(site)
    said = apply(site, BASE + routes(600, 300) + routes(700, 600) + "routes add 10.200.0.0/16 via 10.88.0.1\n", REFUSED)[1]
    assert said.startswith("site.conf:402:12: nothing was changed: routes add 10.200.0.0/16 via 10.88.0.1: ")
    assert shown(site) == before
    said = pigctl(site, *"routes delete".split(), *(f"10.100.{i}.0/24" for i in range(CHAIN + 1)), code=USAGE)[1]
    assert "too many changes for one chain" in said


REFUSALS = [
    ("routes add 10.5.0.0/16 via 10.77.1.9", 3, 12, "outside the allowed range"),
    ("addresses add 10.7.0.255/24", 3, 15, "see `pigctl addresses`"),
    ("addresses add 10.7.0.2/24@nic7", 3, 15, "no such thing"),
    ("addresses add 10.7.0.2/24 gateway 10.8.0.1", 3, 15, "see `pigctl addresses`"),
    ("services set echo port=0", 3, 14, "outside the allowed range"),
    ("services set echo nosuch=1", 3, 14, "no such thing"),
    ("services set arp dad=maybe", 3, 14, "see `pigctl services`"),
    ("services start nosuch", 3, 16, 'no service "nosuch"'),
]


@pytest.mark.parametrize("text, line, column, why", REFUSALS)
def test_apply_06_refused_as_a_whole(site, text, line, column, why):
    apply(site, BASE + "services set arp lifetime=31\n")
    before = shown(site), site.json("routes")
    out, said = apply(site, "addresses add 10.0.0.3/24\nservices start echo\n" + text, REFUSED)
    assert out == "" and said.startswith(f"site.conf:{line}:{column}: nothing was changed: ") and why in said, said
    assert said.count("\n") == 1
    assert (shown(site), site.json("routes")) == before


def test_apply_07_rights(tmp_path):
    one = Site("window.rights=read")
    one.tmp = tmp_path
    said = apply(one, BASE + "services stop echo\nservices set arp lifetime=30\n", REFUSED)[1]
    assert "nothing was changed" in said and "window.rights=all" in said
    assert "services start echo" in shown(one)
    one.close()


# ---- blocks -------------------------------------------------------------------------------------------------

def test_blocks_01_round_trip(raw):
    one, other = BASE + shaper(b"one"), BASE + shaper(b"other")
    assert apply(raw, one)[0] == "shaper {...}\n"
    assert shown(raw) == one and pigctl(raw, "diff", "site.conf")[0] == "nothing to do\n"
    indented = one.replace("\n  ", "  # a byte\n\t ")
    assert pigctl(raw, "diff", "-", text=indented)[0] == "nothing to do\n"
    assert apply(raw, other + "services start echo\n")[0] == "shaper {...}\nservices start echo\n"
    assert shown(raw) == BASE + "services start echo\n" + shaper(b"other")
    assert apply(raw, BASE)[0] == "shaper {...}\nservices stop echo\n"
    assert shown(raw) == BASE and pigctl(raw, "diff", "site.conf")[0] == "nothing to do\n"


def test_blocks_02_refused(raw):
    """By what compiles it, by the service, and with another change: the table in force stays."""
    apply(raw, BASE + shaper(b"one"))
    before = shown(raw)
    assert 'site.conf:2:6: "xy" is no byte' in apply(raw, "shaper {\n  00 xy\n}\n", USAGE)[1]
    assert "site.conf:1:8: this { has no }" in apply(raw, "shaper {\n  00\n", USAGE)[1]
    assert "site.conf:1:8: shaper: expected {" in apply(raw, "shaper on\n", USAGE)[1]
    assert "site.conf:4:1: shaper {...}: line 1 has it already" in apply(raw, "shaper {\n 00\n}\nshaper {\n 00\n}\n", USAGE)[1]
    said = apply(raw, BASE + shaper(b"two").replace("53", "54", 1), REFUSED)[1]
    assert re.match(r"site\.conf:2:1: nothing was changed: shaper \{\.\.\.\}: .*, at byte \d+ of its table", said), said
    said = apply(raw, BASE + shaper(b"two") + "routes add 10.5.0.0/16 via 10.77.1.9\n", REFUSED)[1]
    assert "nothing was changed: routes add" in said
    assert shown(raw) == before


def test_blocks_03_confirm(raw):
    """The former table comes back with the rest."""
    apply(raw, BASE + shaper(b"one"))
    before = shown(raw)
    apply(raw, BASE + shaper(b"two") + "services start echo\n", options=("--confirm", "1"))
    assert shown(raw) == BASE + "services start echo\n" + shaper(b"two")
    wait_for(lambda: shown(raw) == before, 5)


def test_blocks_04_more_than_a_chain(raw):
    apply(raw, BASE + shaper(b"one"))
    before = shown(raw)
    text = BASE + shaper(b"two") + routes(100) + "routes add 10.200.0.0/16 via 10.88.0.1\n"
    assert "10.200.0.0/16" in apply(raw, text, REFUSED)[1] and shown(raw) == before
