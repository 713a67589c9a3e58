"""iPXE's own 82599 driver on the model: software that knows neither our driver nor our model netboots through it.

iPXE takes some of the datasheet's steps in another order, or not at all; the model says which, and works as the device
does. What it must not do is touch rings or memory that are not its own."""
import os
import shutil
import tempfile

import pytest
import wires
from lab import console
from lab.machine import Machine, model_processor
from lab.namespace import Namespace

MACHINES = ("q35-ixgbe",)
KERNEL = "/boot/ipxe.lkrn"  # package ipxe
HOST, HTTP_PORT = "10.0.0.1", 8080
FILE_BYTES = 1 << 20
STATUS_VOID = 99  # of ixgbe-model
BOOT_TIMEOUT_S, STEP_TIMEOUT_S = 60, 60
FIRST = f"""#!ipxe
echo SCRIPT-ONE
ifconf --configurator dhcp net0 && echo LEASED ${{net0/ip}} || echo NO-LEASE
chain tftp://{HOST}/second.ipxe || echo NO-CHAIN
"""
SECOND = f"""#!ipxe
echo SCRIPT-TWO came by TFTP
imgfetch --name big http://{HOST}:{HTTP_PORT}/big && echo FETCHED || echo NOT-FETCHED
imgstat
ifclose net0
echo CLOSED
ifconf --configurator dhcp net0 && echo LEASED-AGAIN || echo NO-LEASE
ifstat net0
reboot
"""


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="lab-")
    with open(os.path.join(path, "first.ipxe"), "w", encoding="ascii") as script:
        script.write(FIRST)
    with open(os.path.join(path, "second.ipxe"), "w", encoding="ascii") as script:
        script.write(SECOND)
    with open(os.path.join(path, "big"), "wb") as big:
        big.write(os.urandom(FILE_BYTES))
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def start_servers(namespace, folder):
    network = HOST.rsplit(".", 1)[0]
    dnsmasq = namespace.start(
        ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--pid-file=", "--user=root",
         "--leasefile-ro", "--log-facility=-", "--no-ping", "--dhcp-authoritative", "--bind-dynamic", "--interface=wire",
         f"--dhcp-range={network}.50,{network}.59,1h", "--enable-tftp", f"--tftp-root={folder}"], text=False)
    console.Console(dnsmasq.stdout).wait(r"TFTP root is")
    web = namespace.start(["/usr/bin/python3", "-u", "-m", "http.server", str(HTTP_PORT), "--bind", HOST,
                           "--directory", folder], text=False)
    console.Console(web.stdout).wait(r"Serving HTTP")


def start_ipxe(wire, folder, script, *options, fds=()):
    return Machine(
        [wires.artefact("tests", "model", "ixgbe-model"), "--wire", wire, "--cpu", str(model_processor()), *options, "--",
         "qemu-system-x86_64", "-accel", "tcg,thread=single", "-m", "256M",
         "-object", "memory-backend-memfd,id=ram,size=256M,share=on", "-machine", "q35,memory-backend=ram",
         "-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio",
         "-device", "x-pci-proxy-dev,fd={fd0}", "-kernel", KERNEL, "-initrd", os.path.join(folder, script)],
        pass_fds=fds)


def need_ipxe():
    if not os.path.exists(KERNEL):
        pytest.skip(f"{KERNEL} is not there; cure: sudo apt-get install ipxe")


# pylint: disable=unused-argument,redefined-outer-name
def test_ixgbe_ipxe_01_netboot(machine, lab, folder):
    """DHCP, a script by TFTP that is run, a file by HTTP; the device closed, reset and used again."""
    need_ipxe()
    namespace = Namespace()
    ipxe, stats = None, os.path.join(folder, "stats")
    try:
        tap = namespace.tap("wire", f"{HOST}/24")
        start_servers(namespace, folder)
        ipxe = start_ipxe(f"fd:{tap.fd}", folder, "first.ipxe", "--stats", stats, fds=(tap.fd,))
        ipxe.console.wait(r"SCRIPT-ONE", BOOT_TIMEOUT_S)
        for step in (r"LEASED 10\.0\.0\.5\d", "SCRIPT-TWO came by TFTP", "FETCHED", rf"big : {FILE_BYTES} bytes", "CLOSED",
                     "LEASED-AGAIN", r"TX:\d+ TXE:\d+ RX:\d+ RXE:0"):
            ipxe.console.wait(step, STEP_TIMEOUT_S)
        assert ipxe.process.wait(STEP_TIMEOUT_S) == 0
    finally:
        if ipxe:
            ipxe.stop()
        namespace.close()
    with open(stats, encoding="ascii") as file:
        report = file.read()
    assert int(report.split("frames ")[1].split()[0]) > FILE_BYTES // 1500
    assert "no memory there" not in report
    assert "while the device owns it" not in report


def test_ixgbe_ipxe_02_strict(machine, lab, folder):
    """What the datasheet forbids fails a strict run, with a sentence."""
    need_ipxe()
    with open(os.path.join(folder, "open.ipxe"), "w", encoding="ascii") as script:
        script.write("#!ipxe\nifopen net0\nreboot\n")
    ipxe = start_ipxe("none", folder, "open.ipxe", "--strict")
    try:
        assert ipxe.process.wait(BOOT_TIMEOUT_S) == STATUS_VOID
        assert ipxe.console.find(r"nic0: violation of 4\.6\.8\.1: TXDCTL\[0\]\.ENABLE set before DMATXCTL\.TE")
        assert ipxe.failure()
    finally:
        ipxe.stop()
