"""docs/appliance.md: every command of the page, typed in its order into one shell, says what the page shows."""
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from lab import between, console, machine as machines

MACHINES = ("q35-e1000e",)
COMMAND_TIMEOUT_S = 40
END = "end of command"
PAGE = os.path.join(machines.ROOT, "docs", "appliance.md")
DROPPED_BY_LINE = r"10\.0\.0\.7:\d+ > 192\.0\.2\.1:25 tcp S: dropped by .*; appliance\.conf:34: reject forward .* log\n"
SAYS = [  # beginnings of commands, in the page's order, and what they must say
    ("export PATH=", r"^$"),
    ("alias office=", r"^$"),
    ("office ping -c 3 ", "3 packets transmitted, 3 received, 0% packet loss"),
    ("office curl -sS -m 3 telnet://192.0.2.1:25", r"curl: \(7\) Failed to connect to 192\.0\.2\.1 port 25"),
    ("pigctl why tcp", DROPPED_BY_LINE),
    ("pigctl log | grep", r"firewall: line 34: reset protocol 6 10\.0\.0\.7:\d+ > 192\.0\.2\.1:25\n"),
    ("world ping -c 1 -W 1 10.0.0.7", "1 packets transmitted, 0 received"),
    ("pigctl why host 10.0.0.7 and icmp", r"nic1 in, 98 bytes, 192\.0\.2\.1 > 10\.0\.0\.7 icmp .*; appliance\.conf:22: default forward drop\n$"),
    ("pigctl drops", r"\nfirewall-drop +2 "),
    ("pigctl services show firewall", r"rule \d+, line 34: 1 packets(.*\n)+default forward: 1 packets, 98 bytes\n"),
    ("pigctl flows", r"10\.0\.0\.7"),
    ("world iperf3", r""),
    ("office iperf3", r"  ([4-9]\.\d+|9) Mbits/sec +receiver"),
    ("pigctl services show shaper", r"\nup-rest sent \d{4} queued .* dropped [1-9]\d* "),
    ("pigctl drops", r"\nshaper-codel +[1-9]"),
    ("office ping -c 20", r""),
    ("pigctl capture -c 4 icmp | tshark", r"10\.0\.0\.7 → 192\.0\.2\.1 +ICMP 98 Echo \(ping\) request"),
    ("pigctl -s shm:", r""),
    ("curl -s http://127.0.0.1:", r'piglet_drops_total\{reason="firewall-drop"\} 2\n'),
    ("sed '/drop", r"^$"),
    ("pigctl diff", r"^firewall \{...\}\n$"),
    ("pigctl apply --confirm 60", r"confirm within 60 s with `pigctl confirm`"),
    ("office ping -c 1 -I 10.0.0.66", "1 packets transmitted, 1 received"),
    ("pigctl confirm", "^confirmed\n$"),
    ("pigctl show config", r"^addresses add 10\.0\.0\.1/24@nic0\n"),
]


class Shell:
    """bash, fed a command at a time."""

    def __init__(self):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", "bash", "--norc"], cwd=machines.ROOT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)

    def run(self, command):
        """Its output, errors too."""
        self.process.stdin.write(f"{command}\necho '{END}'\n".encode())
        self.process.stdin.flush()
        text, deadline = b"", time.monotonic() + COMMAND_TIMEOUT_S
        while not text.endswith(END.encode() + b"\n"):
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.process.stdout], [], [], left)[0], f"{command}: no end\n{text.decode()}"
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            assert part, f"{command}: the shell ended\n{text.decode()}"
            text += part
        return text.decode()[:-len(END) - 1]

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def place(lab):
    """Where the page's files are, for this test alone: what to say instead of what the page says."""
    if between.find("office"):
        pytest.skip("somebody has a lab of this build; end its QEMU first")
    for program in ("curl", "iperf3", "tshark"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    folder = tempfile.mkdtemp(prefix="lab-", dir="/dev/shm")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield {"/dev/shm/": f"{folder}/", "/tmp/": f"{folder}/", "127.0.0.1:9100": f"127.0.0.1:{port}",
           "$PWD/build/tools": os.path.join(machines.build_directory(), "tools")}
    shutil.rmtree(folder)


def commands(place):
    with open(PAGE, encoding="utf-8") as file:
        found = re.findall(r"^    \$ (.*)$", file.read(), re.M)
    for said, here in place.items():
        found = [command.replace(said, here) for command in found]
    build, boot, *rest = found
    assert build == "make packages all" and boot.startswith("tools/run-qemu --between ")
    return boot, rest


def test_appliance_01_as_told(machine, place):  # pylint: disable=unused-argument
    """It boots, and each command says what the page shows."""
    boot, rest = commands(place)
    assert len(rest) == len(SAYS)
    piglet, shell = machines.Machine(boot.split()), Shell()
    try:
        piglet.wait_ready()
        piglet.console.wait(console.gateway_at("192.0.2.1"))
        shell.run("shopt -s expand_aliases")
        for command, (beginning, wanted) in zip(rest, SAYS):
            for said, here in place.items():
                beginning = beginning.replace(said, here)
            assert command.startswith(beginning)
            told = shell.run(command)
            assert re.search(wanted, told), f"$ {command}\n{told}\n{piglet.console.tail()}"
    finally:
        shell.close()
        status = piglet.stop()
    assert status == 0, piglet.console.tail()
