"""`speskew sweep`: the same bytes whatever the order, the jobs, the kills and the attempts."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

import reports
from reports.exitcodes import ExitCode
from reports.sweeps import sweeping
from sim.runs import backends
from sim.scenario.files import loader
from sim.scenario.models import matrix
from tests.reports import drawing
from tests.rigs.swept import LONG, MATRIX, cells, results, started, units, wait_for, wait_for_units
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in a folder of its own, with a scenario of four cells; pages without figures."""
    drawing.of_sweep(monkeypatch, 0)
    Path("s.yaml").write_text(TINY + MATRIX)
    home = str(Path(next(iter(reports.__path__))).parent)
    monkeypatch.setenv("PYTHONPATH", home)


def test_a_cell_is_what_run_writes() -> None:
    """Hermetic: with the command that a cell names, `speskew run` gives the same bytes."""
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--no-report").exit_code == 0
    assert len(cells()) == 4
    for number, row in enumerate(cells()):
        command = row["reproduce"].split()
        assert command[:3] == ["speskew", "run", "s.yaml"]
        done = call(*command[1:], "-o", f"run{number}", "--no-report", "--no-band")
        assert done.exit_code == 0, done.output
        stored = Path("out", "cells", row["id"])
        for name in ("result.json", "summary.txt"):
            assert (stored / name).read_bytes() == Path(f"run{number}", name).read_bytes()


def test_with_a_band_a_cell_is_what_run_writes_with_one() -> None:
    """The same bytes as `speskew run`, which has a band by default; one job or two."""
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--no-report", "--band").exit_code == 0
    row = cells()[0]
    assert (
        row["arms"]["v6"]["time_band.total.high_ms"] > row["arms"]["v6"]["time_band.total.low_ms"]
    )
    assert call(*row["reproduce"].split()[1:], "-o", "run", "--no-report").exit_code == 0
    stored = Path("out", "cells", row["id"], "result.json").read_bytes()
    assert stored == Path("run/result.json").read_bytes()
    assert (
        call("sweep", "s.yaml", "-o", "two", "-j", "2", "-q", "--no-report", "--band").exit_code
        == 0
    )
    assert results("two") == results()


def test_neither_order_nor_jobs_nor_format_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """One job, two jobs, and finishing in reverse order, units and cells: the same bytes."""
    call("sweep", "s.yaml", "-o", "out", "-q")
    assert call("sweep", "s.yaml", "-o", "two", "-j", "2", "-q").exit_code == 0
    assert results("two") == results()
    forward = backends.Here.run
    monkeypatch.setattr(
        backends.Here, "run", lambda self, tasks, into: reversed(list(forward(self, tasks, into)))
    )
    filling = backends.Here.each
    monkeypatch.setattr(
        backends.Here, "each", lambda self, work, items: reversed(list(filling(self, work, items)))
    )
    call("sweep", "s.yaml", "-o", "back", "-q")
    assert results("back") == results()


def test_result_has_axes_and_numbers() -> None:
    """Settings of each cell, the axes in the order of the file, and every number by its name."""
    call("sweep", "s.yaml", "-o", "out", "-q", "--no-report", "--replications", "2")
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


@pytest.mark.deep
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


def test_resumed_after_a_kill_while_cells_are_put_together() -> None:
    """Two processes write cells when all are killed: no unit is run again, the same bytes."""
    many = MATRIX.replace("2048ops]", "2048ops, 4096ops, 8192ops]").replace("8KiB,", "8KiB, 32KiB,")
    Path("s.yaml").write_text(TINY.replace("repeat: 40", "repeat: 10") + many)
    with started("-j", "2", "--no-report") as process:
        wait_for(lambda: Path("out/cells").is_dir(), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not Path("out/result.json").exists(), "nothing half-done looks finished"
    before = units()
    assert len(before) == 12 * 9
    for jobs in ("2", "1"):
        again = ("sweep", "s.yaml", "-o", "out", "-j", jobs, "-q", "--no-report", "--resume")
        assert call(*again).exit_code == 0
        assert units() == before
        call("sweep", "s.yaml", "-o", "whole", "-q", "--no-report", "--resume")
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


def test_an_earlier_result_does_not_stand_for_a_later_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Resumed with other settings and interrupted: the old numbers are gone, not its units."""
    call("sweep", "s.yaml", "-o", "out", "-q", "--no-report")
    before = units()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backends.Here, "run", interrupted)
    done = call(
        "sweep", "s.yaml", "-o", "out", "-q", "--no-report", "--resume", "--replications", "9"
    )
    assert done.exit_code == ExitCode.INTERRUPTED
    assert units() == before
    assert not any(Path("out", name).exists() for name in ("result.json", "cells.csv", "cells"))


def test_more_cells_later_cost_the_new_ones_only() -> None:
    """A further value on an axis leaves the other cells' units and ids as they are."""
    call("sweep", "s.yaml", "-o", "out", "-q", "--no-report")
    before, ids = units(), {row["id"] for row in cells()}
    Path("s.yaml").write_text((TINY + MATRIX).replace("2048ops]", "2048ops, 4096ops]"))
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--no-report", "--resume").exit_code == 0
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


@pytest.mark.parametrize("part", ["assemble", "draw"])
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
    done = call("sweep", "s.yaml", "-o", "out", "-q", "--no-report")
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


def test_cells_follow_the_stopping_rule() -> None:
    """`until` replicates each cell as `run` would; its units are kept too, run by all processes."""
    rule = "until: {metric: arms.cold.loss.total, half_width: 0.0001%, batch: 2, max: 7}\n"
    Path("s.yaml").write_text(TINY + MATRIX + rule)
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--no-report").exit_code == 0
    assert [row["replications"] for row in cells()] == [7] * 4
    assert len(units()) == 4 * 3 * 7
    row = cells()[0]
    call(*row["reproduce"].split()[1:], "-o", "run", "--no-report", "--no-band")
    stored = Path("out/cells", row["id"], "result.json").read_bytes()
    assert stored == Path("run/result.json").read_bytes()
    assert call("sweep", "s.yaml", "-o", "two", "-j", "2", "-q", "--no-report").exit_code == 0
    assert results("two") == results()


def test_a_further_unit_that_fails_or_is_lost_fails_its_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Units that a result asks for: why is said, others finish, nothing goes on for ever."""
    rule = "until: {metric: arms.cold.loss.total, half_width: 0.0001%, batch: 2, max: 5}\n"
    Path("s.yaml").write_text(TINY + MATRIX + rule)
    real = backends.run_task

    def unlucky(task: Any) -> Any:
        late = task.units[0].replication > 2 and "driver.aux=8KiB" in task.cell
        return backends.Failure("out of luck") if late else real(task)

    with monkeypatch.context() as patch:
        patch.setattr(backends, "run_task", unlucky)
        done = call("sweep", "s.yaml", "-o", "out", "-q", "--no-report")
    assert done.exit_code == ExitCode.MODEL
    assert [row.get("why") for row in cells()] == ["out of luck", None] * 2

    def lost(folder: Path, task: Any) -> Any:
        return None if task.units[0].replication > 2 else ran(folder, task)

    ran = backends.run_into
    monkeypatch.setattr(backends, "run_into", lost)
    done = call("sweep", "s.yaml", "-o", "lost", "-q", "--no-report")
    assert done.exit_code == ExitCode.MODEL
    assert [row.get("why") for row in cells("lost")] == ["its units cannot be read back"] * 4


def test_twins_and_prefixes_are_run_and_kept() -> None:
    """Units that only a result asks for (hold twin, early end) are found again on --resume."""
    Path("s.yaml").write_text(
        TINY.replace("jitter: on", "jitter: on, restart: resync")
        + "  - {name: refused, design: v6, policies: {vmm: refuse_kill},"
        + " overrides: {host.memlock: 4KiB, vm.max_buffer: unlimited}}\n"
        + "cases: [{driver.aux: 8KiB}]\n"
    )
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--no-report").exit_code == 0
    row = cells()[0]
    call(*row["reproduce"].split()[1:], "-o", "run", "--no-report", "--no-band")
    stored = Path("out/cells", row["id"], "result.json").read_bytes()
    assert stored == Path("run/result.json").read_bytes()
    before = units()
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--no-report", "--resume").exit_code == 0
    assert units() == before


def test_the_plan_is_pure() -> None:
    """Planning twice gives the same tasks, in the order of the file."""
    asked = sweeping.Asked("s.yaml", (), None, None, "fast")
    first, second = (sweeping.plan(asked)[1] for _ in range(2))
    assert [p.cell.id for p in first] == [p.cell.id for p in second]
    assert [t.id for p in first for t in p.tasks] == [t.id for p in second for t in p.tasks]


def test_planning_a_cell_does_not_look_at_all_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else ten thousand cells take a hundred million steps."""
    called: list[int] = []
    real = matrix.expand

    def counted(*args: Any) -> list[matrix.Cell]:
        called.append(1)
        return real(*args)

    monkeypatch.setattr(matrix, "expand", counted)
    asked = sweeping.Asked("s.yaml", (), None, None, "fast")
    _, planned = sweeping.plan(asked)
    assert len(planned) > 3
    assert len(called) <= 1
    assert all(p.scenario is not None and not p.scenario.matrix for p in planned)
