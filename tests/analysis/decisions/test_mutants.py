"""Seeded mutations of the arithmetic: each must fail a test of this room."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOM = "analysis.decisions"
TESTS = "tests.analysis.decisions"
MUTANTS = {
    "unseen items are chosen": ("choosing", "flatnonzero(score > 0)", "flatnonzero(score > -1)"),
    "ties are never taken": ("choosing", "part = (k - int(above.sum()))", "part = 0 * (k)"),
    "a tie takes every item": ("choosing", "/ int(tied.sum())", "/ 1"),
    "the worst are taken": ("choosing", "np.partition(score, -k)[-k]", "np.sort(score)[k - 1]"),
    "shares are rounded down": ("choosing", "math.ceil(float", "math.floor(float"),
    "quality is absolute": ("choosing", "/ self._best if", "/ 1.0 if"),
    "cells are items": ("choosing", "np.bincount(item, worth)", "np.asarray(worth)"),
    "unknown keys are counted": ("choosing", "known = keys[at] == found", "known = at == at"),
    "all samples count": ("choosing", "np.append(self.truth, self.others)",
                          "np.append(self.truth, 0)"),
    "thinning replaces": ("chance", "multivariate_hypergeometric(whole, n, method=\"marginals\")",
                          "multinomial(n, whole / whole.sum())"),
    "thinning keeps all": ("chance", "if n >= samples:", "if n >= 0:"),
    "a curve is read on a linear scale": ("chance", "low * (found / low) ** float(", "low + ("
                                          "found - low) * float("),
    "no regret is few samples": ("chance", "max(found, float(samples)) if", "found if"),
    "bias has the other sign": ("regret", "return regrets[:n] - fewer, fewer - whole",
                                "return fewer - regrets[:n], fewer - whole"),
    "bias holds the sampling": ("regret", "return regrets[:n] - fewer,",
                                "return regrets[:n] - whole,"),
    "thinned to all": ("regret", "int(mine.samples[r]), r)", "int(bare.samples[r]), r)"),
    "the larger part is none": ("regret", "if certain:", "if False:"),
    "any stream compares": ("regret", "return np.array_equal(arm.visits.members, "
                            "reference.visits.members)", "return True"),
}  # a mutant a line, or two  # fmt: skip
"""What is wrong: module, text, and what stands there instead."""


@contextmanager
def mutated(module: str, old: str, new: str) -> Iterator[None]:
    """The room with one text changed, for imports of its tests within the block."""
    names = [m for m in sys.modules if m.startswith((ROOM, TESTS)) and m != __name__]
    kept = {name: sys.modules.pop(name) for name in names}
    name = f"{ROOM}.{module}"
    try:
        importlib.import_module(ROOM)
        path = Path(str(kept[name].__file__ if name in kept else ""))
        source = path.read_text(encoding="utf-8")
        assert source.count(old) == 1, f"{module}: {old} is no longer there once"
        made = ModuleType(name)
        made.__file__ = str(path)
        sys.modules[name] = made
        exec(compile(source.replace(old, new), str(path), "exec"), made.__dict__)
        yield
    finally:
        for each in [m for m in sys.modules if m.startswith((ROOM, TESTS)) and m != __name__]:
            del sys.modules[each]
        sys.modules.update(kept)


def calls(module: ModuleType) -> Iterator[Callable[[], Any]]:
    """The tests of a module that need no fixture, with every parameter."""
    for name, test in vars(module).items():
        if not name.startswith("test_"):
            continue
        marks = [m for m in getattr(test, "pytestmark", []) if m.name == "parametrize"]
        values = marks[0].args[1] if marks else [()]
        for value in values:
            yield partial(test, *([value] if marks else []))


def failures() -> int:
    """How many tests of the room fail as it is."""
    failed = 0
    for name in ("test_choosing", "test_chance", "test_regret"):
        for test in calls(importlib.import_module(f"{TESTS}.{name}")):
            try:
                test()
            except (AssertionError, ArithmeticError, ValueError, IndexError):
                failed += 1
        if failed:
            break
    return failed


@pytest.fixture(autouse=True)
def loaded() -> None:
    """What is mutated is there before."""
    for module in ("choosing", "chance", "regret"):
        importlib.import_module(f"{ROOM}.{module}")


@pytest.mark.deep
@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.filterwarnings("ignore")
def test_a_mutant_is_caught(name: str) -> None:
    """Some test fails."""
    with mutated(*MUTANTS[name]):
        assert failures()


def test_without_a_mutation_nothing_fails() -> None:
    """Control: the same machinery, and text that means the same."""
    with mutated("choosing", "flatnonzero(score > 0)", "flatnonzero(score > 0.0)"):
        assert failures() == 0
