"""The theory figure in a sentence, and the cases in which no closed form holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.statistics.intervals import t_cdf
from reports.store.csvdata import Table
from reports.text import number, printable

CHANCE = 0.01
"""Probability that chance alone calls a point of a whole report off its curve."""
WORDS = {
    "gap_beyond_ops": "mean gap",
    "count_dispersion": "dispersion of counts",
    "collided_fraction": "collisions",
    "lost_fraction": "loss of ops",
    "biased_share_error_pp": "error of the share most biased",
}
"""Quantities in words."""


def theory(tables: Mapping[str, Table]) -> str:
    """How many points there are, which lies farthest off, and whether chance does that."""
    points = [r for r in tables["theory"].records() if r["arm"] and not r["condition"]]
    if not points:
        return "No closed form holds for an arm of this run: see why below."
    judged = [r for r in points if r["z"] is not None]
    text = f"{len(points)} points on closed forms, none of them fitted"
    if not judged:
        return f"{text}; one replication has no standard error to judge them by."
    worst = min(judged, key=_chance)
    where = f"{WORDS[worst['quantity']]} of {printable(worst['arm'], 40)}"
    exact = math.isinf(worst["z"])
    off = (
        "off without any variance"
        if exact
        else (f"{number(abs(worst['z']))} standard errors of {worst['n']} replications off")
    )
    if _chance(worst) * len(judged) >= CHANCE:
        return (
            f"{text}: the farthest is {off} ({where}), no more than chance does to one of so many."
        )
    gap = 100 * abs(worst["simulated"] - worst["theory"]) / (abs(worst["theory"]) or 1)
    return (
        f"{text}: one is {off} ({where}), by {number(gap)} % of the form, more than chance does to "
        "one of so many."
    )


def _chance(row: Mapping[str, Any]) -> float:
    """Probability that a point on its curve lies as far off, by Student's t over replications."""
    return 2 * (1 - t_cdf(abs(row["z"]), row["n"] - 1))


def conditions(tables: Mapping[str, Table]) -> tuple[str, ...]:
    """Each quantity and failed condition once, with the arms that it concerns."""
    arms: dict[tuple[str, str, str], list[str]] = {}
    for r in tables["theory"].records():
        if r["arm"] and r["condition"]:
            key = (r["row"], r["quantity"], r["condition"])
            arms.setdefault(key, []).append(printable(r["arm"], 40))
    return tuple(
        f"{WORDS[quantity]} (row {row}), {', '.join(names)}: {condition}"
        for (row, quantity, condition), names in arms.items()
    )
