"""What compiles ahead: the types that every run has, and processes that end with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from numba import typeof

from sim import children
from sim.cache import compiled as cache
from sim.machine import compiled as c
from sim.runs import batch, warming
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
        assert command[:3] == [sys.executable, "-m", "sim.runs.warming"]
        assert set(command[3:]) <= warming.PARTS.keys()
        processes.append(real([sys.executable, "-c", "import time; time.sleep(60)"], **options))
        return processes[-1]

    monkeypatch.setattr(children, "start", start)
    return processes


def test_they_end_with_the_run(
    begun: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with one that ends early; a share each."""
    monkeypatch.setattr(cache, "holds", lambda function: False)
    with pytest.raises(KeyboardInterrupt), warming.ahead("fast"):  # noqa: PT012
        assert all(process.poll() is None for process in begun)
        raise KeyboardInterrupt
    assert len(begun) == len(warming.ASIDE)
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
    """Another engine, no cache, or all is there; nor is anything compiled in the meantime."""
    monkeypatch.setattr(cache, "keeps", lambda: kept)
    monkeypatch.setattr(cache, "holds", lambda function: held)
    monkeypatch.setattr(warming, "compile_parts", lambda names: pytest.fail(f"compiles {names}"))
    with warming.ahead(engine) as meanwhile:
        meanwhile(True)
        assert begun == []


ENTERED = """
import json
from sim.runs import batch, warming
from sim.scenario.files import loader
scenario = loader.load("quickstart")
for arm in scenario.arms:
    needs = scenario.decisions.needs
    batch.run_unit(batch.Unit(arm, scenario.seed, 0, "fast", False, sightings=needs))
batch.visits_of(arm, batch.stream_of(arm))
calls = [call for part in warming.PARTS.values() for call in part()]
entered = {f.__name__: (f.signatures, types) for f, types in calls if f.signatures}
print(json.dumps({name: [f"{types}" for types in found] == [f"{wanted}"]
    for name, (found, wanted) in entered.items()}))
"""


def test_what_python_enters_it_enters_with_these_types() -> None:
    """In a process of its own, where no other test has called anything."""
    done = subprocess.run([sys.executable, "-c", ENTERED], capture_output=True, text=True)
    assert done.stderr == ""
    entered = json.loads(done.stdout)
    wanted = [f.__name__ for part in ("places", "decisions") for f, _ in warming.PARTS[part]()]
    assert {*wanted, "advance_rounds", "advance"} <= entered.keys()
    assert all(entered.values()), entered


@pytest.mark.deep  # compiles everything once more
def test_nothing_is_compiled_in_vain(tmp_path: Path) -> None:
    """Where all parts are compiled, a run of several arms adds no version of what they call."""
    environment = os.environ | {"SPESKEW_CACHE": str(tmp_path)}
    parts = [sys.executable, "-m", "sim.runs.warming", *warming.PARTS]
    subprocess.run(parts, check=True, env=environment)
    before = _versions(tmp_path)
    assert len(before) > 50
    assert set(before.values()) == {1}
    subprocess.run([sys.executable, "-c", ENTERED], check=True, env=environment)
    assert {name: n for name, n in _versions(tmp_path).items() if name in before} == before


def _versions(cache_folder: Path) -> Counter[str]:
    """Of each function, how many are compiled."""
    return Counter(path.name.rsplit("-", 1)[0] for path in cache_folder.rglob("*.nbc"))


@pytest.mark.parametrize("parts", [*warming.ASIDE, ("places", "decisions")])
def test_a_part_compiles_what_a_run_calls(parts: tuple[str, ...]) -> None:
    """It ends without a word; the code is there then."""
    done = subprocess.run(
        [sys.executable, "-m", "sim.runs.warming", *parts], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for function, _ in (call for part in parts for call in warming.PARTS[part]()):
        assert cache.holds(f"{function.py_func.__module__}.{function.__name__}")
