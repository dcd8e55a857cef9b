"""Metrics by dotted name, as `result.json` has them; nothing here knows a particular metric.

`arms.<name>.<path>` leads to a metric (mean, ci95, n, unit), to a plain number, or to a branch.
Arm names may hold dots. What a result does not have is an error that names the nearest.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from analysis.statistics.families import Estimate, from_metric
from analysis.statistics.intervals import SHARE
from reports.results import shapes
from reports.results.metric import Metric
from reports.results.result import Replication, Result
from sim.errors import SpeskewError

_NOT_COUNTERS = ("setup", "replications")
"""Branches of an arm whose numbers are settings, or are told elsewhere."""


_UNBOUNDED = re.compile(r"\.(time_added|[a-z0-9]+_excess|paired\..*)$")
"""Fractions that are no shares, so that they may lie below 0 or above 1."""


class UnknownMetricError(SpeskewError, ValueError):
    """No such metric in a result."""


def find(result: Result, name: str) -> Any:
    """What a dotted name leads to; raises UnknownMetricError."""
    if name == "arms":
        return result.arms
    arms = result.arms
    named = [arm for arm in arms if f"{name}.".startswith(f"arms.{arm}.")]
    if not named:
        raise UnknownMetricError(_unknown(name, [f"arms.{arm}" for arm in arms]))
    arm = max(named, key=len)
    node: Any = arms[arm]
    rest = name[len(f"arms.{arm}.") :]
    for step in rest.split(".") if rest else ():
        below = dict(shapes.items(node))
        if step not in below:
            known = [f"arms.{arm}.{path}" for path, _ in leaves(arms[arm])]
            raise UnknownMetricError(_unknown(name, known))
        node = below[step]
    return node


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 3, 0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known[:5])}…"
    return f"{name}: no such metric in this result; {hint}"


def leaves(node: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every metric and plain number below a branch, lists left out."""
    found: list[tuple[str, Any]] = []
    _collect(node, prefix, found)
    return iter(found)


def _collect(node: object, prefix: str, found: list[tuple[str, Any]]) -> None:
    for key, value in shapes.items(node):
        path = f"{prefix}{key}"
        if isinstance(value, (Metric, int, float)):
            found.append((path, value))
        elif value is not None and path not in _NOT_COUNTERS:
            _collect(value, f"{path}.", found)


def metric(result: Result, name: str) -> Estimate:
    """The estimate behind a metric; raises UnknownMetricError if the name leads elsewhere."""
    node = find(result, name)
    if not isinstance(node, Metric):
        plain = isinstance(node, (int, float))
        what = "a plain number: use test: exact" if plain else "no metric but a branch"
        raise UnknownMetricError(f"{name} is {what}")
    found = estimate(node)
    share = node.unit == "fraction" and not _UNBOUNDED.search(name)
    return replace(found, bounds=SHARE) if share else found


def estimate(node: Metric) -> Estimate:
    """The estimate behind a metric of a result or baseline."""
    return from_metric(node)


def number(result: Result, name: str) -> tuple[float | None, str]:
    """A plain number or the mean of a metric, and its unit (empty for a plain number)."""
    node = find(result, name)
    if isinstance(node, Metric):
        return node.mean, node.unit
    if node is None or (isinstance(node, (int, float)) and not isinstance(node, bool)):
        return node, ""
    raise UnknownMetricError(f"{name} is no number; name one below it")


def metrics(result: Result) -> dict[str, Metric]:
    """Every metric of every arm by dotted name."""
    return {
        f"arms.{arm}.{path}": value
        for arm, branch in result.arms.items()
        for path, value in leaves(branch)
        if isinstance(value, Metric)
    }


def counters(result: Result) -> dict[str, list[int]]:
    """Every integer that is counted per replication, by dotted name: [replications] each.

    A name is the arm's total in `result.json` (`arms.v6.ledger.ops.profiled`); what is measured
    once per replication stands below `arms.<name>.each`.
    """
    found: dict[str, list[int]] = {}
    for arm, branch in result.arms.items():
        each = branch.replications
        for number, replication in enumerate(each):
            for path, value in _integers(replication):
                row = found.setdefault(f"arms.{arm}.{path}", [0] * len(each))
                row[number] = value
    return found


def _integers(replication: Replication) -> Iterator[tuple[str, int]]:
    for path, value in leaves(replication.ledger):
        yield f"ledger.{path}", value
    for path, value in leaves(replication.metrics):
        if isinstance(value, int):
            yield f"each.{path}", value
    yield "each.ended_at_op", min(replication.ended_at_op)
