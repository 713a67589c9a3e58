"""`run-qemu --between`: two Linux hosts, for Piglet to stand between; `--in` runs commands on them.

    office 10.0.0.7, .66, .80 --- nic0 Piglet nic1 --- 192.0.2.1, .25 world

Each host is a namespace that lives as long as QEMU does, without a name in the file system. A shell that waits in it
carries the host's name among its arguments, and is how another terminal finds it."""
import glob
import os
import subprocess

from . import namespace
from .machine import build_directory, tap_netdev

HOSTS = {"office": (("10.0.0.7/24", "10.0.0.66/24", "10.0.0.80/24"), "10.0.0.1"),
         "world": (("192.0.2.1/24", "192.0.2.25/24"), "192.0.2.2")}  # addresses, and Piglet as each sees it


def _mark(name):
    """A waiting shell's arguments; the build's folder keeps two labs apart."""
    return ["sh", "-c", "read _", f"piglet-{name}", build_directory()]


def find(name):
    """The process that holds the namespace of the running lab, or None."""
    wanted = "\0".join(_mark(name)).encode() + b"\0"
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                if file.read() == wanted:
                    return int(path.split("/")[2])
        except OSError:
            pass  # it has just ended, or is somebody else's
    return None


def make():
    """Makes both hosts: QEMU's -netdev of each wire. What they need stays open in the program that this one becomes."""
    if find("office"):
        raise namespace.LabError("a lab of this build is there already", "end its QEMU first")
    namespace.check_tap()
    namespace.become_root()
    reader, writer = os.pipe()  # the shells read from it: they end when QEMU does
    os.set_inheritable(writer, True)
    netdevs = []
    for name, (addresses, piglet) in HOSTS.items():
        host = namespace.Namespace()
        tap = host.tap("eth0", *addresses)
        host.run(f"ip route add default via {piglet}")
        host.start(_mark(name), stdin=reader, stdout=subprocess.DEVNULL)
        os.set_inheritable(tap.fd, True)
        netdevs.append(tap_netdev(tap))
    return netdevs


def command_in(name, command):
    """The words that run a command on a host of the running lab."""
    pid = find(name)
    if not pid:
        raise namespace.LabError(f"no lab with a host {name} runs", "start one: tools/run-qemu --between, in another terminal")
    enter = ["nsenter", "-t", str(pid), "-n"]
    if os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
        enter += ["-U", "--preserve-credentials"]
    return [*enter, "--", *(command or [os.environ.get("SHELL", "sh")])]
