"""Indices of a sampled sweep: from its cells to numbers, sentences and a table.

Everything below `sensitivity` of a sweep's `result.json` is made here, once, when the sweep ends;
the page and the text only tell it. Indices need every point: a cell without a value is a reason.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from analysis.sweeps import sensitivity
from analysis.sweeps.responses import RESPONSES
from analysis.sweeps.sampling import Drawn, draw_key
from analysis.sweeps.sensitivity import CLEAR, Effect
from reports.results import shapes
from reports.results.metric import Metric
from reports.results.sweep_result import (
    NUMBERS,
    CellResult,
    Indices,
    Influence,
    Point,
    Range,
    Samples,
    SweepResult,
)
from reports.text import aligned, number, percent, printable

WEIGHT = {"morris": "mu_star", "sobol": "ST"}
"""The number that ranks settings."""


def samples(drawn: Drawn) -> Samples:
    """What was drawn: ranges, and the points in SALib's order with their cells."""
    return Samples(
        method=cast("Any", drawn.method),
        ranges=tuple(shapes.read(Range, axis.as_dict()) for axis in drawn.axes),
        points=tuple(
            Point(cell.id, tuple(round(float(x), 12) for x in row))
            for cell, row in zip(drawn.cells, drawn.unit, strict=True)
        ),
    )


def indices(
    drawn: Drawn, rows: Sequence[CellResult], arms: Sequence[str], seed: int
) -> dict[str, dict[str, Indices]]:
    """Arm → metric → effects or why not; metrics that no cell has are left out."""
    by_id = {row.id: row for row in rows}
    points = [by_id[cell.id] for cell in drawn.cells]
    found: dict[str, dict[str, Indices]] = {}
    for arm in arms:
        for metric in RESPONSES:
            entry = _entry(drawn, points, rows, arm, metric, draw_key(seed))
            if entry is not None:
                found.setdefault(arm, {})[metric] = entry
    return found


def _entry(
    drawn: Drawn,
    points: Sequence[CellResult],
    rows: Sequence[CellResult],
    arm: str,
    metric: str,
    seed: int,
) -> Indices | None:
    having = [row for row in rows if metric in row.each.get(arm, {})]
    if not having:
        return None
    failed = sum(row.failed for row in rows)
    if failed:
        return Indices(f"{failed} of {len(rows)} cells failed, and indices need every point")
    if len(having) < len(rows):
        return Indices(f"{len(rows) - len(having)} of {len(rows)} cells have no value of it")
    series = [row.each[arm][metric] for row in points]
    n = min(map(len, series))  # `until` may have replicated some cells further
    values = np.array([row[:n] for row in series])
    if sensitivity.constant(values):
        return Indices("it is the same in every cell")
    settings = len(drawn.axes)
    if drawn.method == "morris":
        effects = sensitivity.morris(drawn.unit, values, seed)
    elif sensitivity.constant(sensitivity.base_points(settings, values)):
        return Indices("it is the same at all base points, so that more of them are needed")
    else:
        effects = sensitivity.sobol(settings, values, seed)
    number = having[0].number(arm, metric)
    assert isinstance(number, Metric)
    pairs = zip(drawn.axes, effects, strict=True)
    return Indices(
        unit=number.unit,
        replications=n,
        effects={axis.setting: _influence(effect) for axis, effect in pairs},
    )


def _influence(effect: Effect) -> Influence:
    return Influence(noise=effect.noise, clear=effect.clear, **effect.numbers)


def by_arm(result: SweepResult) -> dict[str, Mapping[str, Indices]]:
    """Arm → metric → indices, arms in the scenario's order and metrics in that of `RESPONSES`."""
    found = result.sensitivity or {}
    return {
        arm: {metric: found[arm][metric] for metric in RESPONSES if metric in found[arm]}
        for arm in result.arm_order
        if arm in found
    }


def ranked(entry: Indices, method: str) -> list[tuple[str, Influence]]:
    """Settings of an entry, the one that matters most first."""
    weight = WEIGHT[method]
    return sorted(entry.effects.items(), key=lambda pair: (-pair[1].number(weight), pair[0]))


# --- words -----------------------------------------------------------------------------------


def scaled(unit: str, method: str) -> tuple[float, str]:
    """Factor and unit in which the weight of a metric in `unit` is told."""
    if method == "sobol":
        return 100.0, "% of the variance"
    return (100.0, "percentage points") if unit == "fraction" else (1.0, unit)


def short(setting: str) -> str:
    """A setting as sentences and figures have it."""
    return setting.removeprefix("parameters.")


def sentence(entry: Indices, method: str, what: str) -> str:
    """Which setting matters for `what`, and whether the sweep can tell."""
    if entry.why:
        return f"No indices: {entry.why}."
    order = ranked(entry, method)
    clear = [(name, e) for name, e in order if e.clear]
    if not clear:
        return (
            "The noise of replications swamps the indices: none is more than "
            f"{CLEAR:g} times what noise alone would make. Give more replications."
        )
    idle = sum(e.number(WEIGHT[method]) <= 0 for _, e in order)
    lost = len(order) - len(clear) - idle
    rest = [f"{idle} of {len(order)} do nothing"] if idle else []
    rest += [f"{lost} cannot be told from noise"] if lost else []
    if order[0][1].noise is None:
        rest.append("one replication: what is noise is unknown")
    return "; ".join([_leaders(clear, entry.unit, method, what), *rest]) + "."


def _leaders(clear: Sequence[tuple[str, Influence]], unit: str, method: str, what: str) -> str:
    name, first = clear[0]
    weight, conf = WEIGHT[method], f"{WEIGHT[method]}_conf"
    factor, said = scaled(unit, method)
    size = f"{number(first.number(weight) * factor)} ± {number(first.number(conf) * factor)} {said}"
    does = (
        f"its whole range moves {what} by {size}, on average"
        if method == "morris"
        else f"{size} of {what}, with all that it does together with others"
    )
    if len(clear) == 1:
        return f"{short(name)} alone decides: {does}"
    other, second = clear[1]
    if _reach(first, weight, -1) <= _reach(second, weight, 1):
        return (
            f"{short(name)} and {short(other)} matter most, and the points cannot tell which of "
            f"them more: for the first, {does}"
        )
    ratio = f"{number(first.number(weight) / second.number(weight))} times the next, {short(other)}"
    return f"{short(name)} decides: {does}, {ratio}"


def _reach(effect: Influence, weight: str, side: int) -> float:
    """An end of the interval of a weight."""
    return effect.number(weight) + side * effect.number(f"{weight}_conf")


def lines(result: SweepResult, arm: str, metric: str) -> Iterator[tuple[str, ...]]:
    """Setting and numbers of an arm and metric as text, in the order of importance."""
    method, entry = made(result).method, by_arm(result)[arm][metric]
    for setting, effect in ranked(entry, method):
        yield (
            setting,
            *(_text(getattr(effect, name), entry.unit, method) for name in columns(method)),
        )


def columns(method: str) -> tuple[str, ...]:
    """Names of the numbers of `lines`."""
    return (*NUMBERS[method], "noise")


def _text(value: float | None, unit: str, method: str) -> str:
    if value is None:
        return "unknown"
    if method == "sobol" or unit == "fraction":
        return percent(value)
    return number(value)


def as_table(result: SweepResult, metrics: Mapping[str, str]) -> str:
    """A sentence per arm and metric, then its settings; `metrics`: name → words."""
    method = made(result).method
    out = [f"Predicted. {about(result)}"]
    for arm, entries in by_arm(result).items():
        reasons: dict[str, list[str]] = {}
        for metric, entry in entries.items():
            words = metrics[metric]
            if entry.why:
                reasons.setdefault(entry.why, []).append(words)
                continue
            out.append(f"{printable(arm)}, {words}: {sentence(entry, method, words)}")
            table = aligned([("setting", *columns(method)), *lines(result, arm, metric)])
            out += [f"  {line}" for line in table]
        out += [
            f"{printable(arm)}, {', '.join(words)}: no indices, {why}."
            for why, words in reasons.items()
        ]
    return "\n".join(out) + "\n"


def made(result: SweepResult) -> Samples:
    """What was drawn, of a sweep that has samples."""
    assert result.samples is not None, "asked of sampled sweeps only"
    return result.samples


def about(result: SweepResult) -> str:
    """How the cells were drawn."""
    drawn = made(result)
    points, ranges = len(drawn.points), len(drawn.ranges)
    if drawn.method == "morris":
        return f"Morris: {points // (ranges + 1)} trajectories through {ranges} settings."
    return f"Sobol': {points // (ranges + 2)} base points over {ranges} settings."


def as_csv(result: SweepResult) -> str:
    """One line per arm, metric and setting: its range, then every number; or why there is none."""
    drawn = made(result)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = NUMBERS[drawn.method]
    writer.writerow(
        [
            "arm",
            "metric",
            "unit",
            "replications",
            "setting",
            "range_low",
            "range_high",
            "scale",
            *names,
            "noise",
            "clear",
            "why",
        ]
    )
    ends = {r.setting: (r.low, r.high, r.scale) for r in drawn.ranges}
    for arm, entries in by_arm(result).items():
        for metric, entry in entries.items():
            if entry.why:
                blanks = [""] * (8 + len(names))
                writer.writerow([arm, metric, *blanks, entry.why])
                continue
            head = (arm, metric, entry.unit, entry.replications)
            for setting, effect in ranked(entry, drawn.method):
                noise = "" if effect.noise is None else effect.noise
                numbers = (effect.number(name) for name in names)
                clear = str(effect.clear).lower()
                writer.writerow([*head, setting, *ends[setting], *numbers, noise, clear, ""])
    return out.getvalue()
