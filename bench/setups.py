"""What instructions are counted of: configurations, and the frames that go through them."""
import functools
from dataclasses import dataclass
from typing import Callable

import steady

PORTS = range(1024, 65536)  # frames of ever new flows take turns
WORDS = "ip=10.0.0.2/24"
FORWARD = "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 services=+forward"


def rules(count, protocol="udp"):
    """A firewall's block with so many rules, of which the last accepts what is measured, and no other matches it: five
    shapes of hosts, ports and networks, in turn; those of the fifth differ from it in the port alone. A line is up to
    four rules, as the text of a table has its limit too."""
    lines = []
    for first in range(0, count - 1, 4):
        numbers = range(first, min(first + 4, count - 1))

        def items(pattern, numbers=numbers):
            return ",".join(pattern.format(i >> 8, i & 255) for i in numbers)
        lines.append((f"drop forward tcp source {items('172.16.{}.{}')} destination port {1024 + first}",
                      f"drop forward udp destination {items('10.2.{}.{}')} port {2000 + first}",
                      f"drop forward udp source {items('11.{}.{}.0/24')} destination 10.1.0.0/16 port {1000 + first % 99}-2000",
                      f"drop forward source {items('192.{}.{}.0/24')}",
                      "drop forward udp source 10.0.0.0/8 destination 10.1.0.1 port " + ",".join(f"{2000 + i}" for i in numbers)
                      )[first // 4 % 5])
    if count:
        lines.append(f"accept forward {protocol} source 10.0.0.0/24 destination 10.1.0.0/24 port 7")
    return ["default forward " + ("drop" if count else "accept")] + lines


def firewall(count, *more, protocol="udp"):
    return "\n".join(["services start forward firewall", "firewall {", *more, *rules(count, protocol), "}", ""])


def shaper(rate, more=""):
    """A tree of a few classes; the frames that are measured match the second."""
    return "\n".join(["services start forward shaper", "shaper {",
                      f"class link nic1 rate {rate} {more}", f"class voice parent link rate {rate} priority 0 {more}",
                      f"class web parent link rate {rate} {more}", f"class rest parent link rate {rate} {more}",
                      "match voice udp dscp ef", "match web udp destination port 7", "default rest", "}", ""])


@dataclass
class Setup:
    """`make(piglet, number)` gives frames for nic0; they come out of nic `out`."""
    key: str
    what: str
    words: str
    make: Callable
    out: int = 0
    config: str = ""
    waits: bool = False  # frames come faster than they may go

    def measure(self, build, nic, by_symbol, read):
        """read(the Piglet, instructions a frame, the same by symbol), while it runs."""
        with steady.Steady(build, nic, self.out + 1, self.words, self.config, by_symbol) as piglet:
            make = functools.partial(self.make, piglet)
            piglet.settle(make(0), self.out)
            return read(piglet, *(piglet.measure_waiting if self.waits else piglet.measure)(make, self.out))

    def count(self, build, nic, by_symbol=True):
        """Instructions a frame, in all and by folder."""
        return self.measure(build, nic, by_symbol, lambda piglet, insns, symbols: (insns, piglet.by_folder(symbols)))

    def functions(self, build, nic):
        """Instructions a frame, in all and by function, most first."""
        return self.measure(build, nic, True, lambda piglet, insns, symbols: (
            insns, sorted(zip(symbols, (name for _, name, _ in piglet.symbols)), reverse=True)))


@functools.lru_cache(maxsize=None)
def frame(mac, kind, target, port=4000):
    return kind(mac, "10.0.0.1", target, port)


def echo(piglet, number):
    return frame(piglet.mac[0], steady.echo, "10.0.0.2", number & 0xffff)


def udp_echo(piglet, _):
    return frame(piglet.mac[0], steady.udp, "10.0.0.2")


def one_flow(piglet, _):
    return frame(piglet.mac[0], steady.udp, "10.1.0.1")


def new_flows(piglet, number):
    return frame(piglet.mac[0], steady.udp, "10.1.0.1", PORTS[number % len(PORTS)])


ICMP_ECHO = Setup("icmp_echo", "an ICMP echo of 98 bytes, all default services and echo on", WORDS + " services=+echo", echo)
UDP_ECHO = Setup("udp_echo", "a UDP echo of 60 bytes, the same", WORDS + " services=+echo", udp_echo)
PLAIN = Setup("forward", "a frame of 60 bytes forwarded", FORWARD, one_flow, 1)


def live(count):
    return Setup(f"firewall_live_{count}", f"forwarded, of a live flow, {count} rules", FORWARD, one_flow, 1, firewall(count))


def judged(count):
    return Setup(f"firewall_judged_{count}", f"forwarded, judged by {count} rules each time (stateless), of ever new flows",
                 FORWARD, new_flows, 1, firewall(count, "stateless"))


def begun(count):
    return Setup(f"firewall_new_{count}", f"forwarded, the first of a new flow, {count} rules", FORWARD, new_flows, 1,
                 firewall(count))


SHAPED = Setup("shaper_passed", "forwarded and shaped, passing at once", FORWARD, one_flow, 1, shaper("1gbit", "burst 1m"))
HELD = Setup("shaper_held", "forwarded and shaped, held and released", FORWARD, one_flow, 1, shaper("100mbit", "burst 3299"), True)
