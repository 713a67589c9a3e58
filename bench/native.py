#!/usr/bin/python3
"""UDP echo between two network namespaces, on two cores: hosted Piglet beside servers written for Linux, in one run.

Every way of answering is asked by the same client (bench/echo_client.c) with 1, 8 and 64 requests under way. What is
compared is the time that the server's core needs for a request, and the round trip: how many requests a second there are
is up to the client, whose own sending through Linux is the narrow place.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "tools"))

from lab import namespace  # noqa: E402

PORT = 7
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
WINDOWS = (1, 8, 64)
START_TIMEOUT_S = 5
WORDS = f"ip={SERVER}/24 services=+echo"
IDLE_PHASES = ("time_ns.polling", "time_ns.idle")
WAYS = {  # what answers: Piglet's nic, or a server's words
    "piglet on xdp": ("piglet", "xdp:wire", "veth"),
    "piglet on xdp, busy": ("piglet", "xdp:wire,busy", "veth"),
    "piglet on packet": ("piglet", "packet:wire", "veth"),
    "piglet on tap": ("piglet", "tap:wire", "tap"),
    "bare AF_XDP loop": ("server", "xdp wire", "veth"),
    "recvfrom and sendto": ("server", f"recvfrom {PORT}", "veth"),
    "the same, spinning": ("server", f"busy {PORT}", "veth"),
    "recvmmsg and sendmmsg": ("server", f"recvmmsg {PORT}", "veth"),
}


class Wire:
    """A client's namespace and a server's, with a cable or a tap between."""

    def __init__(self, kind):
        self.client = namespace.Namespace()
        self.server = namespace.Namespace() if kind == "veth" else self.client
        if kind == "tap":
            self.client.tap("wire", f"{CLIENT}/24", persistent=True)
            return
        self.client.run(f"ip link add wire type veth peer name wire netns {self.server.path}")
        self.client.interface_up("wire", f"{CLIENT}/24")
        for place in (self.client, self.server):
            place.run("ethtool -K wire tx off")
            place.run("ethtool -K wire gro off", check=False)

    def close(self):
        self.client.close()
        if self.server is not self.client:
            self.server.close()


class Piglet:
    """Hosted Piglet on its core; its work is what it does not spend looking for work."""

    def __init__(self, build, wire, nic, core):
        if wire.server is not wire.client:
            wire.server.run("ip link set wire arp off addrgenmode none up")
        self.pigctl = os.path.join(build, "tools", "pigctl")
        self.folder = tempfile.TemporaryDirectory(prefix="piglet-bench-")
        self.where = "unix:" + os.path.join(self.folder.name, "window")
        self.process = wire.server.start([os.path.join(build, "hosted", "piglet"), "--window", self.where[5:], "--nic", nic,
                                          "--cpu", str(core), "--", WORDS + " idle=poll"])
        end = time.monotonic() + START_TIMEOUT_S
        while "piglet: ready" not in (line := self.process.stdout.readline()):
            if time.monotonic() > end or not line:
                raise RuntimeError("Piglet did not start")
            if "goes on as packet" in line:
                raise RuntimeError(line.strip())

    def read(self):
        answer = subprocess.run([self.pigctl, "--json", "counters"], env={**os.environ, "PIGLET": self.where},
                                capture_output=True, text=True, timeout=10, check=True).stdout
        return {row["name"]: row["value"] for row in json.loads(answer)}

    def begin(self):
        self.before = self.read()

    def work_us(self):
        """Of the core since begin, and how many requests that was for."""
        now = self.read()
        spent = {name: now[name] - self.before[name] for name in now}
        work = sum(value for name, value in spent.items()
                   if (name.startswith("time_ns.") and name not in IDLE_PHASES) or name.endswith(".time_ns"))
        return work / 1000, spent["echo.frames"]

    def close(self):
        self.process.terminate()
        self.process.wait(5)
        self.folder.cleanup()


class Server:
    """One of bench/echo_server.c's; started anew for each measurement, as it tells its work when it ends."""

    def __init__(self, build, wire, words, core):
        self.command = [os.path.join(build, "bench", "echo_server"), *words.split(), str(core)]
        self.wire, self.process = wire, None
        if words.startswith("xdp"):
            wire.client.run(f"ip neigh replace {SERVER} lladdr {wire.server.mac('wire')} dev wire nud permanent")
            wire.server.run("ip link set wire arp off addrgenmode none up")
        else:
            wire.server.interface_up("wire", f"{SERVER}/24")

    def begin(self):
        self.process = self.wire.server.start(self.command)
        time.sleep(0.4)

    def work_us(self):
        self.process.terminate()
        text = self.process.communicate(timeout=5)[0]
        found = re.search(r"answered (\d+) work_us (\d+)", text)
        if not found:
            raise RuntimeError(text.strip() or "the server said nothing")
        return float(found[2]), int(found[1])

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()


def ask(build, wire, window, seconds, core):
    command = [os.path.join(build, "bench", "echo_client"), SERVER, str(PORT), str(window), str(seconds), str(core)]
    done = wire.client.run(command, timeout=seconds + 20)
    words = done.stdout.split()
    return {words[i]: float(words[i + 1]) for i in range(0, len(words), 2)}


def measure(build, way, seconds, cores):
    """By window: microseconds of the server's core a request, requests a second, p50, p99, p99.9."""
    kind, words, cable = WAYS[way]
    wire = Wire(cable)
    server = None
    try:
        server = (Piglet if kind == "piglet" else Server)(build, wire, words, cores[1])
        found = {}
        for window in WINDOWS:
            server.begin()
            seen = ask(build, wire, window, seconds, cores[0])
            work_us, answered = server.work_us()
            if not answered or not seen["requests"]:
                raise RuntimeError("nothing was answered")
            found[window] = {"core_us": work_us / answered, "per_s": seen["requests"] / seen["seconds"], "lost": seen["lost"],
                             **{key: seen[key] for key in ("p50_us", "p99_us", "p999_us")}}
        return found
    finally:
        if server:
            server.close()
        wire.close()


def table(build, seconds=1.0, ways=tuple(WAYS)):
    """Prints the table as it is measured; returns what was found, by way and window."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("two cores are needed")
    found = {}
    print(f"  {'UDP echo, core 0 asks, core 1 answers':38}" + "".join(f"{f'{window} under way':>36}" for window in WINDOWS))
    print(f"  {'':38}" + f"{'core us    p50    p99  p99.9 (us)':>36}" * len(WINDOWS))
    for way in ways:
        try:
            found[way] = measure(build, way, seconds, cores)
        except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as why:
            print(f"  {way:38}left out: {str(why).strip().splitlines()[-1]}", flush=True)
            continue
        cells = "".join(f"{row['core_us']:14.2f}{row['p50_us']:7.1f}{row['p99_us']:7.1f}{row['p999_us']:8.1f}"
                        for row in found[way].values())
        print(f"  {way:38}{cells}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--way", action="append", choices=tuple(WAYS), help="only this one; repeatable")
    options = parser.parse_args()
    try:
        namespace.become_root()
    except namespace.LabError as error:
        print(f"bench/native.py: {error}. Cure: {error.cure}", file=sys.stderr)
        return 1
    table(options.build, options.seconds, options.way or tuple(WAYS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
