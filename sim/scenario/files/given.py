"""A scenario that is no file: YAML text, or the plain values of a program.

Messages have the line and column of a text, and the dotted key of a value. Relative paths, of
streams and of what is extended, are looked for in the current folder.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real

from sim.scenario.files.document import (
    MAX_BYTES,
    MAX_DEPTH,
    Item,
    Mark,
    Problem,
    Scalar,
    ScenarioError,
    parse,
    problem,
)
from sim.scenario.files.dump import as_yaml


@dataclass(frozen=True, slots=True)
class Given:
    """`name` stands for the file in messages; `text` is what a file of it would hold."""

    name: str
    text: str
    values: Item | None = None

    def document(self, problems: list[Problem]) -> Item:
        """As `sim.scenario.files.document.read_document`."""
        return parse(self.text, self.name, problems) if self.values is None else self.values


def of_text(text: str, name: str = "scenario") -> Given:
    """YAML as it would stand in a file; raises ScenarioError if it is too long."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        why = f"is {size:,} bytes; a scenario has at most {MAX_BYTES:,}"
        raise ScenarioError(problem(Mark(name), why))
    return Given(name, text)


def of_values(values: Mapping[str, object], name: str = "scenario") -> Given:
    """Mappings, lists, text, numbers; raises ScenarioError for what YAML cannot say."""
    problems: list[Problem] = []
    item = _item(values, Mark(name), (), problems)
    if problems:
        raise ScenarioError(*problems)
    return Given(name, as_yaml(item.plain()), item)


def _item(value: object, mark: Mark, path: tuple[str, ...], problems: list[Problem]) -> Item:
    """A value with its mark, which has no line; what is none is told and becomes nothing."""
    dotted = ".".join(path)
    if len(path) > MAX_DEPTH:
        raise ScenarioError(problem(mark, f"is nested too deeply (more than {MAX_DEPTH})"))
    if isinstance(value, Mapping):
        entries: dict[str, Item] = {}
        for key, entry in value.items():
            if not isinstance(key, str):
                why = f"{dotted + ': ' if dotted else ''}a key must be text, not {key!r:.60}"
                problems.append(problem(mark, why))
                continue
            entries[key] = _item(entry, mark, (*path, key), problems)
        return Item(mark, entries, dict.fromkeys(entries, mark))
    if isinstance(value, (list, tuple)):
        rows = [_item(e, mark, (*path, str(k)), problems) for k, e in enumerate(value)]
        return Item(mark, rows, {})
    try:
        return Item(mark, _scalar(value), {})
    except ValueError as error:
        problems.append(problem(mark, f"{dotted}: {error}"))
        return Item(mark, None, {})


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Integral):  # numpy's too
        return int(value)
    if isinstance(value, Real) and math.isfinite(value):
        return float(value)
    raise ValueError(f"must be text, a number, a list or a mapping; got {value!r:.60}")
