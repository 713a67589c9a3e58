"""Rows of `make bench` about the firewall and the shaper: instructions, and nanoseconds beside Linux and DPDK."""
import os
import subprocess
import tempfile

import setups
import steady

LINUX_RULES = {10: 5839 - 4393, 100: 18647 - 4393, 1000: 147454 - 4393}  # more than its 4,393 without any
NICS = ("e1000", "e1000e")
SENT = 100000  # frames a measurement of Linux; all may be flows at once
PAIRS = 5  # runs of Linux: what one of its parts costs is a difference of two runs
HERE = os.path.dirname(os.path.abspath(__file__))


def counted(bench, setup):
    """Instructions a frame by nic."""
    return {nic: setup.count(bench.build, nic, by_symbol=False)[0] for nic in NICS}


def also(counts, less=None):
    """The figures as such, for a note."""
    return ", ".join(f"{nic} {count:.0f}" + (f" (+{count - less[nic]:.0f})" if less else "")
                     for nic, count in counts.items())


def instruction_rows(bench):
    try:
        plain = counted(bench, setups.PLAIN)
        none = counted(bench, setups.judged(0))
        for count, budget in ((10, None), (100, None), (1000, 150), (10000, 250)):
            linux = LINUX_RULES.get(count)
            judged, live = counted(bench, setups.judged(count)), counted(bench, setups.live(count))
            bench.add(f"insn_firewall_{count}", round(judged["e1000"] - plain["e1000"], 1), "instructions", budget,
                      bench.LINUX if linux else None, linux, f"judged by the rules each time: {also(judged, plain)}; with 0 rules "
                      f"{also(none)}, without the firewall {also(plain)}")
            bench.add(f"insn_firewall_live_{count}", round(live["e1000"] - plain["e1000"], 1), "instructions", budget,
                      bench.LINUX if linux else None, linux, f"of a live flow: {also(live, plain)}")
        begun = counted(bench, setups.begun(1000))
        bench.add("insn_firewall_new", round(begun["e1000"] - plain["e1000"], 1), "instructions",
                  note=f"the first frame of a new flow, 1,000 rules: {also(begun, plain)}")
        shaped, held = counted(bench, setups.SHAPED), counted(bench, setups.HELD)
        bench.add("insn_shaped", round(shaped["e1000"] - plain["e1000"], 1), "instructions", 100,
                  note=f"passes at once: {also(shaped, plain)}; held and released: {also(held, plain)}; "
                       f"without the shaper {also(plain)}")
    except steady.Failure as why:
        bench.leave_out("insn_firewall, insn_shaped", why)


# ---- native ----

def path(bench, folder, mode, config):
    """Nanoseconds a frame, or a handshake, through a kernel in memory with a configuration."""
    site = os.path.join(folder, f"{hash(config)}.conf")
    module = site + ".psr" if config else "-"
    if config and not os.path.exists(module):
        with open(site, "w", encoding="utf-8") as file:
            file.write(config)
        subprocess.run([os.path.join(bench.build, "tools", "pigctl"), "compile", site, "-o", module], check=True)
    done = subprocess.run([os.path.join(bench.build, "bench", "path"), mode, module], capture_output=True, text=True,
                          timeout=120, check=False)
    if done.returncode:
        raise steady.Failure(done.stderr.strip())
    return float(done.stdout.split()[1])


def paths(bench):
    """The best of some runs of each, which take turns: what else the computer does comes and goes."""
    firewall = setups.firewall(1000)
    wanted = {"one": ("one", ""), "new": ("new", ""), "tcp": ("tcp", ""), "live": ("one", firewall), "begins": ("new", firewall),
              "full": ("full", firewall), "handshake": ("tcp", setups.firewall(1000, protocol="tcp")),
              "passed": ("one", setups.SHAPED.config), "held": ("held", setups.shaper("100mbit", "burst 16k")),
              "pipeline": ("one", firewall + setups.SHAPED.config),
              "judged": ("new", setups.firewall(1000, "stateless") + setups.SHAPED.config)}
    with tempfile.TemporaryDirectory(prefix="piglet-path-") as folder:
        runs = [{key: path(bench, folder, *way) for key, way in wanted.items()} for _ in range(PAIRS)]
    return {key: min(run[key] for run in runs) for key in wanted}


def linux(bench):
    """What Linux needs for a frame in a namespace of its own, by situation, likewise; or why not."""
    runs = []
    for _ in range(PAIRS):
        sender = os.path.join(bench.build, "bench", "sender")
        done = subprocess.run(["unshare", "-n", os.path.join(HERE, "linux-services"), sender, str(SENT)],
                              capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            return {}, (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        runs.append({key: float(ns) for key, ns in (line.split() for line in done.stdout.splitlines())})
    return {key: min(run[key] for run in runs) for key in runs[0]}, None


def native_rows(bench):
    try:
        ours = paths(bench)
    except steady.Failure as why:
        bench.leave_out("flow_new_ns, shaper_ns, pipeline_ns", why)
        return
    one, new = ours["one"], ours["new"]
    theirs, why = linux(bench)
    if why:
        bench.leave_out("flow_new_ns, shaper_ns beside Linux", why)
    between = "native, in memory; what the service adds to a forwarded frame"
    track = round(theirs["track_new"] - theirs["new"], 1) if theirs else None
    said = f"; Linux: {theirs['track_new']:.0f} with and {theirs['new']:.0f} without nftables and conntrack, AF_PACKET to veth, " \
           f"best of {PAIRS}" if theirs else ""
    way = f"with its way {ours['begins']:.1f} ns, {1000 / ours['begins']:.1f} M/s"
    bench.add("flow_new_ns", round(ours["begins"] - new, 1), "ns a flow", None, track and "Linux conntrack, nftables", track,
              f"{between}: UDP, the table filling, 1,000 rules; {way}{said}")
    bench.add("flow_new_full_ns", round(ours["full"] - new, 1), "ns a flow",
              note=f"the same, each makes another give way; {1000 / ours['full']:.1f} M/s")
    bench.add("flow_tcp_ns", round(ours["handshake"] - ours["tcp"], 1), "ns a handshake",
              note=f"three frames; with their way {1000 / ours['handshake']:.1f} M/s")
    bench.add("flow_live_ns", round(ours["live"] - one, 1), "ns a frame", note="of a live UDP flow")
    sched = min((figures["sched_ns"] for _ in range(PAIRS) if "sched_ns" in (figures := bench.figures("sched"))), default=None)
    said = f"; Linux htb: {theirs['htb'] - theirs['one']:.0f} ns, {theirs['htb']:.0f} with and {theirs['one']:.0f} without" \
        if theirs else ""
    bench.add("shaper_ns", round(ours["passed"] - one, 1), "ns a frame", None, sched and "librte_sched", sched,
              f"{between}: rates never limit, four classes{said}")
    bench.add("shaper_held_ns", round(ours["held"] - one, 1), "ns a frame", None, sched and "librte_sched, not limiting", sched,
              "each frame is held and released")
    bench.add("pipeline_ns", round(ours["pipeline"], 1), "ns a frame", 60, "Click at user level, measured before", 4400,
              f"parse, firewall with 1,000 rules, forward, shaper, in memory, of a live flow; judged each time "
              f"{ours['judged']:.1f}; forward alone {one:.1f}")


def rows(bench):
    instruction_rows(bench)
    native_rows(bench)
