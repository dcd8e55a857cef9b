"""Distances between profiles, and how much of a distance is only noise.

Any distance is biased upwards by sampling noise, so each is given with a floor:

* against the truth, the expected distance of a perfect n-sample profile (multinomial);
* against baremetal, the distance of two *independent* baremetal replications, the first thinned
  to the arm's number of samples. Replication r of an arm is compared with baremetal's r + 1, and
  so is baremetal's r: the difference of the two (the *excess*) has mean zero if the arm samples
  like baremetal, and is 0 exactly if its samples are baremetal's.

The floor covers loss that falls on random code and makes a profile noisier. A bias shows more
sharply in signed shares, replication by replication: `analysis.fidelity.errors`.

Definitions: LLVM D60977 (overlap), Endres and Schindelin 2003 (Jensen-Shannon), Hellinger 1909;
Mytkowicz et al., PLDI 2010 (agreement on the hottest as actionability).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from analysis.fidelity import profiles
from analysis.fidelity.profiles import I64, By
from analysis.statistics.intervals import F64, SHARE, Metric, metric
from analysis.theory import expected_tvd, sizes

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

TOP = 10
"""Groups that a reader looks at first."""

Distance = Callable[[F64, F64], F64]
"""Of two tables of shares [R, groups], row by row [R]; NaN where one of the two has no samples."""
Sides = dict[str, tuple[F64, F64]]
"""Two tables of shares [R, groups] by what they are of; without rows if there are none."""
S = TypeVar("S", bound="Sequence[Any] | F64")


def tvd(p: F64, q: F64) -> float:
    """Total variation distance of two share vectors [groups], in [0, 1]; 1 - overlap."""
    return float(tvds(p, q))


def tvds(p: F64, q: F64) -> F64:
    """The same of the rows of tables [..., groups]."""
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


def js(p: F64, q: F64) -> F64:
    """Jensen-Shannon divergence H((p + q)/2) - (H(p) + H(q))/2 in nats, in [0, ln 2]."""
    both, first, second = _entropy(np.stack([(p + q) / 2, p, q]))
    found = both - (first + second) / 2
    return np.where(found <= 0, 0.0, found)


def _entropy(p: F64) -> F64:
    return np.asarray(-(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum(axis=-1))


def hellinger(p: F64, q: F64) -> F64:
    """Hellinger distance H = sqrt(1 - Σ sqrt(pq)), in [0, 1]; H² <= TVD <= H sqrt(2 - H²)."""
    return np.asarray(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=-1) / 2))


def js_floor(p: F64, n: float | F64) -> F64:
    """Expected JS of an n-sample multinomial profile from `p`: Σ (1 - p)/8n, at most p ln 2 each.

    A χ²/8 expansion; the cap is the value for a group that a sample hardly ever meets. NaN without
    samples; of a table [R, groups] and its sizes [R], row by row.
    """
    return np.asarray(np.minimum((1 - p) / (8 * sizes(n)), p * math.log(2)).sum(axis=-1))


def hellinger_floor(p: F64, n: float | F64) -> F64:
    """Root of the expected H² of an n-sample profile from `p`: Σ (1 - p)/8n, at most p each.

    NaN without samples; of a table row by row.
    """
    return np.asarray(np.sqrt(np.minimum((1 - p) / (8 * sizes(n)), p).sum(axis=-1)))


def tops(p: F64) -> list[list[int]]:
    """The largest groups of each row [R, groups] that have a share; ties go to the lower index."""
    order = np.argsort(-p, axis=1, kind="stable")[:, :TOP]
    some = (p > 0).sum(axis=1)
    return [row[:size] for row, size in zip(order.tolist(), some.tolist(), strict=True)]


def top_agreement(p: Sequence[int], q: Sequence[int]) -> float:
    """Jaccard index of the ten largest groups of two profiles, in [0, 1]; NaN without any."""
    a, b = set(p), set(q)
    return len(a & b) / len(a | b) if a and b else math.nan


def hottest_agrees(p: Sequence[int], q: Sequence[int]) -> float:
    """1 if both profiles have the same largest group, else 0; NaN without any."""
    return float(p[0] == q[0]) if p and q else math.nan


DISTANCES: dict[str, tuple[Distance, Callable[[F64, float | F64], F64], str]] = {
    "tvd": (tvds, expected_tvd, "fraction"),
    "js": (js, js_floor, "nats"),
    "hellinger": (hellinger, hellinger_floor, "fraction"),
}
"""Name, function, floor against the truth, unit."""
BOUNDS = {"fraction": SHARE, "nats": (0.0, math.log(2))}


def distances(arm: ArmResult, reference: ArmResult | None, by: By) -> dict[str, Metric]:
    """Contract names (`profile.<view>`): every distance of one arm in one view."""
    if not profiles.has(arm, by):
        return dict.fromkeys(NAMES, metric([], "fraction")) | {
            f"js_{k}": metric([], "nats") for k in PARTS
        }
    counts = profiles.sampled(arm, by)
    p_hat, p = profiles.sampled_shares(arm, by), profiles.true_shares(arm, by)
    samples = counts.sum(axis=1).astype(np.float64)
    rows = _Rows({"vs_truth": (p_hat, p)} | _beside(profiles.compared(arm, reference, by)))
    out: dict[str, Metric] = {}
    for name, (distance, floor, unit) in DISTANCES.items():
        bounds = BOUNDS[unit]
        found = rows.of(distance)
        out[f"{name}_vs_truth"] = metric(found["vs_truth"], unit, bounds)
        out[f"{name}_truth_floor"] = metric(floor(p, samples), unit, bounds)
        to_bare, noise = found["vs_baremetal"], found["baremetal_pair"]
        out[f"{name}_vs_baremetal"] = metric(to_bare, unit, bounds)
        out[f"{name}_noise_floor"] = metric(noise, unit, bounds)
        out[f"{name}_excess"] = metric(to_bare - noise, unit)
    return out | _overlaps(out) | _ranks(rows)


class _Rows:
    """The rows of all sides in one table: a call costs more than a short row does."""

    def __init__(self, sides: Sides) -> None:
        there = [pair for pair in sides.values() if len(pair[0])]
        self._tables = [np.concatenate(tables) for tables in zip(*there, strict=True)]
        ends = np.cumsum([len(p) for p, _ in sides.values()]).tolist()
        self._slices = dict(zip(sides, map(slice, [0, *ends], ends), strict=True))

    def of(self, distance: Callable[[F64, F64], S]) -> dict[str, S]:
        """What `distance` says of the rows of each side."""
        found: Any = distance(*self._tables)
        return {side: found[rows] for side, rows in self._slices.items()}


def _overlaps(found: dict[str, Metric]) -> dict[str, Metric]:
    """overlap = 1 - TVD, for readers who know it by that name."""
    return {f"overlap_{k}": found[f"tvd_{k}"].complement() for k in ("vs_truth", "vs_baremetal")}


def _ranks(rows: _Rows) -> dict[str, Metric]:
    """Agreement on the ten hottest groups and on the hottest, with that of a baremetal pair."""
    hottest = rows.of(lambda p, q: list(zip(tops(p), tops(q), strict=True)))
    return {
        f"{name}_{side}": metric([agree(a, b) for a, b in pairs], "fraction", SHARE)
        for name, agree in (("top10", top_agreement), ("hottest", hottest_agrees))
        for side, pairs in hottest.items()
    }


PARTS = ("vs_truth", "truth_floor", "vs_baremetal", "noise_floor", "excess")
NAMES = (
    *(f"{name}_{part}" for name in DISTANCES for part in PARTS),
    "overlap_vs_truth",
    "overlap_vs_baremetal",
    *(f"{n}_{k}" for n in ("top10", "hottest") for k in ("vs_truth", "vs_baremetal")),
    "top10_baremetal_pair",
    "hottest_baremetal_pair",
)
"""Metrics of a view."""


def _beside(found: profiles.Profiles | None) -> Sides:
    """The arm, and baremetal with as many samples, each with an independent baremetal."""
    if found is None:
        nothing = np.zeros((0, 0))
        return dict.fromkeys(("vs_baremetal", "baremetal_pair"), (nothing, nothing))
    mine = profiles.shares(found.arm)
    if not len(found.independent):
        unknown = np.full_like(mine, math.nan)
        return {"vs_baremetal": (mine, unknown), "baremetal_pair": (unknown, unknown)}
    sizes = found.arm.sum(axis=1).tolist()
    fewer = [thinned(bare, n, r) for r, (bare, n) in enumerate(zip(found.bare, sizes, strict=True))]
    theirs = profiles.shares(found.independent)
    thin = profiles.shares(np.stack(fewer))
    return {"vs_baremetal": (mine, theirs), "baremetal_pair": (thin, theirs)}


def thinned(counts: I64, n: int, key: int) -> I64:
    """`n` samples of `counts` [groups] drawn without replacement; all if there are fewer."""
    if n >= counts.sum():
        return counts
    rng = np.random.default_rng([key, n])
    return np.asarray(rng.multivariate_hypergeometric(counts, n, method="marginals"))
