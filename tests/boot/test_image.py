"""What machines start from: every image answers its first ping, wherever it is started from."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import test_power
import wires
from lab import console, firmware, machine as machines, netboot

MACHINES = ("q35-e1000e",)
SERVER, PIGLET = "10.0.0.1", "10.0.0.2"
UEFI_TIMEOUT_S = 90  # OVMF takes 4 s, on a busy computer far more
READY_BY = r"piglet: \S+ on x86_64 by {}, "
WORDS = f"ip={PIGLET}/24 console=ttyS0"


def made(folder, kind, words=WORDS, config=None):
    """An image with these words, and perhaps a configuration."""
    path = str(folder / f"piglet.{ {'disk': 'img'}.get(kind, kind)}")
    command = [sys.executable, os.path.join(machines.ROOT, "tools", "image"), kind, path, "--words", words,
               "--efi", wires.artefact("piglet.efi")]
    if config:
        command += ["--config", str(config)]
    subprocess.run(command, check=True, timeout=60)
    return path


def compiled(folder, text):
    """A configuration compiled to a module's file."""
    source, module = folder / "site.conf", folder / "site.psr"
    source.write_text(text)
    subprocess.run([wires.artefact("tools", "pigctl"), "compile", str(source), "-o", str(module)], check=True, timeout=30)
    return module


def change(image, *files):
    """Puts files, (name, contents) pairs, into a disk's file system, as whoever owns the disk may."""
    for name, contents in files:
        if contents is None:
            command = ["mdel", "-i", f"{image}@@1M", f"::{name}"]
        else:
            command = ["mcopy", "-o", "-i", f"{image}@@1M", "-", f"::{name}"]
        subprocess.run(command, input=contents, check=True, timeout=30)


@pytest.fixture
def started(boot):
    """Starts an image under UEFI and waits until it is ready."""
    def start(image, **options):
        site = boot("", start=image, memory=options.pop("memory", firmware.UEFI_MEMORY), wait=False, **options)
        site.console.wait(console.READY, UEFI_TIMEOUT_S)
        assert site.console.find(READY_BY.format("UEFI"))
        return site
    return start


@pytest.mark.parametrize("bus", ("sata", "usb"))
def test_image_01_disk(started, tmp_path, bus):
    """A disk starts from a SATA port and as a USB stick; its configuration is applied."""
    module = compiled(tmp_path, "addresses add 10.0.0.9/24@nic0\n")
    site = started(made(tmp_path, "disk", config=module), bus=bus)
    assert site.host.answers(PIGLET)
    assert site.host.answers("10.0.0.9"), site.console.tail()


@pytest.mark.parametrize("what", ("--image piglet.img", "--image piglet.iso", "--netboot"))
def test_image_02_as_built(machine, lab, what):
    """What `make image` made leases an address and answers, started by run-qemu as users do."""
    words = [wires.artefact(word) if word.startswith("piglet") else word for word in what.split()]
    run = [sys.executable, os.path.join(machines.ROOT, "tools", "run-qemu"), *words]
    done = subprocess.run(run, env={**os.environ, "RUN_SECONDS": "2"}, timeout=UEFI_TIMEOUT_S + 60,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    reply = re.search(r"^  first reply +(\d+) ms", done.stdout, re.M)
    assert reply, done.stdout
    wires.figures.append(f"run-qemu {what}: first reply {reply[1]} ms after QEMU's start")


@pytest.mark.parametrize("way", ("http", "pxe"))
def test_image_03_network(started, tmp_path, way):
    """iPXE's ROM fetches the script and what it names by HTTP; or the program by TFTP, which then fetches its words
    and its configuration by itself."""
    compiled(tmp_path, "addresses add 10.0.0.9/24@nic0\n").rename(tmp_path / "piglet.psr")
    made(tmp_path, "ipxe")
    (tmp_path / "piglet.txt").write_text(f"# Where we are\n{WORDS}\n")
    shutil.copy(wires.artefact("piglet.efi"), tmp_path)
    servers = []
    site = started(firmware.NETWORK, before=lambda host: servers.append(
        netboot.BootServer(host.namespace, host.interface, SERVER, tmp_path, script=way)))
    if way == "http":
        assert servers[0].served.find(r"GET /piglet.efi")
    else:
        assert servers[0].said.find(r"sent \S*piglet.psr to")
    assert site.host.answers(PIGLET)
    assert site.host.answers("10.0.0.9"), site.console.tail()


def test_image_04_bad_configuration(boot, tmp_path):
    """What is wrong on the disk is said by name, and the boot goes on: no words, a configuration that is cut short."""
    module = compiled(tmp_path, "addresses add 10.0.0.9/24@nic0\n")
    image = made(tmp_path, "disk", config=module)
    change(image, ("piglet.txt", f"flux=1 {WORDS} # ip=10.0.0.7/24\r\n".encode()), ("piglet.psr", module.read_bytes()[:100]))
    site = boot("", start=image, memory=firmware.UEFI_MEMORY, wait=False)
    site.console.wait(console.READY, UEFI_TIMEOUT_S)
    assert site.console.find(console.word_refused("flux=1", 1)), site.console.tail()
    assert site.console.find(r"ERROR module: site.conf:0: refused: truncated"), site.console.tail()
    assert site.host.answers(PIGLET)
    assert not site.console.find("address 10.0.0.7")


def test_image_05_no_configuration(boot, tmp_path):
    """Without its files, and with a configuration that was not compiled: named with the cure; Piglet starts."""
    image = made(tmp_path, "disk")
    change(image, ("piglet.txt", None), ("piglet.conf", b"addresses add 10.0.0.9/24@nic0\n"))
    site = boot("", start=image, memory=firmware.UEFI_MEMORY, wait=False)
    site.console.wait(console.READY, UEFI_TIMEOUT_S)
    assert site.console.find("piglet: no words from piglet.txt")
    assert site.console.find("piglet.conf is no compiled configuration .* cure: pigctl compile")


def test_image_06_reproducible(machine, tmp_path):
    """Two builds in two folders, of two copies of the sources, give the same bytes, within their limits."""
    built = os.path.join(machines.ROOT, os.environ.get("BUILD") or "build")
    folder = tmp_path / "a-longer-name"
    shutil.copytree(machines.ROOT, folder, ignore=shutil.ignore_patterns(os.path.basename(built), "build", ".git", "__pycache__"))
    shutil.copytree(os.path.join(built, "newlib"), folder / "build" / "newlib", symlinks=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("BUILD", "MAKEFLAGS", "MFLAGS")}
    subprocess.run(["make", "-j2", "image"], cwd=folder, env=environment, check=True, timeout=400, stdout=subprocess.DEVNULL)
    for name, most in (("elf", 256 << 10), ("efi", 4 << 20), ("mb", 262144 + 4096), ("img", 4 << 20), ("iso", 4 << 20), ("ipxe", 4096)):
        one, other = (pathlib.Path(place, f"piglet.{name}").read_bytes() for place in (built, folder / "build"))
        assert one == other, f"piglet.{name} differs"
        assert len(one) <= most, f"piglet.{name} has {len(one)} bytes"


def test_image_07_power(machine):
    """The power button ends it under UEFI too, whose tables lie elsewhere."""
    said = test_power.pressed(wires.artefact("piglet.iso"), "pc", memory=firmware.UEFI_MEMORY, timeout=UEFI_TIMEOUT_S)
    assert said.find("power button")


FIRMWARE_REFUSES = r"BdsDxe: failed to load Boot\d+ .*{}"
NO_SYSTEM = "BdsDxe: No bootable option or device was found|EFI Internal Shell"


def firmware_says(image, *patterns, platform="q35", extra=()):
    """Starts an image that cannot be started, and waits until the firmware has said all of this."""
    piglet = machines.Qemu(str(image), "", platform, firmware.UEFI_MEMORY, extra=extra)
    try:
        for pattern in patterns:
            piglet.console.wait(pattern, UEFI_TIMEOUT_S)
        assert not piglet.console.find("loaded by UEFI")
    finally:
        piglet.stop()


@pytest.mark.parametrize("what", ("disk", "program"))
def test_image_08_truncated(machine, tmp_path, what):
    """A disk whose end is missing, or whose program's is: the firmware goes on to the next; half a kernel never starts."""
    program = pathlib.Path(wires.artefact("piglet.efi")).read_bytes()
    image = pathlib.Path(made(tmp_path, "disk"))
    if what == "disk":
        os.truncate(image, (1 << 20) + len(program) // 2)
    else:
        change(image, ("EFI/BOOT/BOOTX64.EFI", program[:len(program) // 2]))
    firmware_says(image, NO_SYSTEM)


def test_image_09_secure_boot(machine, tmp_path, monkeypatch):
    """Firmware with secure boot refuses a program that nobody signed, in the words that docs/images.md explains."""
    code, variables = (f"/usr/share/OVMF/OVMF_{name}.fd" for name in ("CODE_4M.secboot", "VARS_4M.ms"))
    if not os.path.exists(code) or not os.path.exists(variables):
        pytest.skip(f"{code} or {variables} is missing (apt: ovmf)")
    monkeypatch.setattr(firmware, "CODE", code)
    monkeypatch.setattr(firmware, "VARIABLES", variables)
    firmware_says(made(tmp_path, "disk"), FIRMWARE_REFUSES.format("Access Denied"), NO_SYSTEM, platform="q35,smm=on",
                  extra=["-global", "driver=cfi.pflash01,property=secure,value=on"])


def test_image_10_bios(boot, tmp_path):
    """Under a BIOS iPXE's ROM fetches the same script, and by it the Multiboot kernel with words and configuration."""
    compiled(tmp_path, "addresses add 10.0.0.9/24@nic0\n").rename(tmp_path / "piglet.psr")
    made(tmp_path, "ipxe")
    shutil.copy(wires.artefact("piglet.mb"), tmp_path)
    servers = []
    site = boot("", start=firmware.BIOS_NETWORK, wait=False, before=lambda host: servers.append(
        netboot.BootServer(host.namespace, host.interface, SERVER, tmp_path)))
    site.console.wait(console.READY, UEFI_TIMEOUT_S)
    assert site.console.find(READY_BY.format("Multiboot"))
    assert site.host.answers(PIGLET)
    assert site.host.answers("10.0.0.9"), site.console.tail()


def test_image_11_libvirt(machine):
    """libvirt takes the domains among the examples."""
    if not shutil.which("virt-xml-validate"):
        pytest.skip("virt-xml-validate is missing (apt: libvirt-clients)")
    for name in ("libvirt-disk.xml", "libvirt-pvh.xml"):
        subprocess.run(["virt-xml-validate", os.path.join(machines.ROOT, "examples", name), "domain"], check=True, timeout=60)
