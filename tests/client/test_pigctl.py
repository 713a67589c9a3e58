"""pigctl against a hosted Piglet: every command, its JSON, its exit codes, and top on a terminal."""
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pigctl_site import (BUILD, DONE, MAC, NONE, PEER, PIGCTL, PIGLET, REFUSED, SILENT, TIMEOUT_S, USAGE,  # noqa: E402
                         Screen, Site, machine)


@pytest.fixture(scope="module")
def site():
    one = Site()
    yield one
    assert one.piglet.failure() is None
    assert one.close() == 0


@pytest.fixture
def mortal():
    """A Piglet that the test may end."""
    one = Site()
    yield one
    one.close()


def columns(text):
    """A table's title and rows; each column begins where its title says."""
    lines = text.splitlines()
    assert lines and lines[0] == lines[0].upper(), text
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


# ---- the end ---------------------------------------------------------------------------------------------


def test_poweroff_01(mortal):
    """A Linux process ends, in order."""
    assert mortal.run("poweroff", "now", code=USAGE)
    assert mortal.run("poweroff") == ""
    assert mortal.piglet.process.wait(TIMEOUT_S) == 0
    assert "piglet: stopping" in mortal.piglet.console.text


def test_reboot_01(mortal):
    """It starts again with its words, its socket and its process number."""
    mark = mortal.piglet.console.mark()
    assert mortal.run("reboot") == ""
    mortal.piglet.console.wait("piglet: ready", TIMEOUT_S, since=mark)
    assert mortal.run("addresses").count(PIGLET) == 1
    assert mortal.piglet.failure() is None


# ---- listings ----------------------------------------------------------------------------------------------


def test_status_01(site):
    status = site.json("status")
    assert status["nics"] == 1 and status["clients"] >= 1 and status["where"] == site.where
    assert re.fullmatch(r"\d+\.\d+", status["abi"]) and 0 < status["load_percent"] <= status["processor_percent"] <= 100
    text = site.run("status")
    assert re.search(r"^up +\d.* (ms|s)$", text, re.M) and re.search(r"^load +[\d.]+ %$", text, re.M)


def test_nics_01(site):
    (nic,) = site.json("nics")
    assert nic["nic"] == "nic0" and nic["driver"] == "pair" and nic["link"] is True
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", nic["mac"])
    title, row = columns(site.run("nics"))
    assert title[:3] == ["NIC", "DRIVER", "LINK"] and row[:3] == ["nic0", "pair", "up"]


def test_counters_01_prefix(site):
    everything = site.rows("counters", key="name")
    some = site.rows("counters", "nic0.", key="name")
    assert set(some) == {name for name in everything if name.startswith("nic0.")} and "nic0.rx_frames" in some
    assert all(row["help"] for row in everything.values())
    assert site.run("counters", "nosuch").startswith("no counter begins so")
    assert site.json("counters", "nosuch") == []


def test_drops_01(site):
    before = {row["reason"]: row["frames"] for row in site.json("drops", "--all")}
    assert "none" not in before
    mac = bytes.fromhex(site.json("nics")[0]["mac"].replace(":", ""))
    site.peer.send(mac + b"\1" + MAC[1:] + b"\x08\0" + bytes(46))
    deadline = time.monotonic() + 5
    while (rows := site.rows("drops", key="reason")).get("eth-source-invalid", {}).get("frames", 0) == \
            before["eth-source-invalid"]:
        assert time.monotonic() < deadline, rows
    assert rows["eth-source-invalid"]["help"] == "source MAC address is a group address"
    assert all(row["frames"] for row in rows.values())


def test_clients_01_names_itself(site):
    rows = site.json("clients")
    assert [row for row in rows if row["name"] == "pigctl" and row["pid"] > 0]


def test_log_01(site):
    lines = site.json("log")
    assert [line["number"] for line in lines] == list(range(len(lines)))
    text = site.run("log")
    assert any("ready" in line["text"] and line["text"] in text for line in lines)


def test_arp_01(site):
    site.run("ping", PEER, "-c", "1")
    row = site.rows("arp", key="address")[PEER]
    assert row["mac"] == "02:00:00:00:00:01" and row["nic"] == "nic0" and row["state"] == "reachable"
    assert f"{PEER} 02:00:00:00:00:01 nic0" in site.run("services", "show", "arp")


# ---- changes ----------------------------------------------------------------------------------------------


def test_addresses_01_add_delete(site):
    site.run("addresses", "add", "10.9.0.2/24@nic0", "gateway", "10.9.0.1")
    row = site.rows("addresses", key="address")["10.9.0.2/24"]
    assert row["gateway"] == "10.9.0.1" and row["nic"] == "nic0"
    assert any(row["prefix"] == "0.0.0.0/0" and row["gateway"] == "10.9.0.1" for row in site.json("routes"))
    site.run("addresses", "delete", "10.9.0.2")
    assert "10.9.0.2/24" not in site.rows("addresses", key="address")


def test_routes_01_add_delete(site):
    site.run("routes", "add", "192.0.2.0/24", "via", PEER, "nic0", "add", "198.51.100.0/24", "nic0")
    rows = site.rows("routes", key="prefix")
    assert rows["192.0.2.0/24"]["gateway"] == PEER and rows["198.51.100.0/24"]["gateway"] is None
    site.run("routes", "delete", "192.0.2.0/24", "198.51.100.0/24")
    assert not {"192.0.2.0/24", "198.51.100.0/24"} & set(site.rows("routes", key="prefix"))


def test_changes_01_all_or_nothing(site):
    """One chain: when its last part is refused, its first ones are undone, and the part is named."""
    before = [site.json(noun) for noun in ("addresses", "routes")], site.rows("services", key="service")["echo"]["running"]
    undone = site.rows("counters", "clients.", key="name")["clients.undone"]["value"]
    said = site.run("addresses", "add", "10.8.0.2/24", "gateway", "10.8.0.1", "routes", "add", "192.0.2.0/24", "via",
                    "10.8.0.9", "services", "stop", "echo", "addresses", "delete", "10.8.0.77", code=REFUSED)
    assert "nothing was changed: addresses delete 10.8.0.77" in said and "see `pigctl addresses`" in said
    after = [site.json(noun) for noun in ("addresses", "routes")], site.rows("services", key="service")["echo"]["running"]
    strip = [{k: v for k, v in row.items() if k != "state"} for row in before[0][0]]
    assert strip == [{k: v for k, v in row.items() if k != "state"} for row in after[0][0]]
    assert before[0][1] == after[0][1] and before[1] == after[1] is True
    assert site.rows("counters", "clients.", key="name")["clients.undone"]["value"] == undone + 1


def test_services_01_start_stop(site):
    site.run("services", "stop", "echo", "start", "forward")
    rows = site.rows("services", key="service")
    assert not rows["echo"]["running"] and rows["forward"]["running"]
    site.run("services", "start", "echo", "stop", "forward")
    rows = site.rows("services", key="service")
    assert rows["echo"]["running"] and not rows["forward"]["running"]


def test_services_02_set(site):
    """A setting takes effect: echo answers on the port it was told."""
    assert site.json("services", "set", "arp", "lifetime=30", "dad=off", "echo", "port=4007") == {"changes": 3}
    said = site.run("services", "set", "arp", "dad=on", "lifetime=0", code=REFUSED)
    assert "services set arp lifetime=0: outside the allowed range; see `pigctl services`" in said
    assert "no such thing" in site.run("services", "set", "arp", "nosuch=1", code=REFUSED)


def test_services_03_show(site):
    assert "does not run" in site.run("services", "show", "forward", code=REFUSED)
    assert "no service \"nosuch\"" in site.run("services", "show", "nosuch", code=REFUSED)


def test_rights_01_refused_with_cure():
    one = Site("window.rights=read")
    try:
        said = one.run("addresses", "add", "10.9.0.2/24", code=REFUSED)
        assert "not permitted" in said and "window.rights=all" in said
        assert len(one.json("addresses")) == 1
        notes = {row["check"]: row for row in one.json("doctor")}
        assert notes["rights"]["verdict"] == "note" and "window.rights" in notes["rights"]["cure"]
    finally:
        assert one.close() == 0


# ---- ping ------------------------------------------------------------------------------------------------


def test_ping_01_answers(site):
    text = site.run("ping", PEER, "-c", "3", "-i", "0.05")
    assert re.findall(rf"^64 bytes from {PEER}: icmp_seq=(\d) time=[\d.]+ ms$", text, re.M) == ["1", "2", "3"]
    assert "3 packets transmitted, 3 received, 0% packet loss" in text
    assert re.search(r"^rtt min/avg/max/mdev = [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms$", text, re.M)
    figures = site.json("ping", PEER, "-c", "2", "-i", "0.05")
    assert (figures["sent"], figures["received"]) == (2, 2)
    assert 0 < figures["min_ms"] <= figures["avg_ms"] <= figures["max_ms"]


def test_ping_02_silence(site):
    assert "100% packet loss" in site.run("ping", SILENT, "-c", "1", code=REFUSED)


def test_ping_03_not_sent(site):
    assert "not sent" in site.run("ping", PIGLET, "-c", "1", code=REFUSED)


def test_ping_04_interrupted(site):
    """Ctrl-C ends it with the statistics, as in ping(8)."""
    with subprocess.Popen([PIGCTL, "-s", site.where, "ping", PEER], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline().startswith("PING")
        assert "bytes from" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=TIMEOUT_S)
        assert child.returncode == DONE and "1 packets transmitted, 1 received" in rest


# ---- requests ---------------------------------------------------------------------------------------------


def test_requests_01_demo(site):
    rows = site.json("requests", "demo")
    assert [row["at"] for row in rows] == [1, 2, 3, 4] and {row["chain"] for row in rows} == {1}
    assert [row["request"] for row in rows] == [
        "Alloc_Mem Cap_Ref_New, 12", "Alloc_Mem Cap_Ref_New, 12",
        "Make_Frameset Cap_Ref_New, <Reference 1>, <Reference 2>", "Set_Peer <Reference 3>, 192.168.0.1"]
    assert all(row["outcome"].startswith("done") for row in rows)
    assert re.search(r"client \d+ \(pigctl, pid \d+\): 1 chains, 4 requests, 0 failed", site.run("requests", "demo"))


def test_requests_02_own(site):
    assert any(row["request"].startswith("Status_Read") for row in site.json("requests"))


def test_requests_03_file(site, tmp_path):
    """Files that are no windows are refused, whatever is in them."""
    said = site.run("requests", "shm:" + str(tmp_path / "nosuch"), code=NONE)
    assert "No such file" in said
    for content in (b"", b"x" * 65536, b"PGWINDOW"[::-1] + bytes(65528), struct.pack("<QHH", 0x574f444e49574750, 1, 0)
                    + b"\xff" * 65524):
        (tmp_path / "file").write_bytes(content)
        assert "not a window" in site.run("requests", f"shm:{tmp_path / 'file'}", code=NONE)


def hostile_window(dice):
    """A window's header that may be believed, parts that may not."""
    head = struct.pack("<QHHIQQ", 0x574f444e49574750, 1, 0, 0, 1, 1 << 17).ljust(64, b"\0")
    head += struct.pack("<8I", 4096, 64, 8192, 256, 24576, 128, 28672 + 4096 * dice.randrange(2), 8).ljust(64, b"\0")
    memory = bytearray((head + dice.randbytes(384)).ljust(1 << 17, b"\xff"))
    for slot in range(64):
        post = (slot + 1 + 64 * dice.randrange(3)) & 0xffffffff
        memory[4096 + slot * 64:4160 + slot * 64] = struct.pack("<IBBH", post, dice.randrange(40), 255,
                                                               dice.randrange(300)) + dice.randbytes(56)
    for at in range(8192, 24576, 64):  # the requests: loops, other tags, other states
        memory[at:at + 64] = dice.randbytes(6) + struct.pack("<H", dice.randrange(257)) + dice.randbytes(56)
    return bytes(memory)


def test_requests_04_hostile(site, tmp_path):
    """Nonsense in a window is shown as such: no crash, no endless loop, no control bytes, and JSON stays JSON."""
    file = tmp_path / "window"
    for seed in range(30):
        file.write_bytes(hostile_window(random.Random(seed)))
        rows = site.json("requests", f"shm:{file}")
        assert 64 <= len(rows) <= 64 * 64
        text = site.run("requests", f"shm:{file}")
        assert not re.search(r"[^\n -~]", text)


def test_requests_05_another_client(tmp_path):
    """Bare metal: while one pigctl has the window, another decodes it without attaching."""
    window, elf = tmp_path / "window", os.path.join(BUILD, "x86_64", "piglet.elf")
    qemu = machine.Qemu(elf, "console=ttyS0", extra=machine.window_devices([(str(window), 4 << 20)]))
    try:
        qemu.wait_ready()
        where = f"shm:{window}"
        with subprocess.Popen([PIGCTL, "-s", where, "log", "-f"], stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout.readline()
            time.sleep(0.5)
            refused = subprocess.run([PIGCTL, "-s", where, "status"], capture_output=True, text=True,
                                     timeout=TIMEOUT_S, check=False)
            assert refused.returncode == NONE and "another client has the window" in refused.stderr
            done = subprocess.run([PIGCTL, "requests", where, "--json"], capture_output=True, text=True,
                                  timeout=TIMEOUT_S, check=False)
            assert done.returncode == DONE, done.stderr
            assert any(row["request"].startswith("Log_Read") for row in json.loads(done.stdout))
            holder.kill()
    finally:
        qemu.stop()


# ---- log -f and top ------------------------------------------------------------------------------------------


def test_log_02_follow(mortal):
    """It shows what is there and what comes, and ends with the kernel."""
    with subprocess.Popen([PIGCTL, "-s", mortal.where, "log", "-f", "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as child:
        numbers = [json.loads(child.stdout.readline())["number"] for _ in range(3)]
        assert numbers == [0, 1, 2]
        mortal.piglet.stop()
        _, said = child.communicate(timeout=TIMEOUT_S)
        assert child.returncode == REFUSED and "start it again" in Site.one_line(said)


@pytest.fixture
def screen(mortal):
    one = Screen(mortal, f"{PIGCTL} -s {mortal.where} top", 100, 30)
    yield one
    one.close()


def test_top_01_figures(mortal, screen):
    """Rates, phases and clients stand on the screen; a ping shows in them; q ends it."""
    screen.wait(r"^PHASE +TIME +SERVICE +TIME +FRAMES/S")
    for row in (r"^Piglet \S+  load [\d.]+ %", r"^nic0 +up", r"^idle +[\d.]+ %", r"^pigctl +\d+ +[\d.]+ %", r"^DROPS"):
        screen.wait(row)
    with subprocess.Popen([PIGCTL, "-s", mortal.where, "ping", PEER, "-i", "0.01"], stdout=subprocess.DEVNULL) as child:
        screen.wait(r"^nic0 +up +(\d{2,}|[\d.]+ k)")
        child.send_signal(signal.SIGINT)
    shares = [float(share) for share in re.findall(r" ([\d.]+) %", screen.dump().split("CLIENT")[0].split("PHASE")[1])]
    assert 99 <= sum(shares) <= 101, shares
    screen.key("q")
    screen.wait(r"ended with 0")


def test_top_02_small(screen):
    """A small terminal shows the beginnings; what is left out is counted."""
    screen.wait(r"^PHASE")
    screen.resize(40, 8)
    assert len(screen.wait(r"\+\d+ more").rstrip("\n").splitlines()) <= 8
    screen.resize(12, 3)
    screen.wait(r"^Piglet")
    screen.resize(100, 30)
    screen.wait(r"^idle +[\d.]+ %")
    screen.key("q")
    screen.wait(r"ended with 0")


def test_top_03_kernel_goes(mortal, screen):
    screen.wait(r"^PHASE")
    mortal.piglet.stop()
    text = screen.wait(r"ended with 1")
    assert "has gone; start it again" in text


def test_top_04_no_terminal(site):
    assert "needs a terminal" in site.run("top", code=USAGE)


# ---- doctor ------------------------------------------------------------------------------------------------


def test_doctor_01_healthy_then_ill(mortal):
    mortal.run("addresses", "delete", PIGLET, "add", f"{PIGLET}/24", "gateway", PEER)
    rows = mortal.json("doctor")
    checks = {row["check"] for row in rows}
    assert {"piglet", "access", "abi", "rights", "heartbeat", "core", "drops", "nic0", "address", "gateway"} <= checks
    assert not [row for row in rows if row["verdict"] == "bad"]
    assert all(row["cure"] for row in rows if row["verdict"] != "ok")
    mortal.run("addresses", "delete", PIGLET)
    os.chmod(mortal.path, 0o666)
    text = mortal.run("doctor", code=REFUSED)
    assert re.search(r"^bad +addresses +there is no address; `pigctl addresses add", text, re.M)
    assert re.search(r"^bad +access +everybody on this machine may use .*; chmod o-rw", text, re.M)


def test_doctor_02_gateway_silent(mortal):
    mortal.run("addresses", "delete", PIGLET, "add", f"{PIGLET}/24", "gateway", SILENT)
    assert re.search(rf"^bad +gateway +{SILENT} does not answer arp; \w", mortal.run("doctor", code=REFUSED), re.M)


# ---- the command line ----------------------------------------------------------------------------------------

COMMANDS = ("status nics services counters drops why flows capture export log clients addresses routes arp ping requests compile apply confirm diff show top doctor").split()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_01(site, command):
    text = site.run("help", command)
    assert text.startswith(f"usage: pigctl {command}")
    assert site.run(command, "--help") == site.run(command, "help") == text
    assert re.search(rf"^  {command} ", site.run("help"), re.M)


@pytest.mark.parametrize("words", [
    [], ["nosuch"], ["help", "nosuch"], ["status", "x"], ["nics", "x"], ["counters", "a", "b"], ["counters", "-x"],
    ["drops", "x"], ["log", "x"], ["clients", "x"], ["arp", "x"], ["doctor", "x"], ["top", "x"], ["requests", "x"],
    ["requests", "unix:/tmp/x"], ["top", "--json"], ["ping"], ["ping", "10.0.0.300"], ["ping", PEER, "-c", "0"],
    ["ping", PEER, "-c"], ["ping", PEER, "-i", "x"], ["ping", PEER, PEER], ["services", "x"], ["services", "start"],
    ["services", "set", "arp"], ["services", "set", "arp", "x"], ["services", "show"], ["addresses", "x"],
    ["addresses", "add"], ["addresses", "add", "10.0.0.9"], ["addresses", "add", "10.0.0.9/33"],
    ["addresses", "add", "10.0.0.9/24@eth0"], ["addresses", "add", "10.0.0.9/24", "gateway"],
    ["addresses", "delete", "10.0.0.9/24"], ["routes", "add", "192.0.2.0/24"], ["routes", "add", "192.0.2.0", "nic0"],
    ["routes", "add", "192.0.2.0/24", "via", "x"], ["routes", "delete", "x"], ["routes", "addresses"],
])
def test_usage_01(site, words):
    """One line, which says what would be right or where that stands."""
    done = subprocess.run([PIGCTL, "-s", site.where, *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == USAGE, done.stdout + done.stderr
    assert re.search(r"; |give ", Site.one_line(done.stderr))


def test_usage_02_where_missing(site):
    done = subprocess.run([PIGCTL, "status", "-s"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == USAGE and "-s" in done.stderr


def test_none_01(site, tmp_path):
    """No Piglet: exit code 3, and the cure."""
    for where in (f"unix:{tmp_path}/no.sock", f"shm:{tmp_path}/no", str(tmp_path)):
        for command in ("status", "doctor", "requests"):
            said = site.run(command, where=where, code=NONE)
            assert str(tmp_path) in said and "-s unix:PATH" in said
    (tmp_path / "file").write_bytes(bytes(1 << 20))
    assert "nobody answers" in site.run("status", where=f"shm:{tmp_path}/file", code=NONE)


def test_none_02_environment(site, tmp_path):
    """$PIGLET names it where -s does not."""
    for where, code in ((site.where, DONE), (f"unix:{tmp_path}/no", NONE)):
        done = subprocess.run([PIGCTL, "status"], capture_output=True, timeout=TIMEOUT_S, check=False,
                              env={**os.environ, "PIGLET": where})
        assert done.returncode == code


def test_json_01_escapes(site):
    """Whatever a text holds, the listing stays JSON, and a terminal is not sent its control bytes."""
    name = os.path.join(site.directory, 'a"b\\c\t\x1b[2J\x01d')
    os.symlink(site.path, name)
    assert json.loads(site.run("status", "--json", where=f"unix:{name}"))["where"] == f"unix:{name}"
    assert "?[2J?d" in site.run("status", where=f"unix:{name}")


def test_full_disk_01(site):
    """Output that cannot be written is a failure."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PIGCTL, "-s", site.where, "counters"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=TIMEOUT_S, check=False)
    assert done.returncode == REFUSED and "cannot write" in done.stderr
