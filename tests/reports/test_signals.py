"""Ctrl-C at an awkward moment waits."""

from __future__ import annotations

import _thread
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reports.exitcodes import ExitCode
from reports.signals import terminable
from reports.store import parquet
from sim.interrupts import ENDING
from tests.reports import drawing
from tests.rigs.processes import presses
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_ctrl_c_while_tables_are_written_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was simulated is written whole; the report can be drawn later, and is the same."""
    drawing.only(monkeypatch, "losses")
    call("run", "tiny.yaml", "-o", "calm")
    real = parquet.write

    def pressed(*args: Any, **kwargs: Any) -> Any:
        presses()
        return real(*args, **kwargs)

    monkeypatch.setattr(parquet, "write", pressed)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    assert "speskew report run out" in done.stderr
    assert not Path("out/report.html").exists()
    assert call("report", "run", "out").exit_code == 0
    for name in ("result.json", "summary.txt", "report.html", "report.md"):
        assert Path("out", name).read_bytes() == Path("calm", name).read_bytes(), name


class _Presses:
    """Python drops what is raised while an object goes."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def __del__(self) -> None:
        signal.raise_signal(self._number)


def _goes(number: signal.Signals) -> float:
    """Seconds until a wait ends after an object has gone that asks for our end."""
    _Presses(number)
    began = time.monotonic()
    try:
        time.sleep(10)
    except KeyboardInterrupt:
        return time.monotonic() - began
    return 10.0


@pytest.mark.parametrize("number", ENDING)
def test_ctrl_c_while_an_object_goes_comes_again(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Soon after, and nothing is said of it; not in the hook, where it would be dropped again."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)  # not pytest's
    # a shell's background job ignores Ctrl-C: then another one of them must be heeded
    usual = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, usual if number == signal.SIGINT else signal.SIG_IGN)
    try:
        with terminable():
            waited = _goes(number)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert waited < 5
    assert capsys.readouterr().err == ""


def test_a_second_ctrl_c_meanwhile_is_not_said_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the first is being put off: in the hook Python would drop it, with a traceback."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)  # not pytest's
    real, started = _thread.start_new_thread, []

    def pressed(function: Any, arguments: tuple[Any, ...]) -> int:
        started.append(real(function, arguments))
        if len(started) == 1:
            signal.raise_signal(signal.SIGTERM)
        return started[-1]

    monkeypatch.setattr(_thread, "start_new_thread", pressed)
    with terminable():
        waited = _goes(signal.SIGTERM)
        with suppress(KeyboardInterrupt):  # the other one's
            time.sleep(0.5)
    assert len(started) == 2
    assert waited < 5.0
    assert capsys.readouterr().err == ""


LET_GO = """
import gc, signal
from reports.signals import terminable
from speskew import __main__ as program

class Presses:
    def __init__(self):
        self.cycle = self

    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def command(**_named):
    try:
        with terminable():
            Presses()
            raise KeyboardInterrupt
    finally:
        gc.collect()

program.command = command
program.main()
"""


def test_a_second_ctrl_c_while_garbage_is_collected_is_not_said() -> None:
    """What an interrupted command has left may go after the last block that it was in."""
    done = subprocess.run([sys.executable, "-c", LET_GO], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (ExitCode.INTERRUPTED, "")
