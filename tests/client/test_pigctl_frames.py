"""pigctl why and pigctl capture: what became of frames, against a hosted Piglet with a peer on its wire."""
import os
import signal
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pigctl_site import MAC, PEER, PIGCTL, PIGLET, TIMEOUT_S, USAGE, Site  # noqa: E402

scapy = pytest.importorskip("scapy.all")


@pytest.fixture(scope="module")
def site():
    site = Site("window=4M")
    yield site
    assert site.close() == 0


def piglet_mac(site):
    return site.json("nics")[0]["mac"]


def packet(site, payload, source=PEER):
    mac = ":".join(f"{byte:02x}" for byte in MAC)
    return bytes(scapy.Ether(src=mac, dst=piglet_mac(site)) / scapy.IP(src=source, dst=PIGLET) / payload)


def dropped(site, frame, what):
    """Sends a frame, and gives the record of its drop."""
    site.peer.send(frame)
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        rows = [row for row in site.json("why") if what in row["what"]]
        if rows:
            return rows[-1]
        time.sleep(0.05)
    raise AssertionError(site.run("why"))


@pytest.mark.parametrize("layer, what, reason, by", [
    ("TCP(sport=4001, dport=22, flags='S')", f"{PEER}:4001 > {PIGLET}:22 tcp S", "tcp-no-port", "icmp"),
    ("UDP(sport=4002, dport=99)", f"{PEER}:4002 > {PIGLET}:99 udp", "udp-no-port", "icmp"),
    ("UDP(sport=4003, dport=99, chksum=1)/b'x'", f"{PEER}:4003 > {PIGLET}:99 udp", "udp-checksum", "nic0"),
    ("ICMP(type=13, code=0)", f"{PEER} > {PIGLET} icmp type 13 code 0", "icmp-unknown-type", "icmp"),
])
def test_why_01_in_words(site, layer, what, reason, by):
    frame = packet(site, eval(layer, vars(scapy)))  # pylint: disable=eval-used
    row = dropped(site, frame, what)
    assert (row["reason"], row["by"], row["nic"], row["direction"]) == (reason, by, 0, "in")
    assert row["bytes"] == frame[:96].hex() and row["length"] == len(frame)
    line = next(line for line in site.run("why").splitlines() if what in line)
    assert f"dropped by {by}: {row['sentence']} ({reason})" in line


def test_why_02_expression(site):
    dropped(site, packet(site, scapy.TCP(sport=4010, dport=23, flags="S")), ":4010 >")
    dropped(site, packet(site, scapy.UDP(sport=4011, dport=23)), ":4011 >")
    told = site.run("why", "tcp", "port", "23")
    assert ":4010 > " in told and ":4011 > " not in told
    assert site.run("why", "host 192.0.2.1") == "no such frame is among the last that were dropped\n"
    assert "syntax error" in site.run("why", "tcp prt 22", code=USAGE)


def blocks(data):
    """(type, body) of each block of a pcapng file, lengths checked."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0 and struct.unpack_from("<I", data, at + length - 4)[0] == length
        yield kind, data[at + 8:at + length - 4]
        at += length


def frames(data):
    """(bytes, direction, comment) of each frame captured."""
    kinds = list(blocks(data))
    assert [kind for kind, _ in kinds[:2]] == [0x0a0d0d0a, 1]
    for kind, body in kinds[2:]:
        assert kind == 6
        _, _, _, kept, length = struct.unpack_from("<IIIII", body)
        at, direction, comment = 20 + (kept + 3) // 4 * 4, 0, ""
        assert kept <= length
        while at < len(body):
            code, size = struct.unpack_from("<HH", body, at)
            value = body[at + 4:at + 4 + size]
            at += 4 + (size + 3) // 4 * 4
            if code == 2:
                direction = struct.unpack("<I", value)[0]
            elif code == 1:
                comment = value.decode()
        yield body[20:20 + kept], direction, comment


def captured(site, words, act):
    """What a capture gets while `act` runs."""
    path = os.path.join(site.directory, "capture.pcapng")
    with subprocess.Popen([PIGCTL, "-s", site.where, "capture", "-w", path, *words], stderr=subprocess.PIPE) as child:
        deadline = time.monotonic() + TIMEOUT_S
        while len(site.json("clients")) < 2 or not os.path.exists(path):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.3)
        act()
        time.sleep(0.7)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=TIMEOUT_S)
    assert child.returncode == 0, said
    with open(path, "rb") as file:
        return list(frames(file.read()))


def test_capture_01_both_directions_and_drops(site):
    echo = packet(site, scapy.ICMP(id=77, seq=5) / (b"p" * 30))
    lost = packet(site, scapy.UDP(sport=4020, dport=9999) / b"lost")

    def act():
        site.peer.send(echo)
        site.peer.send(lost)
    seen = captured(site, [], act)
    assert (echo, 1, "") in seen and (lost, 1, "") in seen
    replies = [scapy.Ether(data) for data, direction, _ in seen if direction == 2 and scapy.ICMP in scapy.Ether(data)]
    assert any(reply[scapy.ICMP].type == 0 and reply[scapy.ICMP].id == 77 for reply in replies)
    assert [comment for data, _, comment in seen if comment and data == lost] == \
        ["dropped by icmp: nobody listens on this UDP port (udp-no-port)"]


def test_capture_02_expression_and_drops_alone(site):
    wanted = packet(site, scapy.UDP(sport=4030, dport=9998))
    other = packet(site, scapy.UDP(sport=4031, dport=9997))

    def act():
        site.peer.send(wanted)
        site.peer.send(other)
    seen = captured(site, ["udp src port 4030"], act)
    assert {data for data, _, _ in seen} == {wanted}
    seen = captured(site, ["--drops"], act)
    assert {data for data, _, comment in seen if comment} >= {wanted, other}
    assert all(comment for _, _, comment in seen)
    seen = captured(site, ["--no-drops", "udp"], act)
    assert {data for data, _, _ in seen} == {wanted, other} and not any(comment for _, _, comment in seen)


def test_capture_03_read_by_tshark(site):
    path = os.path.join(site.directory, "tshark.pcapng")
    with subprocess.Popen([PIGCTL, "-s", site.where, "capture", "-c", "2", "-w", path, "icmp"],
                          stderr=subprocess.PIPE) as child:
        time.sleep(0.7)
        site.peer.send(packet(site, scapy.ICMP(id=9, seq=1) / b"hello"))
        assert b"2 frames captured" in child.communicate(timeout=TIMEOUT_S)[1]
    told = subprocess.run(["tshark", "-r", path], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "Echo (ping) request" in told and "Echo (ping) reply" in told


def test_capture_04_usage(site):
    assert "see `pigctl help capture`" in site.run("capture", "--what", code=USAGE)
    assert "syntax error" in site.run("capture", "-w", "/dev/null", "tcp prt", code=USAGE)
