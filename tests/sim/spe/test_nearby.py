"""A large index, of which only the part around the candidates stays: the same results."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.cache.resident import MovingPart
from sim.machine.machine import Machine
from sim.machine.resolve import machine_spec
from sim.machine.run import Run
from sim.results import RunResult
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.spe import nearby
from sim.spe.fast import MacroSampler
from sim.workload.arrays import POP, Stream, rows_of
from tests.exact import random_machines as made
from tests.sim.workload.recorded import OVERLAY, THREAD, recorded


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Memory-mapped, with kernel entries between, twice."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path))
    return recorded(OVERLAY, exclude=False)


def _run(stream: Stream) -> RunResult:
    settings = Settings.model_validate(
        {
            "workload": {"kind": "recorded", "path": str(THREAD)},
            "spe": {"jitter": "on"},
            "driver": {"aux": "32KiB"},
            "switch": {"every": "150us", "away": "10us"},
        }
    )
    arm = Arm(name="x", design="v6", policies=DESIGNS["v6"][0], settings=settings)
    run = Run("x", 1, 0, keep_records=True, keep_log=True)
    return Machine(machine_spec(arm, stream), (stream,), run, MacroSampler).run()


def test_results_do_not_depend_on_what_stays(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record, event time and ledger."""
    moves = list[tuple[int, int]]()
    move = MovingPart.move

    def noted(part: MovingPart, begin: int, end: int) -> None:
        moves.append((begin, end))
        move(part, begin, end)

    monkeypatch.setattr(MovingPart, "move", noted)
    whole = made.everything(_run(stream))
    assert not moves
    monkeypatch.setattr(nearby, "LARGE", 0)
    assert made.everything(_run(stream)) == whole
    assert len(moves) > 30


def test_the_part_lies_where_the_candidates_do(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many ops of cells, and no rows in a stretch of the kernel's or beyond the end."""
    cells, execs, slots = rows_of(stream.arrays, 100_000, 200_000)
    assert 100_000 // 64 <= cells[1] - cells[0] <= 100_000 // 64 + 2
    assert 0 < execs[0] < execs[1] <= stream.arrays.execs.size
    assert 0 < slots[0] < slots[1] <= stream.arrays.levels.size
    kernel = next(op for op in range(stream.ops) if stream.unmasked_from(op) != op)
    assert rows_of(stream.arrays, kernel, kernel + 10) == ((0, 0), (0, 0), (0, 0))
    monkeypatch.setattr(nearby, "LARGE", 0)
    nearby.Nearby(stream).come_to(stream.size(POP), 1000)
