"""The power button ends Piglet in order, and the machine is off."""
import subprocess

import pytest
import wires
from lab import console, machine as machines

MACHINES = ("q35-e1000e", "pc-e1000e")
OFF_TIMEOUT_S = 30


def pressed(start, platform, words="", memory="64M", timeout=machines.READY_TIMEOUT_S):
    """The console of a machine that was started, and then had its button pressed."""
    piglet = machines.Qemu(start, words, platform, memory, nics=[("e1000e", "user,restrict=on")])
    try:
        piglet.wait_ready(timeout)
        piglet.qmp("system_powerdown")
        piglet.console.wait("power off, status 0", OFF_TIMEOUT_S)
        assert piglet.process.wait(OFF_TIMEOUT_S) == 0
        return piglet.console
    finally:
        piglet.stop()


def pigctl(window, *words):
    return subprocess.run([wires.artefact("tools", "pigctl"), "-s", f"shm:{window}", *words], timeout=30, check=True)


def test_power_02_pigctl(machine, tmp_path):
    """pigctl reboot starts the machine again, pigctl poweroff ends it."""
    window = tmp_path / "window"
    piglet = machines.Qemu(wires.artefact("x86_64", "piglet.elf"), "console=ttyS0", machine.split("-")[0], extra=[
        *machines.window_devices([(str(window), wires.WINDOW_BYTES)]), "-action", "reboot=reset"])
    try:
        piglet.wait_ready()
        mark = piglet.console.mark()
        pigctl(window, "reboot")
        piglet.console.wait(console.READY, OFF_TIMEOUT_S, since=mark)
        assert not piglet.console.find("power off")
        pigctl(window, "poweroff")
        piglet.console.wait("power off, status 0", OFF_TIMEOUT_S)
        assert piglet.process.wait(OFF_TIMEOUT_S) == 0
    finally:
        piglet.stop()


@pytest.mark.parametrize("words", ("", "idle=poll"))
def test_power_01_button(machine, words):
    """Asleep or polling: it stops, says so, and QEMU ends; the processor was named at the start."""
    said = pressed(wires.artefact("x86_64", "piglet.elf"), machine.split("-")[0], f"console=ttyS0 {words}")
    assert said.find("power button")
    assert said.find("piglet: stopping")
    assert said.find(r"processor: \S.*, clock \d+ MHz")
