"""Counts the guest instructions of turns that find just as many frames as they are meant to.

bench/insn_plugin.c holds the guest before a turn; meanwhile QEMU receives a batch into the ring; then one turn runs. Under
-icount the guest's clock advances by its instructions alone. So the same image needs the same instructions, whatever
else the computer does.
"""
import contextlib
import fcntl
import mmap
import os
import re
import socket
import struct
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))
from lab import machine  # pylint: disable=wrong-import-position

BATCH = 64  # what a turn takes from a nic at most
OWN_MAC = bytes.fromhex("525400000100")
ICOUNT = "shift=2"  # 4 ns an instruction: so one turn in a few is due for housekeeping
DEADLINE_S = 60  # for one step of the guest, on a busy computer
QUIET_S = 0.1
WARM_BATCHES, BATCHES = 9, 24  # every third one gives sent frames back: a ring holds 255
HOUSEKEEPING = 1.4  # times the median: a turn that needs more did something else besides
WAITING_BATCHES = 14  # fewer frames than the shaper may hold
ARP, IPV4 = 0x0806, 0x0800
SYMBOLS = re.compile(r"^ \.text\.(\S+)\n? +0x(\w+) +0x\w+ (\S+)$", re.M)  # of a linker's map
(WORKING, TURNS_WORKING, TURNS_EMPTY, HELD, GATE, COUNTED, FIRST) = range(7)  # struct counts


class Failure(Exception):
    """It does not run as it has to for a count; says how."""


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def ipv4(to_mac, source, target, protocol, payload, dscp=0):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, dscp << 2, 20 + len(payload), 0, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return to_mac + OWN_MAC + struct.pack(">H", IPV4) + head + payload


def udp(to_mac, source, target, port=4000):
    """To the echo port, 60 bytes: the shortest there are."""
    data = bytes(range(18))
    head = struct.pack(">HHHH", port, 7, 26, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack(">HH", 17, 26)
    return ipv4(to_mac, source, target, 17, head[:6] + struct.pack(">H", checksum(pseudo + head + data)) + data)


def echo(to_mac, source, target, number=1):
    """What ping sends, 98 bytes."""
    message = struct.pack(">BBHHH", 8, 0, 0, 1, number) + bytes(range(56))
    return ipv4(to_mac, source, target, 1, message[:2] + struct.pack(">H", checksum(message)) + message[4:])


class Wire:
    """The other end of a nic, over a datagram socket."""

    def __init__(self, folder, index):
        self.ip = f"10.{index}.0.1"
        self.ours, self.theirs = (os.path.join(folder, f"{who}{index}") for who in "hq")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.ours)
        self.socket.setblocking(False)

    def take(self):
        """What has come, but for ARP requests, which are answered."""
        frames = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = self.socket.recv(2048)
                if struct.unpack(">H", frame[12:14])[0] != ARP:
                    frames.append(frame)
                elif frame[20:22] == b"\0\1" and frame[38:42] == socket.inet_aton(self.ip):
                    self.socket.sendto(frame[6:12] + OWN_MAC + frame[12:20] + b"\0\2" + OWN_MAC + frame[38:42]
                                       + frame[22:32] + frame[42:], self.theirs)
        return frames

    def unread(self):
        """Bytes sent that QEMU has not read yet."""
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


class Steady:
    """A Piglet in QEMU, before whose turns one can wait. `config`: text of a configuration to boot with."""

    def __init__(self, build, nic="e1000", nics=1, words="", config="", by_symbol=False):
        self.stack = contextlib.ExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="piglet-steady-"))
        self.elf = os.path.join(build, "x86_64", "piglet.elf")
        with open(os.path.join(build, "x86_64", "piglet.map"), encoding="utf-8") as file:
            found = {int(address, 16): (name, source) for name, address, source in SYMBOLS.findall(file.read())}
        self.symbols = [(address, *found[address]) for address in sorted(found)]
        try:
            self.start(build, nic, nics, words, config, by_symbol)
        except BaseException:
            self.stack.close()
            raise

    def start(self, build, nic, nics, words, config, by_symbol):
        address = {name: address for address, name, _ in self.symbols}
        counts = os.path.join(self.folder, "counts")
        plugin = os.path.join(build, "bench", "insn_plugin.so") + \
            f",turn={address['loop_turn']:x},nothing={address['loop_nothing']:x},out={counts}"
        if by_symbol:
            listed = os.path.join(self.folder, "symbols")
            with open(listed, "w", encoding="utf-8") as file:
                file.writelines(f"{address:x} {name}\n" for address, name, _ in self.symbols)
            plugin += ",symbols=" + listed
        extra, fds = ["-icount", ICOUNT, "-plugin", plugin], []
        if config:
            site = os.path.join(self.folder, "site.conf")
            with open(site, "w", encoding="utf-8") as file:
                file.write(config)
            fds = [machine.compiled([site])]
            extra += ["-initrd", f"/proc/self/fd/{fds[0]}"]
            self.stack.callback(os.close, fds[0])
        self.wire = [Wire(self.folder, i) for i in range(nics)]
        for wire in self.wire:
            self.stack.callback(wire.socket.close)
        self.mac = [bytes.fromhex(machine.mac_of(i).replace(":", "")) for i in range(nics)]
        self.piglet = machine.Qemu(self.elf, words, extra=extra, fds=fds, nics=[
            (nic, machine.dgram_netdev(wire.theirs, wire.ours)) for wire in self.wire])
        self.stack.callback(self.piglet.stop)
        self.piglet.wait_ready(DEADLINE_S)
        if refused := [line for line in self.piglet.console.lines if "ERROR module:" in line]:
            raise Failure(refused[0])
        with open(counts, "r+b") as file:
            self.counts = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        self.stack.callback(self.release)  # a held QEMU does not end in order

    def close(self):
        self.stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def until(self, done, what):
        end = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > end or self.piglet.failure():
                raise Failure(f"{what}: {self.piglet.failure() or f'not within {DEADLINE_S} s'}")
            time.sleep(0.0001)

    # ---- the gate ----

    def hold(self, frame):
        """Stops the guest before a turn. It may be asleep: a frame wakes it, and is gone when this returns."""
        self.counts[GATE] = 1
        self.send([frame])
        self.until(lambda: self.counts[HELD], "the next turn does not begin")
        end = time.monotonic() + DEADLINE_S
        while not any([wire.take() for wire in self.wire]):
            self.turn()
            if time.monotonic() > end:
                raise Failure("no frame comes out")

    def release(self):
        self.counts[GATE] = 0

    def turn(self):
        """Lets one turn run; the instructions it needed, all and by symbol. None: it found nothing to do."""
        worked, insns = self.counts[TURNS_WORKING], self.counts[WORKING]
        symbols = self.counts[FIRST:FIRST + self.counts[COUNTED]].tolist()
        self.counts[GATE] = turn = self.counts[HELD]
        self.until(lambda: self.counts[HELD] > turn, "a turn does not end")
        if self.counts[TURNS_WORKING] == worked:
            return None
        return self.counts[WORKING] - insns, [
            after - before for before, after in zip(symbols, self.counts[FIRST:FIRST + self.counts[COUNTED]])]

    def send(self, frames, nic=0):
        """Into the ring, all of them, while the guest is held."""
        wire = self.wire[nic]
        for frame in frames:
            def sent(frame=frame):
                try:
                    wire.socket.sendto(frame, wire.theirs)
                except (BlockingIOError, FileNotFoundError):
                    return False
                return True
            self.until(sent, "QEMU takes no frame")
        self.until(lambda: wire.unread() == 0, "QEMU reads no frame")
        self.piglet.received()

    # ---- what is measured ----

    def take(self, nic, count):
        """Until `count` frames have come out of a nic."""
        came = [0]

        def all_came():
            came[0] += len([wire.take() for wire in self.wire][nic])
            return came[0] >= count
        self.until(all_came, f"{count} frames do not come out of nic{nic}")
        if came[0] != count:
            raise Failure(f"{came[0]} frames came out of nic{nic}, not {count}")

    def settle(self, frame, nic):
        """Until a frame comes out of a nic, as links are up and addresses known, and nothing is under way any more;
        then the guest is held."""
        end = time.monotonic() + DEADLINE_S
        while not [wire.take() for wire in self.wire][nic]:
            with contextlib.suppress(OSError):
                self.wire[0].socket.sendto(frame, self.wire[0].theirs)
            time.sleep(0.01)
            if time.monotonic() > end or self.piglet.failure():
                raise Failure(self.piglet.failure() or "no frame comes out")
        quiet = time.monotonic()
        while time.monotonic() < quiet + QUIET_S:
            if any([wire.take() for wire in self.wire]):
                quiet = time.monotonic()
            time.sleep(0.01)
        self.hold(frame)

    def measure(self, make, nic):
        """The mean of what turns with a batch of make(number) need, but for those with housekeeping in them, which need
        far more: instructions a frame, and the same by symbol."""
        seen = []
        for i in range(WARM_BATCHES + BATCHES):  # the first ones need most
            self.send([make(BATCH * i + j) for j in range(BATCH)])
            counted = self.turn()
            if not counted:
                raise Failure("a turn found nothing")
            self.take(nic, BATCH)
            seen.append(counted)
        limit = HOUSEKEEPING * sorted(insns for insns, _ in seen)[len(seen) // 2]
        plain = [turn for turn in seen if turn[0] < limit]
        frames = BATCH * len(plain)
        return (sum(insns for insns, _ in plain) / frames,
                [sum(column) / frames for column in zip(*(symbols for _, symbols in plain))])

    def measure_waiting(self, make, nic):
        """The mean of frames that all have to wait, as they come faster than they may go, until the last is gone."""
        counted, came = [], 0
        for i in range(1 + WAITING_BATCHES):  # the first one makes the others wait
            self.send([make(BATCH * i + j) for j in range(BATCH)])
            counted.append(self.turn())
            came += len([wire.take() for wire in self.wire][nic])
        end = time.monotonic() + DEADLINE_S
        while came < BATCH * (1 + WAITING_BATCHES):
            counted.append(self.turn())
            came += len([wire.take() for wire in self.wire][nic])
            if time.monotonic() > end:
                raise Failure(f"{came} of {BATCH * (1 + WAITING_BATCHES)} frames came out")
        worked = [turn for turn in counted[1:] if turn]
        frames = BATCH * WAITING_BATCHES
        return (sum(insns for insns, _ in worked) / frames,
                [sum(column) / frames for column in zip(*(symbols for _, symbols in worked))])

    def by_folder(self, symbols):
        """Instructions by source: a service's name, "kernel", "drivers", "arch", ... """
        sums = {}
        for insns, (_, _, source) in zip(symbols, self.symbols):
            match = re.search(r"/x86_64/(\w+)/(\w+)", source)
            folder = match[1] if match else "libc"
            name = match[2] if folder == "services" else folder
            sums[name] = sums.get(name, 0) + insns
        return sums
