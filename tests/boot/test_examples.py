"""Each configuration of examples/, booted between the hosts that `run-qemu --between` makes: it does its job."""
import os
import re
import subprocess
import time

import pytest
import wires
from lab import between, machine as machines, traffic
from lab.namespace import tied

MACHINES = ("q35-e1000e", "hosted-tap")
OFFICE, VISITOR, WEB = "10.0.0.7", "10.0.0.66", "10.0.0.80"
WORLD, MAIL = "192.0.2.1", "192.0.2.25"
NEAR, FAR = "10.0.0.1", "192.0.2.2"  # Piglet's two sides
SETTLE_S, MEASURE_S, PINGS = 1, 3, 5
LINE_KBIT = 9500
FRAME, DATAGRAM = 1514, 1472  # bytes of a full frame, and what of them is a UDP datagram's payload
SENT_KBIT = 14000
FRAMES_MIN = 1000
RATE_BELOW, RATE_ABOVE = 0.9, 1.03  # a computer with too much to do loses what a burst does not cover; above it is the burst
TRIES = 3  # the best counts, as what else runs only takes away
SCRIPT_TIMEOUT_S = 20
PAGE_BYTES = 400000
SERVE = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes(int(sys.argv[3])))
class Server(http.server.ThreadingHTTPServer):
    server_bind = http.server.socketserver.TCPServer.server_bind  # HTTPServer's asks DNS for the host's name
with Server((sys.argv[1], int(sys.argv[2])), Page) as server:
    print("serving", flush=True)
    server.serve_forever()
"""
REACH = """
import socket, sys
source, address, port = sys.argv[1:]
with socket.socket() as tcp:
    tcp.settimeout(1.5)
    tcp.bind((source, 0))
    try:
        tcp.connect((address, int(port)))
        print("connected")
    except OSError as error:
        print(type(error).__name__, error.errno)
"""
CONNECTED, RESET, SILENCE, UNREACHABLE = "connected", "ConnectionRefusedError 111", "TimeoutError None", "OSError 113"


class Example:
    """A site with its hosts' names, and pigctl beside it."""

    def __init__(self, machine, name):
        self.path = os.path.join(machines.ROOT, "examples", f"{name}.conf")
        self.site = wires.Site(machine, "", hosts=[addresses for addresses, _ in between.HOSTS.values()], windows=1,
                               configs=(self.path,))
        self.office, self.world = self.site.hosts
        for host, (_, piglet) in zip(self.site.hosts, between.HOSTS.values()):
            host.run(f"ip route add default via {piglet}")
            assert host.answers(piglet), self.site.console.tail()

    def pigctl(self, *words):
        program = wires.artefact("tools", "pigctl")
        done = subprocess.run(tied([program, "-s", self.site.windows[0], *words]), capture_output=True, text=True,
                              timeout=SCRIPT_TIMEOUT_S, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def serve(self, host, command, ready):
        """Starts a server on a host, and waits until it says it is there."""
        server = host.namespace.start(command)
        for line in server.stdout:
            if ready in line:
                return server
        raise AssertionError(f"{command}: it ended")

    def http(self, host, address, port):
        return self.serve(host, ["/usr/bin/python3", "-c", SERVE, address, str(port), str(PAGE_BYTES)], "serving")

    def rate(self, reverse):
        """The kbit/s of frames that arrive while more is sent, by UDP: a TCP connection may leave room, UDP leaves none."""
        receiver, port = (self.office, 5202) if reverse else (self.world, 5201)  # what waited of one run is not for the next
        server = self.serve(self.world, f"iperf3 -s -1 -p {port} --forceflush", "listening")
        client = self.office.namespace.start(f"iperf3 -p {port} -u -l {DATAGRAM} -c {WORLD} -b {SENT_KBIT}k "
                                             f"-t {3 * MEASURE_S} {reverse}")
        time.sleep(SETTLE_S)
        kbit, _ = traffic.receiving(receiver.namespace, receiver.interface, lambda: time.sleep(MEASURE_S))
        for each in (client, server):
            each.kill()
        return kbit

    def line_of(self, text):
        """The number of the file's line that begins so."""
        with open(self.path, encoding="ascii") as file:
            return next(i for i, line in enumerate(file, 1) if line.strip().startswith(text))

    def why(self, expression):
        return self.pigctl("why", expression)


def reach(host, source, address, port):
    """How connecting ends."""
    return host.namespace.run(["/usr/bin/python3", "-c", REACH, source, address, str(port)]).stdout.strip()


def pings(host, source, address):
    text, sent, received = host.ping_all(address, PINGS, f"-i 0.05 -I {source}")
    assert sent == PINGS, text
    return received


@pytest.fixture(scope="module")
def example(request, machine, lab):
    """One example's Piglet; it must run to the end, unharmed."""
    one = Example(machine, request.param)
    one.name = request.param
    yield one
    failure = one.site.piglet.failure()
    status = one.site.close()
    assert failure is None and (status == 0 or not one.site.hosted), f"{failure}, {status}\n{one.site.console.tail()}"


def of(*names):
    """The examples that a test is about."""
    return pytest.mark.parametrize("example", names, indirect=True, scope="module")


@of("router", "firewall", "shaper", "appliance")
def test_example_01_runs_what_it_says(example):
    """What runs is the file; applying that again changes nothing."""
    assert "done, " in example.site.console.wait(r"module: .*")[0]
    assert example.pigctl("diff", example.path) == "nothing to do\n"


@of("router", "firewall", "shaper", "appliance")
def test_example_02_forwards(example):
    """The office reaches the world: pings, and a page whole."""
    assert pings(example.office, OFFICE, WORLD) == PINGS
    server = example.http(example.world, WORLD, 80)
    page = example.office.run(f"curl -sS -m 10 --interface {OFFICE} http://{WORLD}/").stdout
    server.kill()
    assert len(page) == PAGE_BYTES


@of("firewall", "appliance")
def test_example_03_refuses(example):
    """Who tries another mail server is told by a reset, and why names the rule's own line."""
    line = example.line_of("reject forward")
    server = example.http(example.world, "0.0.0.0", 25)
    assert reach(example.office, OFFICE, WORLD, 25) == RESET
    assert reach(example.office, OFFICE, MAIL, 25) == CONNECTED
    server.kill()
    told = example.why(f"src host {OFFICE} and dst host {WORLD} and tcp dst port 25")
    assert f"(firewall-drop); {example.name}.conf:{line}: " in told, told
    assert f"firewall: line {line}: reset " in example.pigctl("log")


@of("firewall", "appliance")
def test_example_04_guards_the_office(example):
    """The world reaches the web server, and nothing else; silence, by the default."""
    server = example.http(example.office, WEB, 80)
    other = example.http(example.office, OFFICE, 80)
    assert reach(example.world, WORLD, WEB, 80) == CONNECTED
    assert reach(example.world, WORLD, OFFICE, 80) == SILENCE
    assert reach(example.world, WORLD, WEB, 22) == SILENCE
    assert reach(example.world, WORLD, FAR, 22) == SILENCE
    for each in (server, other):
        each.kill()
    told = example.why(f"dst host {OFFICE} and tcp dst port 80 and src host {WORLD}")
    line = example.line_of("default forward drop")
    assert f"(firewall-drop); {example.name}.conf:{line}: " in told, told


@of("firewall", "appliance")
def test_example_05_a_visitor(example):
    """The barred computer gets what its rules say: nothing, or the web alone."""
    server = example.http(example.world, WORLD, 80)
    web = reach(example.office, VISITOR, WORLD, 80)
    other = reach(example.office, VISITOR, WORLD, 81)
    server.kill()
    assert (web, other) == (CONNECTED if example.name == "appliance" else SILENCE, SILENCE)
    told = example.why(f"src host {VISITOR} and tcp dst port 81")
    line = example.line_of("drop forward from nic0")
    assert f"(firewall-drop); {example.name}.conf:{line}: " in told, told


@of("firewall")
def test_example_06_told_by_icmp(example):
    """traceroute's datagrams from the world to the office's web server are answered: prohibited."""
    done = example.world.run(f"traceroute -n -q 1 -w 2 -m 3 -N 1 {WEB}")
    assert re.search(rf"^ 1  {re.escape(FAR)} .*!X", done.stdout, re.M), done.stdout


@of("shaper", "appliance")
def test_example_07_rate(example):
    """iperf3 gets the line's rate, and not more; in a direction without classes, what it sends."""
    for reverse, name in (("", "up"), ("--reverse", "down")):
        shaped = example.name == "appliance" or name == "up"
        wanted = LINE_KBIT if shaped else SENT_KBIT * FRAME / DATAGRAM
        for _ in range(TRIES):
            got = example.rate(reverse)
            if got > RATE_BELOW * wanted:
                break
        wires.figures.append(f"{example.site.name}: {example.name}, {name}: {got:.0f} of {wanted:.0f} kbit/s "
                             f"({got / wanted - 1:+.2%})")
        assert RATE_BELOW * wanted < got < RATE_ABOVE * wanted
    sent = dict(re.findall(r"^(\S+) sent (\d+) ", example.pigctl("services", "show", "shaper"), re.M))
    classes = ("up", "up-rest", "down", "down-rest") if example.name == "appliance" else ("line", "rest")
    assert all(int(sent[name]) > FRAMES_MIN for name in classes), sent


@of("appliance")
def test_example_08_counts(example):
    """A rule that counts says what its connections moved."""
    server = example.http(example.world, WORLD, 80)
    example.office.run(f"curl -sS -m 10 --interface {OFFICE} http://{WORLD}/")
    server.kill()
    line = example.line_of("accept forward from nic0 to nic1 tcp,udp")
    told = re.findall(rf"line {line}: \d+ packets, (\d+) bytes", example.pigctl("services", "show", "firewall"))
    assert max(map(int, told)) > PAGE_BYTES, told
