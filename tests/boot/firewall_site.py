"""What the firewall's boot tests share: a router between two hosts whose rules they change, and servers behind it.

    one 10.0.0.1 --- nic0 10.0.0.2 [Piglet] 10.1.0.2 nic1 --- other 10.1.0.1"""
import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import threading

from lab import machine
from lab.namespace import tied

A, B = "10.0.0.1", "10.1.0.1"
NEAR, FAR = "10.0.0.2", "10.1.0.2"  # Piglet's two sides
OTHER_A = "10.0.0.9"  # one's second address
SITE = {"words": f"ip={NEAR}/24@nic0 ip={FAR}/24@nic1 services=+forward,+firewall",
        "hosts": ((f"{A}/24", f"{OTHER_A}/24"), (f"{B}/24",)), "windows": 2}
BASE = f"addresses add {NEAR}/24@nic0\naddresses add {FAR}/24@nic1\nservices start forward firewall\n"
PATIENCE_S = 10
PIGCTL_S = 20


class Router:
    """The site, with its hosts, its rules and its figures."""

    def __init__(self, site):
        self.site = site
        self.one, self.other = site.hosts
        self.one.run(f"ip route add default via {NEAR}")
        self.other.run(f"ip route add default via {FAR}")
        # What a flood leaves half-open at the server is not heard of in the tests behind it.
        self.other.namespace.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_synack_retries"])
        self.rules()
        assert self.one.answers(NEAR) and self.other.answers(FAR)
        assert self.one.ping(B).returncode == 0

    def pigctl(self, *words, window=0):
        pigctl = os.path.join(machine.build_directory(), "tools", "pigctl")
        done = subprocess.run(tied([pigctl, "-s", self.site.windows[window], *words]), capture_output=True, text=True,
                              timeout=PIGCTL_S, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def rules(self, *lines, settings=""):
        """These, which begin in line 1 of the block; the connections of before are forgotten."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(BASE.replace(" firewall", ""))
            file.flush()
            self.pigctl("apply", file.name)
            file.write("services start firewall\n" + (f"services set firewall {settings}\n" if settings else "") +
                       "firewall {\n" + "".join(f"  {line}\n" for line in lines) + "}\n")
            file.flush()
            self.pigctl("apply", file.name)

    def counters(self):
        return {row["name"]: row["value"] for row in json.loads(self.pigctl("counters", "--json"))}

    @contextlib.contextmanager
    def counting(self):
        """A dict, filled at the end with what the firewall's counters and all drops grew by."""
        grown, before = {}, self.counters()
        yield grown
        for name, value in self.counters().items():
            if name.startswith(("drop.", "firewall.")) and value != before.get(name, 0):
                grown[name] = value - before.get(name, 0)

    def packets(self):
        """How many packets each rule has judged, in their order, and the defaults in, out, forward."""
        return [int(count) for count in re.findall(r": (\d+) packets", self.pigctl("services", "show", "firewall"))]


class Server:
    """Accepts connections of a host's port, and sends back what comes."""

    def __init__(self, host, port):
        self._listener = host.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("", port))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._echo, args=(self._listener.accept()[0],), daemon=True).start()

    @staticmethod
    def _echo(connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def connect(host, port, source=None, timeout=PATIENCE_S):
    """A connection from this host to the server on the other; TimeoutError without an answer."""
    client = host.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(timeout)
    try:
        if source:
            client.bind((source, 0))
        client.connect((B, port))
    except OSError:
        client.close()
        raise
    return client


def echoed(client, data):
    """Whether these bytes come back."""
    client.sendall(data)
    got = b""
    while len(got) < len(data) and (piece := client.recv(len(data) - len(got))):
        got += piece
    return got == data
