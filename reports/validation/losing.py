"""What is lost, what loss and chance do to a profile, and when locked memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis import theory
from analysis.fidelity.distances import tvd
from analysis.statistics.intervals import F64
from reports.validation.rows import (
    GHZ,
    JITTERS,
    LOOP,
    Row,
    beyond,
    curve,
    point,
    runs,
    settings,
    spe,
)
from reports.validation.sampling import SELECTIONS
from sim.ledger import LOSS_LABELS, OpLabel
from sim.results import RunResult
from sim.spe.buffer import RECORD_BYTES

DELIVERY = 500 * GHZ
"""Mean ops from S = 1 to the exception."""
SHAPES: dict[str, str | dict[str, str]] = {
    "constant": "500ns",
    "uniform": {"kind": "uniform", "low": "0ns", "high": "1000ns"},
    "exponential": {"kind": "exponential", "mean": "500ns"},
}


def lost(result: RunResult) -> float:
    """Lost ops of all since the event's start."""
    ops = result.vcpus[0].ledgers.ops
    gone = sum(ops.by_label[label] for label in LOSS_LABELS)
    return gone / (gone + ops.by_label[OpLabel.PROFILED])


CYCLES = 120
"""Blackouts of a run."""


def full_buffers() -> Iterator[Row]:
    """Rows 3 and 5: loss by window, the same for three shapes of the blackout."""
    gap = 1024 + beyond("on")

    def cycle(window: float) -> float:
        return theory.buffer_up_ops(int(window), RECORD_BYTES, gap) + DELIVERY

    def form(window: float) -> float:
        return DELIVERY / cycle(window)

    windows = [4096 << k for k in range(5)]
    yield from curve("full", "closed form", [float(w) for w in np.geomspace(4096, 65536, 40)], form)
    for series, law in SHAPES.items():
        for window in windows:
            ops = round(CYCLES * cycle(window))
            given = settings(
                ops,
                spe=spe(1024),
                parameters={"t_irq_latency": law},
                driver={"aux": f"{2 * window}B", "mode": "cpu"},
            )
            found = [lost(r) for r in runs(given)]
            yield point("full", series, window, form(window), found, DELIVERY / ops)


PAGES = 16
"""Pages of a window."""


def cold_pages() -> Iterator[Row]:
    """Row 5b: every page cold again; a window's own blackout comes on top."""
    for jitter in ("on", "off"):
        gap = 1024 + beyond(jitter)

        def form(page: float, gap: float = gap) -> float:
            up = theory.cold_page_up_ops(int(page) // RECORD_BYTES, gap)
            return theory.cold_page_loss(up, DELIVERY * (1 + 1 / PAGES))

        yield from curve(
            "cold", JITTERS[jitter], [float(p) for p in np.geomspace(4096, 65536, 40)], form
        )
        for page in (4096, 16384, 65536):
            ops = round(CYCLES * (page / RECORD_BYTES + 1) * gap)
            given = settings(
                ops,
                spe=spe(1024, jitter),
                host={"unmap": "per_window"},
                driver={"aux": f"{2 * PAGES * page}B", "mode": "cpu"},
                vm={"exits": "0/s", "granule": f"{page >> 10}KiB"},
                parameters={"t_irq_latency": "500ns"},
            )
            found = [lost(r) for r in runs(given, "unpinned")]
            yield point("cold", JITTERS[jitter], page, form(page), found, 2 * DELIVERY / ops)


# --- profiles ------------------------------------------------------------------------------------


def biases() -> Iterator[Row]:
    """Row 12: a blackout of equal time loses more ops where CPI is lower; the share follows."""
    slowest = 3000
    yield from curve("bias", "closed form", [0.0, 2.0], float)
    for fast in (250, 500, 1000, 2000):
        phases = [
            {
                "name": str(cpi),
                "length": 20,
                "iterations": 20_000,
                "cpi_millis": cpi,
                "latency": {"kind": "constant", "value": "16cycles"},
            }
            for cpi in (fast, slowest)
        ]
        given = settings(
            0,
            spe=spe(1024),
            driver={"aux": "8KiB", "mode": "cpu"},
            workload={"kind": "synthetic", "repeat": 20, "phases": phases},
            parameters={"t_irq_latency": "500ns"},
        )
        found = runs(given)
        gone, kept = (
            np.array([_per_phase(getattr(r.vcpus[0], what)) for r in found])
            for what in ("lost", "profile")
        )
        share = np.full(2, 0.5)
        loss = gone.mean(axis=0) / (20 * 20 * 20_000)
        bias = 100 * float(theory.loss_bias(share, loss)[1])
        error = 100 * (kept[:, 1] / kept.sum(axis=1) - 0.5)
        yield point("bias", f"CPI {fast / 1000:g} and 3", bias, bias, error)


def _per_phase(cells: Any) -> list[float]:
    """Sums of a count by static op and level over the two loops of 20 ops."""
    return [float(x) for x in np.asarray(cells).reshape(2, -1).sum(axis=1)]


def noise_floors() -> Iterator[Row]:
    """TVD of n samples from an even truth; jitter meets each of the 64 ops equally often."""
    share = np.full(LOOP, 1 / LOOP)
    yield from curve(
        "tvd",
        "noise floor",
        [float(n) for n in np.geomspace(1000, 32000, 40)],
        lambda n: float(theory.expected_tvd(share, n)),
    )
    for n in (1000, 4000, 16000, 32000):
        given = settings((n + 2) * 385, spe=spe(256))
        counts = np.array([_per_op(r) for r in runs(given)])
        found = [tvd(c / c.sum(), share) for c in counts]
        total = float(counts.sum(axis=1).mean())
        floor = float(theory.expected_tvd(share, total))
        yield point("tvd", "simulated", total, floor, found, NORMAL)


NORMAL = 2e-4
"""How far the floor's normal approximation may be off at these sizes."""


def _per_op(result: RunResult) -> F64:
    cells = np.asarray(result.vcpus[0].profile, np.float64)
    return np.asarray(cells.reshape(LOOP, -1).sum(axis=1))


# --- locked memory -------------------------------------------------------------------------------

LIMIT, RING, WINDOW_PAGES = 8 << 20, 4 << 20, 516
"""RLIMIT_MEMLOCK; AUX bytes a vCPU; pages of a window and its tables (the reference's table)."""
CHARGES = {"max_buffer: unlimited": WINDOW_PAGES * 4096, "max_buffer: 4MiB": RING}
"""What a vCPU is charged: at the enable edge, or already at configuration."""


def thresholds() -> Iterator[Row]:
    """Runs in which a vCPU does not fit under the limit: it exits, or is refused."""
    for series, charge in CHARGES.items():

        def form(vcpus: float, charge: int = charge) -> float:
            return float(vcpus > LIMIT // charge)

        yield from curve("rlimit", series, range(1, 7), form)
        for vcpus in range(1, 7):
            given = settings(
                LOOP * 1000,
                spe=spe(1024),
                driver={"aux": "4MiB", "mode": "cpu"},
                vm={"vcpus": vcpus, "max_buffer": series.split()[1], "exits": "0/s"},
                host={"memlock": "8MiB"},
            )
            over = [r.rlimit.exits + r.rlimit.config_enomem > 0 for r in runs(given, "v6")]
            yield point("rlimit", series, vcpus, form(vcpus), over)


# --- a published figure, untuned -----------------------------------------------------------------


def knee() -> Iterator[Row]:
    """NMO's accuracy 1 - |accesses - records × gap| / accesses, loads of a memory-bound loop.

    Nothing judges it: the latencies are those of the core preset, the share of DRAM is a choice.
    """
    for cpi in (250, 500, 1000):
        for period in (256, 512, 768, 1024, 1536, 2048, 3072, 4096):
            given = settings(
                10 * SELECTIONS * (period + 128),
                spe=spe(period, "on", filter={"load": True}),
                phase={
                    "cpi_millis": cpi,
                    "latency": {"kind": "core"},
                    "levels": {"l1": 70, "l2": 10, "slc": 5, "dram": 15},
                },
            )
            found = []
            for r in runs(given):
                s = r.vcpus[0].ledgers.selections
                loads = r.vcpus[0].ledgers.ops.by_label[OpLabel.PROFILED] * LOADS
                estimate = s.written * (period + beyond("on"))
                found.append(1 - abs(loads - estimate) / loads)
            yield point("knee", f"CPI {cpi / 1000:g}", period, None, found)


LOADS = 0.25
"""Of the ops of a synthetic loop with the default mix."""
