"""`make run`: Piglet in QEMU with a Linux host on the same wire, shown working."""
import os
import re
import shlex
import signal
import socket
import time

from . import console, namespace, traffic
from .firmware import NETWORK
from .machine import Qemu, build_directory, mac_of, tap_netdev, window_devices
from .netboot import BootServer
from .screen import ESCAPE
from .wirehost import WireHost, WirePing

HOST, PIGLET = "10.0.0.1", "10.0.0.2"
PING_EVERY_S = 0.5
PIPED_SECONDS = 10  # without a terminal nobody can type Ctrl-C
FIRST_REPLY_TIMEOUT_S = 15
UEFI_REPLY_TIMEOUT_S = 90
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

    def serve(self, folder):
        """From now on the Linux host leases Piglet its address, and has what it starts from."""
        return BootServer(self._host, "tap0", HOST, folder, {mac_of(0): PIGLET})

    def picture(self, model):
        return f"[ Linux {HOST} ]──── tap0 ════ {model} ────[ Piglet {PIGLET} ]"

    def first_reply(self, alive, timeout):
        with self._host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            return traffic.first_reply(raw, PIGLET, timeout, alive)

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

    def first_reply(self, alive, timeout):
        return self._host.first_reply(timeout, alive)

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
        line = re.sub(r"[\x00-\x08\x0e-\x1f]+", "", ESCAPE.sub("", line)).rstrip()  # firmware moves about on its screen
        if self.closing or not line and self.options.image:  # QEMU's farewell
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
        up = "Piglet  runs" if status is None else (
            f"Piglet  up {status['up']} s · {status['rx']} frames in, {status['tx']} out · "
            f"{status['drops']} dropped{status['why']} · load {status['load']} %")
        stop = "Ctrl-C stops" if self.seconds is None else f"ends after {self.seconds:g} s; Ctrl-C stops"
        paint = self.screen.paint
        self.screen.status("", paint(up, "cyan", "bold"), paint(f"Host    {tally.text}", "cyan", "bold"),
                           paint(f"        {stop}", "dim"))

    def _wire(self):
        if not self.options.image:
            return make_wire(self.screen, self.options.no_tap)
        wire = TapWire()  # an image has words of its own: only a host with a DHCP server can tell it its address
        wire.serve(build_directory())
        return wire

    def boot(self):
        options, screen = self.options, self.screen
        model = options.models[0]
        self.wire = self._wire()
        words = f"ip={PIGLET}::{HOST}:255.255.255.0::nic0:off services=+echo status=1 console=ttyS0 {options.append}"
        screen.line(screen.paint(f"Piglet boots in QEMU, {self.wire.beside}. It touches no network of yours.", "bold"))
        screen.line()
        screen.line(f"  {self.wire.picture(model)}")
        screen.line()
        start = options.image or options.elf
        begin = f"qemu-system-x86_64 -machine {options.machine} -device {model}"
        shown = f"{begin} -kernel {os.path.relpath(start)} \\\n    -append '{words.strip()}'"
        if options.image:
            shown = f"{begin} with UEFI (OVMF), from " + (start if start == NETWORK else os.path.relpath(start))
        elif model == "ixgbe":  # two programs
            shown = f"tools/run-qemu --machine {options.machine} --nic {model} \\\n    --append '{words.strip()}'"
        screen.line(screen.paint(f"  {shown}", "dim"))
        screen.line()
        self.machine = Qemu(start, words, options.machine, options.memory, [(model, self.wire.netdev)],
                            [*options.qemu, *window_devices([(self.window, WINDOW_BYTES)])],
                            self._console_line, self.wire.fds, model_options=shlex.split(options.model))
        timeout = UEFI_REPLY_TIMEOUT_S if options.image else FIRST_REPLY_TIMEOUT_S
        if start == NETWORK:
            self.machine.wait_ready(timeout)  # until then it is iPXE that answers
        replied = self.wire.first_reply(lambda: self.machine.failure() is None, timeout)
        if replied is None:
            more = f" (the image's words must be ip=dhcp, or give it {PIGLET})" if options.image else ""
            raise console.MachineFailed(self.machine.failure() or f"no reply within {timeout} s{more}")
        self.first_ms = (replied - self.machine.started) * 1000
        self.machine.wait_ready(timeout)

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
    except (console.MachineFailed, namespace.LabError, RuntimeError) as error:
        screen.status()
        screen.line(screen.paint(f"Piglet does not work: {error}", "red", "bold"))
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the clearing-up short
        demo.close()
    demo.summary()
    return 0 if demo.source and demo.source.tally.received else 1
