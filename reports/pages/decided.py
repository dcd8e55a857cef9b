"""Would you decide the same? The answers as text, JSON and rows for pages."""

from __future__ import annotations

import json
from collections.abc import Mapping

from analysis.decisions.kinds import kinds
from reports.results import shapes
from reports.results.decision import Decision
from reports.results.metric import Metric
from reports.text import aligned, hanging, number, percent, printable

WIDTH = 100
HEAD = ("", "samples", "regret", "bias", "too few", "worth random", "would you decide the same?")
By = Mapping[str, Mapping[str, Decision]]
"""Decisions by arm and kind."""


def rows(found: By) -> dict[str, list[tuple[str, ...]]]:
    """By kind: a row of text per arm, columns HEAD."""
    out: dict[str, list[tuple[str, ...]]] = {}
    for arm, decisions in found.items():
        for kind, one in decisions.items():
            if one.regret.mean is not None:
                out.setdefault(kind, []).append(_row(arm, one))
    return out


def _row(arm: str, one: Decision) -> tuple[str, ...]:
    judged = one.answer != "not judged"
    return (
        printable(arm, 30),
        _count(one.samples),
        percent(one.regret.value),
        _part(one.bias) if judged else "–",
        _part(one.sampling) if judged else "–",
        _count(one.effective_samples),
        one.cell,
    )


def _count(found: Metric) -> str:
    return "–" if found.mean is None else f"{round(found.mean):,}"


def _part(found: Metric) -> str:
    return "–" if found.mean is None else f"{number(100 * found.mean)} %"


def best(found: By, kind: str) -> str:
    """What is chosen, and what the best choice is worth; or why there is no choice."""
    one = next(d[kind] for d in found.values() if kind in d)
    if one.best is None:
        return one.chosen
    return f"{one.chosen}; the best choice catches {percent(one.best)}"


def as_text(found: By) -> str:
    """For a terminal: a table per kind."""
    table = rows(found)
    blocks = [
        "Would you decide the same as by a profile taken on baremetal? Predicted, not measured.",
        *hanging(
            "",
            "Regret: what the choice by the profile misses, of what the best choice catches. Bias: "
            "beyond baremetal with as many samples. Too few: what baremetal loses by having only "
            "so many. Worth random: how few random samples decide as well.",
            WIDTH,
        ),
    ]
    for kind in dict.fromkeys(k for decisions in found.values() for k in decisions):
        blocks += ["", f"{kind}: {kinds()[kind].asks}", f"  {printable(best(found, kind))}"]
        if kind in table:
            lines = aligned([HEAD, *table[kind]])
            blocks += [f"  {line}" for line in lines]
    return "\n".join(blocks) + "\n"


def as_json(scenario: str, found: By) -> str:
    """The names of result.json, `arms.<name>.decisions.<kind>.…`, below it."""
    document = {
        "kind": "prediction",
        "scenario": scenario,
        "arms": {
            arm: {"decisions": {kind: shapes.dump(one) for kind, one in decisions.items()}}
            for arm, decisions in found.items()
        },
    }
    return json.dumps(document, sort_keys=True, indent=1, allow_nan=False) + "\n"
