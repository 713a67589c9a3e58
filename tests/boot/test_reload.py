"""Reload under load: rules change while pings, a download and iperf3 run through; none of them notices.

Both sets of rules allow what runs; the rest of them differs, and both have their own shaper. Each reload is `pigctl apply`:
a table loaded, checked, compiled, and swapped in; live connections judged again."""
import json
import os
import re
import subprocess
import time

import pytest
import wires
from lab.namespace import tied

MACHINES = ("q35-e1000e", "hosted-tap", "hosted-san")
A, B = "10.0.0.1", "10.1.0.1"
NEAR, FAR = "10.0.0.2", "10.1.0.2"  # Piglet's two sides
RELOADS = int(os.environ.get("RELOADS") or 1000)  # make soak: more
SLOW_SHARE = 10  # of the reloads: the same kernel, slower
RELOADS_MIN = 30  # on a computer that has no time
TIME_S = 300 if "RELOADS" in os.environ else 30  # then it is enough
PING_EVERY_S, PAGE_BYTES = 0.01, 2_000_000
CONFIG = """addresses add 10.0.0.2/24@nic0
addresses add 10.1.0.2/24@nic1
services start forward firewall shaper
firewall {{
  default forward drop
{rules}
}}
shaper {{
  class line nic1 rate {rate}
  default line
}}
"""
RULES = ("""  accept forward tcp destination port 5201,8000 log
  accept forward icmp type echo-request
  drop forward udp count""",
         "".join(f"  drop forward tcp destination 10.9.{i}.0/24\n" for i in range(100))
         + """  accept forward from nic0 tcp source 10.0.0.0/24 count
  accept forward from nic0 icmp type echo-request match "len < 1000"
  reject forward""")
RATES = ("400mbit", "300mbit")
DOWNLOAD = """
import hashlib, random, socket, sys, time
address, size, seed = sys.argv[1], int(sys.argv[2]), 7
body = random.Random(seed).randbytes(size)
wanted = hashlib.sha256(body).hexdigest()
count = 0
while True:
    with socket.create_connection((address, 8000), 20) as tcp:
        tcp.settimeout(20)
        got = b""
        while part := tcp.recv(1 << 16):
            got += part
    assert hashlib.sha256(got).hexdigest() == wanted, f"{len(got)} bytes"
    count += 1
    print(count, flush=True)
"""
SERVE = """
import random, socket, sys, threading, time
size, part, seed = int(sys.argv[2]), 20000, 7
body = random.Random(seed).randbytes(size)
def serve(tcp):
    with tcp:
        for at in range(0, size, part):
            tcp.sendall(body[at:at + part])
            time.sleep(0.02)
with socket.create_server((sys.argv[1], 8000)) as server:
    print("serving", flush=True)
    while True:
        threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()
"""


def python(namespace, program, *words):
    return namespace.start(["/usr/bin/python3", "-c", program, *map(str, words)])


def ready(process, word):
    for line in process.stdout:
        if word in line:
            return process
    raise AssertionError("it ended")


class Reloads:
    """Applies one configuration, then the other, and so on."""

    def __init__(self, site, folder):
        self.where, self.files = site.windows[0], []
        for i, (rules, rate) in enumerate(zip(RULES, RATES)):
            self.files.append(str(folder / f"{i}.conf"))
            with open(self.files[-1], "w", encoding="ascii") as file:
                file.write(CONFIG.format(rules=rules, rate=rate))

    def pigctl(self, *words):
        done = subprocess.run(tied([wires.artefact("tools", "pigctl"), "-s", self.where, *words]), capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, count, alive):
        """So many, or as many as there is time for: their number."""
        end = time.monotonic() + TIME_S
        done = 0
        while done < count and (done < RELOADS_MIN or time.monotonic() < end):
            said = self.pigctl("apply", self.files[done % 2])
            assert "nothing to do" not in said
            done += 1
            alive()
        return done


@pytest.fixture
def loaded(boot, tmp_path):
    """Two hosts, Piglet between them with the second set in force."""
    site = boot("", hosts=((f"{A}/24",), (f"{B}/24",)), windows=1)
    reloads = Reloads(site, tmp_path)
    reloads.pigctl("apply", reloads.files[1])
    one, other = site.hosts
    one.run(f"ip route add default via {NEAR}")
    other.run(f"ip route add default via {FAR}")
    assert one.answers(B)
    return site, reloads


def test_reload_01_nobody_notices(loaded):
    """No ping is lost, each download is whole, no connection is reset, and nothing is dropped, for whatever reason."""
    site, reloads = loaded
    one, other = (host.namespace for host in site.hosts)
    ready(python(other, SERVE, B, PAGE_BYTES), "serving")
    ready(other.start("iperf3 -s -1 --forceflush"), "listening")
    before = site.counters()
    iperf = one.start(f"iperf3 -c {B} -b 5M -t 600 --json")
    download = python(one, DOWNLOAD, B, PAGE_BYTES)
    ping = one.start(f"ping -n -q -i {PING_EVERY_S} {B}")

    def alive():
        for name, process in (("iperf3", iperf), ("download", download), ("ping", ping)):
            assert process.poll() is None, f"{name} ended:\n{process.stdout.read()}"

    started = time.monotonic()
    count = reloads.run(RELOADS if site.name == "hosted-tap" else RELOADS // SLOW_SHARE, alive)
    took = time.monotonic() - started
    time.sleep(2 * wires.DUMP_EVERY_S)
    assert int(download.stdout.readline()) == 1  # one at least came whole, and no other has failed
    alive()
    ping.send_signal(2)
    told = ping.communicate(timeout=20)[0]
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", told).groups())
    drops = site.drops_since(before)
    iperf.send_signal(2)
    result = json.loads(iperf.communicate(timeout=20)[0])
    resent = sum(interval["sum"]["retransmits"] for interval in result["intervals"])
    wires.figures.append(f"{site.name}: {count} reloads in {took:.1f} s ({1000 * took / count:.0f} ms each), "
                         f"{sent} pings, {sent - received} lost, {resent} segments resent, drops {drops}")
    assert sent - received <= 1 and sent > took / PING_EVERY_S / 10, told  # the last one is on its way
    assert not drops, drops  # TCP sends again what is late, too, so `resent` says nothing
