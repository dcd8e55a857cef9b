"""What compiles ahead: the types that every run has, and processes that end with it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from numba import typeof

from sim import children
from sim.cache import compiled as cache
from sim.machine import compiled as c
from sim.machine import warming
from sim.runs import batch
from sim.scenario.files import loader


class Asked(Exception):
    """The rounds were called."""


@pytest.mark.parametrize("name", ["synthetic", "quickstart", "false-sharing", "layout", "designs"])
def test_types_are_those_of_a_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of code that is a formula, of a recorded program, and of one of several threads.

    Else a function is compiled in vain, and what `sim.draws.quick` enters would be the wrong one.
    """
    found: list[Any] = []

    def told(*arrays: Any) -> None:
        found.extend(map(typeof, arrays[:3]))
        raise Asked

    monkeypatch.setattr(c, "advance_rounds", told)
    scenario = loader.load(name)
    unit = batch.Unit(scenario.arms[0], scenario.seed, 0, "fast", keep_records=False)
    with pytest.raises(Asked):
        batch.run_unit(unit)
    assert tuple(found) == warming.kernel_types()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """Processes in place of those that compile."""
    processes: list[subprocess.Popen[str]] = []
    real = children.start

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        assert command[:3] == [sys.executable, "-m", "sim.machine.warming"]
        assert command[3] in warming.PARTS
        processes.append(real([sys.executable, "-c", "import time; time.sleep(60)"], **options))
        return processes[-1]

    monkeypatch.setattr(children, "start", start)
    return processes


def test_they_end_with_the_run(
    begun: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with one that ends early; a part each."""
    monkeypatch.setattr(cache, "holds", lambda function: False)
    with pytest.raises(KeyboardInterrupt), warming.ahead("fast"):  # noqa: PT012
        assert all(process.poll() is None for process in begun)
        raise KeyboardInterrupt
    assert len(begun) == len(warming.PARTS)
    assert all(process.poll() is not None for process in begun)


@pytest.mark.parametrize(
    ("engine", "kept", "held"),
    [("reference", True, False), ("fast", False, False), ("fast", True, True)],
)
def test_nothing_is_begun_in_vain(
    engine: str,
    kept: bool,
    held: bool,
    begun: list[subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another engine, no cache, or all is there."""
    monkeypatch.setattr(cache, "keeps", lambda: kept)
    monkeypatch.setattr(cache, "holds", lambda function: held)
    with warming.ahead(engine):
        assert begun == []


@pytest.mark.parametrize("part", warming.PARTS)
def test_a_part_compiles_what_a_run_calls(part: str) -> None:
    """It ends without a word; the code is there then."""
    done = subprocess.run(
        [sys.executable, "-m", "sim.machine.warming", part], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    name = {"sampling": "advance_rounds", "rounds": "serve"}[part]
    assert cache.holds(f"sim.machine.compiled.{name}")
