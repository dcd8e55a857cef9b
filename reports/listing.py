"""What `speskew list` lists: objects with a `name`, and a table of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

from reports.text import printable, size

Rows = list[dict[str, Any]]


def rows(what: str) -> Rows:
    """One object per thing, by name; `what` is a key of SOURCES."""
    return sorted(SOURCES[what](), key=lambda row: str(row["name"]))


def _scenarios() -> Iterator[dict[str, Any]]:
    from sim.scenario import loader

    for entry in resources.files("scenarios").iterdir():
        if entry.name.endswith(".yaml"):
            name = entry.name.removesuffix(".yaml")
            loaded = loader.load(name)
            arms = [arm.name for arm in loaded.arms]
            yield {"name": name, "arms": arms, "question": loaded.question}


def _designs() -> Iterator[dict[str, Any]]:
    from sim.scenario.model import DESIGNS

    for name, (policies, text) in DESIGNS.items():
        yield {"name": name, "description": text, "policies": policies.model_dump()}


def _presets() -> Iterator[dict[str, Any]]:
    from sim.workload import timing

    for name, preset in timing.PRESETS.items():
        doc = (getattr(preset, "source", None) or preset.__doc__ or "").strip().splitlines()
        yield {"name": name, "description": doc[0] if doc else ""}


def _streams() -> Iterator[dict[str, Any]]:
    for entry in (resources.files("scenarios") / "streams").iterdir():
        if entry.name.endswith(".spestream"):
            yield {"name": entry.name, "size": size(len(entry.read_bytes()))}


SOURCES: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "scenarios": _scenarios,
    "designs": _designs,
    "presets": _presets,
    "streams": _streams,
}


def as_table(rows: Rows) -> str:
    """Name, then the rest of each object on the same line; nested objects are left to JSON."""
    if not rows:
        return ""
    width = max(len(str(row["name"])) for row in rows)
    return "".join(f"{row['name']!s:<{width}}  {_rest(row)}".rstrip() + "\n" for row in rows)


def _rest(row: dict[str, Any]) -> str:
    parts = []
    for key, value in row.items():
        if key == "name" or isinstance(value, dict) or not value:
            continue
        parts.append(", ".join(value) if isinstance(value, list) else str(value))
    return printable("; ".join(parts))
