"""The program that runs QEMU with 82599 models: its wires, its faults, and how it ends."""
import os
import signal
import socket
import subprocess
import time

import pytest
import wires
from lab import console
from lab.machine import Qemu, dgram_netdev, mac_of
from scapy.all import ARP, ICMP, IP, Ether, rdpcap, wrpcap  # pylint: disable=no-name-in-module

MACHINES = ("q35-ixgbe",)
OURS, PEER, PEER_MAC = "10.0.0.2", "10.0.0.1", "52:54:00:00:00:77"
END_TIMEOUT_S = 10


def frames():
    """An ARP request and a ping, from the peer; Piglet knows the peer by the first."""
    return [Ether(src=PEER_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=PEER, hwsrc=PEER_MAC, pdst=OURS),
            Ether(src=PEER_MAC, dst=mac_of(0)) / IP(src=PEER, dst=OURS) / ICMP(id=7, seq=1) / (b"x" * 100)]


@pytest.fixture
def start(lab):
    machines = []

    def boot(*netdevs, words=f"ip={OURS}/24", options=()):
        machines.append(Qemu(wires.artefact("x86_64", "piglet.elf"), f"console=ttyS0 {words}",
                             nics=[("ixgbe", netdev) for netdev in netdevs], model_options=options))
        return machines[-1].wait_ready()
    yield boot
    for machine in machines:
        machine.stop()


def pid_of_qemu(machine):
    out = subprocess.run(["pgrep", "-P", str(machine.process.pid)], capture_output=True, text=True, check=True).stdout
    return int(out.split()[0])


def until(question, timeout=END_TIMEOUT_S):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.02)
    return question()


# pylint: disable=unused-argument,redefined-outer-name
def test_ixgbe_model_01_files(machine, start, tmp_path):
    """A wire of files: what is in one is received, what is sent is in the other."""
    given, got = str(tmp_path / "in.pcap"), str(tmp_path / "out.pcap")
    given_frames = frames()
    for i, frame in enumerate(given_frames * 3):  # Piglet sees the link some time after it is up
        frame.time = i * 0.4
        wrpcap(given, frame, append=i > 0)
    piglet = start("hubport,hubid=0", options=("--wire", f"pcap:{given},{got}"))
    # The first device is the wire of files, the second that of the command line, which QEMU does not use.
    replies = until(lambda: [frame for frame in rdpcap(got) if ICMP in frame] if os.path.getsize(got) > 24 else None)
    assert replies and replies[0][IP].src == OURS and replies[0][ICMP].type == 0
    assert piglet.failure() is None


def test_ixgbe_model_02_datagrams(machine, start, tmp_path):
    """A wire of datagram sockets, and the count of register accesses beside the frames."""
    model, ours, stats = (str(tmp_path / name) for name in ("model", "ours", "stats"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(ours)
        wire.settimeout(END_TIMEOUT_S)
        piglet = start(dgram_netdev(model, ours), options=("--stats", stats))
        piglet.console.wait(console.link_up("nic0"))
        request, ping = (bytes(frame) for frame in frames())
        wire.sendto(request, model)
        while ARP not in Ether(wire.recv(2048)):
            pass
        for _ in range(20):
            wire.sendto(ping, model)
            while ICMP not in Ether(wire.recv(2048)):
                pass
        assert piglet.stop() == 0
    with open(stats, encoding="ascii") as file:
        report = file.read()
    assert "violations 0" in report
    assert "RDT[0]" in report and "TDT[0]" in report


def test_ixgbe_model_03_ends_together(machine, start):
    """Whichever dies, the other does; QEMU's end is told."""
    for victim_is_qemu in (True, False):
        piglet = start("hubport,hubid=0")
        qemu = pid_of_qemu(piglet)
        if victim_is_qemu:
            os.kill(qemu, signal.SIGKILL)
            assert piglet.process.wait(END_TIMEOUT_S) == 128 + signal.SIGKILL
        else:
            piglet.process.kill()
            assert until(lambda pid=qemu: not os.path.exists(f"/proc/{pid}/cmdline")
                         or not open(f"/proc/{pid}/cmdline", "rb").read())


def test_ixgbe_model_04_faults_while_it_runs(machine, boot):
    """The link flaps and the ping comes back; a fault without a name is refused."""
    site = boot(f"ip={OURS}/24")
    assert site.host.answers(OURS)
    mark = site.console.mark()
    site.piglet.fault(0, "link-flap")
    site.console.wait(console.link_down("nic0"), since=mark)
    site.console.wait(console.link_up("nic0"), since=mark)
    assert site.host.answers(OURS)
    with pytest.raises(AssertionError, match="no such fault"):
        site.piglet.fault(0, "no-such")


def test_ixgbe_model_05_refuses(machine):
    """Options that make no sense are told of, with status 2 or 1; a command that is not there is QEMU's 127."""
    program = wires.artefact("tests", "model", "ixgbe-model")
    for words, status, said in ((["--wire", "nothing:x", "--", "true"], 1, "give dgram:"),
                                (["--wire", "none", "--fault", "x", "--", "true"], 2, "no fault of this name"),
                                (["--wire", "none", "--mac", "x", "--", "true"], 2, "six bytes"),
                                (["--", "true"], 2, "usage"),
                                (["--wire", "none", "--", "/no/such"], 127, "No such file"),
                                (["--wire", "none", "--", "sh", "-c", "exit 5"], 5, "")):
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=END_TIMEOUT_S, check=False)
        assert done.returncode == status, (words, done)
        assert said in done.stderr


def test_ixgbe_model_06_blocked_accesses(machine):
    """What QEMU says of accesses it refused makes the run void."""
    program = wires.artefact("tests", "model", "ixgbe-model")
    done = subprocess.run([program, "--wire", "none", "--", "sh", "-c", "echo Blocked re-entrant IO on x >&2"],
                          capture_output=True, text=True, timeout=END_TIMEOUT_S, check=False)
    assert done.returncode == 99
    assert "Blocked re-entrant IO on x" in done.stderr and "thread=single" in done.stderr
