"""Long work says what it does, often enough; a kernel that must be compiled is announced."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from reports import heartbeat
from reports.heartbeat import COMPILING, EVERY_S, ONCE, working
from sim.cache import compiled as kept
from tests.reports import drawing
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """A folder with a scenario."""
    Path("s.yaml").write_text(TINY)


def test_silence_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """A line whenever nothing was said for a while, with what is done now; none afterwards."""
    with working("one", quiet=False, every=0.05) as beat:
        time.sleep(0.4)
        beat.what = "two"
        time.sleep(0.4)
    said = capsys.readouterr().err.splitlines()
    assert {line.partition(",")[0] for line in said} == {"one", "two"}
    assert all(re.fullmatch(r"(one|two), \d+ s", line) for line in said)
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_who_speaks_need_not_be_woken(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of the work itself begin the silence anew; short work says nothing."""
    with working("slow", quiet=False, every=5) as beat:
        for number in range(3):
            beat.line(str(number))
    assert capsys.readouterr().err.splitlines() == ["0", "1", "2"]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither beats nor lines."""
    with working("slow", quiet=True, every=0.01) as beat:
        beat.line("x")
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_an_error_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    """No thread goes on talking after Ctrl-C."""
    with pytest.raises(KeyboardInterrupt), working("slow", quiet=False, every=0.05):
        raise KeyboardInterrupt
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_patience_is_below_five_seconds() -> None:
    """What the first look promises, with room for a busy machine."""
    assert EVERY_S <= 4


def test_compiled_code_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run it is there; in an empty cache it is not."""
    assert call("run", "s.yaml", "-o", "out", "--no-report", "-q").exit_code == 0
    assert heartbeat.compiled()
    monkeypatch.setattr(kept, "_FOLDERS", {"of-other-sources"})
    kept._folder.cache_clear()
    assert not heartbeat.compiled()
    kept._folder.cache_clear()


def test_compiling_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """First line of a run and of a check; not with -q, the other engine, or compiled code."""
    run = ("run", "s.yaml", "--no-report", "-o")
    monkeypatch.setattr(heartbeat, "compiled", lambda: False)
    assert call(*run, "a").stderr.splitlines()[0] == ONCE
    assert COMPILING not in call(*run, "b", "-q").stderr
    assert COMPILING not in call(*run, "c", "--engine", "reference").stderr
    assert call("check", "s.yaml").stderr.splitlines()[0] == ONCE
    monkeypatch.setattr(heartbeat, "compiled", lambda: True)
    assert COMPILING not in call(*run, "d").stderr


def test_every_part_of_a_run_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulation, timelines, tables and report, each under its name."""
    names: list[str] = []
    real = working

    def noted(what: str, *, quiet: bool, every: float = EVERY_S) -> object:
        names.append(what)
        return real(what, quiet=quiet, every=every)

    monkeypatch.setattr(heartbeat, "working", noted)
    monkeypatch.setattr(heartbeat, "compiled", lambda: True)
    drawing.only(monkeypatch, "losses")
    assert call("run", "s.yaml", "-o", "out").exit_code == 0
    assert names == ["simulating", "timelines", "writing the results", "drawing the report"]
