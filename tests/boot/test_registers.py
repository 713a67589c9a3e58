"""pigctl regs: a nic's registers by name, of those only whose reading changes nothing."""
import json
import subprocess

import wires
from lab import machine

MACHINES = ("q35-e1000e", "q35-ixgbe")
SITE = {"words": "ip=10.0.0.2/24", "windows": 1}
CLEAR_WHEN_READ = {"q35-e1000e": ("CRCERRS", "ICR", "MPC"), "q35-ixgbe": ("CRCERRS", "EICR", "GPRC", "SWSM")}


def regs(site, *words):
    """(exit status, rows)"""
    done = subprocess.run([wires.artefact("tools", "pigctl"), "-s", site.windows[0], "--json", "regs", *words],
                          capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, json.loads(done.stdout or "[]")


def test_registers_01_by_name(site):
    """All of them, or one; an array's elements are numbered."""
    status, rows = regs(site)
    assert status == 0
    values = {row["name"]: int(row["value"], 16) for row in rows}
    assert values["STATUS"] & 0x82  # link up: bit 1 of the 82574, 7 of the 82599
    mac = bytes.fromhex(f"{values['RAL[0]']:08x}")[::-1]
    assert mac.hex(":") == machine.mac_of(0)[:11]
    status, rows = regs(site, "nic0", "ral")
    assert status == 0 and len(rows) >= 16 and rows[3]["name"] == "RAL[3]"


def test_registers_02_not_those_that_change(site):
    """What clears or takes when read is not read, not by its name either."""
    shown = {row["name"] for row in regs(site)[1]}
    for name in CLEAR_WHEN_READ[site.name]:
        assert name not in shown
        assert regs(site, "nic0", name) == (1, [])


def test_registers_03_no_such_nic(site):
    """A nic that is not there is refused."""
    assert regs(site, "nic7")[0] != 0
