"""What machines start from over a network: dnsmasq (DHCP, TFTP) and an HTTP server, in a namespace."""
import ipaddress
import os
import shutil
import sys

from . import console
from .namespace import LabError

LEASE_S = 3600
PREFIX = 24
IPXE_OPTION = 175  # iPXE's own options: who sends it is iPXE
START_TIMEOUT_S = 20
PROGRAM = "piglet.efi"
ROUTER = ("fe80::1/64", "fd70:6967:6c65:7400::1/64")  # the second of a local network (RFC 4193)


class BootServer:
    """Serves `folder` on `interface` of `namespace`, whose address is `address`. `leases`: {MAC: address}, and if
    there are none the addresses from .50 to .99. iPXE is given the script, by "tftp" or "http", or what all other
    firmware is given: the program by TFTP ("pxe")."""

    def __init__(self, namespace, interface, address, folder, leases=None, script="http", sink=None):
        if not shutil.which("dnsmasq"):
            raise LabError("dnsmasq is missing", "sudo apt-get install dnsmasq-base")
        network = ipaddress.ip_network(f"{address}/{PREFIX}", strict=False)
        pool = [f"--dhcp-range={network[50]},{network[99]},{LEASE_S}"]
        if leases:
            pool = [f"--dhcp-range={network[0]},static,{LEASE_S}"]
            pool += [f"--dhcp-host={mac},id:*,{lease}" for mac, lease in leases.items()]
        # iPXE asks for an IPv6 router too, and waits 13 s for one; so there is one, that leads nowhere.
        for own in ROUTER:
            namespace.run(f"ip address add {own} dev {interface} nodad")
        first = {"tftp": f"tftp://{address}/piglet.ipxe", "http": f"http://{address}/piglet.ipxe"}.get(script, PROGRAM)
        self._dnsmasq = namespace.start(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--pid-file=", "--user=root",
             "--leasefile-ro", "--log-facility=-", "--log-dhcp", "--no-ping", "--dhcp-authoritative", "--bind-dynamic",
             f"--interface={interface}", *pool, "--enable-ra", f"--dhcp-range=::,constructor:{interface},ra-only", "--enable-tftp", f"--tftp-root={os.path.abspath(folder)}",
             f"--dhcp-match=set:ipxe,{IPXE_OPTION}",
             f"--dhcp-boot=tag:ipxe,{first}", f"--dhcp-boot=tag:!ipxe,{PROGRAM}"], text=False)
        self.said = console.Console(self._dnsmasq.stdout, sink)
        self._http = namespace.start([sys.executable, "-u", "-m", "http.server", "80", "--bind", address, "--directory",
                                      os.path.abspath(folder)], text=False)
        self.served = console.Console(self._http.stdout, sink)
        self.said.wait(r"TFTP root", START_TIMEOUT_S)
        self.served.wait(r"Serving HTTP", START_TIMEOUT_S)
