"""The ten hottest functions of the program, and what a profile of each arm says of them.

A pure function of `result.json`. Shares are of the mean profile over replications; errors have the
interval of one function, marks are of the family of all functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from reports.results import shapes
from reports.results.arms import verdict_words
from reports.results.metric import Metric
from reports.results.result import Arm, Result
from reports.text import aligned, decimals, fixed, hanging, interval, percent, printable, symbol

TOP = 10
WIDTH = 100
NAME = 48
HEAD = ("function", "true", "here", "error, pp", "95 %")
MARK = "*"
NOTE = (
    f"{MARK} off from the truth by more than chance, at a false discovery rate of 5 % over all "
    "functions. Whether that matters is the answer above the table. Long names are cut in the "
    "middle; `speskew show RUN_DIR --top --format json` has them whole and as they were compiled."
)
NOTHING = "no samples, so no profile"


def render(result: Result) -> str:
    """A table an arm, below its answer."""
    head = f"{printable(result.scenario)}: the ten hottest functions, {result.replications} "
    lines = hanging("", f"{head}replications, seed {result.seed}; simulated, not measured", WIDTH)
    for name in result.arm_order:
        lines += ["", *_arm(name, result.arms[name])]
    return "\n".join([*lines, "", *hanging("", NOTE, WIDTH)]) + "\n"


def _arm(name: str, arm: Arm) -> Iterator[str]:
    found = rows(arm)
    if not found:
        yield f"{printable(name)}: {NOTHING}"
        return
    yield from hanging(
        "", f"{printable(name)}: {printable(verdict_words(arm))}", WIDTH, indent="  "
    )
    if arm.skew.hottest.symbol:
        yield from hanging("  ", printable(arm.skew.hottest.symbol), WIDTH, indent="    ")
    yield from (f"  {line}" for line in aligned([HEAD, *found], right=True))


def rows(arm: Arm) -> list[tuple[str, ...]]:
    """Of the hottest functions, in the order of HEAD; none without samples."""
    return [
        (
            symbol(one.symbol, NAME),
            percent(one.share),
            *_here(one.share, one.vs_truth, one.differs_from_truth),
        )
        for one in arm.share_errors[:TOP]
        if one.vs_truth.mean is not None
    ]


def _here(share: float, error: Metric, differs: bool) -> tuple[str, str, str]:
    digits = decimals(error, 1.0)
    off = fixed(error.value, digits)
    sign = "+" if error.value > 0 else ""
    mark = f" {MARK}" if differs else ""
    return percent(share + error.value / 100), f"{sign}{off}{mark}", interval(error)


def as_json(result: Result) -> str:
    """By arm: symbol as it is and as people write it, its share, the error as a metric in pp."""
    found = {
        name: [
            {
                "symbol": one.symbol,
                "name": symbol(one.symbol),
                "share": one.share,
                "error": shapes.dump(one.vs_truth),
                "differs": one.differs_from_truth,
            }
            for one in result.arms[name].share_errors[:TOP]
        ]
        for name in result.arm_order
    }
    return json.dumps(found, indent=1, sort_keys=True, allow_nan=False) + "\n"
