"""One Piglet, and Linux hosts in namespaces on its wires; the same on every machine."""
import os
import shutil
import socket
import tempfile
import time

import guest
from lab import console, machine
from lab.namespace import Namespace

QEMU_MACHINES = ("q35-e1000", "pc-e1000", "q35-e1000e", "pc-e1000e", "q35-ixgbe")
MACHINES = (*QEMU_MACHINES, "hosted-tap", "hosted-san")  # the last: a tap too, and sanitizers
# A Linux process in a Linux guest, whose nic it has. Not e1000e: of frames that cross pages which are not neighbours in
# the guest's memory QEMU 7.2 sends none (net_tx_pkt_add_raw_fragment maps all of a buffer at once, or drops it).
VFIO = "vfio-e1000"
ALL_MACHINES = (*MACHINES, "hosted-packet", "hosted-xdp", VFIO)  # where the wire's kind matters
DUMP_EVERY_S = 1
ANSWER_TIMEOUT_S = 4
LATE_REPLY_S = 2
WINDOW_BYTES = 4 << 20
ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23  # linux/if_packet.h

live = []  # every Piglet that runs now
figures = []  # lines for the end of the report


class Host:
    """A Linux host at the far end of one of Piglet's wires."""

    def __init__(self, addresses):
        self.addresses = addresses
        self.namespace = Namespace()
        self.interface = None

    @property
    def address(self):
        return self.addresses[0].split("/")[0]

    @property
    def mac(self):
        return self.namespace.mac(self.interface)

    def run(self, command, **options):
        """A command on this host; `{wire}` in it is the wire's interface."""
        return self.namespace.run(command.format(wire=self.interface), **options)

    def raw_socket(self):
        """A socket to send whole frames by and receive Piglet's."""
        raw = self.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        raw.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        raw.bind((self.interface, ETH_P_ALL))
        return raw

    def ping(self, address, count=1, options=""):
        """ping's result; a lost request is an exit status of 1."""
        return self.run(f"ping -n -c {count} -i 0.01 -W 2 {options} {address}", check=False)

    def _echoes(self):
        """How many echo requests this host has sent and replies it has received, ever."""
        names, values = (line.split()[1:] for line in self.run("cat /proc/net/snmp").stdout.splitlines()
                         if line.startswith("Icmp:"))
        counted = dict(zip(names, values))
        return int(counted["OutEchos"]), int(counted["InEchoReps"])

    def ping_all(self, address, count, options="-i 0.01"):
        """Pings; the output, the requests sent, the replies that came. ping itself counts a last reply as lost
        that takes twice as long as those before, as happens on a busy computer; the host's counters do not."""
        sent, received = self._echoes()
        done = self.run(f"ping -n -c {count} -W 2 {options} {address}", check=False, timeout=60)
        deadline = time.monotonic() + LATE_REPLY_S
        while True:
            now_sent, now_received = self._echoes()
            if now_received - received >= now_sent - sent or time.monotonic() > deadline:
                return done.stdout, now_sent - sent, now_received - received
            time.sleep(0.02)

    def answers(self, address):
        """Whether a ping is answered soon; QEMU's e1000 receives nothing in its first second."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.ping(address).returncode == 0:
                return True
        return False


class Windows:
    """Where clients attach: a socket of a Linux process, or a file for each of QEMU's devices."""

    def __init__(self, hosted, count):
        self._folder = tempfile.mkdtemp(prefix="lab-", dir="/dev/shm") if count else None
        self.socket, self.devices = None, []
        if not count:
            self.names = []
        elif hosted:
            self.socket = os.path.join(self._folder, "socket")
            self.names = [f"unix:{self.socket}"] * count
        else:
            files = [os.path.join(self._folder, f"window{i}") for i in range(count)]
            self.devices = machine.window_devices([(file, WINDOW_BYTES) for file in files])
            self.names = [f"shm:{file}" for file in files]

    def close(self):
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class Site:
    """Boots Piglet on `name` with a nic a host. `hosts`: lists of addresses of each host's end; `windows`: how many
    clients can attach, by the names in `self.windows`; `before` is called with the first host, once that has its
    wire and before Piglet starts; `configs`: files that it boots with. `start`, `memory`, `bus`: QEMU starts from this
    instead of the kernel itself (lab.firmware); its words are its own."""

    def __init__(self, name, words, hosts=(("10.0.0.1/24",),), models=None, devices=(), wait=True, windows=0,
                 before=None, configs=(), start=None, memory="64M", bus="sata"):
        self.name = name
        self.places = Windows(self.hosted, windows)
        self.hosts = [Host(addresses) for addresses in hosts]
        self.piglet, self._spare, self._before = None, [], before
        self._module = machine.compiled(configs) if configs else None
        words = f"{words} dump={DUMP_EVERY_S}".strip()
        try:
            if self.hosted:
                self._start_hosted(words, devices)
            else:
                self._start_qemu(start, words, models, devices, memory, bus)
            live.append(self)
            if wait:
                self.piglet.wait_ready()
            self._plug_moved()
        except BaseException:
            self.close()
            raise

    @property
    def hosted(self):
        return self.name.startswith("hosted")

    @property
    def modelled(self):
        """Whether a nic is our model of one, whose exit status tells of violations."""
        return self.name.endswith("-ixgbe")

    @property
    def windows(self):
        return self.places.names

    @property
    def console(self):
        return self.piglet.console

    @property
    def host(self):
        return self.hosts[0]

    def _start_qemu(self, start, words, models, devices, memory, bus):
        board, model = self.name.split("-")
        taps = []
        for host in self.hosts:
            host.interface = "wire"
            taps.append(host.namespace.tap("wire", *host.addresses))
        if self._before:
            self._before(self.host)
        models = models or [model] * len(taps)
        nics = [(model, machine.tap_netdev(tap)) for model, tap in zip(models, taps)]
        fds = [tap.fd for tap in taps]
        if self.name == VFIO:
            self.piglet = guest.VfioPiglet(artefact("hosted", "piglet"), words, nics, fds)
            return
        if self._module:
            devices = [*devices, "-initrd", f"/proc/self/fd/{self._module}"]
            fds.append(self._module)
        self.piglet = machine.Qemu(start or artefact("x86_64", "piglet.elf"), f"console=ttyS0 {words}", board, memory, nics,
                                   [*devices, *self.places.devices], fds=fds, bus=bus)

    def _start_hosted(self, words, devices):
        place = self.hosts[0].namespace if self.hosts else Namespace()
        self._spare = [] if self.hosts else [place]
        kind = {"hosted-packet": "packet", "hosted-xdp": "xdp"}.get(self.name, "tap")
        if kind != "tap":
            place = Namespace()
            self._spare = [place]
        for i, host in enumerate(self.hosts):
            host.interface = f"wire{i}"
            if kind != "tap":
                self._veth(place, host)
            else:  # all taps are where the process can open them; the others' hosts get theirs when it has
                place.tap(host.interface, *(host.addresses if i == 0 else ()), persistent=True)
        nics = [f"{kind}:{host.interface}" for host in self.hosts] + list(devices)
        if self._before:
            self._before(self.host)
        program = artefact("hosted-san" if self.name in ("hosted-san", "hosted-xdp") else "hosted", "piglet")
        modules = [f"/proc/{os.getpid()}/fd/{self._module}"] if self._module else ()
        self.piglet = machine.Hosted(program, words, nics, place, window=self.places.socket, modules=modules)

    def _veth(self, place, host):
        """A cable between the host and Piglet's namespace, whose own stack has no address and stays silent."""
        name = host.interface
        place.run(f"ip link add {name} type veth peer name {name} netns {host.namespace.path}")
        host.namespace.interface_up(name, *host.addresses)
        place.run(f"ip link set {name} arp off addrgenmode none up")
        if self.name == "hosted-xdp":  # which is not told that a checksum is still to be filled in
            host.namespace.run(f"ethtool -K {name} tx off")

    def _plug_moved(self):
        if self.hosted and self.name not in ("hosted-packet", "hosted-xdp"):
            for host in self.hosts[1:]:
                self.hosts[0].namespace.move(host.interface, host.namespace, *host.addresses)

    def mac(self, nic=0):
        """Piglet's own MAC address, as it says."""
        return self.console.find(console.nic_found(f"nic{nic}"))["mac"]

    def counters(self):
        return self.piglet.counters()

    def drops_since(self, before):
        """Which drop counters grew since `before`, and by how much."""
        now = self.counters()
        return {name.removeprefix("drop."): value - before.get(name, 0) for name, value in now.items()
                if name.startswith("drop.") and value != before.get(name, 0)}

    def close(self):
        """Ends it all; the exit status (QEMU's says nothing)."""
        if self in live:
            live.remove(self)
        status = self.piglet.stop() if self.piglet else 0
        for host in self.hosts:
            host.namespace.close()
        for place in self._spare:
            place.close()
        if self._module:
            os.close(self._module)
            self._module = None
        self.places.close()
        return status


def missing(name):
    """Why a machine cannot be, or None."""
    return guest.missing() if name == VFIO else None


def artefact(*path):
    """A build's file; its absence is a failure, not a reason to skip."""
    name = os.path.join(machine.build_directory(), *path)
    assert os.path.exists(name), f"{name} is not built"
    return name


def collect(raw, seconds):
    """Piglet's frames that come in by a raw socket within the time."""
    frames = []
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        raw.settimeout(left)
        try:
            frames.append(raw.recv(65536))
        except TimeoutError:
            break
    return frames
