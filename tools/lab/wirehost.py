"""A host in a few lines at the far end of QEMU's -netdev dgram: it resolves by ARP and pings, and needs no rights."""
import os
import select
import shutil
import socket
import struct
import tempfile
import time

from .machine import dgram_netdev
from .traffic import ECHO_REPLY, PROBE_EVERY_S, Tally, checksum, echo_request

MAC = bytes.fromhex("525400000001")
BROADCAST = b"\xff" * 6
ETHERTYPE_IP, ETHERTYPE_ARP = b"\x08\x00", b"\x08\x06"
ARP_REQUEST, ARP_REPLY = 1, 2
REPLY_TIMEOUT_S = 1


class WireHost:
    """`netdev` is what QEMU gets to be on the same wire."""

    def __init__(self, address, peer):
        self._address, self._peer = socket.inet_aton(address), socket.inet_aton(peer)
        self._directory = tempfile.mkdtemp(prefix="piglet-")
        here, self._there = (os.path.join(self._directory, name) for name in ("host", "piglet"))
        self.netdev = dgram_netdev(self._there, here)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(here)
        self._peer_mac = None

    def _send(self, frame):
        try:
            self._socket.sendto(frame, socket.MSG_DONTWAIT, self._there)
        except OSError:
            pass  # QEMU has not bound it yet, or is behind: a frame lost, as on any wire

    def _arp(self, operation, to, mac):
        self._send(to + MAC + ETHERTYPE_ARP + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
                   + MAC + self._address + mac + self._peer)

    def ask(self, sequence):
        """Sends an echo request, or while the peer's MAC address is not known an ARP request."""
        if self._peer_mac is None:
            self._arp(ARP_REQUEST, BROADCAST, bytes(6))
            return
        icmp = echo_request(os.getpid() & 0xffff, sequence & 0xffff)
        head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1)
        ends = self._address + self._peer
        total = struct.pack("!H", checksum(head + b"\0\0" + ends))
        self._send(self._peer_mac + MAC + ETHERTYPE_IP + head + total + ends + icmp)

    def answer(self, timeout):
        """The sequence number of the next echo reply to come within the time, or None. Answers ARP meanwhile."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0 and select.select([self._socket], [], [], left)[0]:
            frame = self._socket.recv(65536)
            if frame[12:14] == ETHERTYPE_ARP and frame[28:32] == self._peer and frame[38:42] == self._address:
                self._peer_mac = frame[22:28]
                if frame[21] == ARP_REQUEST:
                    self._arp(ARP_REPLY, self._peer_mac, self._peer_mac)
            elif frame[12:14] == ETHERTYPE_IP and frame[23] == socket.IPPROTO_ICMP and frame[34] == ECHO_REPLY:
                return struct.unpack("!H", frame[40:42])[0]
        return None

    def first_reply(self, timeout, alive=lambda: True):
        """Asks until an echo request is answered: time.monotonic() then, or None."""
        deadline = time.monotonic() + timeout
        sequence = 0
        while time.monotonic() < deadline and alive():
            resolved = self._peer_mac
            self.ask(sequence)
            if self.answer(PROBE_EVERY_S) is not None:
                return time.monotonic()
            if resolved is None and self._peer_mac:
                continue  # just resolved: ask at once
            sequence += 1
        return None

    def close(self):
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)


class WirePing:
    """A wire host's pings, shown as ping does."""

    def __init__(self, host, interval_s):
        self.tally = Tally()
        self._host, self._interval_s = host, interval_s
        self._sequence, self._due = 0, time.monotonic()

    def next(self, timeout):
        """The next line worth showing within about the time, or None."""
        wait = self._due - time.monotonic()
        if wait > 0:
            self._host.answer(min(wait, timeout))  # ARP is answered between pings too
            return None
        self._due += self._interval_s
        self._sequence += 1
        started = time.monotonic()
        self._host.ask(self._sequence)
        while (left := started + REPLY_TIMEOUT_S - time.monotonic()) > 0:
            if self._host.answer(left) == self._sequence:
                time_ms = (time.monotonic() - started) * 1000
                self.tally.reply(self._sequence, time_ms)
                return f"echo reply: icmp_seq={self._sequence} time={time_ms:.3f} ms"
        self.tally.lost(self._sequence)
        return f"no answer to icmp_seq={self._sequence}"

    def stop(self):
        """Nothing runs between calls."""
