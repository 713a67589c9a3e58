"""The machine that is measured on, and how quiet it was: both stand beside every table of times."""
import os
import platform
import subprocess

PROBE_S = 0.2
TAKEN_MAX_PCT = 3  # of a core, by others
SLOW_MAX = 2  # p99 over p50 of a piece of work that takes always the same


class Noise:
    """Looks at the cores now and then, between measurements."""

    def __init__(self, build):
        self.program = os.path.join(build, "bench", "noise")
        self.cores = sorted(os.sched_getaffinity(0))[:2]
        self.seen = []

    def look(self):
        probes = [subprocess.Popen([self.program, str(PROBE_S), str(core)], stdout=subprocess.PIPE, text=True)
                  for core in self.cores]
        for probe in probes:
            lines = (line.split() for line in probe.communicate(timeout=20)[0].splitlines())
            figures = {words[0]: float(words[1]) for words in lines if len(words) == 3}
            if figures:
                self.seen.append((figures["taken_pct"], figures["piece_p99_us"] / figures["piece_p50_us"]))

    def verdict(self):
        """A sentence, and whether figures can be trusted."""
        if not self.seen:
            return "nobody looked how quiet it was", False
        taken, slow = (sorted(column)[len(column) // 2] for column in zip(*self.seen))
        worst = max(share for share, _ in self.seen)
        quiet = taken <= TAKEN_MAX_PCT and slow <= SLOW_MAX
        said = f"others took {taken:.1f} % of a core (at worst {worst:.1f} %), a fixed piece of work took {slow:.1f} times as long at p99"
        return ("quiet: " if quiet else "MACHINE TOO NOISY for these figures: ") + said, quiet


def processor_s(process):
    """Of all its threads, as Linux' scheduler keeps it."""
    spent_ns = 0
    for task in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{task}/schedstat", encoding="utf-8") as file:
            spent_ns += int(file.read().split()[0])
    return spent_ns / 1e9


def machine():
    """Its name in a line."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        virtual = ", virtual" if " hypervisor" in file.read() else ""
    return f"{model}, {os.cpu_count()} cores{virtual}, Linux {platform.release()}"
