"""How often verdicts are wrong: the statistics of profiles, measured on counts that are drawn.

Nothing is simulated here but the counts: per replication multinomial, from the true profile, from
one with samples moved between two symbols, or from one that scatters from run to run (Dirichlet).
Losses and times are counts of events of one size, Poisson. Each line of the table is one size of
program and one number of replications; rates are over TRIALS runs, so they are known to 2 points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.fidelity import errors, skew
from analysis.statistics.answers import Kind, answer
from analysis.statistics.intervals import SHARE, Metric, metric
from reports.store.files import replace

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
SYMBOLS = (2, 20, 200)
REPLICATIONS = (2, 4, 8, 16)
TRIALS = 400
FLAG_TRIALS = 10_000
"""Of *a symbol differs, where none does*: 400 leave 2 points open, where the rate is the claim."""
SAMPLES = 50_000
"""Of a replication, as a stream of 50 million operations has."""
SMALL, LARGE = 0.003, 0.03
"""Shares of all samples that are moved: less than the default margin, and more."""
MARGIN = 0.01
CONCENTRATION = 2000
"""Of the Dirichlet distribution: shares scatter like those of so many samples."""
EVENTS = 12
"""Mean events of a replication of which losses and times are made."""
_CHUNK = 500
"""Trials that are drawn at once."""


@dataclass(frozen=True, slots=True)
class Rates:
    """A line of the table; fractions of the trials."""

    symbols: int
    replications: int
    false_skew: float
    false_flags: float
    small: float
    large: float
    scatter: float
    shares: float
    losses: float
    skewed: float
    same: float


HEAD = (
    ("symbols", "symbols"),
    ("replications", "n"),
    ("false_skew", "skewed, where nothing is"),
    ("false_flags", "a symbol differs, where none does"),
    ("small", "holds a bias of 0.3 %"),
    ("large", "a bias of 3 %"),
    ("scatter", "scatter"),
    ("shares", "a symbol's share"),
    ("losses", "loss and time"),
    ("skewed", "a bias of 3 % is *skewed*"),
    ("same", "no bias is *the same*"),
)
"""Field and heading of each column."""


def zipf(symbols: int) -> F64:
    """Shares that fall as 1/rank."""
    p = 1 / np.arange(1, symbols + 1)
    return np.asarray(p / p.sum())


def moved(p: F64, share: float) -> F64:
    """`share` of all samples moved from the first symbol to the second."""
    q = p.copy()
    q[0] -= share
    q[1] += share
    return q


Draw = Callable[[np.random.Generator], I64]


def _skews(p: F64, draw: Draw, seed: int) -> list[Metric]:
    rng = np.random.default_rng(seed)
    return [skew.of_shares(draw(rng), p) for _ in range(TRIALS)]


def _multinomial(q: F64, n: int) -> Draw:
    return lambda rng: rng.multinomial(SAMPLES, q, n)


def _scattered(p: F64, n: int) -> Draw:
    def draw(rng: np.random.Generator) -> I64:
        return np.stack([rng.multinomial(SAMPLES, q) for q in rng.dirichlet(CONCENTRATION * p, n)])

    return draw


def _holds(found: Sequence[Metric], value: float) -> float:
    """Part of the intervals that hold a value, of those that are printed."""
    ends = [m.ends() for m in found if not m.exact]
    return sum(low <= value <= high for low, high in ends) / max(1, len(ends))


def rates(symbols: int, n: int) -> Rates:
    """The line of one size of program and one number of replications."""
    p, seed = zipf(symbols), 1000 * symbols + n
    null = _skews(p, _multinomial(p, n), seed)
    small = _skews(p, _multinomial(moved(p, SMALL), n), seed + 100)
    large = _skews(p, _multinomial(moved(p, LARGE), n), seed + 200)
    scattered = _skews(p, _scattered(p, n), seed + 300)
    flags, shares = _flags(p, n, seed + 700), _share_errors(p, n, seed + 400)
    return Rates(
        symbols=symbols,
        replications=n,
        false_skew=sum((m.low or 0.0) > 0 for m in null) / TRIALS,
        false_flags=flags,
        small=_holds(small, SMALL),
        large=_holds(large, LARGE),
        scatter=_holds(scattered, _scatter(p, seed + 500)),
        shares=shares,
        losses=_losses(n, seed + 600),
        skewed=_kinds(large).count(Kind.SKEWED) / TRIALS,
        same=_kinds(null).count(Kind.SAME) / TRIALS,
    )


def _kinds(found: Sequence[Metric]) -> list[Kind]:
    return [answer(m.mean, m.ci95, MARGIN, n=m.n).kind for m in found]


def _scatter(p: F64, seed: int) -> float:
    """Mean distance of scattered profiles without sampling noise."""
    runs = np.random.default_rng(seed).dirichlet(CONCENTRATION * p, 4000)
    return float(np.abs(runs - p).sum(axis=1).mean() / 2)


def _flags(p: F64, n: int, seed: int) -> float:
    """Runs without any error in which a symbol is flagged, as `errors.metrics` flags it."""
    rng = np.random.default_rng(seed)
    flagged = 0
    for _ in range(FLAG_TRIALS // _CHUNK):
        off = 100 * (rng.multinomial(SAMPLES, p, (n, _CHUNK)) / SAMPLES - p)
        found = errors.p_values(off, SAMPLES)
        flagged += sum(bool(errors.discoveries(each).any()) for each in found)
    return flagged / FLAG_TRIALS


def _share_errors(p: F64, n: int, seed: int) -> float:
    """Intervals of a symbol's error that hold 0, where there is none."""
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(TRIALS):
        off = 100 * (rng.multinomial(SAMPLES, p, n) / SAMPLES - p)
        found = errors.metrics(off, SAMPLES)
        held += sum(low <= 0 <= high for low, high in (m.ends() for m, _ in found))
    return held / TRIALS / p.size


def _losses(n: int, seed: int) -> float:
    """Intervals of a loss of some 1 % and of a time that hold the mean, of those that are printed.

    Where all replications are equal none is.
    """
    rng = np.random.default_rng(seed)
    found = [
        metric(rng.poisson(EVENTS, n) * 0.01 / EVENTS, "fraction", SHARE) for _ in range(TRIALS)
    ]
    times = [metric(560 + 0.01 * rng.poisson(EVENTS, n), "ms") for _ in range(TRIALS)]
    return (_holds(found, 0.01) + _holds(times, 560 + 0.01 * EVENTS)) / 2


def lines() -> Iterator[str]:
    """The table as Markdown."""
    yield "| " + " | ".join(words for _, words in HEAD) + " |"
    yield "|" + " --- |" * len(HEAD)
    for symbols in SYMBOLS:
        for n in REPLICATIONS:
            found = rates(symbols, n)
            cells = [getattr(found, name) for name, _ in HEAD]
            shown = (str(c) if isinstance(c, int) else f"{100 * c:.1f} %" for c in cells)
            yield "| " + " | ".join(shown) + " |"


BEGIN, END = "<!-- statistics: made by `make docs` -->", "<!-- statistics: end -->"


def write(page: Path) -> None:
    """Put the table between its marks on the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    text = "\n".join([f"{before}{BEGIN}", "", *lines(), "", f"{END}{after}"])
    replace(page, text.encode())
