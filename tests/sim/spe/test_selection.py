"""Hardware-like selection: what the weights do to a profile, and what they leave alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.machine.resolve import machine_spec, stream_of
from sim.results import RunResult
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.spe.selection import CERTAIN, Weights, whole_weights
from sim.workload.a64 import OpClass
from sim.workload.arrays import LEVEL_STRIDE
from tests.rigs.machines import agreed, vary

LENGTH = 61
LOOP = {
    "kind": "synthetic",
    "phases": [{"name": "loop", "length": LENGTH, "iterations": 40_000, "cpi_millis": 1000}],
}
OVERLAID = {
    "kind": "recorded",
    "path": "streams/mix.spestream",
    "repeat": 1,
    "kernel": {"tick_every": "100us", "tick_ops": "300ops"},
}


def _run(weights: Weights | None, workload: dict[str, Any], **spe: Any) -> RunResult:
    """Both engines, records and all, on baremetal."""
    made = {"interval": "256ops", "min_interval": "256ops", "jitter": "on", "in_flight": 4}
    settings = Settings.model_validate({"workload": workload, "spe": made | spe})
    policies = DESIGNS["baremetal"].policies
    arm = Arm(name="arm", design="baremetal", policies=policies, settings=settings)
    stream = stream_of(settings)
    spec = vary(machine_spec(arm, stream), random_start=False, selection=weights)
    return agreed(spec, stream)


def _weights(window: int, *columns: float, **classes: list[float]) -> Weights:
    """The same weight for each class but the named ones."""
    rows = [classes.get(name.lower(), list(columns)) for name in OpClass.__members__]
    return Weights(window, whole_weights(rows))


def _counts(run: RunResult) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(run.vcpus[0].profile.reshape(-1, LEVEL_STRIDE).sum(axis=1))


def test_equal_weights_change_no_bit() -> None:
    """Off, and a table of equal weights, however large they are: the same records."""
    plain = _run(None, LOOP)
    for level in (1.0, 0.001, 1e6):
        weighted = _run(_weights(24, level), LOOP)
        assert (weighted.vcpus[0].written == plain.vcpus[0].written).all()
        assert weighted.vcpus[0].ledgers.selections == plain.vcpus[0].ledgers.selections


@pytest.mark.parametrize("first", [0.0, 0.25, 1.0, 3.0])
def test_a_window_shares_its_selections_by_weight(first: float) -> None:
    """The branch target's share is its weight over the window's, to within 4 standard errors; the
    other windows of the loop keep theirs."""
    window = 20
    counts = _counts(_run(_weights(window, first, 1.0), LOOP))
    total, inside = int(counts.sum()), int(counts[:window].sum())
    share = first / (first + window - 1)
    assert abs(counts[0] - share * inside) <= 4 * np.sqrt(max(1.0, inside * share * (1 - share)))
    for begin in (0, 20, 40, 60):
        due = total * min(window, LENGTH - begin) / LENGTH
        there = counts[begin : begin + window].sum()
        assert abs(there - due) < 4 * np.sqrt(due)


def test_the_counter_is_left_alone() -> None:
    """Selections are as many, and come when they came: only the op that they sample is another."""
    plain, weighted = _run(None, LOOP), _run(_weights(24, 9.0, 1.0), LOOP)
    a, b = plain.vcpus[0], weighted.vcpus[0]
    assert a.ledgers.selections.selected == b.ledgers.selections.selected
    assert a.ledgers.ops == b.ledgers.ops
    both = np.intersect1d(a.written[:, 1], b.written[:, 1]).size
    assert both > 0.95 * len(a.written)  # all but what collides differently
    moved = np.abs(a.written[:100, 0] - b.written[:100, 0])
    assert 0 < moved.max() < 24


def test_kernel_segments_and_recorded_code() -> None:
    """Interrupted blocks and branches of a recorded program: the engines agree (by `agreed`), and
    classes are tracked by their weight."""
    # one in five ops of the window is a load, so none is due four times what it had
    plain = _run(None, OVERLAID, exclude_kernel=False, interval="4096ops")
    weights = _weights(32, 1.0, load=[4.0])
    run = _run(weights, OVERLAID, exclude_kernel=False, interval="4096ops")
    settings = Settings.model_validate({"workload": OVERLAID, "spe": {"exclude_kernel": False}})
    loads = stream_of(settings).static_class == OpClass.LOAD
    before, after = (_counts(r)[loads].sum() / _counts(r).sum() for r in (plain, run))
    assert 1.3 * before < after < 4 * before


def test_weights_as_integers() -> None:
    """The largest is certain; ratios are right to one in 65,536."""
    keep = whole_weights([[2.0, 1.0], [0.0, 0.5]])
    assert keep == ((CERTAIN, CERTAIN // 2), (0, CERTAIN // 4))
