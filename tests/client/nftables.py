#!/usr/bin/python3
"""Sends the same random frames through a Piglet and through Linux' nftables, both with the same random rules, and
compares what comes out. Needs namespaces and nft.

A seed is a rule set with its frames. `--seed 7` shows what differs with that one, `--show 7` its rules in both
languages, `--seconds 600` runs one seed after the other, and ends with a line for tests/run.
docs/TESTING.md says where the two differ by intent; such frames are not made."""
import argparse
import collections
import os
import random
import shutil
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(os.path.dirname(HERE)), "tools")]

import nft_frames  # noqa: E402
import nft_rules  # noqa: E402
import nft_talks  # noqa: E402
from lab import namespace  # noqa: E402
from nft_frames import ACK, FIN, RST, SYN, TCP  # noqa: E402
from nft_routers import Linux, Piglet  # noqa: E402

FRAMES = 3000
SHOWN = 20  # differences


def reset_key(packet):
    """What a reset in answer to this packet looks like (RFC 9293 3.10.7.1)."""
    sport, dport, sequence, acknowledgement, offset, flags = struct.unpack_from("!HHIIBB", packet.body)
    length = len(packet.body) - (offset >> 4) * 4 + bool(flags & SYN) + bool(flags & FIN)
    numbers = (acknowledgement, 0) if flags & ACK else (0, (sequence + length) & 0xffffffff)
    return packet.destination, packet.source, dport, sport, *numbers


def outcomes(sent, out):
    """What became of each number: a sorted list of what came out because of it. `None` is what no frame explains."""
    by_number = dict(sent)
    resets = {}
    for number, packet in sent:
        if packet.protocol == TCP and len(packet.body) >= 20 and not packet.fragment & 0x1fff:
            resets.setdefault(reset_key(packet), number)
    what = collections.defaultdict(list)
    for side, packet in out:
        number, source, destination = struct.unpack_from("!4xH6xII", packet)
        header = (packet[0] & 15) * 4
        was = by_number.get(number)
        if source == 10 << 24 | (side + 1) << 8 | 2 and packet[9] == 1:
            what[int.from_bytes(packet[header + 12:header + 14], "big")].append(f"ICMP {packet[header]}/{packet[header + 1]}")
        elif was and same_but_hop(packet, was.bytes(number)):
            what[number].append("passed")
        elif packet[9] == TCP and packet[header + 13] & RST and (key := (source, destination) +
                                                                 struct.unpack_from("!HHII", packet, header)) in resets:
            what[resets[key]].append("reset")
        else:
            what[None].append(packet.hex())
    return {number: sorted(events) for number, events in what.items()}


def same_but_hop(packet, whole):
    """Whether it is that packet, but for its time to live and what that does to the checksum."""
    return packet[:8] + packet[9:10] + packet[12:] == whole[:8] + whole[9:10] + whole[12:] and packet[8] == whole[8] - 1


def told(number, packet):
    """A frame in words, for who has to find out why."""
    ends = [socket.inet_ntoa(struct.pack("!I", address)) for address in (packet.source, packet.destination)]
    text = f"frame {number} ({packet.what}) by {nft_rules.NICS[packet.side]}: protocol {packet.protocol} {ends[0]} > {ends[1]}"
    text += f" ttl {packet.ttl} tos {packet.tos} fragment {packet.fragment:#x} options {len(packet.options)}"
    return f"{text} {len(packet.body)} bytes {packet.body[:24].hex(' ', 4)}"


def compare(seed, count=FRAMES):
    """Runs a seed: how many frames, how many of them passed, and lines about the differences."""
    rand = random.Random(seed)
    rules = nft_rules.rule_set(rand)
    if rules.mode == "stateless":
        packets = nft_frames.singles(rand, rules.rules, count)
    else:
        packets = nft_talks.talks(rand, rules.rules, rules.mode, count)
    sent = list(enumerate(packets, 1))
    assert len(sent) <= nft_frames.NUMBERS_MAX
    found = []
    for router in (lambda: Piglet(rules.piglet(), rules.words()), lambda: Linux(rules.nftables(), rules.settings())):
        one = router()
        try:
            found.append(outcomes(sent, one.exchange(sent)))
        finally:
            one.close()
    ours, theirs = found
    for number, packet in sent:
        if not nft_frames.answer_counts(packet):
            for one in found:
                one[number] = [event for event in one.get(number, []) if not event.startswith("ICMP")]
    different = [number for number in {**ours, **theirs} if ours.get(number, []) != theirs.get(number, [])]
    lines = []
    for number in sorted(different, key=lambda number: number or 0):
        about = told(number, packets[number - 1]) if number else "a frame nobody sent"
        lines.append(f"Piglet {ours.get(number, 'nothing')}, Linux {theirs.get(number, 'nothing')}: {about}")
    return len(sent), sum("passed" in events for events in ours.values()), lines


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, action="append", default=[], metavar="N", help="run this one; repeatable")
    parser.add_argument("--seconds", type=float, metavar="N", help="run seeds for so long")
    parser.add_argument("--first", type=int, metavar="N", help="the first of them (from the clock)")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help=f"frames a seed ({FRAMES})")
    parser.add_argument("--show", type=int, metavar="N", help="print a seed's rules, and end")
    return parser.parse_args()


def seeds(options):
    yield from options.seed
    deadline = time.monotonic() + (options.seconds or 0)
    seed = options.first if options.first is not None else int(time.time()) * 1000
    while time.monotonic() < deadline:
        yield seed
        seed += 1


def why_not():
    """Why this computer cannot compare, or None."""
    if not shutil.which("nft"):
        return "nft is missing; cure: make packages"
    try:
        namespace.check_tap()
        Linux(nft_rules.RuleSet([nft_rules.Rule()], mode="").nftables()).close()
    except (namespace.LabError, AssertionError, OSError) as error:
        return f"no nftables in a namespace of one's own: {error}"
    return None


def main():
    options = parse()
    if options.show is not None:
        rules = nft_rules.rule_set(random.Random(options.show))
        print(rules.piglet() + rules.nftables())
        return 0
    try:
        namespace.become_root()
    except namespace.LabError as error:
        sys.exit(f"{error}; cure: {error.cure}")
    if why := why_not():
        sys.exit(why)
    sets = frames = passed = failed = 0
    for seed in seeds(options):
        count, through, lines = compare(seed, options.frames)
        sets, frames, passed, failed = sets + 1, frames + count, passed + through, failed + bool(lines)
        if lines:
            print(f"seed {seed}: {len(lines)} of {count} frames differ", *lines[:SHOWN], sep="\n  ", flush=True)
    print(f"{sets} turns: {frames} frames, {passed} passed, {failed} rule sets differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
