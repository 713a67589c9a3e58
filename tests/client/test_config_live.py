"""Configuration files: those that must be confirmed, and booting with them."""
import contextlib
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from config_site import (BASE, OTHER, RAW, apply, pigctl, routes, shaper, shared, shown, site, wait_for,  # noqa: E402, F401
                         write)
from pigctl_site import BUILD, PIGCTL, REFUSED, ROOT, TIMEOUT_S, USAGE, Site, machine  # noqa: E402

ROUTER = os.path.join(ROOT, "examples", "router.conf")


# ---- confirming ---------------------------------------------------------------------------------------------

def test_confirm_01_comes_back(site):
    out = apply(site, OTHER + "services stop icmp\n", options=("--confirm", "1"))[0]
    assert out.splitlines()[-1].startswith("confirm within 1 s") and "addresses add 10.0.0.3/24@nic0" in out
    assert shown(site) == OTHER + "services stop icmp\n"
    wait_for(lambda: shown(site) == BASE, 5)
    assert "no configuration waits" in pigctl(site, "confirm", code=REFUSED)[1]
    assert not os.path.exists(site.path + ".confirm")


def test_confirm_02_stays(site):
    apply(site, OTHER, options=("--confirm", "1"))
    assert pigctl(site, "confirm")[0] == "confirmed\n"
    time.sleep(1.5)
    assert shown(site) == OTHER
    assert "no configuration waits" in pigctl(site, "confirm", code=REFUSED)[1]


def test_confirm_03_one_at_a_time(site):
    """While one waits, no other is applied: it would be taken back unseen."""
    apply(site, OTHER, options=("--confirm", "60"))
    for options in ((), ("--confirm", "1")):
        assert "waits to be confirmed" in apply(site, BASE, REFUSED, options)[1]
    assert shown(site) == OTHER
    pigctl(site, "confirm")


def test_confirm_04_outlives_its_terminal(site):
    """Whoever typed it may be cut off: hung up on, and killed with all of their processes."""
    write(site, OTHER)
    with subprocess.Popen([PIGCTL, "-s", site.where, "apply", "--confirm", "1", "site.conf"], cwd=site.tmp,
                          stdout=subprocess.PIPE, start_new_session=True) as shell:
        shell.stdout.read()
        shell.wait(TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGHUP)
            os.killpg(shell.pid, signal.SIGKILL)
    assert shown(site) == OTHER
    wait_for(lambda: shown(site) == BASE, 5)


def test_confirm_05_nothing_to_confirm(site):
    assert apply(site, BASE, options=("--confirm", "60"))[0] == "nothing to do\n"
    said = apply(site, "routes add 10.5.0.0/16 via 10.77.1.9\n", REFUSED, ("--confirm", "60"))[1]
    assert said.startswith("site.conf:1:12: nothing was changed")
    assert "no configuration waits" in pigctl(site, "confirm", code=REFUSED)[1]
    assert shown(site) == BASE


def test_confirm_06_killed_one_leaves_no_trace(site):
    """The process that waits is killed: what was applied stays, and another one can wait."""
    apply(site, OTHER, options=("--confirm", "60"))
    client = next(row for row in site.json("clients") if row["name"] == "pigctl")
    os.kill(client["pid"], signal.SIGKILL)
    wait_for(lambda: "no configuration waits" in pigctl(site, "confirm", code=None)[1])
    apply(site, BASE, options=("--confirm", "60"))
    assert pigctl(site, "confirm")[0] == "confirmed\n" and shown(site) == BASE


def test_confirm_07_kernel_gone(tmp_path):
    """Nothing is left to go back to: the process that waits ends."""
    one = Site()
    one.tmp = tmp_path
    apply(one, OTHER, options=("--confirm", "60"))
    assert os.path.exists(one.path + ".confirm")
    assert one.piglet.stop() == 0
    wait_for(lambda: not os.path.exists(one.path + ".confirm"))
    one.close()


# ---- booting ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def booted(tmp_path, *texts, words="", program=PIGCTL):
    """A hosted Piglet with these configurations, two nics and a window."""
    class Booted:  # as much of a Site as is needed
        pass
    one = Booted()
    one.tmp, one.where, one.program = tmp_path, f"unix:{tmp_path}/p.sock", program
    modules = []
    for i, text in enumerate(texts):
        path = tmp_path / f"{i}.psr"
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            write(one, text, f"{i}.conf")
            pigctl(one, "compile", f"{i}.conf", "-o", path)
        modules.append(str(path))
    one.piglet = machine.Hosted(os.path.join(BUILD, "hosted", "piglet"), words,
                                [f"pair:{tmp_path}/a", f"pair:{tmp_path}/b"], window=f"{tmp_path}/p.sock", modules=modules)
    one.piglet.wait_ready()
    try:
        yield one
        assert one.piglet.failure() is None
    finally:
        assert one.piglet.stop() == 0


def test_boot_01_hosted(tmp_path):
    """Booting with a file is applying it."""
    with open(ROUTER, encoding="utf-8") as file:
        text = file.read()
    with booted(tmp_path, text) as one:
        assert pigctl(one, "diff", ROUTER)[0] == "nothing to do\n"
        now = shown(one)
    with booted(tmp_path) as one:
        pigctl(one, "apply", ROUTER)
        assert shown(one) == now


def test_boot_02_several(tmp_path):
    with booted(tmp_path, BASE, "services start echo\n", "routes add 10.5.0.0/16 via 10.0.0.9\n") as one:
        assert shown(one) == BASE + "routes add 10.5.0.0/16 via 10.0.0.9\nservices start echo\n"


def test_boot_03_refused(tmp_path):
    """Of a module with one bad line nothing is done; the line is named, and the kernel runs."""
    with booted(tmp_path, BASE + routes(100) + "services start nosuch\n", "services start echo\n") as one:
        assert shown(one) == "services start echo\n"
        log = "\n".join(one.piglet.console.lines)
        assert "module: 0.conf:102: Service_Find: no such thing" in log and "0.conf: refused, nothing of it is done" in log


def test_boot_04_not_modules(tmp_path):
    with booted(tmp_path, b"", b"hello", os.urandom(5000)) as one:
        assert shown(one) == ""
        assert sum("not a compiled configuration" in line for line in one.piglet.console.lines) == 3
    done = subprocess.run([os.path.join(BUILD, "hosted", "piglet"), "--module", "/no/such"], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)
    assert done.returncode == USAGE and "/no/such: No such file" in done.stderr


def test_boot_05_qemu(tmp_path):
    """tools/run-qemu --config, and then by pigctl through a window in a file: it is what runs. Confirmation works there,
    where the process that waits has the only place in the window."""
    window = f"{tmp_path}/window"
    command = [os.path.join(ROOT, "tools", "run-qemu"), "--count", "2", "--user", "--config", ROUTER, "--window", window]
    piglet = machine.Machine(command)
    try:
        piglet.wait_ready()
        class Booted:
            tmp, where = tmp_path, f"shm:{window}"
        assert pigctl(Booted, "diff", ROUTER)[0] == "nothing to do\n"
        before = shown(Booted)
        apply(Booted, before + "services start echo\n", options=("--confirm", "3"))
        wait_for(lambda: not os.path.exists(window + ".confirm"))
        assert shown(Booted) == before
        apply(Booted, before + "services start echo\n", options=("--confirm", "60"))
        assert pigctl(Booted, "confirm")[0] == "confirmed\n"
        wait_for(lambda: "services start echo" in pigctl(Booted, "show", "config", code=None)[0])
    finally:
        piglet.stop()


def test_boot_06_tables(tmp_path):
    """A block is loaded and put in force by a module too, and can be taken back by what comes then."""
    with booted(tmp_path, BASE + shaper(b"one") + routes(100), program=RAW) as one:
        assert pigctl(one, "diff", "0.conf")[0] == "nothing to do\n"
        assert shaper(b"one") in shown(one)
    with booted(tmp_path, BASE + shaper(b"one") + "services start nosuch\n", program=RAW) as one:
        assert shown(one) == ""


def test_boot_07_qemu_refuses_a_bad_file(tmp_path):
    (tmp_path / "bad.conf").write_text("services start\n")
    done = subprocess.run([os.path.join(ROOT, "tools", "run-qemu"), "--config", str(tmp_path / "bad.conf")],
                          capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1 and "bad.conf:1:15: services start: service is missing" in done.stderr


def test_boot_08_a_refused_table_and_a_cut_file(tmp_path):
    """The line of what only the kernel can find wrong is named; of a file that was cut, nothing is done."""
    one_class = "services start shaper\nshaper {{\n  # fast\n  class link {} rate 10mbit\n  default link\n}}\n"
    with booted(tmp_path, BASE + one_class.format("nic9")) as one:
        assert shown(one) == ""
        log = "\n".join(one.piglet.console.lines)
        assert "module: 0.conf:5: Service_Load: no such thing" in log and "0.conf: refused, nothing of it is done" in log
    (tmp_path / "whole.conf").write_text(BASE + one_class.format("nic0"))
    subprocess.run([PIGCTL, "compile", "whole.conf", "-o", "whole.psr"], timeout=TIMEOUT_S, check=True, cwd=tmp_path)
    whole = (tmp_path / "whole.psr").read_bytes()
    with booted(tmp_path, *(whole[:end] for end in (60, 64, len(whole) - 4096, len(whole) - 1))) as one:
        assert shown(one) == ""
        log = "\n".join(one.piglet.console.lines)
        assert log.count("refused: truncated, or too long") + log.count("not a compiled configuration") == 4
