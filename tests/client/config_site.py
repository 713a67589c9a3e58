"""What the tests of configuration files share: a Piglet to apply them to, and pigctl in a folder of files."""
import contextlib
import os
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pigctl_site import BUILD, DONE, PIGCTL, PIGLET, TIMEOUT_S, Site  # noqa: E402

BASE = f"addresses add {PIGLET}/24@nic0\n"
OTHER = "addresses add 10.0.0.3/24@nic0\n"
RAW = os.path.join(BUILD, "test", "pigctl_raw")  # pigctl whose block `shaper` is the bytes of its table


@pytest.fixture(scope="module")
def shared():
    one = Site()
    yield one
    assert one.piglet.failure() is None
    assert one.close() == 0


@pytest.fixture
def site(shared, tmp_path):
    """A Piglet with the base configuration, which files are written for."""
    shared.tmp, shared.program = tmp_path, PIGCTL
    apply(shared, BASE)
    yield shared
    with contextlib.suppress(AssertionError):
        pigctl(shared, "confirm", code=None)
    assert shared.piglet.failure() is None


@pytest.fixture
def raw(site):
    """The site, with the pigctl whose block is bytes."""
    site.program = RAW
    yield site
    apply(site, BASE)


def write(site, text, name="site.conf"):
    path = site.tmp / name
    path.write_text(text)
    return str(path)


def pigctl(site, *words, code=DONE, text=None):
    """Runs it in the folder of the files; its output and its errors."""
    done = subprocess.run([getattr(site, "program", PIGCTL), "-s", site.where, *words], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False, cwd=site.tmp, input=text)
    assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def apply(site, text, code=DONE, options=()):
    write(site, text)
    return pigctl(site, "apply", *options, "site.conf", code=code)


def shown(site):
    return pigctl(site, "show", "config")[0]


def wait_for(what, seconds=TIMEOUT_S):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def routes(count, first=0):
    return "".join(f"routes add 10.{100 + i // 250}.{i % 250}.0/24 via 10.0.0.9\n" for i in range(first, count))


def shaper(name, rate=1_000_000):
    """A block with one class; its bytes, eight a line."""
    one = struct.pack("<16sQQHBB7I8x", name, rate, rate, 0xFFFF, 0, 0, 1, 20000, 5000, 100000, 2048, 1 << 20, 1000)
    table = struct.pack("<IIIII12x", 0x70685370, 1, 32 + len(one), 1, 0) + one
    lines = [table[i:i + 8].hex(" ") for i in range(0, len(table), 8)]
    return "shaper {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
