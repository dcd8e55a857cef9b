"""Weights from the only public data on how SPE chooses, and whether they predict what they did not
see.

`scenarios/selection/public-2022.csv` has the samples of five loads and five stores in a loop, run
by run, in two layouts of the code; its header says where they come from. A weight is a line in its
logarithm: one height and one slope over the distance from the branch target for loads, and one of
each for stores; ops that were not recorded (adds, subtract, branch) share what is left of the
selections that the period gives, which takes records as not lost. Weights fitted on one layout
predict the other, and are judged beside a sampler that chooses evenly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.fidelity.selection import Fit, Loop, chances, fit

F64 = NDArray[np.float64]
PAIRS = 5
"""(load, add, store) so often in the loop."""
PER_OP = 1_000_000 / (131_072 + 128.5)
"""Samples of each op of a run if all are chosen evenly: iterations / mean gap with jitter."""
LEADS = {"offsetted": 0, "shifted": 5}
"""Layouts: ops between the branch target and the first load."""
_AROUND = 2
"""Subtract and branch at the loop's end."""
_OPS = 10
"""Ops that a row counts: five loads, then five stores, in program order."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Fitted lines; beyond the last distance seen of (loads, stores) a weight stays."""

    fit: Fit
    furthest: tuple[int, int]

    def weights(self, distances: Iterable[int]) -> F64:
        """Weight [op, load, store][distance] of ops so far from the branch target; of others 1."""
        at = np.array(list(distances), np.float64)
        made = np.ones((3, at.size))
        for k in range(2):
            height, slope = self.fit.parameters[2 * k : 2 * k + 2]
            made[k + 1] = np.exp(height + slope * np.minimum(at, self.furthest[k]))
        return made


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Root mean square errors of ten predicted means, samples per op and run; `ratio` of fitted to
    even with its 95 % interval over runs resampled in both layouts.
    """

    predicted: F64
    seen: F64
    fitted: float
    even: float
    ratio: float
    interval: tuple[float, float]


def rows_of(text: str) -> dict[str, F64]:
    """Layout → samples [runs, 10] of the data file's text; lines that begin with # are comments."""
    found: dict[str, list[list[int]]] = {layout: [] for layout in LEADS}
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines[1:]:
        layout, *counts = line.split(",")
        found[layout].append([int(count) for count in counts])
    return {layout: np.array(rows, np.float64) for layout, rows in found.items()}


def lines_of(runs: F64, layout: str) -> Lines:
    """The likeliest lines under the samples [runs, 10] of a layout."""
    lead = LEADS[layout]
    furthest = lead + 3 * (PAIRS - 1), lead + 3 * (PAIRS - 1) + 2
    design, group = _design(lead, furthest)
    sums = runs.sum(axis=0)
    rest = len(runs) * PER_OP * len(group) - sums.sum()
    return Lines(fit([Loop(design, group, np.append(sums, rest))]), furthest)


def predicted(lines: Lines, layout: str) -> F64:
    """Samples per run of the ten ops of a layout [10]."""
    design, group = _design(LEADS[layout], lines.furthest)
    expected = PER_OP * len(group) * chances(design, lines.fit.parameters)
    return np.bincount(group, expected, _OPS + 1)[:_OPS].astype(np.float64)


def held_out(
    data: dict[str, F64], fitted_on: str, judged_on: str, resamples: int = 1000, seed: int = 1
) -> HeldOut:
    """How well lines fitted on one layout predict the other."""
    seen, made = (
        data[judged_on].mean(axis=0),
        predicted(lines_of(data[fitted_on], fitted_on), judged_on),
    )
    rng = np.random.default_rng(seed)
    ratios = np.empty(resamples)
    for k in range(resamples):
        lines = lines_of(_resampled(rng, data[fitted_on]), fitted_on)
        means = _resampled(rng, data[judged_on]).mean(axis=0)
        ratios[k] = _rms(predicted(lines, judged_on) - means) / _rms(PER_OP - means)
    low, high = np.percentile(ratios, [2.5, 97.5])
    fitted, even = _rms(made - seen), _rms(PER_OP - seen)
    return HeldOut(made, seen, fitted, even, fitted / even, (float(low), float(high)))


def _resampled(rng: np.random.Generator, runs: F64) -> F64:
    return runs[rng.integers(0, len(runs), len(runs))]


def _rms(errors: F64) -> float:
    return float(np.sqrt((errors**2).mean()))


def _design(lead: int, furthest: tuple[int, int]) -> tuple[F64, NDArray[np.int64]]:
    """Design [ops, 4] and group [ops] of a loop: height and slope of loads, then of stores."""
    ops = lead + 3 * PAIRS + _AROUND
    design, group = np.zeros((ops, 4)), np.full(ops, _OPS)
    for pair in range(PAIRS):
        for k, op in enumerate((lead + 3 * pair, lead + 3 * pair + 2)):
            design[op, 2 * k], design[op, 2 * k + 1] = 1.0, min(op, furthest[k])
            group[op] = PAIRS * k + pair
    return design, group
