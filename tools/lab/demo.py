"""`make run`: Piglet in QEMU with a Linux host on the same wire, shown working."""
import os
import re
import shlex
import signal
import socket
import time

from . import console, namespace, traffic
from .machine import Qemu, build_directory, tap_netdev, window_devices
from .wirehost import WireHost, WirePing

HOST, PIGLET = "10.0.0.1", "10.0.0.2"
PING_EVERY_S = 0.5
PIPED_SECONDS = 10  # without a terminal nobody can type Ctrl-C
FIRST_REPLY_TIMEOUT_S = 15
WINDOW_BYTES = 4 << 20

GOOD = re.compile("|".join((console.READY, r"link up", r"nic\d+: address", r"gateway .* is at",
                            r"\bnic\d+: \S+ [0-9a-f:]{17} at")))


class Stopped(Exception):
    """The user or the clock says it is enough."""


class TapWire:
    """A namespace of our own with a tap: a real Linux host on Piglet's wire."""
    beside = "with a Linux host on the same wire"

    def __init__(self):
        namespace.check_tap()
        namespace.become_root()
        self._host = namespace.Namespace()
        self._tap = self._host.tap("tap0", f"{HOST}/24")
        self.netdev, self.fds = tap_netdev(self._tap), (self._tap.fd,)

    def picture(self, model):
        return f"[ Linux {HOST} ]──── tap0 ════ {model} ────[ Piglet {PIGLET} ]"

    def first_reply(self, alive):
        with self._host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            return traffic.first_reply(raw, PIGLET, FIRST_REPLY_TIMEOUT_S, alive)

    def traffic(self):
        return f"ping {PIGLET}", traffic.Ping(PIGLET, PING_EVERY_S, self._host.start)

    def close(self):
        self._host.close()


class DgramWire:
    """Unix sockets with a host of our own in this process: needs no rights at all."""
    fds = ()
    beside = "with a small host of ours on the same wire"

    def __init__(self):
        self._host = WireHost(HOST, PIGLET)
        self.netdev = self._host.netdev

    def picture(self, model):
        return f"[ this program {HOST} ]──── unix sockets ════ {model} ────[ Piglet {PIGLET} ]"

    def first_reply(self, alive):
        return self._host.first_reply(FIRST_REPLY_TIMEOUT_S, alive)

    def traffic(self):
        return f"echo requests to {PIGLET}", WirePing(self._host, PING_EVERY_S)

    def close(self):
        self._host.close()


def make_wire(screen, without_tap):
    if not without_tap:
        try:
            return TapWire()
        except namespace.LabError as error:
            screen.line(screen.paint(f"No tap, so a small host of ours pings, not Linux: {error}. Cure: {error.cure}",
                                     "yellow"))
    return DgramWire()


class Demo:
    """One showing: boot, first reply, live traffic, summary."""

    def __init__(self, screen, options):
        self.screen, self.options = screen, options
        self.status = None  # the kernel's last status line
        self.first_ms = None
        seconds = os.environ.get("RUN_SECONDS") or ("" if screen.live else str(PIPED_SECONDS))
        self.seconds = float(seconds) if seconds else None
        self.wire = self.machine = self.source = None
        self.window = f"/dev/shm/piglet-{os.getpid()}"  # where libpiglet looks by itself, too
        self.closing = False

    def _console_line(self, line):
        """Called by the console's thread for every line of the kernel's."""
        if self.closing:  # QEMU's farewell
            return
        if match := re.search(console.STATUS, line):
            self.status = match
            if not self.screen.live:
                self.screen.line("  " + line)
            return
        if re.search(console.TROUBLE, line) or "ERROR" in line:
            line = self.screen.paint(line, "red", "bold")
        elif GOOD.search(line):
            line = console.STAMP.sub(lambda stamp: self.screen.paint(stamp[0], "dim"), line)
            at = line.rfind("\x1b[0m") + 4 if "\x1b" in line else 0
            line = line[:at] + self.screen.paint(line[at:], "green")
        self.screen.line("  " + line)

    def _refresh(self):
        status, tally = self.status, self.source.tally
        up = "Piglet  starting" if status is None else (
            f"Piglet  up {status['up']} s · {status['rx']} frames in, {status['tx']} out · "
            f"{status['drops']} dropped{status['why']} · load {status['load']} %")
        stop = "Ctrl-C stops" if self.seconds is None else f"ends after {self.seconds:g} s; Ctrl-C stops"
        paint = self.screen.paint
        self.screen.status("", paint(up, "cyan", "bold"), paint(f"Host    {tally.text}", "cyan", "bold"),
                           paint(f"        {stop}", "dim"))

    def boot(self):
        options, screen = self.options, self.screen
        model = options.models[0]
        self.wire = make_wire(screen, options.no_tap)
        words = f"ip={PIGLET}::{HOST}:255.255.255.0::nic0:off services=+echo status=1 console=ttyS0 {options.append}"
        screen.line(screen.paint(f"Piglet boots in QEMU, {self.wire.beside}. It touches no network of yours.", "bold"))
        screen.line()
        screen.line(f"  {self.wire.picture(model)}")
        screen.line()
        start, append = f"qemu-system-x86_64 -machine {options.machine} -device {model} " \
                        f"-kernel {os.path.relpath(options.elf)}", "-append"
        if model == "ixgbe":  # two programs
            start, append = f"tools/run-qemu --machine {options.machine} --nic {model}", "--append"
        screen.line(screen.paint(f"  {start} \\\n    {append} '{words.strip()}'", "dim"))
        screen.line()
        self.machine = Qemu(options.elf, words, options.machine, options.memory,
                            [(model, self.wire.netdev)],
                            [*options.qemu, *window_devices([(self.window, WINDOW_BYTES)])],
                            self._console_line, self.wire.fds,
                            model_options=shlex.split(options.model))
        replied = self.wire.first_reply(lambda: self.machine.failure() is None)
        if replied is None:
            raise console.MachineFailed(self.machine.failure() or
                                        f"no reply within {FIRST_REPLY_TIMEOUT_S} s")
        self.first_ms = (replied - self.machine.started) * 1000
        self.machine.wait_ready()

    def live(self):
        screen = self.screen
        what, self.source = self.wire.traffic()
        screen.line()
        screen.line(f"  {screen.paint('It answers:', 'green', 'bold')} first reply "
                    f"{screen.paint(f'{self.first_ms:.0f} ms', 'bold')} after QEMU's start. Now {what}:")
        pigctl = os.path.relpath(os.path.join(build_directory(), "tools", "pigctl"))
        screen.line(f"  Talk to it: {screen.paint(f'PIGLET=shm:{self.window} {pigctl} status', 'bold')}")
        screen.line()
        ends = None if self.seconds is None else time.monotonic() + self.seconds
        while ends is None or time.monotonic() < ends:
            if line := self.source.next(0.1):
                screen.line("  " + (screen.paint(line, "red") if line.startswith("no answer") else line))
            self._refresh()
            if failure := self.machine.failure():
                raise console.MachineFailed(failure)

    def summary(self):
        if not self.source:
            return
        line = self.screen.line
        self.screen.status()
        line()
        line(self.screen.paint("Summary", "bold"))
        line(f"  first reply    {self.first_ms:.0f} ms after QEMU's start")
        line(f"  round trips    {self.source.tally.text}")
        if self.status:
            line(f"  Piglet         {console.STAMP.sub('', self.status.string).removeprefix('status: ')}")

    def close(self):
        self.closing = True
        for part in (self.source, self.machine, self.wire):
            if part:
                part.stop() if hasattr(part, "stop") else part.close()
        if os.path.exists(self.window):
            os.unlink(self.window)


def _stop(*_):
    raise Stopped


def run(screen, options):
    """Exit status: 0 when Piglet answered."""
    demo = Demo(screen, options)
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        demo.boot()
        demo.live()
    except Stopped:
        pass
    except (console.MachineFailed, RuntimeError) as error:
        screen.status()
        screen.line(screen.paint(f"Piglet does not work: {error}", "red", "bold"))
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the clearing-up short
        demo.close()
    demo.summary()
    return 0 if demo.source and demo.source.tally.received else 1
