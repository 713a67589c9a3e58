#!/usr/bin/python3
"""Forwarding between two network namespaces: hosted Piglet on two interfaces (AF_XDP, AF_PACKET) beside Linux' own.

A sender (bench/sender.c, AF_PACKET, 64 frames of 60 bytes a batch, a batch now and then), a veth pair, the router, another veth
pair, and a sink that counts frames and drops them at its entrance (nftables, ingress). What a router costs is processor
time of all cores for a frame, less what the same sender and sink need without a router. Linux forwards inside the
sender's system call, so that its time is the sender's. With Piglet, the sender's time is longer by the way into AF_XDP's
ring; Piglet's own is as bench/native.py says; the way to the sink is in it. Frames that were lost (a core
was taken away) are not counted as forwarded.

Ways take turns for some rounds; each figure is the best of its rounds.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "tools")]
sys.dont_write_bytecode = True

import native  # noqa: E402
import quiet  # noqa: E402
import setups  # noqa: E402
from lab import namespace  # noqa: E402

ROUNDS = 5
FRAMES = 16000
GAP_US = 1200  # 53,000 frames a second: a router whose core is away for 8 ms still loses none
LOST_MAX = 0.01
RULES = 1000
SENDER, SINK = "10.0.0.1", "10.1.0.1"
ROUTER = ("10.0.0.2", "10.1.0.2")
FAR_MAC = "02:00:00:00:00:09"
FIRST_PORT, ECHO_PORT = 1024, 7  # bench/sender.c's
WORDS = f"ip={ROUTER[0]}/16 ip={ROUTER[1]}/24@nic1 services=+forward idle=poll"
NONE = "no router"
PLAIN, FIREWALL, SHAPER = "forwarding", f"firewall, {RULES:,} rules", "shaper"
WAYS = [(NONE, "", PLAIN)] + [(who, nic, what) for what in (PLAIN, FIREWALL, SHAPER)
                              for who, nic in (("Linux", ""), ("Piglet on xdp", "xdp"), ("Piglet on packet", "packet"))
                              if not (nic == "packet" and what != PLAIN)]


class Road:
    """Sender, router and sink; without a router, the sender's cable ends at the sink."""

    def __init__(self, routed):
        self.sender, self.router, self.sink = (namespace.Namespace() for _ in range(3))
        end = self.router if routed else self.sink
        self.sender.run(f"ip link add in0 type veth peer name {'in1' if routed else 'out1'} netns {end.path}")
        if routed:
            self.router.run(f"ip link add out0 type veth peer name out1 netns {self.sink.path}")
        self.sender.run("ip link set in0 arp off addrgenmode none up")
        self.sink.interface_up("out1", f"{SINK}/24")
        self.sink.run("ip route add default via " + ROUTER[1])
        self.sink.run(["nft", "add table netdev sink; add chain netdev sink entrance { type filter hook ingress device out1 "
                       f"priority 0; }}; add rule netdev sink entrance udp dport {ECHO_PORT} counter drop"])
        for place, nics in ((self.sender, ["in0"]), (self.router, ["in1", "out0"] if routed else []), (self.sink, ["out1"])):
            for nic in nics:
                place.run(f"ethtool -K {nic} tx off")
                place.run(f"ethtool -K {nic} gro off", check=False)
        self.target = self.router.mac("in1") if routed else self.sink.mac("out1")

    def arrived(self):
        return int(re.search(r"counter packets (\d+)", self.sink.run("nft list table netdev sink").stdout)[1])

    def answer(self):
        """A frame back, for which connection tracking calls the flow established."""
        with self.sink.socket(namespace.socket.AF_INET, namespace.socket.SOCK_DGRAM) as end:
            end.bind((SINK, ECHO_PORT))
            end.sendto(b"back", (SENDER, FIRST_PORT))

    def send(self, build, count, core):
        """Nanoseconds of the sender's for a frame."""
        done = self.sender.run(["taskset", "-c", str(core), os.path.join(build, "bench", "sender"), "in0", str(count), "one",
                                self.target, str(GAP_US)], timeout=60)
        return float(done.stdout.split()[1])

    def close(self):
        for place in (self.sender, self.router, self.sink):
            place.close()


class LinuxRouter:
    def __init__(self, road, what):
        place = road.router
        place.interface_up("in1", f"{ROUTER[0]}/16")
        place.interface_up("out0", f"{ROUTER[1]}/24")
        place.run(f"ip neigh replace {SENDER} lladdr {FAR_MAC} dev in1 nud permanent")
        for name, value in (("ip_forward", 1), ("conf/all/rp_filter", 0), ("conf/in1/rp_filter", 0)):
            place.run(["sh", "-c", f"echo {value} >/proc/sys/net/ipv4/{name}"])
        if what == FIREWALL:
            place.run(["nft", nft_rules()])
        if what == SHAPER:
            place.run("tc qdisc add dev out0 root handle 1: htb default 30")
            place.run("tc class add dev out0 parent 1: classid 1:1 htb rate 10gbit quantum 60000")
            for number in (10, 20, 30):
                place.run(f"tc class add dev out0 parent 1:1 classid 1:{number} htb rate 10gbit quantum 60000")
            place.run("tc filter add dev out0 parent 1: protocol ip u32 match ip dport 7 0xffff flowid 1:20")

    def begin(self):
        pass

    def work_ns(self):
        """Of another core than the sender's."""
        return 0

    def close(self):
        pass


def nft_rules():
    """Those of setups.rules, in shape: none matches but the last, and what is of a flow known to be alive passes first."""
    shapes = ("ip saddr 172.16.{}.{} tcp dport 1024 drop", "ip daddr 10.2.{}.{} udp dport 2000 drop",
              "ip saddr 11.{}.{}.0/24 ip daddr 10.1.0.0/16 udp dport 1000-2000 drop", "ip saddr 192.{}.{}.0/24 drop",
              "ip saddr 10.0.0.0/8 ip daddr 10.1.0.1 udp dport {port} drop")
    rules = [shapes[i // 4 % 5].format(i >> 8, i & 255, port=2000 + i) for i in range(RULES - 1)]
    body = "\n".join(["type filter hook forward priority 0; policy drop;", "ct state established accept", *rules,
                      f"ct state new ip saddr 10.0.0.0/24 ip daddr 10.1.0.0/24 udp dport {ECHO_PORT} accept"])
    return "table ip bench {\nchain forward {\n" + body + "\n}\n}\n"


class PigletRouter:
    def __init__(self, build, road, nic, what, core, folder):
        for name in ("in1", "out0"):
            road.router.run(f"ip link set {name} arp off addrgenmode none up")
        config = {PLAIN: "", FIREWALL: setups.firewall(RULES), SHAPER: setups.SHAPED.config}[what]
        module = compiled(build, folder, what, config) if config else None
        self.piglet = native.Piglet(build, road.router, [f"{nic}:in1", f"{nic}:out0"], WORDS, core, module)

    def begin(self):
        self.piglet.begin()

    def work_ns(self):
        work_us, frames = self.piglet.work_us("forward.frames")
        return work_us * 1000 / max(1, frames)

    def close(self):
        self.piglet.close()


def compiled(build, folder, what, config):
    site = os.path.join(folder, re.sub(r"\W+", "-", what) + ".conf")
    with open(site, "w", encoding="utf-8") as file:
        file.write(config)
    subprocess.run([os.path.join(build, "tools", "pigctl"), "compile", site, "-o", site + ".psr"], check=True,
                   capture_output=True, timeout=60)
    return site + ".psr"


def measure(build, way, cores, folder):
    """Nanoseconds a frame: the sender's, and the router's own; and the part of frames that was lost."""
    who, nic, what = way
    road, router = Road(who != NONE), None
    try:
        if who != NONE:
            router = PigletRouter(build, road, nic, what, cores[1], folder) if nic else LinuxRouter(road, what)
        road.send(build, FRAMES // 8, cores[0])  # warm: addresses, a flow
        if who != NONE:
            road.answer()
            router.begin()
        before = road.arrived()
        sender_ns = road.send(build, FRAMES, cores[0])
        work_ns = router.work_ns() if router else 0
        return sender_ns, work_ns, 1 - (road.arrived() - before) / FRAMES
    finally:
        if router:
            router.close()
        road.close()


def table(build, rounds=ROUNDS):
    """Prints it; returns nanoseconds of processor time a frame by (who, what), and whether the machine was quiet."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("two cores are needed")
    noise, seen, failed = quiet.Noise(build), {way: [] for way in WAYS}, {}
    with tempfile.TemporaryDirectory(prefix="piglet-forwarding-") as folder:
        for _ in range(rounds):
            noise.look()
            for way in WAYS:
                try:
                    figures = measure(build, way, cores, folder)
                    if figures[2] > LOST_MAX:
                        raise RuntimeError(f"{100 * figures[2]:.1f} % of the frames were lost")
                    seen[way].append(figures)
                except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as why:
                    failed[way] = str(why).strip().splitlines()[-1]
    said, trusted = noise.verdict()
    print(f"  Forwarding, 60 bytes, core {cores[0]} sends, core {cores[1]} is Piglet's; {quiet.machine()}; best of {rounds} rounds; "
          f"{said}")
    print(f"  {'ns of processor time a frame':44}{'sender':>10}{'router':>10}{'more than without':>20}")
    best = {way: (min(row[0] for row in some), min(row[1] for row in some), min(row[0] + row[1] for row in some))
            for way, some in seen.items() if some}
    found = {}
    for way in WAYS:
        name = f"{way[2]}: {way[0]}" if way[0] != NONE else NONE
        if way not in best or WAYS[0] not in best:
            print(f"  {name:44}left out: {failed.get(way) or 'no figure without a router'}")
            continue
        sender, router, both = best[way]
        found[way[0], way[2]] = both - best[WAYS[0]][2]
        print(f"  {name:44}{sender:10.0f}{router:10.0f}{found[way[0], way[2]]:20.0f}", flush=True)
    return found, trusted


def rows(bench):
    """What of it has goals, for `make bench`."""
    try:
        namespace.become_root()
        found, trusted = table(bench.build)
    except (namespace.LabError, RuntimeError, OSError) as why:
        bench.leave_out("native_forward_ns", why)
        return
    noisy = "" if trusted else "machine too noisy; "
    for key, what in (("forward", PLAIN), ("firewall", FIREWALL), ("shaper", SHAPER)):
        ours, theirs = (found.get((who, what)) for who in ("Piglet on xdp", "Linux"))
        if not ours or not theirs:
            bench.leave_out(f"native_{key}_ns", "not both Piglet on AF_XDP and Linux could be measured")
            continue
        bench.add(f"native_{key}_ns", round(ours), "ns a frame", round(theirs / 2), "Linux", round(theirs),
                  noisy + f"{what}: processor time of all cores, over AF_XDP between namespaces, of a live flow")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    try:
        namespace.become_root()
    except namespace.LabError as error:
        print(f"bench/forwarding.py: {error}. Cure: {error.cure}", file=sys.stderr)
        return 1
    table(options.build, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
