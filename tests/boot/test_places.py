"""The kernel starts on machines of all sizes and shapes, and answers there."""
import pytest
import wires
from lab import machine as machines

MACHINES = ("q35-e1000e",)
PIGLET, SECOND = "10.0.0.2", "10.0.1.2"
NEAR_START_S = 30  # PVH takes a tenth of a second


@pytest.fixture
def on_wires(machine, lab):  # pylint: disable=unused-argument
    """on_wires(hosts, start): `start` makes a machine on so many hosts' taps; it, ready, and the hosts."""
    hosts, machines_up = [], []

    def begin(count, start):
        taps = []
        for i in range(count):
            hosts.append(wires.Host((f"10.0.{i}.1/24",)))
            hosts[i].interface = "wire"
            taps.append(hosts[i].namespace.tap("wire", *hosts[i].addresses))
        machines_up.append(start(taps))
        return machines_up[0].wait_ready(NEAR_START_S), hosts
    yield begin
    for piglet in machines_up:
        assert not piglet.failure(), piglet.console.tail()
        piglet.stop()
    for host in hosts:
        host.namespace.close()


def test_places_01_memory(boot):
    """16 MiB are enough to answer in."""
    site = boot(f"ip={PIGLET}/24", memory="16M")
    assert site.host.answers(PIGLET)
    assert site.console.find(r"QEMU TCG, 16 MiB")


def test_places_02_large_memory(on_wires):
    """64 GiB, of which next to nothing is touched: the computer need not have them."""
    piglet, (host,) = on_wires(1, lambda taps: machines.Qemu(
        wires.artefact("x86_64", "piglet.elf"), f"ip={PIGLET}/24 console=ttyS0", "q35,memory-backend=large", "64G",
        [("e1000e", machines.tap_netdev(taps[0]))],
        ["-object", "memory-backend-ram,id=large,size=64G,reserve=off"], fds=[taps[0].fd]))
    assert host.answers(PIGLET)
    assert piglet.console.find(r"QEMU TCG, 65536 MiB")


def test_places_03_processors(boot):
    """Eight processors, of which it uses one; all tests else have one."""
    site = boot(f"ip={PIGLET}/24", devices=("-smp", "8"))
    assert site.host.answers(PIGLET)


def test_places_04_bridges(on_wires):
    """Nics behind a PCI Express root port and behind a conventional bridge, both found and both answering."""
    def start(taps):
        devices = ["-device", "pcie-root-port,id=root,chassis=1", "-device", "pci-bridge,id=behind,chassis_nr=2"]
        for i, (place, tap) in enumerate(zip(("e1000e,bus=root", "e1000,bus=behind,addr=3"), taps)):
            devices += ["-netdev", f"{machines.tap_netdev(tap)},id=n{i}",
                        "-device", f"{place},netdev=n{i},mac={machines.mac_of(i)},romfile="]
        return machines.Qemu(wires.artefact("x86_64", "piglet.elf"), extra=devices, fds=[tap.fd for tap in taps],
                             words=f"ip={PIGLET}/24@nic0 ip={SECOND}/24@nic1 console=ttyS0")
    piglet, hosts = on_wires(2, start)
    for host, address in zip(hosts, (PIGLET, SECOND)):
        assert host.answers(address)
    assert piglet.console.find(r"nic0: e1000 \S+ at pci 01:00\.0")
    assert piglet.console.find(r"nic1: e1000 \S+ at pci 02:03\.0")


def test_places_05_no_pci(machine):  # pylint: disable=unused-argument
    """QEMU's microvm has no PCI: no nic is a line, and no reason to stop."""
    piglet = machines.Qemu(wires.artefact("x86_64", "piglet.elf"), "console=ttyS0", "microvm")
    try:
        piglet.wait_ready(NEAR_START_S)
        assert piglet.console.find("nic: none found: running without a network")
        assert not piglet.failure()
    finally:
        piglet.stop()
