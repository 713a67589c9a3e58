"""The hostile corpus on the wire: every frame counted under its reason, nothing crashed, the next ping answered.

Reading the counters takes a second, so entries go out in batches in which no two share a drop reason."""
import socket
import struct
import time

import hostile
import pytest
import wires

PIGLET = "10.0.0.2"
SITE = {"words": f"ip={PIGLET}/24 services=+echo"}
LONGEST_FRAME = 9014
ANSWER_SECONDS = 0.05
ENTRIES = {entry.name: i for i, entry in enumerate(hostile.corpus("52:54:00:00:00:01", "10.0.0.1", "52:54:00:12:34:56",
                                                                  PIGLET, "10.0.0.255"))}


def batches(entries):
    """Entries in groups whose drop reasons are disjoint; one that may count as anything is alone."""
    groups = []
    for entry in entries:
        alone = entry.drops is hostile.ANY or "*" in entry.drops
        reasons = set(entry.drops or ())
        for group, taken in groups:
            if not alone and taken is not None and not taken & reasons:
                group.append(entry)
                taken |= reasons
                break
        else:
            groups.append(([entry], None if alone else reasons))
    return [group for group, _ in groups]


class Campaign:
    """The whole corpus sent, one batch after the other; `verdict[name]`: what was wrong, or nothing."""

    def __init__(self, site):
        host = site.host
        self.site, self.verdict = site, {}
        self.entries = hostile.corpus(host.mac, host.address, site.mac(), PIGLET, "10.0.0.255")
        assert {entry.name for entry in self.entries} == set(ENTRIES)
        host.run(f"ip link set {{wire}} mtu {LONGEST_FRAME - 14}")
        assert host.answers(PIGLET)
        self.before = site.counters()
        # A listener on every tag's port, or this host would answer Piglet's answers with ICMP errors.
        ports = [host.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in self.entries]
        for port, entry in zip(ports, self.entries):
            port.bind((host.address, entry.tag))
        with host.raw_socket() as raw:
            for batch in batches(self.entries):
                self.send(raw, batch)
        for port in ports:
            port.close()

    def send(self, raw, batch):
        wires.collect(raw, 0.001)
        for entry in batch:
            for frame in entry.frames:
                raw.send(frame)
        alive = self.site.host.answers(PIGLET)  # what Piglet had to say to the batch it has said before that
        answers = [hostile.answered_tag(frame) for frame in wires.collect(raw, ANSWER_SECONDS)]
        now = self.site.counters()
        drops = {name.removeprefix("drop."): value - self.before.get(name, 0) for name, value in now.items()
                 if name.startswith("drop.") and value != self.before.get(name, 0)}
        self.before = now
        unclaimed = dict(drops)
        for entry in batch:
            self.verdict[entry.name] = self.judge(entry, unclaimed, answers.count(entry.tag), alive)
        if unclaimed and not any(entry.drops is hostile.ANY for entry in batch):
            for entry in batch:
                self.verdict[entry.name].append(f"counted under no entry's reason: {unclaimed}")

    @staticmethod
    def judge(entry, drops, answered, alive):
        """What is wrong with an entry; takes its drops out of `drops`."""
        wrong = [] if alive else ["the next ping was not answered"]
        if entry.answers is not hostile.ANY and answered != entry.answers:
            wrong.append(f"{answered} answers, not {entry.answers}")
        if entry.drops is hostile.ANY:
            return wrong
        reasons = list(drops) if "*" in entry.drops else entry.drops
        counted = sum(drops.pop(reason, 0) for reason in reasons)
        if counted != entry.count and not (entry.filtered and counted == 0):
            wrong.append(f"{counted} drops under {' or '.join(entry.drops) or 'no reason'}, not {entry.count}")
        return wrong


@pytest.fixture(scope="module")
def campaign(site):
    return Campaign(site)


@pytest.mark.parametrize("name", ENTRIES)
def test_hostile_01_counted(campaign, name):
    """Each entry: counted under its reason, answered as often as it may be, and the next ping answered."""
    assert campaign.verdict[name] == []


def test_hostile_02_alive(site, campaign):
    """After all of it Piglet answers ARP, ping and UDP, and every frame buffer is back."""
    host = site.host
    assert f"Unicast reply from {PIGLET}" in host.run(f"arping -c 1 -w 3 -I {{wire}} {PIGLET}").stdout
    text, sent, received = host.ping_all(PIGLET, 100, "-i 0.01 -s 1400")
    assert sent == received == 100, text
    with host.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(3)
        udp.connect((PIGLET, 7))
        udp.send(struct.pack("!Q", time.monotonic_ns()))
        assert len(udp.recv(64)) == 8
