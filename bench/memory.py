"""Rows of `make bench` about forwarding in memory, without any wire: Piglet beside DPDK's testpmd and Linux' XDP; timers; and what
it needs with nothing to do."""
import os
import re
import shutil
import subprocess
import tempfile
import time

import quiet
import services
import steady

TESTPMD = "dpdk-testpmd"  # Debian: dpdk-dev
FORWARDS = ("io", "mac", "macswap")  # 5tswap: a null device's frames are all zeros, so there is nothing to swap
RUN_S = 1.0
LIMIT_S = 20
ROUNDS = 3
PENDING = (100000, 1000000)
IDLE_S = 5
PROBING_S = 4  # for duplicate addresses


class LeftOut(Exception):
    """Why there is no figure."""


def worker_ns(process, core):
    """Processor time of DPDK's thread on a core, whose name differs by version; 0: there is none yet."""
    for task in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{task}/comm", encoding="utf-8") as file:
            if not re.search(rf"-worker-?{core}$", file.read().strip()):
                continue
        with open(f"/proc/{process.pid}/task/{task}/schedstat", encoding="utf-8") as file:
            return int(file.read().split()[0])
    return 0


def testpmd_ns(mode):
    """Nanoseconds a frame of its forwarding core, between two null devices, in batches of 64."""
    cores = sorted(os.sched_getaffinity(0))
    if not shutil.which(TESTPMD):
        raise LeftOut(f"no {TESTPMD} (apt: dpdk-dev)")
    if len(cores) < 2:
        raise LeftOut("testpmd needs two cores")
    process = subprocess.Popen(
        [TESTPMD, "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "256", "-l", f"{cores[0]},{cores[1]}",
         "--vdev", "net_null0,size=60", "--vdev", "net_null1,size=60", "--log-level=1", "--", f"--forward-mode={mode}",
         "--total-num-mbufs=8192", "--nb-cores=1", "--burst=64", "--no-mlockall"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        spent_ns, end = 0, time.monotonic() + LIMIT_S
        while spent_ns < RUN_S * 1e9 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
            spent_ns = worker_ns(process, cores[1])
        said = process.communicate("\n", timeout=LIMIT_S)[0]  # which it ends at
    except (subprocess.TimeoutExpired, OSError) as why:
        raise LeftOut(f"{TESTPMD}: {why}") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    found = re.search(r"Accumulated forward statistics for all ports.*?RX-packets: (\d+)", said, re.S)
    if not found or not int(found[1]) or not spent_ns:
        raise LeftOut((said.strip().splitlines() or [f"{TESTPMD} said nothing"])[-1])
    return spent_ns / int(found[1])


def xdp_ns(build):
    """Nanoseconds a frame of bench/xdp_forward.bpf.c."""
    program, code = (os.path.join(build, "bench", name) for name in ("xdp_run", "xdp_forward.o"))
    if not os.path.exists(program) or not os.path.exists(code):
        raise LeftOut("the XDP program is not built: clang makes it")
    done = subprocess.run([program, code], capture_output=True, text=True, timeout=60, check=False)
    words = done.stdout.split(None, 2)
    if done.returncode or len(words) < 3 or words[1] == "-":
        raise LeftOut(words[2].strip() if len(words) == 3 else "the XDP program does not run")
    return float(words[1])


def forwarding_rows(bench):
    noise = quiet.Noise(bench.build)
    seen, failed = {}, {}
    ways = {"xdp": lambda: xdp_ns(bench.build), **{mode: lambda mode=mode: testpmd_ns(mode) for mode in FORWARDS}}
    with tempfile.TemporaryDirectory(prefix="piglet-memory-") as folder:
        ways["piglet"] = lambda: services.path(bench, folder, "one", "")
        for _ in range(ROUNDS):
            noise.look()
            for way, measure in ways.items():
                try:
                    if way not in failed:
                        seen[way] = min(measure(), seen.get(way, 1e9))
                except (LeftOut, steady.Failure, subprocess.SubprocessError, OSError) as why:
                    failed[way] = str(why)
    said, trusted = noise.verdict()
    print(f"  in memory: {quiet.machine()}; best of {ROUNDS} rounds; {said}")
    if "piglet" not in seen:
        bench.leave_out("memory_forward_ns", failed["piglet"])
        return
    noisy = "" if trusted else "machine too noisy; "
    for key, way, peer, does in (("memory_forward_ns", "xdp", "XDP, BPF_PROG_TEST_RUN", "checks, next hop by a hash map, redirects; its "
                                  "way in and out are not in it"),
                                 ("memory_forward_beside_io_ns", "io", "testpmd io", "looks at no frame"),
                                 ("memory_forward_beside_mac_ns", "mac", "testpmd mac", "writes two addresses, no route"),
                                 ("memory_forward_beside_macswap_ns", "macswap", "testpmd macswap", "the same")):
        if way in failed:
            bench.leave_out(key, f"beside {peer}: {failed[way]}")
            if way != "xdp":
                continue
        peer_ns = seen.get(way)
        bench.add(key, round(seen["piglet"], 1), "ns a frame", None, peer_ns and peer, peer_ns and round(peer_ns, 1),
                  noisy + f"null nics in memory, 60 bytes, batches of 64; {peer} {does}")


def timer_rows(bench):
    ours, theirs = bench.figures("timers"), bench.figures("timers_rte")
    for what in ("arm", "cancel", "fire"):
        for count in PENDING:
            key = f"timer_{what}_{count}"
            if key not in ours:
                bench.leave_out(f"{key}_ns", "not measured")
                continue
            bench.add(f"{key}_ns", ours[key], "ns", None, "rte_timer" if key in theirs else None, theirs.get(key),
                      "" if key in theirs else "no rte_timer beside it: built where DPDK is installed (apt: libdpdk-dev)")


def idle_row(bench):
    """A hosted Piglet without traffic, as it sleeps by default."""
    process = subprocess.Popen([os.path.join(bench.build, "hosted", "piglet"), "--nic", "pair:" + bench.path("idle"), "--",
                                "ip=10.0.0.2/24"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(PROBING_S)
        before, began = quiet.processor_s(process), time.monotonic()
        time.sleep(IDLE_S)
        used = 100 * (quiet.processor_s(process) - before) / (time.monotonic() - began)
        bench.add("idle_hosted_pct", round(used, 3), "% of a core", 0.5,
                  note=f"processor time of an idle hosted Piglet over {IDLE_S} s")
    except OSError:
        bench.leave_out("idle_hosted_pct", "the hosted Piglet does not run")
    finally:
        process.kill()
        process.wait()


def rows(bench):
    idle_row(bench)
    forwarding_rows(bench)
    timer_rows(bench)
