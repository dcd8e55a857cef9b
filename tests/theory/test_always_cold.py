"""Row 5b: every page of a window is cold when the window is enabled, and is mapped by its fault.

A page of n records costs n + 1 completed selections and one blackout of D ops; a full window costs
one more blackout and no record. Constant CPI, stage 1 tables warm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from analysis import theory
from sim import draws
from sim.ledger import OpLabel
from sim.machine import UnmapSpec
from sim.results import VcpuResult
from sim.spe.filter import Filter
from sim.spe.select import Jitter
from sim.workload.arrays import LEVEL_STRIDE
from tests.theory import constant_cpi as made

REPLICATIONS = 30
PAGES_PER_WINDOW = 4
WINDOWS = 40


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the parameter space; `lifetime` is the mean time in flight, ops."""

    interval: int
    jitter: Jitter
    delay: int
    page: int = 4096
    lifetime: int = 1
    min_latency: int = 0


POINTS = [
    Point(1024, Jitter.RND, 2250),
    Point(1024, Jitter.OFF, 2250),
    Point(256, Jitter.RND, 500),
    Point(4096, Jitter.ERND, 9000),
    Point(256, Jitter.RND, 4500, page=16384),
    Point(1024, Jitter.RND, 2250, lifetime=600),
    Point(256, Jitter.OFF, 1000, lifetime=400),
    Point(1024, Jitter.RND, 2250, lifetime=600, min_latency=300),
    Point(512, Jitter.RND, 1, page=65536),
]


def _latency(point: Point) -> tuple[int, ...]:
    if point.lifetime == 1:
        return (made.CYCLE,)
    return draws.exponential_table(point.lifetime * made.CYCLE, 256)


def _run(point: Point) -> list[VcpuResult]:
    records = point.page // 64
    gap = float(theory.gaps(point.interval, jitter=point.jitter is Jitter.RND).mean())
    window = PAGES_PER_WINDOW * ((records + 1) * gap + point.delay) + point.delay
    stream = made.stream_of(round(2 * WINDOWS * window), _latency(point))
    spec = made.machine(
        "unpinned", point.interval, point.jitter, page=point.page,
        aux=2 * PAGES_PER_WINDOW * point.page, unmap=UnmapSpec("per_window"),
        irq_latency=(point.delay * made.CYCLE,),
    )  # fmt: skip
    passes = Filter(np.ones(LEVEL_STRIDE, np.uint8), point.min_latency * made.CYCLE)
    return made.vcpus(replace(spec, filter=passes), stream, REPLICATIONS)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_loss_and_yield(point: Point) -> None:
    """Ops lost to faults and to full windows, and records; 4 SE and one cycle of the run."""
    runs = _run(point)
    selections = [vcpu.ledgers.selections for vcpu in runs]
    records = point.page // 64
    up = theory.cold_page_up_ops(
        records, float(theory.gaps(point.interval, jitter=point.jitter is Jitter.RND).mean()),
        collided=sum(s.collided for s in selections) / sum(s.selected for s in selections),
        filtered=sum(s.filtered for s in selections) / sum(s.completed for s in selections),
    )  # fmt: skip
    window = PAGES_PER_WINDOW * (up + point.delay) + point.delay
    expected = {
        OpLabel.IRQ_DELIVERY_FAULT: PAGES_PER_WINDOW * point.delay / window,
        OpLabel.IRQ_DELIVERY_FULL: point.delay / window,
    }
    ops = runs[0].ledgers.ops.executed
    for label, share in expected.items():
        lost = [vcpu.ledgers.ops.by_label[label] / vcpu.ledgers.ops.executed for vcpu in runs]
        mean, error = made.mean_and_error(lost)
        assert abs(mean - share) < made.Z * error + point.delay / ops, label
    yields = [s.written / ops for s in selections]
    mean, error = made.mean_and_error(yields)
    assert abs(mean - PAGES_PER_WINDOW * records / window) < made.Z * error + records / ops


def test_the_tolerance_tells_n_from_n_plus_1() -> None:
    """A control: the cycle without the lost record lies outside the tolerance used above."""
    point = POINTS[0]
    runs = _run(point)
    gap = float(theory.gaps(point.interval, jitter=True).mean())
    ops = runs[0].ledgers.ops.executed
    label = OpLabel.IRQ_DELIVERY_FAULT
    mean, error = made.mean_and_error([vcpu.ledgers.ops.by_label[label] / ops for vcpu in runs])
    window = PAGES_PER_WINDOW * (point.page // 64 * gap + point.delay) + point.delay
    wrong = PAGES_PER_WINDOW * point.delay / window
    assert abs(mean - wrong) > made.Z * error + point.delay / ops


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_each_page_loses_one_record(point: Point) -> None:
    """The record that faults is lost, and no other: n written for one lost, exactly."""
    records = point.page // 64
    for vcpu in _run(replace(point, lifetime=1, min_latency=0))[:3]:
        s = vcpu.ledgers.selections
        assert s.lost_at_fault > WINDOWS * PAGES_PER_WINDOW
        assert (s.lost_at_fault - 1) * records <= s.written <= s.lost_at_fault * records


def test_without_pages_to_fault_on_the_loss_is_row_5() -> None:
    """A control: warm pages leave the full-window blackout alone."""
    point = POINTS[0]
    spec = made.machine(
        "unpinned", point.interval, point.jitter, aux=2 * PAGES_PER_WINDOW * made.PAGE,
        irq_latency=(point.delay * made.CYCLE,),
    )  # fmt: skip
    gap = float(theory.gaps(point.interval, jitter=True).mean())
    up = theory.buffer_up_ops(PAGES_PER_WINDOW * made.PAGE, 64, gap)
    runs = made.vcpus(spec, made.stream_of(round(20 * up)), REPLICATIONS)
    lost = []
    for vcpu in runs:
        labels = vcpu.ledgers.ops.by_label
        assert labels[OpLabel.IRQ_DELIVERY_FAULT] == 0
        lost.append(labels[OpLabel.IRQ_DELIVERY_FULL] / vcpu.ledgers.ops.executed)
    mean, error = made.mean_and_error(lost)
    assert abs(mean - (1 - theory.live_fraction(up, point.delay))) < (
        made.Z * error + point.delay / runs[0].ledgers.ops.executed
    )
