"""`speskew sweep`: the same bytes whatever the order, the jobs, the kills and the attempts."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import reports
from reports.exitcodes import ExitCode
from reports.sweeps import sweeping, words
from reports.sweeps.sweeping import Standing
from sim.runs import backends
from sim.scenario.files import loader
from tests.rigs.processes import begun
from tests.rigs.swept import LONG, MATRIX, SPESKEW, results, units
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in a folder of its own, with a scenario of four cells."""
    Path("s.yaml").write_text(TINY + MATRIX)
    home = str(Path(next(iter(reports.__path__))).parent)
    monkeypatch.setenv("PYTHONPATH", home)


def cells(folder: str = "out") -> list[dict[str, Any]]:
    """Rows of the sweep's result."""
    rows: list[dict[str, Any]] = json.loads(Path(folder, "result.json").read_text())["cells"]
    return rows


def test_a_cell_is_what_run_writes() -> None:
    """Hermetic: with the command that a cell names, `speskew run` gives the same bytes."""
    assert call("sweep", "s.yaml", "-o", "out", "-q").exit_code == 0
    assert len(cells()) == 4
    for number, row in enumerate(cells()):
        command = row["reproduce"].split()
        assert command[:3] == ["speskew", "run", "s.yaml"]
        done = call(*command[1:], "-o", f"run{number}", "--no-report", "--no-band")
        assert done.exit_code == 0, done.output
        stored = Path("out", "cells", row["id"])
        for name in ("result.json", "summary.txt"):
            assert (stored / name).read_bytes() == Path(f"run{number}", name).read_bytes()


def test_neither_order_nor_jobs_nor_format_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """One job, two jobs, and finishing in reverse order: the same bytes."""
    call("sweep", "s.yaml", "-o", "out", "-q")
    assert call("sweep", "s.yaml", "-o", "two", "-j", "2", "-q").exit_code == 0
    assert results("two") == results()
    forward = backends.Here.run
    monkeypatch.setattr(
        backends.Here, "run", lambda self, tasks: reversed(list(forward(self, tasks)))
    )
    call("sweep", "s.yaml", "-o", "back", "-q")
    assert results("back") == results()


def test_what_it_says() -> None:
    """A line per cell and arm; JSON and CSV are the files; progress and the path on stderr."""
    done = call("sweep", "s.yaml", "-o", "out")
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[0] == "driver.aux"
    assert len(lines) == 1 + 4 * 3
    said = done.stderr.splitlines()
    assert said[-1] == "out/report.html"
    assert said[1].startswith("1/4 cells, ")
    assert any("left: " in line for line in said)
    assert sum("/4 cells" in line for line in said) == 5
    text = call("sweep", "s.yaml", "-o", "out", "--resume", "-q", "--format", "json").stdout
    assert text == Path("out/result.json").read_text()
    text = call("sweep", "s.yaml", "-o", "out", "--resume", "-q", "--format", "csv").stdout
    rows = list(csv.DictReader(text.splitlines()))
    loss = [r for r in rows if (r["arm"], r["metric"]) == ("cold", "loss.total")]
    assert len(loss) == 4
    assert {r["spe.interval"] for r in loss} == {"1024ops", "2048ops"}
    assert all(float(r["low"]) < float(r["mean"]) < float(r["high"]) for r in loss)


def test_result_has_axes_and_numbers() -> None:
    """Settings of each cell, the axes in the order of the file, and every number by its name."""
    call("sweep", "s.yaml", "-o", "out", "-q", "--replications", "2")
    found = json.loads(Path("out/result.json").read_text())
    assert found["axes"] == {
        "driver.aux": ["8KiB", "16KiB"],
        "spe.interval": ["1024ops", "2048ops"],
    }
    for row in found["cells"]:
        assert row["replications"] == 2
        stored = json.loads(Path("out/cells", row["id"], "result.json").read_text())
        arm = row["arms"]["cold"]
        assert arm["loss.total"] == stored["arms"]["cold"]["loss"]["total"]
        assert arm["rlimit.exits"] == stored["arms"]["cold"]["rlimit"]["exits"]


def test_dry_run_lists_cells_and_cost() -> None:
    """Nothing is run or written."""
    done = call("sweep", "s.yaml", "-n")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 5
    assert "4 cells, about" in done.stdout
    rows = json.loads(call("sweep", "s.yaml", "-n", "--format", "json").stdout)
    assert [row["units"] for row in rows] == [9] * 4
    assert sorted(p.name for p in Path().iterdir()) == ["s.yaml"]


def started(*args: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """A sweep in a process of its own."""
    command = [*SPESKEW, "sweep", "s.yaml", "-o", "out", *args]
    return begun(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def wait_for_units(process: subprocess.Popen[str], count: int) -> None:
    """Until so many units are finished; fails if the sweep ends before."""
    deadline = time.monotonic() + 60
    while len(units() if Path("out/units").is_dir() else {}) < count:
        assert process.poll() is None, "the sweep was over before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(("jobs", "after"), [("1", 1), ("2", 20)])
def test_resumed_after_sigkill(jobs: str, after: int) -> None:
    """Killed in the middle: finished units are not run again, and the bytes are the same."""
    Path("s.yaml").write_text(LONG)
    with started("-j", jobs) as process:
        wait_for_units(process, after)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not Path("out/result.json").exists(), "nothing half-done looks finished"
    before = units()
    assert after <= len(before) < 72
    again = call("sweep", "s.yaml", "-o", "out", "-j", jobs)
    assert again.exit_code == ExitCode.USAGE
    assert "--resume" in again.stderr
    done = call("sweep", "s.yaml", "-o", "out", "-j", "1", "--resume")
    assert done.exit_code == 0, done.output
    assert f"{len(before)}/72 units there" in done.stderr
    assert before.items() <= units().items(), "a finished unit was run again"
    assert len(units()) == 72
    assert call("sweep", "s.yaml", "-o", "whole", "-q").exit_code == 0
    assert results() == results("whole")


def test_resuming_what_is_finished_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a damaged unit is run again, that one only."""
    call("sweep", "s.yaml", "-o", "out", "-q")
    first, before = results(), units()
    ran: list[str] = []
    real = backends.run_task

    def counted(task: Any) -> Any:
        ran.extend(task.keys)
        return real(task)

    monkeypatch.setattr(backends, "run_task", counted)
    done = call("sweep", "s.yaml", "-o", "out", "-q", "--resume")
    assert done.exit_code == 0
    assert done.stderr.splitlines() == ["out/report.html"], "nothing is unreadable"
    assert (ran, units(), results()) == ([], before, first)
    damaged = Path("out/units", sorted(before)[0])
    damaged.write_bytes(damaged.read_bytes()[:-3])
    done = call("sweep", "s.yaml", "-o", "out", "-q", "--resume")
    assert done.exit_code == 0
    assert ran == [damaged.stem]
    why = "its checksum does not match: it was cut or changed"
    assert done.stderr.splitlines() == [
        f"speskew: {damaged}: {why}; it is run again",
        "out/report.html",
    ]
    assert results() == first


def test_killed_before_the_manifest() -> None:
    """What a sweep writes first is no obstacle to the next attempt, with or without --resume."""
    for options in ((), ("--resume",)):
        folder = Path("early" + "".join(options))
        folder.mkdir()
        (folder / ".lock").touch()
        (folder / ".sweep.json.x1y2").write_text("{")
        assert call("sweep", "s.yaml", "-o", str(folder), "-q", *options).exit_code == 0
        assert (folder / "result.json").is_file()


def test_an_earlier_result_does_not_stand_for_a_later_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Resumed with other settings and interrupted: the old numbers are gone, not its units."""
    call("sweep", "s.yaml", "-o", "out", "-q")
    before = units()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backends.Here, "run", interrupted)
    done = call("sweep", "s.yaml", "-o", "out", "-q", "--resume", "--replications", "9")
    assert done.exit_code == ExitCode.INTERRUPTED
    assert units() == before
    assert not any(Path("out", name).exists() for name in ("result.json", "cells.csv", "cells"))


def test_more_cells_later_cost_the_new_ones_only() -> None:
    """A further value on an axis leaves the other cells' units and ids as they are."""
    call("sweep", "s.yaml", "-o", "out", "-q")
    before, ids = units(), {row["id"] for row in cells()}
    Path("s.yaml").write_text((TINY + MATRIX).replace("2048ops]", "2048ops, 4096ops]"))
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--resume").exit_code == 0
    assert before.items() <= units().items()
    assert ids < {row["id"] for row in cells()}


def test_interrupted_by_hand() -> None:
    """Ctrl-C: exit 130, finished units kept, how to continue, and no process left."""
    Path("s.yaml").write_text(LONG)
    with started("-j", "2") as process:
        wait_for_units(process, 5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "--resume -o out" in err
    assert "Traceback" not in err
    assert not Path("out/result.json").exists()


@pytest.mark.parametrize("part", ["assemble", "rebuild"])
def test_interrupted_after_the_last_unit(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while results or the report are made: what to do, and nothing is simulated again."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sweeping, part, interrupted)
        done = call("sweep", "s.yaml", "-o", "out", "-q")
    assert done.exit_code == ExitCode.INTERRUPTED
    assert "finished units are kept: --resume -o out" in done.stderr
    before = units()
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--resume").exit_code == 0
    assert units() == before
    call("sweep", "s.yaml", "-o", "whole", "-q")
    assert results() == results("whole")


def test_two_sweeps_into_one_folder() -> None:
    """The second is refused while the first runs, and does no harm."""
    Path("s.yaml").write_text(LONG)
    with started() as process:
        wait_for_units(process, 1)
        second = call("sweep", "s.yaml", "-o", "out", "--resume")
        assert second.exit_code == ExitCode.USAGE
        assert "another sweep" in second.stderr
        process.kill()
        process.communicate()


def test_a_failing_cell_stops_nobody() -> None:
    """Damaged stream, impossible settings: reported with the command; the others finish."""
    stream = loader.stock_folder() / "streams" / "threads.0.spestream"
    raw = bytearray(stream.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    Path("bad.spestream").write_bytes(raw)
    Path("s.yaml").write_text(
        "replications: 2\nworkload: {kind: recorded, path: bad.spestream}\n"
        "arms: [{design: baremetal}]\n"
        "cases:\n"
        "  - {workload.path: streams/threads.0.spestream}\n"
        "  - {workload.path: bad.spestream}\n"
        "  - {workload.path: streams/threads.1.spestream, driver.aux: 3MiB}\n"
        "  - {workload.path: streams/threads.1.spestream}\n"
    )
    done = call("sweep", "s.yaml", "-o", "out", "-q")
    assert done.exit_code == ExitCode.MODEL
    assert [row["status"] for row in cells()] == ["finished", "failed", "failed", "finished"]
    bad, impossible = cells()[1], cells()[2]
    assert bad["why"]
    assert "power of two" in impossible["why"]
    for row in (bad, impossible):
        assert row["reproduce"] in done.stderr
        again = call(*row["reproduce"].split()[1:], "-o", "again")
        assert again.exit_code == ExitCode.USAGE
    assert "FAILED" in done.stdout
    assert sorted(p.name for p in Path("out/cells").iterdir()) == sorted(
        row["id"] for row in cells() if row["status"] == "finished"
    )


def test_cells_that_cannot_start_are_a_usage_error() -> None:
    """Only wrong settings, nothing went wrong while running: exit 2, the others are there."""
    Path("s.yaml").write_text(TINY + "matrix: {driver.aux: [8KiB, 9KiB]}\n")
    done = call("sweep", "s.yaml", "-o", "out", "-q")
    assert done.exit_code == ExitCode.USAGE
    assert [row["status"] for row in cells()] == ["finished", "failed"]


def test_failed_units_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is not a result: --resume runs it again."""
    real = backends.run_task
    monkeypatch.setattr(backends, "run_task", lambda task: backends.Failure("out of luck"))
    done = call("sweep", "s.yaml", "-o", "out", "-q")
    assert done.exit_code == ExitCode.MODEL
    assert [row["why"] for row in cells()] == ["out of luck"] * 4
    monkeypatch.setattr(backends, "run_task", real)
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--resume").exit_code == 0
    call("sweep", "s.yaml", "-o", "whole", "-q")
    assert results() == results("whole")


def test_cells_follow_the_stopping_rule() -> None:
    """`until` replicates each cell as `run` would; its units are kept too."""
    rule = "until: {metric: arms.cold.loss.total, half_width: 0.0001%, batch: 2, max: 5}\n"
    Path("s.yaml").write_text(TINY + MATRIX + rule)
    assert call("sweep", "s.yaml", "-o", "out", "-q").exit_code == 0
    assert [row["replications"] for row in cells()] == [5] * 4
    assert len(units()) == 4 * 3 * 5


def test_twins_and_prefixes_are_run_and_kept() -> None:
    """Units that only a result asks for (hold twin, early end) are found again on --resume."""
    Path("s.yaml").write_text(
        TINY.replace("jitter: on", "jitter: on, restart: resync")
        + "  - {name: refused, design: v6, policies: {vmm: refuse_kill},"
        + " overrides: {host.memlock: 4KiB, vm.max_buffer: unlimited}}\n"
        + "cases: [{driver.aux: 8KiB}]\n"
    )
    assert call("sweep", "s.yaml", "-o", "out", "-q").exit_code == 0
    row = cells()[0]
    call(*row["reproduce"].split()[1:], "-o", "run", "--no-report", "--no-band")
    stored = Path("out/cells", row["id"], "result.json").read_bytes()
    assert stored == Path("run/result.json").read_bytes()
    before = units()
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--resume").exit_code == 0
    assert units() == before


@pytest.mark.parametrize(
    ("file", "said"),
    [("out", "no directory"), ("out/x", "holds no sweep"), ("out/sweep.json", "cannot be read")],
)
def test_folders_that_are_no_sweeps_are_left_alone(file: str, said: str) -> None:
    """Exit 2, and nothing in them is touched."""
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text("{")
    done = call("sweep", "s.yaml", "-o", "out", "--resume")
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr
    assert {p for p in Path().rglob("*") if p.is_file()} == {Path("s.yaml"), Path(file)}


def test_a_folder_of_another_scenario_is_refused() -> None:
    """--resume with the wrong folder."""
    call("sweep", "s.yaml", "-o", "out", "-q")
    Path("s.yaml").write_text((TINY + MATRIX).replace("name: tiny", "name: other"))
    done = call("sweep", "s.yaml", "-o", "out", "--resume")
    assert done.exit_code == ExitCode.USAGE
    assert "a sweep of 'tiny', not of 'other'" in done.stderr


def test_a_scenario_without_cells() -> None:
    """That is what `run` is for."""
    Path("s.yaml").write_text(TINY)
    done = call("sweep", "s.yaml")
    assert done.exit_code == ExitCode.USAGE
    assert "use `speskew run`" in done.stderr


def test_time_left_goes_by_cost() -> None:
    """A quarter of the cost done in 10 s: 30 s left, however many units that were."""
    standing = Standing(4, 100, cost=400, cost_done=100, units_done=90, last="x")
    standing.started = time.monotonic() - 10
    assert standing.left == pytest.approx(30, abs=0.5)
    assert "about 30 s left: x" in words.line(standing)
    assert Standing(1, 1, cost=5).left is None
    assert [words.duration(s) for s in (4, 600, 9000)] == ["4 s", "10 min", "2.5 h"]


def test_the_plan_is_pure() -> None:
    """Planning twice gives the same tasks, in the order of the file."""
    asked = sweeping.Asked("s.yaml", (), None, None, "fast")
    first, second = (sweeping.plan(asked)[1] for _ in range(2))
    assert [p.cell.id for p in first] == [p.cell.id for p in second]
    assert [t.id for p in first for t in p.tasks] == [t.id for p in second for t in p.tasks]
