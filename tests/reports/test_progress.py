"""Progress: a line for each finished arm, none when it is to be quiet."""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest

from reports import heartbeat, progress
from reports.heartbeat import Beat


class Said(Beat):
    """Keeps its lines."""

    def __init__(self) -> None:
        self.what = ""
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        """What would be printed."""
        self.lines.append(text)


def test_a_line_whenever_an_arm_is_worth_it() -> None:
    """Seven units of three arms: three lines, and the beat always knows what is simulated."""
    beat = Said()
    report = progress.plain(3, beat)
    for done in range(1, 8):
        report(done, 7, f"arm {done}")
        assert beat.what == f"simulating arm {done}"
    assert [line.split(",")[0] for line in beat.lines] == ["1/3 arms", "2/3 arms", "3/3 arms"]
    progress.plain(3, beat)(0, 0, "nothing to do")
    assert len(beat.lines) == 3


def test_what_is_left_is_told_from_the_second_unit_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: the first waits 15 s for compiling, the others take 2 s each."""
    clock = iter([0.0, 15.0, 17.0, 19.0, 21.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    beat = Said()
    report = progress.plain(4, beat)
    for done in range(1, 5):
        report(done, 4, "a")
    assert beat.lines == [
        "1/4 arms, 15.0 s: a",
        "2/4 arms, 17.0 s, about 4 s left: a",
        "3/4 arms, 19.0 s, about 2 s left: a",
        "4/4 arms, 21.0 s: a",
    ]


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither while it counts nor while it simulates."""
    with progress.shown(2, quiet=True) as report, progress.counted(5, "x", quiet=True) as more:
        report(1, 2, "a")
        more(5)
    assert capsys.readouterr() == ("", "")


def test_counts_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told piece by piece is shown in all."""
    beat = Said()
    monkeypatch.setattr(heartbeat, "working", lambda what, *, quiet: nullcontext(beat))
    with progress.counted(10, "cells") as more:
        more(3)
        more(4)
    assert beat.what == "cells 7/10"
