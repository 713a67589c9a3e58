"""Piglet as a process of a Linux guest that has its nics through VFIO, behind an emulated IOMMU: the same drivers on an
interrupt, DMA and registers that Linux handed over. test_traffic runs there too."""
import pytest
import wires
from guest import Guest, address
from lab import console, machine

MACHINES = (wires.VFIO,)
SITE = {"words": "ip=10.0.0.2/24@nic0 ip=10.0.1.2/24@nic1 services=+forward", "models": ("e1000e", "e1000"),
        "hosts": (("10.0.0.1/24",), ("10.0.1.1/24",))}
START = "/piglet --nic vfio:{address} -- '{words}' </dev/null; echo guest: piglet ended $?"
FIRST, SECOND = address(0), address(1)
WIDE = "intel-iommu,caching-mode=on,intremap=on,aw-bits=48"  # a process's addresses as they are; without: shifted


def tell(site, line, pattern):
    return site.piglet.tell(line, pattern)


def test_vfio_01_forwards(site):
    """From an e1000e to an e1000 and back."""
    assert site.host.answers("10.0.0.2") and site.hosts[1].answers("10.0.1.2")
    site.host.run("ip route add 10.0.1.0/24 via 10.0.0.2")
    site.hosts[1].run("ip route add 10.0.0.0/24 via 10.0.1.2")
    text, sent, received = site.host.ping_all("10.0.1.1", 500, "-q -f -s 1400")
    assert sent == received == 500, text


def test_vfio_02_link_interrupts(site):
    """A cable pulled and plugged is noticed while Piglet sleeps, and it answers again."""
    for nic, host, ours in ((0, site.hosts[0], "10.0.0.2"), (1, site.hosts[1], "10.0.1.2")):
        mark = site.console.mark()
        site.piglet.set_link(nic, False)
        site.console.wait(console.link_down(f"nic{nic}"), since=mark)
        site.piglet.set_link(nic, True)
        site.console.wait(console.link_up(f"nic{nic}"), since=mark)
        assert host.answers(ours)
    assert not site.console.find("no interrupt")
    assert float(site.counters().get("loop.polls_idle", 0)) == 0


class Lone:
    """A guest with two nics and no Piglet yet."""

    def __init__(self, iommu):
        self.hosts = [wires.Host(("10.0.0.1/24",)), wires.Host(("10.0.1.1/24",))]
        self.guest = None
        for host in self.hosts:
            host.interface = "wire"
        taps = [host.namespace.tap("wire", *host.addresses) for host in self.hosts]
        try:
            self.guest = Guest(wires.artefact("hosted", "piglet"), [("e1000e", machine.tap_netdev(tap)) for tap in taps],
                               [tap.fd for tap in taps], iommu)
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.guest:
            self.guest.stop()
        for host in self.hosts:
            host.namespace.close()
