"""The cells of a sweep: which settings they have and what they are called. Pure expansion.

`matrix:` is a Cartesian product of dotted settings, `cases:` a list of tuples of them; a scenario
has one or the other. A cell's id is its sorted key=value pairs and a hash of them, so that it
depends neither on the order of keys nor on what other cells there are.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import WrapValidator
from pydantic_core import PydanticCustomError

from sim.scenario.words import Incoherence

MAX_CELLS = 100_000
LISTS = ("include", "exclude")
"""Keys of a matrix that are no settings."""
_ID_TEXT = 100
_HASH = 8


def _listed(value: object, handler: Any) -> dict[str, list[Any]]:
    if not isinstance(value, dict):
        raise PydanticCustomError("matrix", "must be a mapping, e.g. host.memlock: [2MiB, 4MiB]")
    for key, entries in value.items():
        if not isinstance(entries, (list, tuple)) or not entries:
            text = "{key} needs a list of values, at least one"
            raise PydanticCustomError("matrix", text, {"key": key})
    made: dict[str, list[Any]] = handler({key: list(entries) for key, entries in value.items()})
    return made


Matrix = Annotated[dict[str, list[Any]], WrapValidator(_listed)]
Cases = tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: dotted settings with their values, sorted by key."""

    settings: tuple[tuple[str, object], ...]

    @property
    def id(self) -> str:
        """Name of the cell, fit for a file: readable pairs, then a hash of the exact ones."""
        pairs = ",".join(f"{key}={_text(value)}" for key, value in self.settings)
        if not self.settings:
            return "only"
        readable = re.sub(r"[^A-Za-z0-9.,=_-]+", "-", pairs)[:_ID_TEXT].strip("-.,")
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()
        return f"{readable}-{digest[:_HASH]}"

    def overrides(self) -> tuple[str, ...]:
        """The settings as `--set` takes them."""
        return tuple(f"{key}={_text(value)}" for key, value in self.settings)


_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/%-]*")
_NO_WORD = re.compile(r"true|false|null|[0-9._]+|0[xob].*|[0-9._]+e[0-9-]+", re.IGNORECASE)
"""What YAML reads as something else than text."""


def _text(value: object) -> str:
    """A value as YAML on one line; words stay plain."""
    if isinstance(value, str) and _WORD.fullmatch(value) and not _NO_WORD.fullmatch(value):
        return value
    return json.dumps(value)


def expand(
    matrix: Mapping[str, Sequence[Any]], cases: Sequence[Mapping[str, object]]
) -> list[Cell]:
    """All cells in the order of the file, each once; one cell without settings if there is none."""
    if cases:
        return _once(_cell(case) for case in cases)
    axes = {key: values for key, values in matrix.items() if key not in LISTS}
    product = (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    excluded = matrix.get("exclude", ())
    kept = (cell for cell in product if not any(_matches(cell, ex) for ex in excluded))
    included = matrix.get("include", ())
    if not matrix:
        return [Cell(())]
    return _once(_cell(c) for c in itertools.chain(kept if axes else (), included))


def _once(cells: Iterator[Cell]) -> list[Cell]:
    return list({cell.id: cell for cell in cells}.values())


def _cell(settings: Mapping[str, object]) -> Cell:
    return Cell(tuple(sorted(settings.items())))


def _matches(cell: Mapping[str, object], pattern: Mapping[str, object]) -> bool:
    return all(key in cell and cell[key] == value for key, value in pattern.items())


def problems(
    matrix: Mapping[str, Sequence[Any]], cases: Sequence[Mapping[str, object]]
) -> Iterator[Incoherence]:
    """What is wrong with a matrix or cases as such; values are checked in their cells."""
    if matrix and cases:
        yield ("cases", "matrix"), "a scenario has matrix or cases, not both"
    broken = [key for key in LISTS for entry in matrix.get(key, ()) if not isinstance(entry, dict)]
    for key in broken:
        yield (f"matrix.{key}", "matrix"), "an entry is a mapping, e.g. {vm.vcpus: 1}"
    if broken:
        return
    axes = [key for key in matrix if key not in LISTS]
    for number, pattern in enumerate(matrix.get("exclude", ())):
        strange = [key for key in pattern if key not in axes]
        if strange or not pattern:
            yield (
                (f"matrix.exclude.{number}", "matrix"),
                f"excludes nothing: {', '.join(strange) or 'it is empty'} is no axis of the matrix",
            )
    size = 1
    for key in axes:
        size *= len(matrix[key])
    if size > MAX_CELLS:
        yield ("matrix",), f"has {size:,} cells; at most {MAX_CELLS:,}"
    elif (matrix or cases) and not expand(matrix, cases):
        yield ("matrix",), "has no cell left: exclude takes all of them"
    names = {*axes}.union(*cases, *matrix.get("include", ())) if matrix or cases else set()
    for key in sorted(names):
        if not is_setting(key):
            yield (f"matrix.{key}", "matrix", "cases"), f"{key} is no setting that cells can have"


CELLS = ("matrix", "cases", "samples")
"""Keys that say which cells a sweep has."""
SCENARIO_KEYS = (
    "schema_version",
    "name",
    "question",
    "seed",
    "replications",
    "until",
    "verdicts",
    "extends",
    "arms",
    "checks",
    "decisions",
    *CELLS,
)
"""Keys of a scenario that are no settings: its cells share them."""


def is_setting(key: str) -> bool:
    """Whether cells can have a dotted key: a setting, or one of an arm, `arms.v6.host.unmap`."""
    root, *rest = key.split(".")
    return root not in SCENARIO_KEYS or (root == "arms" and len(rest) > 1)
