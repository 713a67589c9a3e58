"""Boot tests: one Piglet a machine and module, on taps in namespaces that vanish with this process.

A test names its subject and a number (test_ping_01_sizes); its id ends in the machine it ran on. Tests take
`site` (the module's shared Piglet, made from its SITE) or boot their own with `boot`."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(os.path.dirname(HERE)), "tools")]

import wires  # noqa: E402
from lab import namespace  # noqa: E402


def pytest_configure(config):
    """Becomes root over our own namespaces while there is one thread only."""
    config.lab_refused = None
    try:
        namespace.check_tap()
        namespace.become_root()
    except namespace.LabError as error:
        config.lab_refused = f"{error}; cure: {error.cure}"


@pytest.fixture(scope="session")
def lab(request):
    if request.config.lab_refused:
        pytest.skip(request.config.lab_refused)


def pytest_addoption(parser):
    parser.addoption("--machine", action="append", choices=wires.ALL_MACHINES, help="run on this one only; repeatable")


def pytest_generate_tests(metafunc):
    """Every test runs once a machine; a module's MACHINES narrows or widens that."""
    if "machine" in metafunc.fixturenames:
        machines = getattr(metafunc.module, "MACHINES", wires.MACHINES)
        metafunc.parametrize("machine", machines, scope="module")


def pytest_collection_modifyitems(config, items):
    if wanted := config.getoption("--machine"):
        items[:] = [item for item in items if item.callspec.params["machine"] in wanted]


def end(site):
    """Closes a site; Piglet must still run, and end well where its status tells."""
    failure = site.piglet.failure()
    status = site.close()
    assert failure is None, f"{site.name}: {failure}\n{site.console.tail()}"
    if site.hosted or site.modelled:
        assert status == 0, f"Piglet ended with status {status}:\n{site.console.tail()}"


def need(machine):
    if reason := wires.missing(machine):
        pytest.skip(reason)


@pytest.fixture(scope="module")
def site(machine, request, lab):
    """The module's Piglet, booted as its SITE says."""
    need(machine)
    site = wires.Site(machine, **request.module.SITE)
    yield site
    end(site)


@pytest.fixture
def boot(machine, lab):
    """Boots a Piglet for one test: boot(words, hosts=..., ...)."""
    need(machine)
    sites = []

    def start(words, **options):
        sites.append(wires.Site(machine, words, **options))
        return sites[-1]
    yield start
    for site in reversed(sites):
        end(site)


@pytest.fixture(autouse=True)
def healthy():
    """A panic fails the test it happened in, whatever else that test saw."""
    yield
    for site in wires.live:
        if failure := site.piglet.failure():
            pytest.fail(f"{site.name}: {failure}\n{site.console.tail()}")


def pytest_terminal_summary(terminalreporter):
    """Figures that tests noted: shown, never judged."""
    for figure in wires.figures:
        terminalreporter.write_line(f"figure: {figure}")
