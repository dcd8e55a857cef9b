"""What `speskew list` lists: objects with a `name`, and a table of them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import click

from reports.text import aligned, printable, size
from sim.scenario.files import loader
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.scenario import DESIGNS
from sim.scenario.words import suggest
from sim.workload.presets import PRESETS
from sim.workload.spestream import read_header

Rows = list[dict[str, Any]]


def rows(what: str) -> Rows:
    """One object per thing, by name; `what` is a key of SOURCES."""
    return sorted(SOURCES[what](), key=lambda row: str(row["name"]))


def _scenarios() -> Iterator[dict[str, Any]]:

    stock = loader.stock_folder()
    for path in (*stock.glob("*.yaml"), *stock.glob("sweeps/*.yaml")):
        loaded = loader.load(path)
        arms = [arm.name for arm in loaded.arms]
        name = path.relative_to(stock).with_suffix("").as_posix()
        yield {"name": name, "question": loaded.question, "arms": arms}


def _designs() -> Iterator[dict[str, Any]]:

    for name, design in DESIGNS.items():
        yield {
            "name": name,
            "description": design.what,
            "source": design.source,
            "questions": list(design.questions),
            "policies": design.policies.model_dump(),
        }


def design(name: str, form: str) -> str:
    """One design in words, or as JSON; a usage error with a suggestion if there is none."""

    if name not in DESIGNS:
        raise click.UsageError(f"design: {suggest(name, list(DESIGNS))}")
    found = next(row for row in _designs() if row["name"] == name)
    if form == "json":
        return json.dumps(found, indent=2) + "\n"
    policies = [f"  {key:18} {value}" for key, value in found["policies"].items()]
    questions = [f"  - {text}" for text in found["questions"]] or ["  none listed"]
    text = textwrap.fill(found["description"], 100)
    lines = [name, text, "", f"source: {found['source']}", "", "policies:", *policies]
    return "\n".join(
        [*lines, "", "open questions, each a policy or a time to vary:", *questions, ""]
    )


def _presets() -> Iterator[dict[str, Any]]:

    for name, preset in PRESETS.items():
        facts = list(preset.facts())
        open_ones = sum(fact.unverified for fact in facts)
        yield {
            "name": name,
            "description": f"{preset.source}; {open_ones} of {len(facts)} numbers UNVERIFIED",
            "facts": {fact.name: asdict(fact) for fact in facts},
        }


def _streams() -> Iterator[dict[str, Any]]:

    for path in (stock_folder() / "streams").glob("*.spestream"):
        header = read_header(path)
        yield {
            "name": f"streams/{path.name}",
            "program": header.program,
            "ops": f"{header.ops:,} ops",
            "size": size(path.stat().st_size),
        }


SOURCES: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "scenarios": _scenarios,
    "designs": _designs,
    "presets": _presets,
    "streams": _streams,
}


def as_table(rows: Rows) -> str:
    """Name, then the rest of each object on the same line; the long parts are left to JSON."""
    return "".join(
        f"{line}\n" for line in aligned([(str(row["name"]), _rest(row)) for row in rows])
    )


def _rest(row: dict[str, Any]) -> str:
    parts = []
    for key, value in row.items():
        if key in ("name", "questions") or isinstance(value, dict) or not value:
            continue
        parts.append(", ".join(value) if isinstance(value, list) else str(value))
    return printable("; ".join(parts))
