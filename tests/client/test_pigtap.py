"""pigtap: ordinary Linux programs on a Piglet's nic.

    namespace far                     hosted Piglet                    namespace near
    wire (a tap) ------------------- nic0, 10.0.0.2 ---- window ------ pig0, 10.0.0.7, pigtap
    10.0.0.1
"""
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tools"))

from lab import machine, namespace  # noqa: E402

FAR, PIGLET, NEAR, THIRD = "10.0.0.1", "10.0.0.2", "10.0.0.7", "10.0.0.8"
PORT = 2222  # of a namespace of its own: always free
BLOB_BYTES = 4 << 20
IPERF_S = 2
PATIENCE_S = 10
figures = []


def artefact(*path):
    name = os.path.join(machine.build_directory(), *path)
    assert os.path.exists(name), f"{name} is not built"
    return name


def wait_for(what, truth, patience_s=PATIENCE_S):
    """Waits until it is true."""
    deadline = time.monotonic() + patience_s
    while not truth():
        assert time.monotonic() < deadline, f"{what}: not within {patience_s} s"
        time.sleep(0.02)


class Pigtap:
    """A running pigtap, its lines on stdout and stderr going to a file."""

    def __init__(self, place, window, directory, address, name="pig0", mac=None):
        self.place, self.name, self.address = place, name, address
        self.log = os.path.join(directory, f"{name}-{address}-{time.monotonic_ns()}.log")
        words = [artefact("tools", "pigtap"), "-s", window, "-i", name]
        with open(self.log, "wb") as log:
            self.process = place.start(words + (["-m", mac] if mac else []), stdout=log, stderr=subprocess.STDOUT)
        wait_for("pigtap is on the nic", lambda: "is on nic0" in self.text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()

    def up(self):
        self.place.interface_up(self.name, f"{self.address}/24")
        return self

    def text(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def carrier(self):
        return "LOWER_UP" in self.place.run(f"ip -o link show {self.name}").stdout

    def counts(self):
        """What SIGUSR1 prints."""
        before = self.text().count("restarts ")
        self.process.send_signal(signal.SIGUSR1)
        wait_for("the counters", lambda: self.text().count("restarts ") > before)
        text = self.text()
        return {name: int(re.findall(rf"{name} (\d+)", text)[-1])
                for name in ("sent", "received", "too long", "refused by the Piglet", "dropped by the Piglet",
                             "not taken by the tap", "restarts")}

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE_S)


class Net:
    """The picture above."""

    def __init__(self, directory, words="", mtu=None):
        self.directory = str(directory)
        self.words = words
        self.window = f"unix:{self.directory}/piglet.sock"
        self.far, self.near, self.third = (namespace.Namespace() for _ in range(3))
        self.taps = []
        self.make_wire()
        if mtu:
            self.far.run(f"ip link set wire mtu {mtu}")
        self.start_piglet()

    def make_wire(self):
        self.far.tap("wire", f"{FAR}/24", persistent=True)

    def start_piglet(self):
        self.piglet = machine.Machine(
            [artefact("hosted", "piglet"), "--window", self.window.removeprefix("unix:"), "--nic", "tap:wire", "--",
             f"ip={PIGLET}/24 window=4M dump=1 {self.words}"], self.far).wait_ready()

    def pigtap(self, **options):
        options = {"place": self.near, "address": NEAR, **options}
        self.taps.append(Pigtap(window=self.window, directory=self.directory, **options))
        return self.taps[-1]

    def close(self):
        """Ends all of it; the exit statuses."""
        statuses = [tap.stop() for tap in self.taps] + [self.piglet.stop()]
        for place in (self.far, self.near, self.third):
            place.close()
        return statuses


class QemuNet(Net):
    """The same with Piglet in QEMU, its nic a model of Intel's, its window a file that wakes nobody."""

    def __init__(self, directory, board, model):
        self.board, self.model = board, model
        super().__init__(directory)
        self.window = f"shm:{self.directory}/window"

    def make_wire(self):
        self.wire = self.far.tap("wire", f"{FAR}/24")

    def start_piglet(self):
        self.piglet = machine.Qemu(
            artefact("x86_64", "piglet.elf"), f"console=ttyS0 ip={PIGLET}/24 dump=1", self.board,
            nics=[(self.model, machine.tap_netdev(self.wire))], fds=[self.wire.fd],
            extra=machine.window_devices([(f"{self.directory}/window", 4 << 20)])).wait_ready()


def ping(place, address, options="-c 20 -i 0.01"):
    return place.run(f"ping -n -q -W 2 {options} {address}", check=False)


def answers(place, address):
    return ping(place, address, "-c 1").returncode == 0


def all_answered(place, address, options="-c 20 -i 0.01"):
    done = ping(place, address, options)
    assert " 0% packet loss" in done.stdout, done.stdout + done.stderr


@pytest.fixture(scope="module", autouse=True)
def root():
    if os.geteuid() != 0:
        pytest.skip("not root: taps and namespaces cannot be made (run it as root)")
    try:
        namespace.check_tap()
    except namespace.LabError as error:
        pytest.skip(f"{error}: {error.cure}")


@pytest.fixture(scope="module")
def shared(root, tmp_path_factory):
    """For tests that leave it as it was: with pigtap up and answering."""
    net = Net(tmp_path_factory.mktemp("pigtap"))
    try:
        net.pigtap().up()
        wait_for("the first reply", lambda: answers(net.near, FAR))
        yield net
    finally:
        statuses = net.close()
    assert statuses == [0] * len(statuses)


@pytest.fixture(scope="module", autouse=True)
def report():
    """Figures, shown and not judged."""
    yield
    for figure in figures:
        print(f"\nfigure: {figure}", end="")


@pytest.fixture
def net(tmp_path):
    """For tests that break it: net(words=..., mtu=...)."""
    made = []

    def make(**options):
        made.append(Net(tmp_path, **options))
        return made[-1]
    yield make
    for each in made:
        each.close()


# ---- ordinary programs ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", (0, 56, 1472))
def test_ping_01_all_directions(shared, size):
    options = f"-c 20 -i 0.01 -s {size} -M do"
    all_answered(shared.near, FAR, options)
    all_answered(shared.far, NEAR, options)
    all_answered(shared.near, PIGLET, options)  # delivered locally
    all_answered(shared.far, PIGLET, options)


def test_arping_01_own_mac(shared):
    mac = shared.near.mac("pig0")
    done = shared.far.run(f"arping -c 3 -w 5 -I wire {NEAR}")
    assert done.stdout.lower().count(mac) == 3, done.stdout
    done = shared.near.run(f"arping -c 3 -w 5 -I pig0 {PIGLET}")
    assert "Received 3 response" in done.stdout and mac not in done.stdout.lower()


def test_curl_01_a_file(shared):
    blob = os.urandom(BLOB_BYTES)
    with open(os.path.join(shared.directory, "blob"), "wb") as file:
        file.write(blob)
    server = shared.far.start(["/usr/bin/python3", "-m", "http.server", "--bind", FAR, "--directory", shared.directory,
                               "8080"])
    with shared.near:
        got = subprocess.run(namespace.tied(["curl", "-s", "--retry", "20", "--retry-delay", "1", "--retry-connrefused",
                                             "--max-time", "25", f"http://{FAR}:8080/blob"]),
                             capture_output=True, timeout=60, check=False)
    server.kill()
    assert got.returncode == 0 and hashlib.sha256(got.stdout).digest() == hashlib.sha256(blob).digest()


def test_ssh_01_a_session(shared):
    """An ssh server with keys of its own, whose /root is empty but for them."""
    if not shutil.which("dropbear"):
        pytest.skip("dropbear-bin is not installed")
    place = shared.directory
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{place}/user"], check=True)
    subprocess.run(["dropbearkey", "-t", "ed25519", "-f", f"{place}/host"], check=True, capture_output=True)
    server = shared.far.start(
        ["unshare", "--mount", "sh", "-ec",
         f"cp {place}/user.pub {place}/allowed; exec 3<{place}/allowed 4<{place}/host; mount -t tmpfs -o mode=700 none /root; "
         "mkdir -m 700 /root/.ssh; cat <&3 >/root/.ssh/authorized_keys; cat <&4 >/root/host; "
         f"exec dropbear -F -E -s -r /root/host -p {FAR}:{PORT} -P /root/pid"])
    wait_for("dropbear", lambda: f"{FAR}:{PORT}" in shared.far.run("ss -ltn").stdout)
    with shared.near:
        done = subprocess.run(
            namespace.tied(["ssh", "-F", "/dev/null", "-i", f"{place}/user", "-p", str(PORT), "-o", "BatchMode=yes",
                            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={place}/known",
                            f"root@{FAR}", "echo $SSH_CONNECTION; head -c 1000000 | sha256sum"]),
            input=bytes(1000000), capture_output=True, timeout=30, check=False)
    server.kill()
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == [NEAR, done.stdout.decode().split()[1], FAR, str(PORT),
                                            hashlib.sha256(bytes(1000000)).hexdigest(), "-"]


# ---- iperf3 -----------------------------------------------------------------------------------------


def iperf(server, client, address, options=""):
    """One run; its result as iperf3's JSON has it."""
    listener = server.start(f"iperf3 -s -1 -p {PORT} -B {address}")
    wait_for("iperf3", lambda: f"{address}:{PORT}" in server.run("ss -ltn").stdout)
    done = client.run(f"iperf3 -c {address} -p {PORT} -t {IPERF_S} -J {options}", check=False)
    listener.kill()
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)["end"]


def measure(server, client, address):
    """Mb/s there and back over TCP, and what of 100 Mb/s of UDP came."""
    there = iperf(server, client, address)["sum_received"]
    back = iperf(server, client, address, "-R")["sum_received"]
    udp = iperf(server, client, address, "-u -b 100M -l 1400")["sum"]
    return there["bits_per_second"] / 1e6, back["bits_per_second"] / 1e6, udp["lost_percent"]


class Bridged:
    """The same two hosts with a Linux bridge where the Piglet is; frames are as whole as through taps."""

    def __init__(self):
        self.far, self.middle, self.near = (namespace.Namespace() for _ in range(3))
        self.middle.run("ip link add bridge type bridge")
        for name, host, address in (("left", self.far, FAR), ("right", self.near, NEAR)):
            self.middle.run(f"ip link add {name} type veth peer name wire netns {host.path}")
            self.middle.run(f"ip link set {name} master bridge up")
            host.run("ethtool -K wire tso off gso off gro off tx off rx off")
            host.interface_up("wire", f"{address}/24")
        self.middle.run("ip link set bridge up")
        wait_for("the bridge", lambda: answers(self.near, FAR))

    def close(self):
        for place in (self.far, self.middle, self.near):
            place.close()


def test_iperf_01_beside_a_bridge(shared):
    bridged = Bridged()
    try:
        plain = measure(bridged.far, bridged.near, FAR)
    finally:
        bridged.close()
    ours = measure(shared.far, shared.near, FAR)
    for name, (there, back, lost) in (("pigtap and hosted Piglet", ours), ("veth, bridge, veth", plain)):
        figures.append(f"iperf3 {name}: TCP {there:.0f} Mb/s out, {back:.0f} Mb/s in, UDP 100 Mb/s lost {lost:.1f} %")
    there, back, lost = ours
    assert there > 10 and back > 10  # slower than the slowest Ethernet is broken, not slow
    assert lost < 50
    counts = shared.taps[0].counts()
    assert counts["refused by the Piglet"] == counts["too long"] == counts["restarts"] == 0


# ---- coming and going -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", (signal.SIGTERM, signal.SIGKILL))
def test_restart_01_of_the_piglet(net, how):
    net = net()
    tap = net.pigtap().up()
    wait_for("the first reply", lambda: answers(net.near, FAR))
    net.piglet.process.send_signal(how)
    net.piglet.process.wait(PATIENCE_S)
    wait_for("no carrier", lambda: not tap.carrier())
    time.sleep(1)  # several attempts
    assert tap.text().count("has gone") == 1 and tap.process.poll() is None
    net.start_piglet()
    wait_for("carrier", tap.carrier)
    wait_for("a reply", lambda: answers(net.near, FAR))
    all_answered(net.far, NEAR)
    assert tap.counts()["restarts"] == 1
    assert tap.text().count("has gone") == 1


def test_restart_02_of_pigtap(net):
    """A tap made beforehand keeps its name, address and MAC while nobody is behind it."""
    net = net()
    net.near.tap("lab0", f"{NEAR}/24", persistent=True)
    mac = net.near.mac("lab0")
    for how in (signal.SIGTERM, signal.SIGKILL):
        tap = net.pigtap(name="lab0")
        wait_for("a reply", lambda: answers(net.near, FAR))
        assert net.near.mac("lab0") == mac
        net.taps.remove(tap)
        tap.process.send_signal(how)
        tap.process.wait(PATIENCE_S)
        assert not tap.carrier()


def test_stations_01_two_of_them(net):
    net = net()
    net.pigtap(mac="02:00:00:00:07:01").up()
    net.pigtap(place=net.third, address=THIRD, mac="02:00:00:00:07:02").up()
    assert net.near.mac("pig0") == "02:00:00:00:07:01"
    wait_for("a reply", lambda: answers(net.near, THIRD))
    all_answered(net.near, THIRD)
    all_answered(net.third, NEAR)
    all_answered(net.third, FAR)
    all_answered(net.third, PIGLET)


def test_mtu_01_follows_the_nic(net):
    net = net(mtu=1280)
    net.pigtap().up()
    assert "mtu 1280" in net.near.run("ip -o link show pig0").stdout
    wait_for("a reply", lambda: answers(net.near, FAR))
    all_answered(net.near, FAR, "-c 5 -i 0.01 -s 1252 -M do")


def test_refused_01_another_source_address(net):
    """Linux gives the tap another MAC behind pigtap's back: what it sends so is not let on the wire."""
    net = net()
    tap = net.pigtap().up()
    wait_for("a reply", lambda: answers(net.near, FAR))
    before = tap.counts()["refused by the Piglet"]
    net.near.run("ip link set pig0 down")
    net.near.run("ip link set pig0 address 02:00:00:00:07:09 up")
    assert not answers(net.near, FAR)
    assert tap.counts()["refused by the Piglet"] > before


@pytest.mark.parametrize("board, model", (("q35", "e1000e"), ("pc", "e1000")))
def test_shm_01_in_qemu(tmp_path, board, model):
    """A window that wakes nobody, a nic whose filter must let the station's frames in; and a reset."""
    net = QemuNet(tmp_path, board, model)
    try:
        tap = net.pigtap().up()
        wait_for("the first reply", lambda: answers(net.near, FAR))
        all_answered(net.near, FAR)
        all_answered(net.far, NEAR)
        all_answered(net.near, PIGLET)
        mbps = iperf(net.far, net.near, FAR)["sum_received"]["bits_per_second"] / 1e6
        back = iperf(net.far, net.near, FAR, "-R")["sum_received"]["bits_per_second"] / 1e6
        figures.append(f"iperf3 pigtap and {model} in QEMU: TCP {mbps:.0f} Mb/s out, {back:.0f} Mb/s in")
        net.piglet.stop()
        wait_for("no carrier", lambda: not tap.carrier())
        net.start_piglet()
        wait_for("carrier", tap.carrier)
        wait_for("a reply", lambda: answers(net.near, FAR))
        assert tap.counts()["restarts"] == 1
    finally:
        net.close()


# ---- what goes wrong --------------------------------------------------------------------------------


def pigtap_fails(place, *words):
    done = place.run([artefact("tools", "pigtap"), *words], check=False)
    return done.returncode, done.stdout + done.stderr


def test_command_line_01(net):
    net = net()
    status, text = pigtap_fails(net.near, "--help")
    assert status == 0 and "examples:" in text
    for words in (("-m", "1:2:3"), ("-m", "03:00:00:00:00:01"), ("-n", "zero"), ("what",), ("-x",)):
        status, text = pigtap_fails(net.near, *words)
        assert status == 2 and text, words
    status, text = pigtap_fails(net.near, "-s", "unix:/nowhere.sock")
    assert status == 1 and "/nowhere.sock" in text and "no such thing" in text
    status, text = pigtap_fails(net.near, "-s", net.window, "-n", "5")
    assert status == 1 and "nic5" in text and "no such thing" in text
    status, text = pigtap_fails(net.near, "-s", net.window, "-i", "a-name-longer-than-ifnamsiz")
    assert status == 1 and "too long" in text


def test_rights_01_may_not_join(net):
    net = net(words="window.rights=read")
    status, text = pigtap_fails(net.near, "-s", net.window)
    assert status == 1 and "not permitted" in text


def test_rights_02_may_only_join(net):
    net = net(words="window.rights=join")
    net.pigtap().up()
    wait_for("a reply", lambda: answers(net.near, FAR))
    all_answered(net.near, FAR)
