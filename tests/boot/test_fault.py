"""What a broken kernel says of itself: faults are made through QEMU's debugger interface, and the report read."""
import os
import re
import socket
import subprocess
import tempfile
import time

import pytest
import wires
from lab.machine import Qemu

MACHINES = ("q35-e1000e", "pc-e1000")
RIP, RSP = 16, 7  # register numbers of the remote protocol on x86_64
ELF = wires.artefact("x86_64", "piglet.elf")


class Debugger:
    """As much of GDB's remote protocol as it takes to set a register."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)

    def tell(self, command, expected):
        """Sends a command, and reads until its answer: a stop may be reported in between."""
        self.socket.sendall(f"${command}#{sum(command.encode()) & 255:02x}".encode())
        heard = b""
        while expected not in heard:
            heard += self.socket.recv(4096)
        self.socket.sendall(b"+")

    def set(self, register, value):
        self.tell("qXfer:features:read:target.xml:0,ffb", b"</target>#")  # QEMU wants that before it sets registers
        self.tell(f"P{register:x}={value.to_bytes(8, 'little').hex()}", b"$OK#")


def address_of(symbol):
    names = subprocess.run(["nm", ELF], capture_output=True, text=True, check=True).stdout
    return int(re.search(rf"^(\w+) . {symbol}$", names, re.M)[1], 16)


FAULTS = {
    "01-execute-null": ({RIP: lambda: 0}, [r"PANIC: page fault", r"could not execute at 0000000000000000.*null pointer",
                                         r"kernel_main\+0x"]),
    "02-execute-a-stack": ({RIP: lambda: address_of("boot_stack_top") - 4096},
                           [r"PANIC: page fault", r"could not execute at \w+: not allowed", r"kernel_main\+0x"]),
    # A function begins by pushing: the second push meets the guard page.
    "03-stack-overflow": ({RSP: lambda: address_of("boot_stack_guard") + 4096 + 8, RIP: lambda: address_of("loop_run")},
                          [r"PANIC: double fault", r"overflowed into its guard page"]),
    "04-wild-address": ({RIP: lambda: 0x0000800000000000 - 1}, [r"PANIC: (page fault|general protection)"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_report(machine, fault):
    """A report that a person can read: what happened, where by name, and what was running; then a visible stop."""
    registers, expected = FAULTS[fault]
    platform, model = machine.split("-")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "debugger")
        piglet = Qemu(ELF, "idle=poll console=ttyS0", platform, nics=[(model, "user,restrict=on")],
                      extra=["-gdb", f"unix:{path},server=on,wait=off", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        try:
            piglet.wait_ready()
            debugger = Debugger(path)  # connecting stops the machine
            for register, value in registers.items():
                debugger.set(register, value())
            try:
                piglet.qmp("cont")
            except (ConnectionError, ValueError):
                pass  # it may be over before it can answer
            end = time.monotonic() + 10
            while "stopped." not in piglet.console.text and time.monotonic() < end:
                time.sleep(0.02)
            report = piglet.console.text
        finally:
            status = piglet.stop()
    assert status == 33, report  # isa-debug-exit: seen by whoever started it
    for pattern in [*expected, r"rip \w{16} rsp \w{16}", r"while running: \w+", r"stopped\."]:
        assert re.search(pattern, report), f"{pattern} is not in:\n{report}"
