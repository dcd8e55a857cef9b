"""`sweep -n` estimates from what it times; `--force` begins anew; `--figures` are written."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import time
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from reports.sweeps import estimating, sweeping
from sim.cache import compiled
from sim.runs import batch
from sim.runs.batch import Unit
from tests.reports import drawing
from tests.rigs.swept import MATRIX, SPESKEW, results
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own with a sweep of four cells."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(TINY + MATRIX)


def test_the_pace_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units that take longer make the estimate longer by as much."""
    _, cells = sweeping.plan(sweeping.Asked("s.yaml", (), None, None, "fast"))
    fast, run = estimating.pace(cells), batch.run_unit

    def slow(unit: Unit) -> object:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return run(unit)

    monkeypatch.setattr(batch, "run_unit", slow)
    slowed = estimating.pace(cells)
    units = sum(len(t.units) for p in cells for t in p.tasks)
    more = sum(map(slowed.seconds, cells)) - sum(map(fast.seconds, cells))
    assert 0.5 * 0.05 * units < more < 3 * 0.05 * units
    assert slowed.timed == 18


def test_the_estimate_holds() -> None:
    """Of the processor's time for all of a sweep, from its start to its table: a factor of two."""
    Path("s.yaml").write_text(TINY.replace("repeat: 40", "repeat: 500") + MATRIX)
    call("sweep", "s.yaml", "-n")  # what must be compiled is not the sweep's
    said = _spent("-n")[1]
    found = re.search(r"about (\d+) s on one core", said)
    assert found is not None
    seconds = _spent("-o", "out", "-q", "--no-report")[0]
    assert seconds / 2 < int(found[1]) < 2 * seconds


def test_what_was_compiled_is_not_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep finds it: the estimate is that of the next `sweep -n`."""
    cells = sweeping.plan(sweeping.Asked("s.yaml", (), None, None, "fast"))[1]
    monkeypatch.setattr(compiled.COMPILING, "nanoseconds", 0)
    warm = estimating.pace(cells).start_ns
    monkeypatch.setattr(compiled.COMPILING, "nanoseconds", 10**12)
    assert warm - 2 * 10**12 < estimating.pace(cells).start_ns < warm - 10**12 / 2


def _spent(*options: str) -> tuple[float, str]:
    """Seconds of the processor for the sweep with these options, and what it said."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*SPESKEW, "sweep", "s.yaml", *options], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def test_long_streams_are_timed_in_short() -> None:
    """A unit of minutes is not run for an estimate."""
    few_stops = TINY[: TINY.index("driver:")] + "driver: {aux: 1MiB}\narms: [baremetal]\n"
    longer = few_stops.replace("iterations: 500", "iterations: 50000")  # its pilots are brief
    long = longer.replace("repeat: 40", "repeat: 1000000")
    Path("s.yaml").write_text(long + "matrix: {driver.aux: [1MiB, 2MiB]}\n")
    began = time.process_time()
    done = call("sweep", "s.yaml", "-n", "--format", "json")
    assert done.exit_code == ExitCode.OK
    assert time.process_time() - began < 20
    assert all(row["seconds"] > 100 for row in json.loads(done.stdout))


def test_force_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there is gone, of whatever sweep; without it nothing is touched."""
    drawing.of_sweep(monkeypatch, 1)
    assert (
        call("sweep", "s.yaml", "-o", "out", "-q", "--no-report", "--replications", "1").exit_code
        == 0
    )
    before = results()
    refused = call("sweep", "s.yaml", "-o", "out", "-q")
    assert refused.exit_code == ExitCode.USAGE
    assert "--force replaces it" in refused.stderr
    assert results() == before
    Path("b.yaml").write_text(TINY.replace("tiny", "other") + "matrix: {vm.vcpus: [1, 2]}\n")
    done = call("sweep", "b.yaml", "-o", "out", "-q", "--force", "--figures")
    assert done.exit_code == 0, done.stderr
    assert {p.name for p in Path("out/cells").iterdir()}.isdisjoint(
        {Path(name).parts[1] for name in before if name.startswith("cells/")}
    )
    assert list(Path("out/figures").glob("*.svg"))
    assert list(Path("out/figures").glob("*.png"))


def test_force_replaces_nothing_but_sweeps() -> None:
    """A folder of something else stays, and so does a run's."""
    Path("mine").mkdir()
    Path("mine/notes").write_text("x")
    assert call("sweep", "s.yaml", "-o", "mine", "-q", "--force").exit_code == ExitCode.USAGE
    assert Path("mine/notes").read_text() == "x"


@pytest.mark.parametrize("options", [("--force", "--resume"), ("--figures", "--no-report")])
def test_options_that_contradict_each_other(options: tuple[str, ...]) -> None:
    """Refused before anything runs."""
    assert call("sweep", "s.yaml", *options).exit_code == ExitCode.USAGE
    assert not Path("runs").exists()
