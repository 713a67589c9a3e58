"""Boots with other nics, words and neighbours than usual: said in the log, and gone on."""
import pytest
from lab import console

PIGLET, FREE = "10.0.0.2", "10.0.0.3"


def test_nics_01_none(boot):
    """Without a nic Piglet boots, says so, and goes on."""
    site = boot("ip=10.0.0.2/24 status=1", hosts=())
    site.console.wait(console.NO_NIC)
    mark = site.console.mark()
    site.console.wait(console.STATUS, since=mark)
    site.console.wait(console.STATUS, since=site.console.mark())


def test_nics_02_three(boot):
    """Three nics come up in order, each with its address, each answering."""
    hosts = [(f"10.{i}.0.1/24",) for i in range(3)]
    site = boot(" ".join(f"ip=10.{i}.0.2/24@nic{i}" for i in range(3)), hosts=hosts)
    for i, host in enumerate(site.hosts):
        assert site.console.find(console.nic_found(f"nic{i}"))
        assert site.console.find(console.address_taken(f"nic{i}", f"10.{i}.0.2/24"))
        assert host.answers(f"10.{i}.0.2"), f"nic{i} is silent"
    assert len({site.mac(i) for i in range(3)}) == 3


def test_nics_03_unknown(boot, machine):
    """A nic without a driver is named and left out; the one beside it works."""
    if machine.startswith("hosted"):
        site = boot(f"ip={PIGLET}/24", devices=("carrier:pigeon",))
        site.console.wait(r"\bnic: carrier:pigeon left out")
    else:
        others = ("-netdev", "hubport,id=h,hubid=9", "-device", "virtio-net-pci,netdev=h,romfile=",
                  "-device", "rtl8139,romfile=")
        site = boot(f"ip={PIGLET}/24", devices=others)
        for identity in ("1af4:1000", "10ec:8139"):
            site.console.wait(rf"{console.NO_DRIVER}.*(?<={identity})")
    assert site.host.answers(PIGLET)


def test_words_01_malformed(boot):
    """Words that are unknown or malformed are named with their column, and the others count."""
    bad = ("flux=1", "ip=10.0.0.300/24", "ip=10.0.0.9/33", "ip=10.9.0.2/24@nic7", "services=+teleport", "log=loud",
           "route=10.0.0.0/8", "icmp.frobnicate=1")
    words = " ".join([*bad, f"ip={PIGLET}/24"])
    site = boot(words)
    ahead = 0 if site.hosted else len("console=ttyS0 ")
    for word in bad:
        column = ahead + words.index(word) + 1
        assert site.console.find(console.word_refused(word, column)), f"{word}, {column}:\n{site.console.tail()}"
    assert not site.console.find(console.word_refused(f"ip={PIGLET}/24", ahead + words.index(f"ip={PIGLET}") + 1))
    assert site.host.answers(PIGLET)


def test_words_02_terminal_safe(boot):
    """Control bytes in a word never reach the console."""
    site = boot(f"evil\x1b[2J\x07=1 ip={PIGLET}/24")
    site.console.wait(r"evil\?\[2J\?")
    assert not set("\x1b\x07") & set(site.console.text)
    assert site.host.answers(PIGLET)


@pytest.mark.parametrize("gateway", ("10.0.0.1", "10.0.0.254"))
def test_gateway_01_self_test(boot, gateway):
    """The log says where the gateway is, or that it does not answer."""
    site = boot(f"ip={PIGLET}::{gateway}:255.255.255.0::nic0:off")
    if gateway == site.host.address:
        assert site.console.wait(console.gateway_at(gateway))["mac"] == site.host.mac
    else:
        site.console.wait(console.gateway_silent(gateway), timeout=15)
        assert not site.console.find(console.gateway_at(gateway))


def test_duplicate_01_conflict(boot):
    """An address that another host has is given up, with a line that says so; the other address works."""
    site = boot(f"ip={PIGLET}/24 ip={FREE}/24", hosts=(("10.0.0.1/24", f"{PIGLET}/24"),))
    site.console.wait(console.address_conflict(PIGLET))
    done = site.host.run(f"arping -b -c 2 -w 1 -s 10.0.0.1 -I {{wire}} {PIGLET}", check=False)
    assert site.mac().upper() not in done.stdout, done.stdout
    assert site.host.answers(FREE)


def test_duplicate_02_late(boot):
    """A host that takes Piglet's address later does not silence it without a word."""
    site = boot(f"ip={PIGLET}/24")
    assert site.host.answers(PIGLET)
    before = site.console.mark()
    site.host.run(f"ip address add {PIGLET}/32 dev {{wire}}")
    site.host.run(f"arping -A -c 1 -w 1 -s {PIGLET} -I {{wire}} {PIGLET}", check=False)
    site.console.wait(console.address_conflict(PIGLET), since=before)
