"""The firewall beside Linux' nftables: the same rules and frames, and the same frames come out (nftables.py)."""
import dataclasses
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import nftables  # noqa: E402
from nft_rules import RuleSet  # noqa: E402

SEEDS = range(1, 25)  # two fifths are stateless, as many stateful, the rest ask the rules about every packet


@pytest.fixture(scope="module", autouse=True)
def linux():
    if why := nftables.why_not():
        pytest.skip(why)


@pytest.mark.parametrize("seed", SEEDS)
def test_nftables_01_same_frames_come_out(seed):
    """`tests/client/nftables.py --seed N` shows a seed's differences again."""
    frames, _, differences = nftables.compare(seed)
    assert not differences, f"seed {seed}: {len(differences)} of {frames} frames\n" + "\n".join(differences[:nftables.SHOWN])


def test_nftables_02_a_difference_is_seen(monkeypatch):
    """With another default on one side, frames differ, unless a rule before it takes them all."""
    theirs = RuleSet.nftables
    monkeypatch.setattr(RuleSet, "nftables", lambda rules: theirs(
        dataclasses.replace(rules, default="drop" if rules.default == "accept" else "accept")))
    assert any(nftables.compare(seed)[2] for seed in SEEDS)
