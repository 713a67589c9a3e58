"""Piglet as a process of a Linux guest that has its nics through VFIO, behind an emulated IOMMU: the same drivers on an
interrupt, DMA and registers that Linux handed over. test_traffic runs there too."""
import pytest
import wires
from guest import Guest, address
from lab import console, machine

MACHINES = (wires.VFIO,)
SITE = {"words": "ip=10.0.0.2/24@nic0 ip=10.0.1.2/24@nic1 services=+forward",
        "hosts": (("10.0.0.1/24",), ("10.0.1.1/24",))}
FIRST = address(0)
FOLDER = "/sys/bus/pci/devices"
PIGLET = f"/piglet --nic vfio:{FIRST} -- ip=10.0.0.2/24 </dev/null"
COMMAND_HEX = f"od -An -tx1 -j4 -N1 {FOLDER}/{FIRST}/config"  # bit 2: it may reach memory
WIDE = "intel-iommu,caching-mode=on,intremap=on,aw-bits=48"  # which leaves addresses as they are for the process


def test_vfio_01_forwards(site):
    """From one nic to the other and back."""
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


class Lone:
    """A guest with an e1000e on a host's wire, and no Piglet yet."""

    def __init__(self, iommu):
        self.host, self.guest = wires.Host(("10.0.0.1/24",)), None
        self.host.interface = "wire"
        try:
            tap = self.host.namespace.tap("wire", *self.host.addresses)
            self.guest = Guest(wires.artefact("hosted", "piglet"), [("e1000e", machine.tap_netdev(tap))], [tap.fd], iommu)
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.guest:
            self.guest.stop()
        self.host.namespace.close()


@pytest.fixture
def lone(machine, lab):  # pylint: disable=unused-argument,redefined-outer-name
    if reason := wires.missing(machine):
        pytest.skip(reason)
    guests = []

    def start(iommu=WIDE):
        guests.append(Lone(iommu))
        return guests[-1]
    yield start
    for one in guests:
        one.close()


def test_vfio_03_refusals(lone):
    """Each thing that is missing is named, with what to do about it; done, it works, for a user who is not root."""
    guest = lone().guest
    user = f"su user -c '{PIGLET}'"
    guest.tell(PIGLET, rf"vfio:{FIRST}: nothing drives it; give it to vfio-pci, as root: modprobe vfio-pci; "
                       rf"cd {FOLDER}/{FIRST}; echo vfio-pci >driver_override; echo {FIRST} >/sys/bus/pci/drivers_probe$")
    guest.order(f"give {FIRST}")
    guest.tell("/piglet --nic vfio:00:1e.0", "vfio:00:1e.0: no PCI device has this address")
    guest.tell(user, r"/dev/vfio/1 is not yours to open; sudo chown \$USER /dev/vfio/1$")
    guest.order("chown user /dev/vfio/1")
    guest.tell(user, r"the 64 MiB of --memory cannot be locked, 8192 KiB may be; .* --memlock=134217728$")
    guest.order("ulimit -l 131072")
    guest.tell(f"{user} &", console.READY)
    guest.tell(PIGLET, "another process has its IOMMU group, 1")
    guest.tell("killall piglet; wait; echo guest: ended", "guest: ended")


def test_vfio_04_death_and_giving_back(lone):
    """Killed at once, the device is stopped by Linux; Piglet has it again; ended in order, it can be given back."""
    one = lone()
    guest, host = one.guest, one.host
    guest.order(f"give {FIRST}")
    for signal, status in (("KILL", 137), ("TERM", 0)):
        guest.tell(f"{PIGLET} &", console.READY)
        assert host.answers("10.0.0.2")
        assert int(guest.tell(COMMAND_HEX, r"^ ([0-9a-f]{2})$")[1], 16) & 4
        guest.tell(f"kill -{signal} $!; wait $!; echo guest: ended $?", rf"guest: ended {status}$")
        assert not int(guest.tell(COMMAND_HEX, r"^ ([0-9a-f]{2})$")[1], 16) & 4
    guest.tell(f"echo {FIRST} >{FOLDER}/{FIRST}/driver/unbind; echo >{FOLDER}/{FIRST}/driver_override; "
               f"readlink {FOLDER}/{FIRST}/driver || echo guest: free", "guest: free")


def test_vfio_05_no_iommu(lone):
    """Without an IOMMU the device stays out, with the reason."""
    guest = lone(None).guest
    guest.tell(PIGLET, "no IOMMU stands between it and memory; turn VT-d or AMD-Vi on .* intel_iommu=on")
