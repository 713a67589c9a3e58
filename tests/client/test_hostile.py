"""Processes that mean harm, or die: a hosted Piglet, built with sanitizers, must outlive them and keep nothing
of theirs."""
import array
import contextlib
import json
import mmap
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from lab import machine  # noqa: E402

BUILD = machine.build_directory()
VICTIM = os.path.join(BUILD, "test", "victim")
PIGCTL = os.path.join(BUILD, "tools", "pigctl")
CLIENTS = 80
KILLED = 1000
AT_ONCE = 6        # victims alive at a time
ALIVE_MAX_S = 0.06  # of a victim; to attach takes it 1 to 5 ms
SETTLE_S = 5       # in which all that the dead held must be back
TIMEOUT_S = 20
HELLO = struct.Struct("=QHHiQ")  # struct piglet_hello
HELLO_DESCRIPTORS = 4
FULL = -6
POST_OFFSET, POST_COUNT, EVENT_COUNT, ATTACHED, WAITING, ATTACH, EVENTS_TAKEN = \
    64, 68, 84, 128, 140, 256, 320  # in struct piglet_window
NOP = 0xffff0000      # of a request: its opcode, flags, and that none is behind it
TWO_EVENTS = 3 << 8   # PIGLET_EVENT and PIGLET_ATOMIC: both or nothing
WINDOW_BYTES, BELL_BYTES = 256 << 10, 4096
PORTS = 1000, 1008           # that victims bind
ASLEEP_PERCENT = 80


class Site:
    """A Piglet with a socket, its wire answered by nobody, and a thread that sends it frames all the time."""

    def __init__(self, words=""):
        self.directory = tempfile.mkdtemp(prefix="hostile-")
        self.path = os.path.join(self.directory, "piglet.sock")
        wire = os.path.join(self.directory, "wire")
        self._wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wire.bind(wire + ".peer")
        self._there = wire
        command = [os.path.join(BUILD, "hosted-san", "piglet"), "--window", self.path, "--nic", f"pair:{wire}",
                   "--", f"ip=10.0.0.2/24 services=+echo clients={CLIENTS} window=256K arp.dad=off {words}"]
        self.piglet = machine.Machine(command)
        self.piglet.wait_ready()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._traffic, daemon=True)
        self._thread.start()

    def _traffic(self):
        """Frames for whatever victims may have opened; what Piglet sends is read and forgotten."""
        self._wire.setblocking(False)
        while not self._stop.wait(0.002):
            port = random.choice((*range(*PORTS), 49152, 49153))
            protocol = random.choice((17, 17, 253))
            with contextlib.suppress(OSError):
                self._wire.sendto(frame(protocol, port), self._there)
            with contextlib.suppress(OSError):
                while self._wire.recv(2048):
                    pass

    def pigctl(self, *words):
        done = subprocess.run([PIGCTL, "-s", f"unix:{self.path}", *words, "--json"], capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}\n{self.piglet.console.tail()}"
        return json.loads(done.stdout)

    def counters(self):
        return {row["name"]: row["value"] for row in self.pigctl("counters")}

    def kept(self):
        """What clients could leave behind."""
        status = self.pigctl("status")
        return {"clients": len(self.pigctl("clients")), "frames": status["frames"],
                "frames_free": status["frames_free"]}

    def settle(self, before):
        """All that is kept is what was kept before, within the time for it. (More frames may be free than then, when
        some were waiting for arp.)"""
        def settled(now):
            return {**now, "frames_free": 0} == {**before, "frames_free": 0} and \
                now["frames_free"] >= before["frames_free"]
        end = time.monotonic() + SETTLE_S
        while not settled(now := self.kept()) and time.monotonic() < end:
            time.sleep(0.1)
        assert settled(now), f"{before} then, {now} now\n{self.piglet.console.tail()}"

    def connect(self):
        """A connection with its descriptors, or a refusal: socket, error, descriptors."""
        there = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        there.settimeout(TIMEOUT_S)
        there.connect(self.path)
        data, descriptors, _, _ = socket.recv_fds(there, HELLO.size, HELLO_DESCRIPTORS)
        magic, _, _, error, _ = HELLO.unpack(data)
        assert magic.to_bytes(8, "little") == b"PGWINDOW"
        return there, error, descriptors

    def victim(self, seed):
        return subprocess.Popen([VICTIM, f"unix:{self.path}", str(seed)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def quiet(self):
        """No more frames."""
        self._stop.set()
        self._thread.join()

    def close(self):
        self.quiet()
        failure, status = self.piglet.failure(), self.piglet.stop()
        self._wire.close()
        assert failure is None and status == 0, f"{failure}, status {status}\n{self.piglet.console.tail()}"
        shutil.rmtree(self.directory)


def checksum(data):
    total = sum(array.array("H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~((total & 0xffff) + (total >> 16)) & 0xffff


def frame(protocol, port):
    """IPv4 from 10.0.0.1 to Piglet, or rather to everyone who listens."""
    payload = struct.pack("!HHHH", 9, port, 8 + 32, 0) + bytes(32)
    head = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0,
                                 bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))))
    head[10:12] = struct.pack("=H", checksum(head))
    return b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x08\0" + bytes(head) + payload


@pytest.fixture(scope="module")
def site():
    one = Site()
    yield one
    one.close()


def close_all(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)


def end(victim):
    victim.kill()
    victim.wait()
    output, errors = victim.stdout.read(), victim.stderr.read()
    victim.stdout.close()
    victim.stderr.close()
    return output.decode(), errors.decode()


def test_killed_01_a_thousand_times(site):
    """Whenever it is that a client is killed, all it held comes back."""
    rng, before, attached = random.Random(1), site.kept(), 0
    attachments = site.counters()["clients.attachments"]
    living = []
    for seed in range(KILLED):
        living.append((site.victim(seed), time.monotonic() + rng.random() * ALIVE_MAX_S))
        while len(living) >= AT_ONCE or (living and seed == KILLED - 1):
            victim, until = living.pop(0)
            time.sleep(max(0, until - time.monotonic()))
            output, errors = end(victim)
            assert errors == ""
            attached += output == "attached\n"
    site.settle(before)
    counters = site.counters()
    assert attached > KILLED // 10, "the victims died too early to do anything"
    assert counters["clients.attachments"] - attachments >= attached
    assert counters["clients.chains"] > KILLED and counters["clients.rx_frames"] > 0
    print(f"figure: {attached} of {KILLED} killed clients had attached; they ran {counters['clients.chains']} chains, "
          f"got {counters['clients.rx_frames']} frames and sent {counters['clients.tx_frames']}")


def test_killed_02_ports_are_free_again(site):
    """The ports that the dead had bound can be bound: victims find all of them."""
    victims = [site.victim(seed) for seed in range(AT_ONCE)]
    for victim in victims:
        assert victim.stdout.readline() == b"attached\n"
    time.sleep(0.3)
    got = site.counters()["clients.rx_frames"]
    time.sleep(0.3)
    assert site.counters()["clients.rx_frames"] > got, "no victim's frameset gets frames"
    for victim in victims:
        end(victim)


class Raw:
    """A client without a library: a mapped window, and fields by their offsets."""

    def __init__(self, site):
        self.there, error, self.descriptors = site.connect()
        assert error == 0
        self.window = mmap.mmap(self.descriptors[0], WINDOW_BYTES)
        self.bell = mmap.mmap(self.descriptors[1], BELL_BYTES)

    def get(self, offset):
        return struct.unpack_from("=I", self.window, offset)[0]

    def put(self, offset, *values):
        struct.pack_into(f"={len(values)}I", self.window, offset, *values)

    def ring(self):
        """Everybody's bell: the kernel finds out whose it was."""
        self.bell[128:1152] = b"\xff" * 1024
        self.bell[64:72] = b"\xff" * 8
        os.write(self.descriptors[2], struct.pack("=Q", 1))

    def wait(self, offset, value):
        end_s = time.monotonic() + SETTLE_S
        while self.get(offset) != value:
            assert time.monotonic() < end_s, f"field {offset} is {self.get(offset)}, not {value}"
            time.sleep(0.01)

    def attach(self):
        self.put(ATTACH, 1)
        self.ring()
        self.wait(ATTACHED, 1)

    def post(self, chain, *request):
        """A chain of one request: its 64 bytes, from the opcode on, as words."""
        at = self.get(POST_OFFSET) + (chain - 1) % self.get(POST_COUNT) * 64
        self.put(at + 4, *request)
        self.put(at, chain)

    def close(self):
        self.window.close()
        self.bell.close()
        self.there.close()
        close_all(self.descriptors)


def test_deaf_01_others_go_on(site):
    """A client that takes no events waits by itself; it keeps nobody awake, and holds up nobody."""
    before, deaf = site.kept(), Raw(site)
    deaf.attach()
    first = deaf.get(EVENT_COUNT) // 2 + 1  # chain that finds room for one of its two events
    deaf.post(1, NOP)
    for chain in range(2, first + 33):
        deaf.post(chain, NOP | TWO_EVENTS)
        if chain % 32 == 0:
            deaf.ring()
            time.sleep(0.01)
    deaf.ring()
    deaf.wait(WAITING, first)
    turns = site.counters()["loop.turns_worked"]
    time.sleep(1)
    counters = site.counters()
    assert counters["loop.turns_worked"] - turns < 20000, "the client that waits keeps the kernel busy"
    assert len(site.pigctl("services")) > 3
    deaf.put(EVENTS_TAKEN, 10)
    deaf.ring()
    deaf.wait(WAITING, first + 5)
    deaf.put(EVENTS_TAKEN, 2**31)  # a lie
    deaf.ring()
    time.sleep(0.1)
    assert deaf.get(WAITING) == first + 5
    deaf.close()
    site.settle(before)


def test_silent_01_costs_nothing(site):
    """One that connects and says nothing."""
    before = site.kept()
    there, error, descriptors = site.connect()
    assert error == 0
    time.sleep(0.2)
    assert site.kept() == before, "it attached without being asked"
    there.close()
    close_all(descriptors)
    site.settle(before)


def test_many_01_more_than_there_may_be(site):
    """As many as there may be get windows, and the others a refusal; and again when those have gone."""
    for _ in range(2):
        open_, refused = [], 0
        for _ in range(CLIENTS + 30):
            there, error, descriptors = site.connect()
            if error:
                assert error == FULL and not descriptors
                there.close()
                refused += 1
            else:
                open_.append((there, descriptors))
        assert (len(open_), refused) == (CLIENTS, 30)
        for there, descriptors in open_:
            there.close()
            close_all(descriptors)
        end_s = time.monotonic() + SETTLE_S
        while True:
            there, error, descriptors = site.connect()
            there.close()
            close_all(descriptors)
            if not error or time.monotonic() > end_s:
                break
            time.sleep(0.05)
        assert error == 0
        time.sleep(0.5)


def gone(there):
    """Whether the kernel closes the connection."""
    try:
        return there.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("data", [b"x", b"", bytes(60000)], ids=["a byte", "nothing", "many"])
def test_talks_01_on_the_socket(site, data):
    """Nothing is to be said there; who does is shown the door, and nobody else is harmed."""
    there, error, descriptors = site.connect()
    assert error == 0
    there.send(data)
    assert gone(there)
    there.close()
    close_all(descriptors)
    assert site.pigctl("status")["clients"] >= 1


def test_passes_01_descriptors(site):
    """Descriptors sent to the kernel do not pile up in it."""
    descriptors_of = f"/proc/{site.piglet.process.pid}/fd"
    before = len(os.listdir(descriptors_of))
    for _ in range(50):
        there, error, descriptors = site.connect()
        assert error == 0
        with open("/dev/null", "rb") as null:
            socket.send_fds(there, [b"here"], [null.fileno()] * 100)
        assert gone(there)
        there.close()
        close_all(descriptors)
    end_s = time.monotonic() + SETTLE_S
    while len(os.listdir(descriptors_of)) > before and time.monotonic() < end_s:
        time.sleep(0.1)
    assert len(os.listdir(descriptors_of)) <= before


def test_truncates_01_window_and_bell(site):
    """What both share can be made neither smaller nor larger, nor be unsealed."""
    there, _, descriptors = site.connect()
    for descriptor in descriptors[:2]:
        size = os.fstat(descriptor).st_size
        for bytes_ in (0, size - 4096, size + 4096):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, bytes_)
        assert os.fstat(descriptor).st_size == size
    there.close()
    close_all(descriptors)


def test_scribbles_01_over_everything(site):
    """One that writes anything anywhere, in its window and in the bell that all share, while others work."""
    rng, before = random.Random(2), site.kept()
    other = site.victim(7)
    assert other.stdout.readline() == b"attached\n"
    for _ in range(20):
        raw = Raw(site)
        raw.attach()
        for _ in range(2000):
            at = rng.randrange(WINDOW_BYTES - 8) if rng.random() < 0.5 else rng.randrange(8192)
            raw.window[at:at + 4] = rng.randbytes(4)
        raw.bell[:] = rng.randbytes(BELL_BYTES)
        os.set_blocking(raw.descriptors[2], False)
        with contextlib.suppress(BlockingIOError):
            os.write(raw.descriptors[2], struct.pack("=Q", 2**64 - 2))  # nobody else can ring now
        raw.close()
    assert other.poll() is None
    assert site.pigctl("status")["clients"] >= 1
    end(other)
    site.settle(before)


def test_calm_01_when_all_have_gone(site):
    """Afterwards the kernel sleeps, as if nobody had been there."""
    site.quiet()
    time.sleep(0.5)
    before, start = site.counters(), time.monotonic()
    time.sleep(2.0)
    after, took = site.counters(), time.monotonic() - start
    asleep = (after["time_ns.idle"] - before["time_ns.idle"]) / 1e9 / took * 100
    print(f"figure: asleep for {asleep:.1f} % of the time when all have gone")
    assert asleep > ASLEEP_PERCENT
