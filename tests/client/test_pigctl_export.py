"""pigctl export: what Prometheus' own parser makes of it."""
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pigctl_site import PIGCTL, REFUSED, TIMEOUT_S, USAGE, Site  # noqa: E402

parser = pytest.importorskip("prometheus_client.parser")


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    assert site.close() == 0


def metrics(text):
    found = {}
    for family in parser.text_string_to_metric_families(text):
        assert family.type == "counter" and family.documentation
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def test_export_01_every_counter(site):
    found = metrics(site.run("export"))
    assert len(found) == len([row for row in site.json("counters") if row["name"] != "drop.none"])
    assert found["piglet_nic_rx_frames_total", ("nic", "nic0")] >= 0
    assert ("piglet_drops_total", ("reason", "ip-ttl")) in found
    assert found["piglet_time_seconds_total", ("phase", "housekeeping")] > 0
    assert found["piglet_loop_turns_total",] > 0
    assert ("piglet_service_frames_total", ("service", "arp")) in found


@pytest.fixture
def served(site):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([PIGCTL, "-s", site.where, "export", "--listen", f"127.0.0.1:{port}"],
                          stderr=subprocess.PIPE) as child:
        child.stderr.readline()
        yield f"127.0.0.1:{port}"
        child.terminate()
        assert child.wait(TIMEOUT_S) == 0


def test_export_02_over_http(site, served):
    first = metrics(urllib.request.urlopen(f"http://{served}/metrics", timeout=5).read().decode())
    site.peer.send(b"runt")
    deadline = time.monotonic() + TIMEOUT_S
    key = "piglet_drops_total", ("reason", "eth-too-short")
    while metrics(urllib.request.urlopen(f"http://{served}/metrics", timeout=5).read().decode())[key] <= first[key]:
        assert time.monotonic() < deadline
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{served}/else", timeout=5)
    assert refused.value.code == 404


def test_export_03_garbage_does_not_stop_it(served):
    host, port = served.split(":")
    for said in (b"", b"\0" * 5000, b"GET", b"POST / HTTP/1.0\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=5) as asks:
            asks.sendall(said)
    assert metrics(urllib.request.urlopen(f"http://{served}/metrics", timeout=20).read().decode())


def test_export_04_usage(site):
    for words in (["--listen"], ["--listen", "nowhere"], ["--listen", "127.0.0.1:99999"], ["x", "y"]):
        site.run("export", *words, code=USAGE)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = site.run("export", "--listen", f"127.0.0.1:{taken.getsockname()[1]}", code=REFUSED)
        assert "choose another port" in said
