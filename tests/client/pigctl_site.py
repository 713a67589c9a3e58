"""What pigctl's tests run against: a hosted Piglet with a peer on its wire, and a terminal."""
import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from lab import machine  # noqa: E402
from lab.traffic import checksum  # noqa: E402

BUILD = machine.build_directory()
PIGCTL = os.path.join(BUILD, "tools", "pigctl")
DONE, REFUSED, USAGE, NONE = range(4)
TIMEOUT_S = 20
MAC = bytes.fromhex("020000000001")
PIGLET, PEER, SILENT = "10.0.0.2", "10.0.0.1", "10.0.0.77"


class Peer:
    """The host at the other end of Piglet's wire: it answers ARP and ICMP echo for its address."""

    def __init__(self, wire):
        self._there = wire
        self._address = socket.inet_aton(PEER)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(wire + ".peer")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def send(self, frame):
        self._socket.sendto(frame, self._there)

    def _serve(self):
        while frame := self._socket.recv(2048):
            with contextlib.suppress(OSError):
                self._answer(frame)

    def _answer(self, frame):
        theirs, kind = frame[6:12], frame[12:14]
        if kind == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == self._address:
            self.send(theirs + MAC + kind + frame[14:20] + b"\0\2" + MAC + self._address + frame[22:32])
        elif kind == b"\x08\x00" and frame[23] == 1 and frame[30:34] == self._address and frame[34] == 8:
            end = 14 + int.from_bytes(frame[16:18], "big")
            icmp = b"\0\0\0\0" + frame[38:end]
            icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
            head = frame[14:24] + b"\0\0" + frame[30:34] + frame[26:30]
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
            self.send(theirs + MAC + kind + head + icmp)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()


class Site:
    """A Piglet with a socket for clients, and a peer on its wire."""

    def __init__(self, words=""):
        self.directory = tempfile.mkdtemp(prefix="pigctl-")
        self.path = os.path.join(self.directory, "piglet.sock")
        wire = os.path.join(self.directory, "wire")
        self.where = f"unix:{self.path}"
        self.peer = Peer(wire)
        self.piglet = machine.Machine([os.path.join(BUILD, "hosted", "piglet"), "--window", self.path, "--nic",
                                       f"pair:{wire}", "--", f"ip={PIGLET}/24 services=+echo {words}"])
        self.piglet.wait_ready()

    def run(self, *words, code=DONE, where=None, **environment):
        """Runs pigctl; its output, or for a failure the one line it says."""
        done = subprocess.run([PIGCTL, "-s", where or self.where, *words], capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False, env={**os.environ, **environment})
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "\033" not in done.stdout + done.stderr
        if code == DONE:
            assert done.stderr == ""
            return done.stdout
        return done.stdout if not done.stderr else self.one_line(done.stderr)

    @staticmethod
    def one_line(text):
        assert text.startswith("pigctl: ") and text.count("\n") == 1, text
        return text

    def json(self, *words, code=DONE):
        return json.loads(self.run(*words, "--json", code=code))

    def rows(self, *words, key):
        return {row[key]: row for row in self.json(*words)}

    def close(self):
        status = self.piglet.stop()
        self.peer.close()
        shutil.rmtree(self.directory)
        return status


class Screen:
    """A terminal of tmux's, so that what is seen can be looked at."""

    def __init__(self, site, command, columns_, lines):
        self._tmux = ["tmux", "-S", os.path.join(site.directory, "tmux"), "-f", "/dev/null"]
        self._call("new-session", "-d", "-x", str(columns_), "-y", str(lines),
                   f"{command}; echo ended with $?; exec sleep {TIMEOUT_S}")

    def _call(self, *words):
        return subprocess.run([*self._tmux, *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=True,
                              env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}).stdout

    def dump(self):
        return self._call("capture-pane", "-p")

    def wait(self, pattern, timeout=TIMEOUT_S):
        deadline = time.monotonic() + timeout
        while not re.search(pattern, text := self.dump(), re.M):
            assert time.monotonic() < deadline, f"no {pattern} in\n{text}"
            time.sleep(0.1)
        return text

    def resize(self, columns_, lines):
        self._call("resize-window", "-x", str(columns_), "-y", str(lines))

    def key(self, key):
        self._call("send-keys", key)

    def close(self):
        self._call("kill-server")
