"""The theory figure in a sentence, and the cases in which no closed form holds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from reports.csvdata import Table
from reports.text import number, printable

FAR = 4.0
"""Standard errors beyond which a point does not lie on its curve."""
WORDS = {
    "gap_beyond_ops": "mean gap",
    "count_dispersion": "dispersion of counts",
    "collided_fraction": "collisions",
    "lost_fraction": "loss of ops",
    "biased_share_error_pp": "error of the share most biased",
}
"""Quantities in words."""


def theory(tables: Mapping[str, Table]) -> str:
    """How many points lie on their curve, and which lies farthest off."""
    points = [r for r in tables["theory"].records() if r["arm"] and not r["condition"]]
    if not points:
        return "No closed form holds for an arm of this run: see why below."
    judged = [r for r in points if r["z"] is not None]
    text = f"{len(points)} points on closed forms, none of them fitted"
    if not judged:
        return f"{text}; one replication has no standard error to judge them by."
    worst = max(judged, key=lambda r: abs(r["z"]))
    where = f"{WORDS[worst['quantity']]} of {printable(worst['arm'], 40)}"
    if math.isinf(worst["z"]):
        off = "outside it without any variance"
    else:
        off = f"{number(abs(worst['z']))} standard errors off"
    near = sum(abs(r["z"]) <= FAR for r in judged)
    if near == len(judged):
        return f"{text}: the farthest is {off} ({where})."
    gap = 100 * abs(worst["simulated"] - worst["theory"]) / (abs(worst["theory"]) or 1)
    return (
        f"{text}: {near} of {len(judged)} lie within {number(FAR)} standard errors; the farthest "
        f"is {off}, by {number(gap)} % of the form ({where})."
    )


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
