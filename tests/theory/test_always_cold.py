"""Row 5b of the theory page: every page cold again before the SPU returns ("always cold").

A page of n records costs n + 1 completed selections and one blackout of D ops; a full window costs
one more blackout and no record. Constant CPI, one op a cycle: cycles are ops. 40 replications.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from analysis import theory
from analysis.statistics.intervals import F64
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.run import Run
from sim.results import RunResult, VcpuResult
from sim.scenario.models.scenario import DESIGNS, Arm, Settings

SE = 3
"""Standard errors of a tolerance."""
SEED = 20260101
REPLICATIONS = 40
LOOP = 20
RECORD = 64
TICKS_PER_OP = 64
CLOCK = 3_000_000_000
"""Ops a second: one a cycle."""
DELIVERY = 2250
"""D, ops: 750 ns from S = 1 to the exception."""


def collided_fraction(period: int, mean: int, *, jitter: bool) -> float:
    """Row 4 for an exponential latency."""
    return theory.collision_fraction(theory.renewals_exponential(period, mean, jitter=jitter))


@dataclass(frozen=True, slots=True)
class Point:
    """One always-cold machine and what decides its loss."""

    granule: int
    period: int = 1024
    jitter: bool = True
    latency: int = 0
    """Mean of an exponential latency, cycles; 0: constant and short, so no collisions."""
    loads_only: bool = False
    windows: int = 5

    @property
    def window(self) -> int:
        """Bytes: a few pages, whatever their size."""
        return max(64 << 10, 2 * self.granule)

    @property
    def pages(self) -> int:
        """Pages of a window."""
        return self.window // self.granule

    @property
    def records(self) -> int:
        """Records of a page, n."""
        return self.granule // RECORD

    @property
    def gap(self) -> float:
        """Mean effective gap, ops."""
        return float(theory.gaps(self.period, jitter=self.jitter).mean())

    @property
    def collided(self) -> float:
        """Row 4, from the latency table itself."""
        if not self.latency:
            return 0.0
        return collided_fraction(self.period, self.latency, jitter=self.jitter)

    @property
    def filtered(self) -> float:
        """Share of the loop's ops that are not loads."""
        return 0.75 if self.loads_only else 0.0

    @property
    def up(self) -> float:
        """E[U]: ops between faults."""
        return theory.cold_page_up_ops(
            self.records, self.gap, collided=self.collided, filtered=self.filtered
        )

    @property
    def loss(self) -> float:
        """Op loss, the window's own buffer-full blackout included."""
        return theory.cold_page_loss(self.up, DELIVERY * (1 + 1 / self.pages))

    @property
    def yielded(self) -> float:
        """Records per op relative to no loss."""
        return theory.cold_page_yield(self.records, self.loss)

    @property
    def window_ops(self) -> float:
        """Ops of a complete window."""
        return self.pages * (self.up + DELIVERY) + DELIVERY


POINTS = {
    "4K": Point(4 << 10),
    "16K": Point(16 << 10),
    "64K": Point(64 << 10, windows=20),
    "4K-periodic": Point(4 << 10, jitter=False),
    "16K-periodic": Point(16 << 10, jitter=False),
    "4K-interval-4096": Point(4 << 10, period=4096),
    "64K-interval-4096-periodic": Point(64 << 10, 4096, jitter=False, windows=20),
    "4K-collisions": Point(4 << 10, latency=600),
    "16K-collisions-periodic": Point(16 << 10, jitter=False, latency=600),
    "4K-loads": Point(4 << 10, loads_only=True),
    "4K-loads-collisions": Point(4 << 10, latency=600, loads_only=True),
}
each_point = pytest.mark.parametrize("name", POINTS)


def settings(point: Point) -> Settings:
    """One loop at one op a cycle; 5 loads in 20 ops."""
    latency = (
        {"kind": "exponential", "mean": f"{point.latency}cycles"}
        if point.latency
        else {"kind": "constant", "value": "16cycles"}
    )
    ops = (point.windows + 0.4) * point.window_ops
    phase = {
        "name": "loop",
        "length": LOOP,
        "iterations": round(ops / LOOP),
        "cpi_millis": 1000,
        "latency": latency,
    }
    return Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": [phase]},
            "spe": {
                "interval": f"{point.period}ops",
                "jitter": "on" if point.jitter else "off",
                "filter": {"load": point.loads_only},
            },
            "driver": {"aux": f"{2 * point.window}B", "mode": "cpu"},
            "vm": {"exits": "0/s", "granule": f"{point.granule >> 10}KiB"},
            "host": {"unmap": "per_window"},
            "parameters": {"t_irq_latency": "750ns"},
        }
    )


def runs(given: Settings, design: str, replications: int, log: bool = False) -> list[RunResult]:
    """Replications of one design."""
    stream = stream_of(given)
    arm = Arm(name=design, design=design, policies=DESIGNS[design][0], settings=given)
    spec = machine_spec(arm, stream)
    return [
        simulate(spec, (stream,), Run(design, SEED, r, keep_log=log)) for r in range(replications)
    ]


@cache
def cold(name: str) -> tuple[VcpuResult, ...]:
    """All replications of a point."""
    made = runs(settings(POINTS[name]), "unpinned", REPLICATIONS, log=True)
    return tuple(result.vcpus[0] for result in made)


def population(result: VcpuResult) -> int:
    """Ops since the event's start."""
    ops = result.ledgers.ops.as_dict()
    return ops["executed"] - ops["before_start"] - ops["not_in_population"]


def loss_of(result: VcpuResult) -> float:
    """Fraction of ops lost."""
    lost = sum(blackout.ops for blackout in result.blackouts.values())
    return lost / population(result)


def standard_error(values: F64) -> float:
    """Of the mean of one value per replication."""
    return float(values.std(ddof=1)) / math.sqrt(values.size)


def full_windows(point: Point, result: VcpuResult) -> tuple[int, int]:
    """(windows, ops) from the first restart after a full buffer to the last one."""
    restarts, full = [], False
    for _, what, value in result.log:
        if what == "FULL":
            full = True
        elif what == "RUN" and full:
            restarts.append(value)
            full = False
    assert len(restarts) >= point.windows - 1
    return len(restarts) - 1, restarts[-1] - restarts[0]


@each_point
def test_faults_and_blackouts_are_as_described(name: str) -> None:
    """One fault per page, one full per window, one delivery each, no record lost when full."""
    point = POINTS[name]
    for result in cold(name):
        fault, full = result.blackouts["fault"], result.blackouts["full"]
        selections, ops = result.ledgers.selections, result.ledgers.ops.as_dict()
        assert full.count * point.pages <= fault.count <= (full.count + 1) * point.pages
        assert selections.lost_at_fault == fault.count
        short = DELIVERY * (fault.count + full.count) - fault.ops - full.ops
        assert 0 <= short <= DELIVERY  # the stream may end in a blackout
        assert (ops["irq_delivery_fault"], ops["irq_delivery_full"]) == (fault.ops, full.ops)
        assert ops["virq_delivery"] == 0
        assert full.count * point.window <= selections.written * RECORD
        assert selections.written * RECORD <= (full.count + 1) * point.window


@each_point
def test_op_loss(name: str) -> None:
    """E[D]/(E[U] + E[D]) within 3 SE + one cycle."""
    point = POINTS[name]
    found = np.array([loss_of(result) for result in cold(name)])
    ops = population(cold(name)[0])
    tolerance = SE * standard_error(found) + 2 * DELIVERY / ops  # a fault's and a full's
    assert abs(float(found.mean()) - point.loss) < tolerance
    assert tolerance < 0.1 * point.loss


@each_point
def test_record_yield(name: str) -> None:
    """(1 − op loss)·n/(n + 1) of the records of a run without loss, within 3 SE + one cycle."""
    point = POINTS[name]
    results = cold(name)
    no_loss = (1 - point.collided) * (1 - point.filtered) / point.gap
    found = np.array(
        [result.ledgers.selections.written / population(result) / no_loss for result in results]
    )
    one_cycle = (point.records + 1) / (population(results[0]) * no_loss)
    tolerance = SE * standard_error(found) + one_cycle
    assert abs(float(found.mean()) - point.yielded) < tolerance
    assert tolerance < 0.05


@each_point
def test_complete_windows(name: str) -> None:
    """Ops of complete windows: W·(E[U] + D) + D; exact to one op a restart without any draw."""
    point = POINTS[name]
    windows = [full_windows(point, result) for result in cold(name)]
    if not point.jitter and not point.latency:
        for count, ops in windows:
            # the window's end lies a latency behind its last selection, at both ends
            assert ops == count * point.window_ops
        return
    found = np.array([ops / count for count, ops in windows])
    assert abs(float(found.mean()) - point.window_ops) < SE * standard_error(found)


@each_point
def test_loss_by_complete_windows(name: str) -> None:
    """The same as a loss, 3 SE and no cycle, and tighter than without the buffer-full blackout."""
    point = POINTS[name]
    lost = DELIVERY * (point.pages + 1)
    found = np.array([lost * n / ops for n, ops in (full_windows(point, r) for r in cold(name))])
    tolerance = SE * standard_error(found) + 1e-12
    assert abs(float(found.mean()) - point.loss) < tolerance
    forgotten = theory.cold_page_loss(point.up, DELIVERY)
    assert abs(float(found.mean()) - forgotten) > tolerance


def test_published_point() -> None:
    """3.267 % without the buffer-full blackout, at 4 KiB, P = 1024, no jitter, D = 2,250."""
    point = POINTS["4K-periodic"]
    assert theory.cold_page_loss(point.up, DELIVERY) == pytest.approx(0.03267, abs=1e-5)
    for result in cold("4K-periodic"):
        fault = result.blackouts["fault"].ops
        cycles = population(result) - result.blackouts["full"].ops
        # theory page: an end effect of one cycle
        assert abs(fault / cycles - 0.03267) < DELIVERY / cycles


@pytest.mark.parametrize("wrong", ["n", "no collisions"])
def test_wrong_forms_are_noticed(wrong: str) -> None:
    """Control: n in place of n + 1, or collisions ignored, lies outside 3 SE."""
    name = "4K" if wrong == "n" else "4K-collisions"
    point = POINTS[name]
    found = np.array([ops / n for n, ops in (full_windows(point, r) for r in cold(name))])
    up = (
        point.up * point.records / (point.records + 1)
        if wrong == "n"
        else theory.cold_page_up_ops(point.records, point.gap)
    )
    expected = point.pages * (up + DELIVERY) + DELIVERY
    assert abs(float(found.mean()) - expected) > SE * standard_error(found)


# --- the other end: published unmap rates --------------------------------------------------------

PAGES = 1024
FASTEST_SWEEP = 6.4
"""Seconds in which NUMA balancing visits every page at worst."""


def published(unmap: str, seconds: float) -> Settings:
    """The default 4 MiB buffer, 1,024 pages of 4 KiB."""
    phase = {
        "name": "loop",
        "length": LOOP,
        "iterations": round(seconds * CLOCK / LOOP),
        "cpi_millis": 1000,
        "latency": {"kind": "constant", "value": "16cycles"},
    }
    return Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": [phase]},
            "spe": {"jitter": "on"},
            "driver": {"aux": "4MiB", "mode": "cpu"},
            "buffer": {"physical": "scattered"},
            "vm": {"exits": "0/s"},
            "host": {"unmap": unmap},
            "parameters": {"t_irq_latency": "750ns"},
        }
    )


def test_published_unmapping_loses_what_baremetal_loses() -> None:
    """At most a fault per zap, 160/s at worst: 1e-4, the order of baremetal's own loss."""
    given = published("published", 1.0)
    bare = [loss_of(r.vcpus[0]) for r in runs(given, "baremetal", REPLICATIONS)]
    arms = runs(given, "unpinned", REPLICATIONS)
    unpinned = [loss_of(r.vcpus[0]) for r in arms]
    window = theory.buffer_up_ops(2 << 20, RECORD, float(theory.gaps(1024, jitter=True).mean()))
    assert np.mean(bare) == pytest.approx(DELIVERY / (window + DELIVERY), rel=0.05)
    assert sum(result.zaps for result in arms) > 0
    assert sum("fault" in result.vcpus[0].blackouts for result in arms) > 0
    worst = PAGES / FASTEST_SWEEP  # zaps in the one second
    for result, with_faults, without in zip(arms, unpinned, bare, strict=True):
        assert result.zaps < worst + 4 * math.sqrt(worst)
        # a fault moves the end of a window: one buffer-full blackout more or less
        assert without - 1.01 * DELIVERY / CLOCK <= with_faults
        assert with_faults <= without + 1.01 * (result.zaps + 1) * DELIVERY / CLOCK
    assert np.mean(bare) < np.mean(unpinned) < 4 * np.mean(bare)
    assert np.mean(unpinned) < 3e-4


def test_always_cold_is_a_hundred_times_the_published_rate() -> None:
    """The upper bound's loss and zap rate lie two orders above the published ones."""
    given = published("per_window", 0.1)
    for result in runs(given, "unpinned", 3):
        seconds = population(result.vcpus[0]) / CLOCK
        assert result.zaps / seconds > 100 * PAGES / FASTEST_SWEEP
        assert loss_of(result.vcpus[0]) > 100 * 1e-4
