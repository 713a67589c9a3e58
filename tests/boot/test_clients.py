"""Clients of Piglet: two at once, on windows of their own; in QEMU by ivshmem, of a Linux process by its socket.

The cases are a program's, tests/client/live*.c, which runs them all in one go; each is a test here."""
import os
import re
import socket
import subprocess
import threading

import pytest
import wires
from lab import machine as machines
from lab.namespace import tied

MACHINES = ("q35-e1000e", "q35-ixgbe", "hosted-tap", "hosted-san")
PIGLET = "10.0.0.2"
SITE = {"words": f"ip={PIGLET}/24 services=+echo", "windows": 2}
PORT, HOST_PORT = 7000, 7100  # as in live.h
ALL_TIMEOUT_S, ONE_TIMEOUT_S, ANSWER_S = 400, 60, 5
DATAGRAMS, UNDER_WAY, FLOOD = 1000, 16, 100


def program():
    return wires.artefact("test", "live")


def case_names():
    """The cases that need nobody's help."""
    path = os.path.join(machines.build_directory(), "test", "live")
    if not os.path.exists(path):
        return ["(not built)"]
    return subprocess.run([path, "--list"], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture(scope="module")
def results(site):
    """What the program says of each case: ok or not ok, and why."""
    done = subprocess.run(tied([program(), *site.windows]), capture_output=True, text=True, timeout=ALL_TIMEOUT_S,
                          check=False)
    said = {name: (how, why) for how, name, why in re.findall(r"^(ok|not ok) ([^:\n]+)(?:: (.*))?$", done.stdout, re.M)}
    return said, done.stderr


@pytest.mark.parametrize("case", case_names())
def test_live(results, case):
    """One case of the program's."""
    said, noise = results
    assert case in said, f"{case} was not run\n{noise}"
    how, why = said[case]
    assert how == "ok", f"{case}: {why}\n{noise}"


class Driven:
    """A case that needs somebody's help, begun."""

    def __init__(self, windows, case):
        self.case = case
        self.process = subprocess.Popen(tied([program(), *windows, case]), stdout=subprocess.PIPE, text=True)
        self.timer = threading.Timer(ONE_TIMEOUT_S, self.process.kill)

    def __enter__(self):
        self.timer.start()
        line = self.process.stdout.readline().strip()
        assert line == f"ready {self.case}", line
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        said = self.process.stdout.read().strip()
        self.timer.cancel()
        self.process.wait()
        if kind is None:
            assert said == f"ok {self.case}", said


def udp_socket(site, port):
    udp = site.host.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(ANSWER_S)
    udp.connect((PIGLET, port))
    return udp


def payloads(count):
    return [f"datagram {i} ".encode() * (1 + i * 37 % 100) for i in range(count)]


def exchange(udp, sent):
    """Sends all, some under way at a time; what came back."""
    back = []
    for first in range(0, len(sent), UNDER_WAY):
        window = sent[first:first + UNDER_WAY]
        for payload in window:
            udp.send(payload)
        back += [udp.recv(2048) for _ in window]
    return back


def test_echo_01_service(site, results):
    """After all that was done and undone echo is there, on its usual port."""
    with udp_socket(site, 7) as udp:
        assert exchange(udp, [b"oink"]) == [b"oink"]


def test_frames_01_echo(site, results):
    """A client answers a host's 1,000 datagrams, each once, in order."""
    with Driven(site.windows, "frames-echo"), udp_socket(site, PORT) as udp:
        sent = payloads(DATAGRAMS)
        assert exchange(udp, sent) == sent


def test_frames_02_send(site, results):
    """A host answers a client's 1,000 datagrams, of all sizes."""
    with site.host.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(ANSWER_S)
        udp.bind((site.host.address, HOST_PORT))
        with Driven(site.windows, "frames-send"):
            for _ in range(DATAGRAMS):
                data, sender = udp.recvfrom(2048)
                udp.sendto(data, sender)


def test_frames_03_slow_client(site, results):
    """A client that takes no frames loses its own, counted; the other one none."""
    before = site.counters()
    with Driven(site.windows, "frames-slow-client"), udp_socket(site, PORT) as quick, \
            udp_socket(site, PORT + 1) as slow:
        for payload in payloads(FLOOD):
            slow.send(payload)
            quick.send(payload)
            assert quick.recv(2048) == payload
    assert site.drops_since(before) == {"client-full": FLOOD - 2}


def boot_again(name, places):
    """A Piglet without wires, at the windows of one before."""
    if name.startswith("hosted"):
        return machines.Hosted(wires.artefact(name.replace("-tap", ""), "piglet"), "", window=places.socket)
    return machines.Qemu(wires.artefact("x86_64", "piglet.elf"), "console=ttyS0", extra=places.devices)


def test_restart_01_reopen(machine, lab):
    """Piglet is killed and started again under its clients: they attach anew, and nothing of before is good."""
    places = wires.Windows(machine.startswith("hosted"), 2)
    piglet = boot_again(machine, places)
    try:
        piglet.wait_ready()
        with Driven(places.names, "life-restart"):
            piglet.process.kill()
            piglet.stop()
            piglet = boot_again(machine, places)
            piglet.wait_ready()
    finally:
        piglet.stop()
        places.close()
