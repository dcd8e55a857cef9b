"""The truth of an arm: exact means over all ops, beside what the records say."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sim import draws
from sim.machine.resolve import core_facts, machine_spec, stream_of
from sim.runs import batch, truth
from sim.runs.batch import ArmResult
from sim.spe.record import total_cycles
from tests.sim.runs.scenarios import BASE, loaded


@cache
def facts() -> tuple[Any, Any]:
    """Stream and settings of a loop with loads at all levels."""
    from sim.scenario.models.scenario import Settings

    phase = {"name": "x", "length": 50, "iterations": 40_000}
    settings = Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": [phase]},
            "spe": {"jitter": "on", "filter": {"min_latency": 3}},
        }
    )
    return stream_of(settings), settings


def test_latency_truth_is_the_mean_over_all_ops() -> None:
    """Exact enumeration: the latency of every op of the stream, over 40 keys, 4 SE + 1e-4."""
    from sim.machine.machine import simulate
    from sim.machine.run import Run
    from sim.scenario.models.scenario import DESIGNS, Arm

    stream, settings = facts()
    arm = Arm(name="b", design="baremetal", policies=DESIGNS["baremetal"][0], settings=settings)
    spec = machine_spec(arm, stream)
    run = simulate(spec, (stream,), Run("b", 1, 0))
    expected = truth.latency_truth(stream, spec, settings, run)
    ops = np.arange(0, stream.ops, 7)  # 7 and 50 are coprime: every op of the loop
    found = []
    for k in range(40):
        total = total_cycles(stream, ops, core_facts(settings), draws.key(k, 0, 0, "latency"))
        found.append(np.bincount(truth.bucket(total[total >= 3]), minlength=expected.size))
    shares = np.array(found) / np.sum(found, axis=1, keepdims=True)
    error = shares.std(axis=0, ddof=1) / np.sqrt(40)
    assert (np.abs(shares.mean(axis=0) - expected / expected.sum()) <= 4 * error + 1e-4).all()
    assert expected[:2].sum() == 0


def test_latency_counts_are_those_of_the_records(arms: dict[str, ArmResult]) -> None:
    """Every kept record is in the bucket of its TOTAL."""
    arm = arms["v6"]
    assert arm.latency is not None
    for run, counts in zip(arm.runs, arm.latency.sampled, strict=True):
        totals = np.concatenate([r["total"] for r in batch.records(arm.arm, 20260101, run)])
        bits = [int(t).bit_length() for t in totals]
        assert list(np.bincount(bits, minlength=counts.size)) == list(counts)


def test_records_that_are_not_kept_have_no_latency_view(tmp_path: Path) -> None:
    """The default costs nothing: there is nothing to look latencies up for."""
    assert {a.latency for a in batch.run(loaded(tmp_path, BASE % ""))} == {None}
