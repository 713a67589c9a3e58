"""Addresses leased from dnsmasq, a real DHCP server."""
import re

import pytest
import wires
from lab import console

MACHINES = ("q35-e1000e", "q35-ixgbe", "hosted-tap")
SERVER, LEASED = "10.0.0.1", "10.0.0.50"
LEASE_S = 120  # dnsmasq's shortest
RENEW_S = 3  # nor does it take less for T1
FIRST_ANSWER_S = 2.5  # from Piglet's "ready": before a lost discover would be repeated


class Server:
    """dnsmasq on a host; what it logs is read like a console."""

    def __init__(self, *options):
        self.options = options
        self.said = None

    def start(self, host):
        network = host.address.rsplit(".", 1)[0]
        child = host.namespace.start(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--pid-file=", "--user=root",
             "--leasefile-ro", "--log-facility=-", "--log-dhcp", "--no-ping", "--dhcp-authoritative", "--bind-dynamic",
             f"--interface={host.interface}", f"--dhcp-range={network}.50,{network}.59,{LEASE_S}", *self.options],
            text=False)
        self.said = console.Console(child.stdout)
        self.said.wait(r"DHCP, IP range")


def seconds(line):
    return float(console.STAMP.match(line)[1])


def wait_lease(site, nic="nic0", timeout=15, since=0):
    """The line that tells of a lease, taken apart."""
    return site.console.wait(rf"\bdhcp: {nic}: (?P<address>[\d.]+)/(?P<length>\d+) from (?P<server>[\d.]+) "
                             rf"for (?P<seconds>\d+) s(, gateway (?P<gateway>[\d.]+))?", timeout, since)


@pytest.fixture
def leased(boot):
    """Boots with `ip=dhcp` and a server that is there already: (site, server, lease)."""
    def start(*options, **more):
        server = Server(*options)
        site = boot("ip=dhcp", before=server.start, **more)
        return site, server, wait_lease(site)
    return start


def test_dhcp_01_boot(leased):
    """The first discover is answered: the address is there with the boot, and works like any other."""
    site, server, lease = leased()
    assert lease.group("address") in {f"10.0.0.{i}" for i in range(50, 60)}
    assert (lease["length"], lease["server"], lease["seconds"], lease["gateway"]) == ("24", SERVER, str(LEASE_S), SERVER)
    assert site.host.answers(lease["address"])
    assert site.console.wait(console.gateway_at(SERVER))["mac"] == site.host.mac
    counters = site.counters()
    assert [counters.get(f"dhcp.{name}", 0) for name in ("discovers", "offers", "acks", "naks", "declines")] == [1, 1, 1, 0, 0]
    for message in ("DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST", "DHCPACK"):
        assert server.said.find(message), server.said.tail()
    ready = next(line for line in site.console.lines if re.search(console.READY, line))
    took = seconds(lease.string) - seconds(ready)
    wires.figures.append(f"{site.name}: lease {took * 1000:.0f} ms after ready")
    assert took < FIRST_ANSWER_S


def test_dhcp_02_renews(leased):
    """T1 brings unicast requests, which the server grants; pings go on."""
    site, server, lease = leased(f"--dhcp-option=option:T1,{RENEW_S}", f"--dhcp-option=option:T2,{LEASE_S - 10}")
    assert site.host.answers(lease["address"])
    for _ in range(2):
        mark = server.said.mark()
        server.said.wait(rf"DHCPACK\({site.host.interface}\) {re.escape(lease['address'])}", timeout=10, since=mark)
    counters = site.counters()
    assert counters["dhcp.renewals"] >= 2 and counters["dhcp.discovers"] == 1
    text, sent, received = site.host.ping_all(lease["address"], 20)
    assert sent == received == 20, text


def test_dhcp_03_declines(boot):
    """An address that somebody has already is declined, and another is leased."""
    def begin(host):
        host.run(f"ip address add {LEASED}/32 dev lo")
        server.start(host)
    server = Server(f"--dhcp-host=*:*:*:*:*:*,{LEASED}")
    site = boot("ip=dhcp", before=begin)
    site.console.wait(console.address_conflict(LEASED), timeout=15)
    mark = site.console.mark()
    server.said.wait(rf"DHCPDECLINE\(\w+\) {re.escape(LEASED)} ", timeout=5)
    lease = wait_lease(site, timeout=25, since=mark)
    assert lease["address"] != LEASED
    assert site.host.answers(lease["address"])


def test_dhcp_04_link(leased):
    """When the cable is back, the lease is verified, and goes on."""
    site, server, lease = leased()
    assert site.host.answers(lease["address"])
    for up in (False, True):
        mark, heard = site.console.mark(), server.said.mark()
        if site.hosted:
            site.host.run(f"ip link set {{wire}} {'up' if up else 'down'}")
        else:
            site.piglet.set_link(0, up)
        site.console.wait(console.link_up("nic0") if up else console.link_down("nic0"), since=mark)
    server.said.wait(rf"DHCPACK\(\w+\) {re.escape(lease['address'])} ", timeout=15, since=heard)
    assert site.host.answers(lease["address"])
    assert site.counters()["dhcp.renewals"] >= 1


def test_dhcp_05_two_nics(boot):
    """Two networks, each with its server; one default route."""
    servers = Server(), Server()
    site = boot("ip=dhcp ip=:::::nic1:dhcp", hosts=(("10.0.0.1/24",), ("10.1.0.1/24",)), before=servers[0].start)
    servers[1].start(site.hosts[1])
    for nic, host in enumerate(site.hosts):
        lease = wait_lease(site, f"nic{nic}", timeout=30)
        assert lease["server"] == host.address
        assert host.answers(lease["address"])
    # Whichever link comes up first.
    site.console.wait(r"\bdhcp: nic(?P<nic>[01]): gateway 10\.(?P=nic)\.0\.1 from 10\.(?P=nic)\.0\.1 is not used")


def test_dhcp_06_release(machine, lab):
    """At the end the lease is given back. (QEMU is switched off, and its guest hears nothing of that.)"""
    server = Server()
    site = wires.Site(machine, "ip=dhcp", before=server.start)
    try:
        lease = wait_lease(site)
        if site.hosted:
            assert site.piglet.stop() == 0, site.console.tail()
            server.said.wait(rf"DHCPRELEASE\(\w+\) {re.escape(lease['address'])} ", timeout=5)
            site.console.wait(rf"\bdhcp: nic0: {re.escape(lease['address'])} given back to {re.escape(SERVER)}")
    finally:
        site.close()
