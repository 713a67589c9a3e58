"""Traffic from the Linux host on Piglet's wire: first reply, live ping."""
import json
import os
import re
import select
import signal
import struct
import time

PROBE_EVERY_S = 0.005
REPLY = re.compile(r"bytes from .*icmp_seq=(\d+).*time=([\d.]+) ms")
NO_REPLY = re.compile(r"no answer yet for icmp_seq=(\d+)")
ECHO_REPLY, ECHO_REQUEST = 0, 8


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def echo_request(ident, sequence, payload=b"piglet first reply"):
    header = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, ident, sequence)
    total = checksum(header + payload)
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, total, ident, sequence) + payload


def received(namespace, interface):
    """What came in by a host's wire: a time in s, and bytes, each frame's header included."""
    told = namespace.run(f"ip -s -j link show {interface}").stdout
    return time.monotonic(), json.loads(told)[0]["stats64"]["rx"]["bytes"]


def receiving(namespace, interface, during):
    """The rate of whole frames that come in by a host's wire during a call, in kbit/s; and what that gives."""
    then, before = received(namespace, interface)
    result = during()
    now, after = received(namespace, interface)
    return (after - before) * 8 / 1000 / (now - then), result


def first_reply(raw, address, timeout, alive=lambda: True):
    """Sends echo requests by a raw ICMP socket until one is answered: time.monotonic() then, or None."""
    ident = os.getpid() & 0xffff
    deadline = time.monotonic() + timeout
    sequence = 0
    while time.monotonic() < deadline and alive():
        try:
            raw.sendto(echo_request(ident, sequence & 0xffff), (address, 0))
        except OSError:
            pass  # no answer to ARP yet
        sequence += 1
        until = time.monotonic() + PROBE_EVERY_S
        while (left := until - time.monotonic()) > 0:
            if not select.select([raw], [], [], left)[0]:
                break
            try:
                packet = raw.recv(2048)
            except OSError:  # an earlier request's "host unreachable"
                continue
            icmp = packet[(packet[0] & 15) * 4:]
            if icmp[0] == ECHO_REPLY and struct.unpack("!H", icmp[4:6])[0] == ident:
                return time.monotonic()
    return None


class Tally:
    """What was sent and what came back, in the words of ping."""

    def __init__(self):
        self.sent = self.received = 0
        self.times_ms = []

    def reply(self, sequence, time_ms):
        self.sent = max(self.sent, sequence)
        self.received += 1
        self.times_ms.append(time_ms)

    def lost(self, sequence):
        self.sent = max(self.sent, sequence)

    @property
    def text(self):
        loss = 100 * (self.sent - self.received) / self.sent if self.sent else 0
        words = f"{self.sent} sent, {self.received} received, {loss:.0f} % lost"
        if self.times_ms:
            mean = sum(self.times_ms) / len(self.times_ms)
            words += f", round trip min/avg/max {min(self.times_ms):.2f}/{mean:.2f}/{max(self.times_ms):.2f} ms"
        return words


class Ping:
    """The host's own ping program, read line by line."""

    def __init__(self, address, interval_s, start):
        self.tally = Tally()
        self._child = start(["ping", "-n", "-O", "-i", str(interval_s), address])

    def next(self, timeout):
        """The next line worth showing within the time, or None."""
        if not select.select([self._child.stdout], [], [], timeout)[0]:
            return None
        line = self._child.stdout.readline().rstrip()
        if match := REPLY.search(line):
            self.tally.reply(int(match[1]), float(match[2]))
        elif match := NO_REPLY.search(line):
            self.tally.lost(int(match[1]))
        elif not line and self._child.poll() is not None:
            raise RuntimeError(f"ping ended with status {self._child.returncode}")
        return line or None

    def stop(self):
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
        self._child.wait(5)
