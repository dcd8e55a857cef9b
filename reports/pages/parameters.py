"""Every number that a run rests on, with its source, and the command that it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import BaseModel

from reports.store.csvdata import Cell
from sim.scenario.files.dump import plain
from sim.scenario.parameters import FACTS, PARAMETERS
from sim.workload.presets import get_preset

if TYPE_CHECKING:
    from sim.scenario.models.scenario import Scenario, Settings

TIMES, SETTINGS, OVERLAY = "times", "settings", "kernel overlay"
UNVERIFIED = "UNVERIFIED"


def rows(scenario: Scenario) -> list[tuple[Cell, ...]]:
    """Rows of data/parameters.csv: times, sourced settings, kernel overlay, core presets in use."""
    return [*_times(scenario), *_facts(scenario), *_overlay(scenario), *_cores(scenario)]


def _times(scenario: Scenario) -> Iterator[tuple[Cell, ...]]:
    """Every default time, and what the arms put in its place."""

    for p in PARAMETERS.values():
        changed = sorted(
            {
                f"{arm.name}: {_changed(arm.settings, p.name)}"
                for arm in scenario.arms
                if p.name in arm.settings.parameters
            }
        )
        yield (
            TIMES,
            p.name,
            p.value,
            "; ".join(changed),
            p.range,
            p.unverified,
            p.confidence,
            p.meaning,
            p.source,
        )


def _changed(settings: Settings, name: str) -> str:

    values = plain(settings.parameters[name])
    return " ".join(str(v) for k, v in values.items() if k != "kind" or v != "constant")


def _facts(scenario: Scenario) -> Iterator[tuple[Cell, ...]]:
    """Sourced settings: the value of the first arm, and the arms with another one."""

    trees = [(arm.name, plain(arm.settings)) for arm in scenario.arms]
    for p in FACTS.values():
        first = _setting(trees[0][1], p.setting)
        values = [(name, _setting(tree, p.setting)) for name, tree in trees]
        others = [f"{name}: {value}" for name, value in values if value != first]
        if first != p.value:
            others.insert(0, f"default: {p.value}")
        yield (
            SETTINGS,
            p.setting,
            first,
            "; ".join(others),
            p.range,
            p.unverified,
            p.confidence,
            p.meaning,
            p.source,
        )


def _setting(settings: object, dotted: str) -> str:
    """The value at a dotted key of plain settings, as YAML has it."""

    value = settings
    for key in dotted.split("."):
        assert isinstance(value, dict), dotted
        value = value[key]
    if isinstance(value, dict):  # a table: where it comes from
        value = value.get("source", value)
    return "null" if value is None else str(value)


def _overlay(scenario: Scenario) -> Iterator[tuple[Cell, ...]]:
    """The kernel overlay of recorded streams, whose lengths the schema marks UNVERIFIED."""

    seen: dict[str, tuple[BaseModel, list[str]]] = {}
    for arm in scenario.arms:
        kernel = getattr(arm.settings.workload, "kernel", None)
        if kernel is not None:
            seen.setdefault(repr(kernel), (kernel, []))[1].append(arm.name)
    for kernel, names in seen.values():
        values = plain(kernel)
        for key, info in type(kernel).model_fields.items():
            meaning = info.description or ""
            bare = UNVERIFIED in meaning
            who = "" if len(names) == len(scenario.arms) else f"in {', '.join(names)}"
            text = meaning.replace(f"; {UNVERIFIED}", "")
            source = "none" if bare else "the scenario"
            yield OVERLAY, key, str(values[key]), who, "", bare, "L" if bare else "", text, source


def _cores(scenario: Scenario) -> Iterator[tuple[Cell, ...]]:
    """Every number of the core presets in use."""

    for core in sorted({arm.settings.cpu.core for arm in scenario.arms}):
        for f in get_preset(core).facts():
            unit = "" if f.unit == "1" else f" {f.unit}"
            yield f"core {core}", f.name, f"{f.value}{unit}", "", "", f.unverified, "", "", f.source
