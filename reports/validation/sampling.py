"""Which ops are selected: gaps, counts and collisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from analysis import theory
from analysis.statistics.intervals import F64
from reports.validation.rows import JITTERS, Row, beyond, curve, point, runs, settings, spe

PERIODS = (256, 512, 1024, 2048, 4096)
SELECTIONS = 4000


def selected(period: int, jitter: str, selections: int = SELECTIONS) -> F64:
    """Ops of selections in [replication, selection]; the machine never stops, nothing collides."""
    given = settings((selections + 2) * (period + 256), spe=spe(period, jitter))
    ops = [r.vcpus[0].written[: selections + 1, 0] for r in runs(given, records=True)]
    return np.array(ops, np.float64)


def gap_means() -> Iterator[Row]:
    """Mean gap in three jitter modes."""
    for jitter, series in JITTERS.items():
        expected = beyond(jitter)
        yield from (Row("gap", series, float(period), expected) for period in PERIODS)
        for period in PERIODS:
            found = np.diff(selected(period, jitter)).mean(axis=1) - period
            yield point("gap", series, period, expected, found)


def gap_law(jitter: str, at: float) -> float:
    """P(gap ≤ period + `at`): a step, U{1..256}, or 1 plus the difference of two bytes."""
    if jitter == "off":
        return float(at >= 1)
    if jitter == "on":
        return min(1.0, max(0.0, at / 256))
    differences = np.convolve(np.ones(256), np.ones(256)) / 65536
    return float(differences[: max(0, int(at) - 1 + 256)].sum())


def gap_laws() -> Iterator[Row]:
    """Distribution of gaps at an interval of 1,024."""
    for jitter, series in JITTERS.items():
        gaps = np.diff(selected(1024, jitter)) - 1024
        yield from curve("law", series, range(-256, 262, 2), partial(gap_law, jitter))
        for at in range(-224, 256, 32):
            yield point("law", series, at, gap_law(jitter, at), (gaps <= at).mean(axis=1))


WINDOW, WINDOWS = 1000, 20
"""Mean gaps of a window of ops in which selections are counted, and how many."""


def dispersions() -> Iterator[Row]:
    """Row 7: variance over mean of counts; an end term of at most 1/4 selection besides."""

    def form(period: float) -> float:
        return theory.count_dispersion(period + beyond("on"), theory.jitter_variance())

    yield from curve("dispersion", "jitter", [float(p) for p in np.geomspace(256, 4096, 40)], form)
    for period in PERIODS:
        width = WINDOW * (period + beyond("on"))
        ops = selected(period, "on", WINDOW * WINDOWS)
        edges = ops[:, :1] + width * np.arange(WINDOWS)
        counts = [np.diff(np.searchsorted(o, e)) for o, e in zip(ops, edges, strict=True)]
        squares = ((np.array(counts) - WINDOW) ** 2).mean(axis=1) / WINDOW
        yield point("dispersion", "jitter", period, form(period), squares, 0.25 / WINDOW)


def accumulation() -> Iterator[Row]:
    """Spread of the n-th selection: a random byte in the reload accumulates, a grid's does not."""
    one = theory.jitter_variance()
    forms: dict[str, Callable[[float], float]] = {
        "on": lambda n: n * one,
        "ernd": lambda _: 2 * one,
    }
    for jitter, form in forms.items():
        yield from curve("accumulation", JITTERS[jitter], (1, 10, 100, 1000), form)
        ops = selected(1024, jitter)
        for n in (1, 3, 10, 30, 100, 300, 1000):
            off = np.diff(ops[:, ::n]) - n * (1024 + beyond(jitter))
            yield point("accumulation", JITTERS[jitter], n, form(n), (off**2).mean(axis=1))


# --- collisions ----------------------------------------------------------------------------------

LIFETIMES = {
    "exponential, mean 400 cycles": {"kind": "exponential", "mean": "400cycles"},
    "constant, 900 cycles": {"kind": "constant", "value": "900cycles"},
}


def renewals(series: str, period: int) -> float:
    """Mean selections in a lifetime of a law, in closed form."""
    if series.startswith("constant"):
        return theory.renewals(period, [900.0], jitter=True)
    return theory.renewals_exponential(period, 400.0, jitter=True)


def collisions() -> Iterator[Row]:
    """Row 4, with its zero region: no lifetime of 900 reaches a gap above it."""
    for series, law in LIFETIMES.items():

        def form(period: float, series: str = series) -> float:
            return theory.collision_fraction(renewals(series, int(period)))

        yield from curve("collisions", series, range(256, 4097, 16), form)
        for period in (256, 512, 768, 1024, 1280, 1536, 2048, 3072, 4096):
            given = settings(SELECTIONS * (period + 128), spe=spe(period), phase={"latency": law})
            ledgers = [r.vcpus[0].ledgers.selections for r in runs(given)]
            found = [s.collided / s.selected for s in ledgers]
            yield point("collisions", series, period, form(period), found, 1 / SELECTIONS)
