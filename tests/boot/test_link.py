"""The cable pulled and plugged in again."""
from lab import console

PIGLET = "10.0.0.2"
SITE = {"words": f"ip={PIGLET}/24"}
ROUNDS = 3


def set_link(site, up):
    """QEMU pulls the cable by QMP; a tap's cable is its interface."""
    if site.hosted:
        site.host.run(f"ip link set {{wire}} {'up' if up else 'down'}")
    else:
        site.piglet.set_link(0, up)


def test_link_01_down_and_up(site):
    """Each pull and plug is one line in the log; after the plug Piglet answers again."""
    assert site.host.answers(PIGLET)
    before = site.counters().get("nic0.link_changes", 0)  # 1 where the link comes up after the nic was found
    for _ in range(ROUNDS):
        mark = site.console.mark()
        set_link(site, False)
        site.console.wait(console.link_down("nic0"), since=mark)
        assert site.host.run(f"ping -n -c 1 -W 0.2 {PIGLET}", check=False).returncode != 0
        set_link(site, True)
        site.console.wait(console.link_up("nic0"), since=mark)
        assert site.host.answers(PIGLET)
        lines = [line for line in site.console.lines[mark:] if "link" in line and "nic0:" in line]
        assert len(lines) == 2, lines
    assert site.counters()["nic0.link_changes"] == before + 2 * ROUNDS
