"""What a result says of profiles: distances from the truth and from baremetal, and verdicts.

Parts of `reports.results.result`, which see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reports.results.damage import DamagedError
from reports.results.metric import Metric


def together(path: str, metric: Metric, other: str, one: Metric) -> None:
    """Refuse a metric that has a value where one of the same samples has none, or none there."""
    if (metric.mean is None) != (one.mean is None):
        raise DamagedError(f"has a value only with {other}, and always then", f"{path}.mean")


@dataclass(frozen=True, slots=True)
class Distances:
    """Distances of one view; null metrics where the view or a reference does not exist."""

    tvd_vs_truth: Metric
    tvd_truth_floor: Metric
    tvd_vs_baremetal: Metric
    tvd_noise_floor: Metric
    tvd_excess: Metric
    js_vs_truth: Metric
    js_truth_floor: Metric
    js_vs_baremetal: Metric
    js_noise_floor: Metric
    js_excess: Metric
    hellinger_vs_truth: Metric
    hellinger_truth_floor: Metric
    hellinger_vs_baremetal: Metric
    hellinger_noise_floor: Metric
    hellinger_excess: Metric
    overlap_vs_truth: Metric
    overlap_vs_baremetal: Metric
    top10_vs_truth: Metric
    top10_vs_baremetal: Metric
    top10_baremetal_pair: Metric
    hottest_vs_truth: Metric
    hottest_vs_baremetal: Metric
    hottest_baremetal_pair: Metric


@dataclass(frozen=True, slots=True)
class Profile:
    """Distances by view."""

    symbol: Distances
    pc: Distances
    op_class: Distances
    mem_level: Distances
    latency: Distances

    def __post_init__(self) -> None:
        # Both views count the same samples, and no distance is told without its floor.
        for name in ("tvd_vs_truth", "tvd_excess"):
            known = f"symbol.{name}"
            together(f"pc.{name}", getattr(self.pc, name), known, getattr(self.symbol, name))
        for view, found in (("symbol", self.symbol), ("pc", self.pc)):
            at, truth = f"{view}.tvd_truth_floor", f"{view}.tvd_vs_truth"
            together(at, found.tvd_truth_floor, truth, found.tvd_vs_truth)
            if found.tvd_excess.mean is not None:
                for part in ("tvd_vs_baremetal", "tvd_noise_floor"):
                    at, excess = f"{view}.{part}", f"{view}.tvd_excess"
                    together(at, getattr(found, part), excess, found.tvd_excess)


@dataclass(frozen=True, slots=True)
class ShareError:
    """How far a symbol's share is off, pp; a finding is one of the family of all symbols."""

    symbol: str
    share: float
    vs_truth: Metric
    vs_baremetal: Metric
    differs_from_truth: bool
    differs_from_baremetal: bool


@dataclass(frozen=True, slots=True)
class Levels:
    """The same by symbol and by instruction."""

    symbol: Metric
    pc: Metric


@dataclass(frozen=True, slots=True)
class Hottest:
    """The ten hottest beside the truth's, in words; empty without samples."""

    symbol: str
    pc: str


@dataclass(frozen=True, slots=True)
class Skew:
    """How much of the profile is in the wrong place, and the answer that this is.

    `analysis.fidelity.judging` makes it, `reports.results.arms` reads it.
    """

    answer: Literal["skewed", "same", "cannot tell", "too short to tell"]
    level: Literal["symbol", "pc"]
    words: str
    margin: float
    needed: int | None
    truth: Levels
    baremetal: Levels
    identical: bool
    hottest: Hottest
    short: str
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sides:
    """A difference from baremetal under either rule of a restart."""

    hold: Metric
    resync: Metric


@dataclass(frozen=True, slots=True)
class Paired:
    """Differences from baremetal, paired by replication."""

    loss: Sides
    delivered: Sides
    wall: Sides
    tvd_vs_truth: Sides
