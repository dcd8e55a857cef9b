"""The kinds: names that scenarios know, and one file each."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from analysis.decisions import kinds as room
from analysis.decisions.kinds import kinds
from sim.scenario.models.decisions import KINDS
from tests.analysis.decisions.asked import OTHER, asked, cells, made, stream, visits

FILE = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Coldest:
    name: str = "coldest"
    asks: str = "which function to leave alone"
    top: str = "1"
KINDS = (Coldest(),)
"""


def test_scenarios_know_every_kind_and_no_other() -> None:
    """The words of `decisions.kinds` are those of the files here."""
    assert set(kinds()) == set(KINDS)
    assert all(kind.asks for kind in kinds().values())


def test_a_new_kind_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put beside the others it is found by its name; nothing else names it."""
    (tmp_path / "coldest.py").write_text(FILE)
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
    kinds.cache_clear()
    try:
        assert kinds()["coldest"].top == "1"
    finally:
        kinds.cache_clear()
        sys.modules.pop("analysis.decisions.kinds.coldest", None)


def test_hot_functions_add_up_what_is_in_them() -> None:
    """Symbols, not static ops; code outside every symbol is a group of its own."""
    tables = stream([OTHER] * 4, range(0, 16, 4), [0, 0, 1, -1])
    arm = made("v6", tables, visits(cells([30, 30, 50, 5])), [cells([2, 2, 3, 1])])
    question = kinds()["hot-functions"].question(arm, "1")
    assert not isinstance(question, str)
    assert question.best_share == 60 / 115
    seen = kinds()["hot-functions"].seen(arm, question, arm.runs[0])
    assert question.scores(seen).tolist() == [4, 3, 0, 1]
    assert question.quality(seen) == 1


def test_hot_instructions_are_addresses() -> None:
    """Two blocks of a recording that hold the same instruction are one item."""
    tables = stream([OTHER] * 3, [0, 4, 0], [0, 0, 0])
    arm = made("v6", tables, visits(cells([40, 50, 40])), [cells([1, 9, 1])])
    question = kinds()["hot-instructions"].question(arm, "1")
    assert not isinstance(question, str)
    assert question.best_share == 80 / 130
    seen = kinds()["hot-instructions"].seen(arm, question, arm.runs[0])
    assert question.quality(seen) == 50 / 80


def test_one_function_is_no_choice() -> None:
    """It is said why."""
    tables = stream([OTHER], [0], [0])
    question = kinds()["hot-functions"].question(
        made("v6", tables, visits(cells([9])), [cells([1])]), "1"
    )
    assert question == "the stream has fewer than two functions"
    assert asked("hot-functions").kinds == ("hot-functions",)
