#!/usr/bin/python3
"""UDP echo between two network namespaces, on two cores: hosted Piglet beside servers written for Linux, in one run.

Every way of answering is asked by the same client (bench/echo_client.c) with 1, 8 and 64 requests under way. What is
compared is the time that the server's core needs for a request, and the round trip: how many requests a second there are
is up to the client, whose own sending through Linux is the narrow place.

Ways take turns for some rounds; each figure is the best of its rounds, the same for all ways, as what else the computer does
only adds. How much that was is measured between the rounds, and said.

What counts as the server's work
  * On a veth pair Linux works where the sender is: what a request costs until it is in the server's socket, or in AF_XDP's
    ring (XDP program and copy included), is done by the client's core for every way, and not counted for any.
  * The answer's way, veth and the delivery to the client's socket included, is done inside the server's system call that
    sends it, by the server's core, and is counted for every way.
  * Servers that sleep: their processor time, as Linux keeps it by the scheduler's clock; interrupts that hit them are in it
    (but not where Linux is built with IRQ_TIME_ACCOUNTING). Not in it: waking the core up, and its idle loop.
  * Servers that spin, and Piglet: the time from finding something until being done with it, by the clock, times the part of
    all time that Linux gave them the core: others who take it take it from work and from looking alike. Looking in vain is
    not work: for Piglet that is its phases polling and idle. The search of the turn that finds something counts.
  * Piglet on xdp,busy asks Linux to poll the device when it looks: what that moves is done in Piglet's phase polling, or by the
    client's core, whoever comes first. So its core time is not comparable, and is not given.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "tools")]
sys.dont_write_bytecode = True

import quiet  # noqa: E402
from lab import namespace  # noqa: E402

PORT = 7
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
WINDOWS = (1, 8, 64)
ROUNDS = 3
SECONDS = 0.5  # of asking, for a figure of a round
START_TIMEOUT_S = 5
WORDS = f"ip={SERVER}/24 services=+echo"
IDLE_PHASES = ("time_ns.polling", "time_ns.idle")
XDP, BUSY, TAP = "piglet on xdp", "piglet on xdp, busy", "piglet on tap"
BARE, SOCKETS, BATCHED = "bare AF_XDP loop", "recvfrom and sendto", "recvmmsg and sendmmsg"
WAYS = {  # what answers: Piglet's nic, or a server's words
    XDP: ("piglet", "xdp:wire", "veth"),
    BUSY: ("piglet", "xdp:wire,busy", "veth"),
    "piglet on packet": ("piglet", "packet:wire", "veth"),
    TAP: ("piglet", "tap:wire", "tap"),
    BARE: ("server", "xdp wire", "veth"),
    SOCKETS: ("server", f"recvfrom {PORT}", "veth"),
    "the same, spinning": ("server", f"busy {PORT}", "veth"),
    BATCHED: ("server", f"recvmmsg {PORT}", "veth"),
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

    def __init__(self, build, place, nics, words, core, module=None):
        self.pigctl = os.path.join(build, "tools", "pigctl")
        self.folder = tempfile.TemporaryDirectory(prefix="piglet-bench-")
        self.where = "unix:" + os.path.join(self.folder.name, "window")
        self.process = place.start([os.path.join(build, "hosted", "piglet"), "--window", self.where[5:],
                                    *(word for nic in nics for word in ("--nic", nic)),
                                    *(("--module", module) if module else ()), "--cpu", str(core), "--", words])
        end = time.monotonic() + START_TIMEOUT_S
        while "piglet: ready" not in (line := self.process.stdout.readline()):
            if time.monotonic() > end or not line:
                raise RuntimeError("Piglet did not start")
            if "goes on as packet" in line or "ERROR" in line:
                raise RuntimeError(line.strip())

    def read(self):
        answer = subprocess.run([self.pigctl, "--json", "counters"], env={**os.environ, "PIGLET": self.where},
                                capture_output=True, text=True, timeout=10, check=True).stdout
        return {row["name"]: row["value"] for row in json.loads(answer)}

    def clocks(self):
        """All time, and that of it which Linux gave this process, in seconds."""
        with open(f"/proc/{self.process.pid}/schedstat", encoding="utf-8") as file:
            return time.monotonic(), int(file.read().split()[0]) / 1e9

    def begin(self):
        self.before, self.began = self.read(), self.clocks()

    def work_us(self, counter):
        """Of the core since begin, and how much a counter grew."""
        now, (end, given) = self.read(), self.clocks()
        part = min(1.0, (given - self.began[1]) / (end - self.began[0]))
        spent = {name: now[name] - self.before[name] for name in now}
        work = sum(value for name, value in spent.items()
                   if (name.startswith("time_ns.") and name not in IDLE_PHASES) or name.endswith(".time_ns"))
        return part * work / 1000, spent[counter]

    def close(self):
        self.process.terminate()
        self.process.wait(5)
        self.folder.cleanup()


class PigletEcho(Piglet):
    def __init__(self, build, wire, nic, core):
        if wire.server is not wire.client:
            wire.server.run("ip link set wire arp off addrgenmode none up")
        super().__init__(build, wire.server, [nic], WORDS + " idle=poll", core)

    def work_us(self, counter="echo.frames"):
        return super().work_us(counter)


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
        server = (PigletEcho if kind == "piglet" else Server)(build, wire, words, cores[1])
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


def least(rounds):
    """Of each figure, over rounds; of rates the most."""
    return {window: {key: (max if key == "per_s" else min)(seen[window][key] for seen in rounds) for key in rounds[0][window]}
            for window in WINDOWS}


def table(build, seconds=SECONDS, ways=tuple(WAYS), rounds=ROUNDS):
    """Prints the table; returns what was found, by way and window, and whether the machine was quiet."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("two cores are needed")
    noise, seen, failed = quiet.Noise(build), {way: [] for way in ways}, {}
    for _ in range(rounds):
        noise.look()
        for way in ways:
            try:
                seen[way].append(measure(build, way, seconds, cores))
            except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as why:
                failed[way] = str(why).strip().splitlines()[-1]
    noise.look()
    said, trusted = noise.verdict()
    print(f"  UDP echo, core {cores[0]} asks, core {cores[1]} answers; {quiet.machine()}; best of {rounds} rounds; {said}")
    print(f"  {'':24}" + "".join(f"{f'{window} under way':>36}" for window in WINDOWS))
    print(f"  {'us':24}" + f"{'core    p50    p99   p99.9':>36}" * len(WINDOWS))
    found = {way: least(some) for way, some in seen.items() if some}
    for way in ways:
        if way not in found:
            print(f"  {way:24}left out: {failed[way]}")
            continue
        cells = "".join(f"{'-' if way == BUSY else format(row['core_us'], '.2f'):>14}{row['p50_us']:7.1f}{row['p99_us']:7.1f}"
                        f"{row['p999_us']:8.1f}" for row in found[way].values())
        lost = sum(int(row["lost"]) for row in found[way].values())
        print(f"  {way:24}{cells}" + (f"  {lost} lost" if lost else ""), flush=True)
    return found, trusted


def rows(bench):
    """What of it has goals, for `make bench`."""
    try:
        namespace.become_root()
        found, trusted = table(bench.build)
    except (namespace.LabError, RuntimeError, OSError) as why:
        bench.leave_out("native_echo", why)
        return
    if XDP not in found or SOCKETS not in found:
        bench.leave_out("native_echo_xdp", "not both it and Linux' sockets could be measured")
        return
    sockets, noisy = found[SOCKETS], "" if trusted else "machine too noisy; "
    many = max(WINDOWS)
    for key, way in (("xdp", XDP), ("tap", TAP)):
        if way not in found:
            bench.leave_out(f"native_echo_{key}", "not measured")
            continue
        ours = found[way]
        bench.add(f"native_echo_{key}_core_us", round(ours[many]["core_us"], 2), "us a request",
                  round(sockets[many]["core_us"] / 2, 2), "recvfrom, sendto", round(sockets[many]["core_us"], 2),
                  noisy + f"{many} under way; recvmmsg {found.get(BATCHED, sockets)[many]['core_us']:.2f}; "
                  f"one under way {ours[1]['core_us']:.2f}, recvfrom {sockets[1]['core_us']:.2f}")
        bench.add(f"native_echo_{key}_p50_us", round(ours[1]["p50_us"], 2), "us", round(sockets[1]["p50_us"] / 4, 2),
                  "blocking sockets", round(sockets[1]["p50_us"], 2), noisy + "one under way")
        for window in WINDOWS:
            bench.add(f"native_echo_{key}_p99_us_{window}", round(ours[window]["p99_us"], 1), "us", round(sockets[window]["p99_us"], 1),
                      "blocking sockets", round(sockets[window]["p99_us"], 1), noisy + f"{window} under way")
    if BARE in found:
        bench.add("native_echo_xdp_vs_bare", round(found[XDP][many]["core_us"] / found[BARE][many]["core_us"], 3), "x", 1.15,
                  note=noisy + f"core time beside a bare AF_XDP loop's {found[BARE][many]['core_us']:.2f} us")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--way", action="append", choices=tuple(WAYS), help="only this one; repeatable")
    options = parser.parse_args()
    try:
        namespace.become_root()
    except namespace.LabError as error:
        print(f"bench/native.py: {error}. Cure: {error.cure}", file=sys.stderr)
        return 1
    table(options.build, options.seconds, options.way or tuple(WAYS), options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
