"""Power curves: how often each answer is given, against the bias that is there, by replications.

As the table of `statistics`: counts are drawn, samples moved from the first symbol to the second.
Points are over TRIALS runs, so they are known to 5 points in the middle; the answer of a run is the
one that `analysis.statistics.answers` gives at the default margin.
"""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from analysis.fidelity import skew
from analysis.statistics.answers import Kind, answer
from reports.figures.style import GREY, LINES, MARKERS, blank, legend_above, styled, to_file_svg
from reports.store.files import replace
from reports.validation.statistics import MARGIN, REPLICATIONS, SAMPLES, moved, zipf

NAME = "power"
SYMBOLS = 20
TRIALS = 400
BIASES = (0.0, 0.0025, 0.005, 0.0075, 0.009, 0.01, 0.011, 0.0125, 0.015, 0.02, 0.03)
"""Shares of all samples that are moved; the margin lies among them."""
ANSWERS = (Kind.SAME, Kind.OPEN, Kind.SKEWED)


@dataclass(frozen=True, slots=True)
class Point:
    """Fractions of the trials with each answer."""

    replications: int
    bias: float
    same: float
    cannot_tell: float
    skewed: float

    def of(self, kind: Kind) -> float:
        """The fraction of one answer."""
        return dict(zip(ANSWERS, (self.same, self.cannot_tell, self.skewed), strict=True))[kind]


def point(n: int, bias: float) -> Point:
    """The answers of TRIALS runs with `n` replications and a bias."""
    p = zipf(SYMBOLS)
    q = moved(p, bias)
    rng = np.random.default_rng([n, round(1e6 * bias)])
    found = [skew.of_shares(rng.multinomial(SAMPLES, q, n), p) for _ in range(TRIALS)]
    kinds = [answer(m.mean, m.ci95, MARGIN, n=m.n).kind for m in found]
    return Point(n, bias, *(kinds.count(kind) / TRIALS for kind in ANSWERS))


def points() -> list[Point]:
    """All of them, by replications and then by bias."""
    return [point(n, bias) for n in REPLICATIONS for bias in BIASES]


def dumps(found: Sequence[Point]) -> str:
    """As CSV, a line each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(Point)])
    writer.writerows(astuple(one) for one in found)
    return out.getvalue()


def draw(found: Sequence[Point]) -> bytes:
    """A panel an answer, a line a number of replications; the margin is dashed."""
    with styled(NAME):
        made = blank(3.0)
        axes = made.subplots(1, len(ANSWERS), sharey=True)
        for ax, kind in zip(axes, ANSWERS, strict=True):
            ax.axvline(100 * MARGIN, color=GREY, linewidth=1, linestyle="--")
            for k, n in enumerate(REPLICATIONS):
                of = [one for one in found if one.replications == n]
                ax.plot(
                    [100 * one.bias for one in of],
                    [100 * one.of(kind) for one in of],
                    "-",
                    color=LINES[k],
                    marker=MARKERS[k],
                    markersize=4,
                    linewidth=1,
                    label=f"{n} replications",
                )
            ax.set_title("the same within ±1 %" if kind is Kind.SAME else str(kind), pad=26)
            ax.set_xlabel("samples in the wrong symbol, %")
            ax.set_ylim(-4, 104)
            ax.grid()
            ax.set_axisbelow(True)
        axes[0].set_ylabel("runs with this answer, %")
        legend_above(axes[0], columns=2)
        return to_file_svg(made, f"validation-{NAME}")


def write(folder: Path) -> None:
    """validation-power.csv, and the figure that is drawn from it."""
    found = points()
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / f"validation-{NAME}.csv", dumps(found).encode())
    replace(folder / f"validation-{NAME}.svg", draw(found))
