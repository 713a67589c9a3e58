"""bench/contract.txt is kept: no figure grew by more than 3 % without the file changing with it."""
import importlib.machinery
import importlib.util
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")


def program(path):
    loader = importlib.machinery.SourceFileLoader("contract", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("contract", loader))
    loader.exec_module(module)
    return module


sys.dont_write_bytecode = True
contract = program(os.path.join(ROOT, "bench", "contract"))
RECORDED, COMPILER = contract.recorded()


@pytest.fixture(scope="module")
def measured():
    return contract.measured(BUILD)


@pytest.mark.parametrize("key", RECORDED)
def test_kept(measured, key):
    why = contract.breach(key, RECORDED[key], measured.get(key, (None,))[0], COMPILER)
    assert not why, why


def test_all_are_recorded(measured):
    assert set(measured) == set(RECORDED)


def test_counts_are_exact(measured):
    again, _ = contract.setups.PLAIN.count(BUILD, contract.NICS[0])
    before = measured[f"path.{contract.NICS[0]}.forward"][0]
    assert abs(again - before) <= 0.01 * before


@pytest.mark.parametrize("before, now, kept", [(100.0, 103.0, True), (100.0, 103.1, False), (100.0, 50.0, True),
                                               (10.0, 10.9, True), (None, 1.0, False), (1.0, None, False)])
def test_what_is_a_breach(before, now, kept):
    why = contract.breach("path.e1000.forward", before, now, COMPILER)
    assert kept == (why is None)
    if not kept:
        assert "bench/contract.txt" in why and "path.e1000.forward" in why and "make contract-record" in why
    if not kept and before and now:
        assert f"{before:.1f}" in why and f"{now:.1f}" in why


def test_another_compiler_is_said():
    assert "another compiler (gcc 1.0, not " in contract.breach("path.e1000.forward", 100.0, 200.0, "gcc 1.0")
    assert "another compiler" not in contract.breach("path.e1000.forward", 100.0, 200.0, contract.compiler())
