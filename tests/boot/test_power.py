"""The power button ends Piglet in order, and the machine is off."""
import pytest
import wires
from lab import machine as machines

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


@pytest.mark.parametrize("words", ("", "idle=poll"))
def test_power_01_button(machine, words):
    """Asleep or polling: it stops, says so, and QEMU ends; the processor was named at the start."""
    said = pressed(wires.artefact("x86_64", "piglet.elf"), machine.split("-")[0], f"console=ttyS0 {words}")
    assert said.find("power button")
    assert said.find("piglet: stopping")
    assert said.find(r"processor: \S.*, clock \d+ MHz")
