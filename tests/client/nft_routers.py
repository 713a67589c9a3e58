"""Two routers between two wires each: a Piglet, and Linux with nftables in a namespace. The test is all hosts behind them.

    10.1.0.0/16 --- 10.0.1.1 --- nic0 10.0.1.2 [router] 10.0.2.2 nic1 --- 10.0.2.1 --- 10.2.0.0/16"""
import os
import select
import socket
import struct
import subprocess
import tempfile
import time

from lab import console, machine
from lab.namespace import Namespace
from nft_frames import sentinel
from nft_rules import NICS

MAC = bytes.fromhex("020000000001")  # of the test, on both wires
CHUNK_FRAMES = 24  # two of them, one a nic, may come in one turn of the loop, and it answers 50 by errors
ANSWER_S = 10
UNIX_QUEUE = 4096  # datagrams
IPV4, ARP = b"\x08\x00", b"\x08\x06"
ROUTES = "".join(f"addresses add 10.0.{i}.2/24@nic{i - 1}\nroutes add 10.{i}.0.0/16 via 10.0.{i}.1\n" for i in (1, 2))


class Router:
    """exchange() sends packets in order and returns what came out of it: a list of (side, packet)."""
    macs = ()

    def _send(self, side, frame):
        raise NotImplementedError

    def _receive(self, side):
        """The next frame there is, or None."""
        raise NotImplementedError

    def _wait(self, seconds):
        """Until a frame may be there."""

    def exchange(self, packets):
        """`packets`: (number, Packet) pairs. A run of one side's ends with a frame that always passes."""
        out = []
        for side in (0, 1):  # now the next hops' addresses are known
            self._settle(side, out)
        at = 0
        while at < len(packets):
            side = packets[at][1].side
            end = at
            while end < len(packets) and end < at + CHUNK_FRAMES and packets[end][1].side == side:
                self._put(side, packets[end][1].bytes(packets[end][0]))
                end += 1
            self._settle(side, out)
            at = end
        for side in (0, 1):
            self._settle(side, out)
        return out

    def _put(self, side, packet):
        self._send(side, self.macs[side] + MAC + IPV4 + packet)

    def _settle(self, side, out):
        mark = sentinel(side)
        self._put(side, mark.bytes(0))
        deadline = time.monotonic() + ANSWER_S
        while True:
            through = False
            for there in (0, 1):
                while (frame := self._receive(there)) is not None:
                    if frame[12:14] == ARP:
                        self._answer_arp(there, frame)
                    elif frame[12:14] == IPV4:
                        packet = frame[14:14 + int.from_bytes(frame[16:18], "big")]
                        if packet[4:6] == b"\0\0" and packet[12:20] == struct.pack("!II", mark.source, mark.destination):
                            through = True
                        else:
                            out.append((there, packet))
            if through:
                return
            assert time.monotonic() < deadline, f"{type(self).__name__} does not forward any more"
            self._wait(.1)

    def _answer_arp(self, side, frame):
        if frame[20:22] == b"\0\1" and frame[38:42] == bytes((10, 0, side + 1, 1)):
            self._send(side, frame[6:12] + MAC + ARP + frame[14:20] + b"\0\2" + MAC + frame[38:42] + frame[22:32])


class Piglet(Router):
    """A Linux process whose wires are sockets."""

    def __init__(self, block, words=""):
        self._folder = tempfile.TemporaryDirectory(prefix="nft-")
        self._place = Namespace()
        self._place.run(["sh", "-c", f"echo {UNIX_QUEUE} > /proc/sys/net/unix/max_dgram_qlen"])
        config = os.path.join(self._folder.name, "site.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(ROUTES + "services start forward firewall\n" + block)
        module = os.path.join(self._folder.name, "site.psr")
        done = subprocess.run([os.path.join(machine.build_directory(), "tools", "pigctl"), "compile", config, "-o", module],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self._wires = [os.path.join(self._folder.name, nic) for nic in NICS]
        self._sockets = [self._place.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in NICS]
        for wire, here in zip(self._wires, self._sockets):
            here.bind(wire + ".peer")
        self.process = machine.Hosted(os.path.join(machine.build_directory(), "hosted", "piglet"),
                                      f"icmp.rate=1000000 {words}".strip(), [f"pair:{wire}" for wire in self._wires],
                                      self._place, modules=[module])
        try:
            self.process.wait_ready()
            found = [self.process.console.find(console.nic_found(nic)) for nic in NICS]
            self.macs = [bytes.fromhex(match["mac"].replace(":", "")) for match in found]
        except BaseException:
            self.close()
            raise

    def _send(self, side, frame):
        self._sockets[side].sendto(frame, self._wires[side])

    def _receive(self, side):
        try:
            return self._sockets[side].recv(2048, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def _wait(self, seconds):
        select.select(self._sockets, [], [], seconds)

    def close(self):
        self.process.stop()
        for here in self._sockets:
            here.close()
        self._place.close()
        self._folder.cleanup()


class Linux(Router):
    """A namespace that forwards. A frame written to a tap has gone its whole way when write() returns."""
    SETTINGS = {"net/ipv4/ip_forward": 1, "net/ipv4/conf/all/rp_filter": 0, "net/ipv4/conf/all/send_redirects": 0,
                "net/ipv4/icmp_ratelimit": 0, "net/ipv4/icmp_msgs_per_sec": 1000000, "net/ipv4/icmp_msgs_burst": 1000000}

    def __init__(self, script, settings=None):
        self._place = Namespace()
        try:
            self._plug()
            self._load(script, settings or {})
        except BaseException:
            self.close()
            raise

    def _plug(self):
        taps = [self._place.tap(nic, f"10.0.{i}.2/24") for i, nic in enumerate(NICS, 1)]
        self._fds = [tap.fd for tap in taps]
        for fd in self._fds:
            os.set_blocking(fd, False)
        self.macs = [bytes.fromhex(self._place.mac(nic).replace(":", "")) for nic in NICS]

    def _load(self, script, settings):
        settings = {**self.SETTINGS, **{f"net/ipv4/conf/{nic}/rp_filter": 0 for nic in NICS}, **settings}
        lines = [f"echo {value} > /proc/sys/{name} 2>/dev/null" for name, value in settings.items()]
        for i, nic in enumerate(NICS, 1):
            lines += [f"ip neigh replace 10.0.{i}.1 lladdr {MAC.hex(':')} dev {nic}", f"ip route add 10.{i}.0.0/16 via 10.0.{i}.1"]
        with tempfile.NamedTemporaryFile("w", suffix=".nft") as file:
            file.write(script)
            file.flush()
            self._place.run(["sh", "-c", "; ".join([*lines, f"nft -f {file.name}"])])

    def _send(self, side, frame):
        os.write(self._fds[side], frame)

    def _receive(self, side):
        try:
            return os.read(self._fds[side], 2048)
        except BlockingIOError:
            return None

    def close(self):
        self._place.close()
