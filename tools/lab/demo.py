"""`make run`: Piglet in QEMU with a Linux host on the same wire, shown working."""
import os
import re
import signal
import socket
import time

from . import console, namespace, traffic
from .machine import Qemu, tap_netdev, user_netdev

HOST, PIGLET = "10.0.0.1", "10.0.0.2"
SLIRP_PIGLET, SLIRP_GATEWAY = "10.0.2.15", "10.0.2.2"
PING_EVERY_S = 0.5
PIPED_SECONDS = 10  # without a terminal nobody can type Ctrl-C
FIRST_REPLY_TIMEOUT_S = 15

GOOD = re.compile("|".join((console.READY, r"link up", r"nic\d+: address", r"gateway .* is at",
                            r"\bnic\d+: \S+ [0-9a-f:]{17} at")))


class Stopped(Exception):
    """The user or the clock says it is enough."""


class TapWire:
    """A namespace of our own with a tap: a real Linux host on Piglet's wire."""
    piglet, gateway = PIGLET, HOST
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


class UserWire:
    """QEMU's user networking: needs nothing, but only UDP gets in from outside."""
    piglet, gateway = SLIRP_PIGLET, SLIRP_GATEWAY
    fds = ()
    beside = "with its UDP echo port within reach"

    def __init__(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.netdev = user_netdev(self._port)

    def picture(self, model):
        return (f"[ this computer, UDP 127.0.0.1:{self._port} ]──── QEMU ════ {model} "
                f"────[ Piglet {self.piglet}, UDP 7 ]")

    def first_reply(self, alive):
        echo = traffic.UdpEcho(self._port, PING_EVERY_S)
        deadline = time.monotonic() + FIRST_REPLY_TIMEOUT_S
        try:
            while time.monotonic() < deadline and alive():
                if echo.once(0.02) is not None:
                    return time.monotonic()
            return None
        finally:
            echo.stop()

    def traffic(self):
        return f"UDP echo through 127.0.0.1:{self._port}", traffic.UdpEcho(self._port, PING_EVERY_S)

    def close(self):
        pass


def make_wire(screen, user_only):
    if not user_only:
        try:
            return TapWire()
        except namespace.LabError as error:
            screen.line(screen.paint(f"No tap, so UDP echo by QEMU's user networking instead of ping: {error}. "
                                     f"Cure: {error.cure}", "yellow"))
    return UserWire()


class Demo:
    """One showing: boot, first reply, live traffic, summary."""

    def __init__(self, screen, options):
        self.screen, self.options = screen, options
        self.status = None  # the kernel's last status line
        self.first_ms = None
        seconds = os.environ.get("RUN_SECONDS") or ("" if screen.live else str(PIPED_SECONDS))
        self.seconds = float(seconds) if seconds else None
        self.wire = self.machine = self.source = None
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
        self.wire = make_wire(screen, options.user)
        words = f"ip={self.wire.piglet}::{self.wire.gateway}:255.255.255.0::nic0:off services=+echo " \
                f"status=1 console=ttyS0 {options.append}".strip()
        screen.line(screen.paint(f"Piglet boots in QEMU, {self.wire.beside}. It touches no network of yours.", "bold"))
        screen.line()
        screen.line(f"  {self.wire.picture(model)}")
        screen.line()
        screen.line(screen.paint(f"  qemu-system-x86_64 -machine {options.machine} -device {model} "
                                 f"-kernel {os.path.relpath(options.elf)} \\\n    -append '{words}'", "dim"))
        screen.line()
        self.machine = Qemu(options.elf, words, options.machine, options.memory,
                            [(model, self.wire.netdev)], options.qemu, self._console_line, self.wire.fds)
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
