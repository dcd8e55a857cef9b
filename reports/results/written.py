"""A document as text: what `json.dumps` writes of `shapes.dump` of it, straight from its objects.

`json` has a fast encoder for text without indents only, and a sweep writes gigabytes of indented
text: objects are put together here, texts are quoted by `json`, numbers written by Python as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import is_dataclass
from functools import cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from analysis.statistics.intervals import Metric
from reports.results.fields import attributes, defaults, keys

Write = Callable[[Any, str], str]
"""Of a value, and of what its lines begin with: a newline and an indent."""
REMEMBERED = 1 << 13
"""Metrics whose text is kept."""
_BELOW = " "
"""What a level of nesting adds to that."""


def text(document: object) -> str:
    """Sorted by key, indented, strict JSON with one trailing newline; ValueError for NaN."""
    return _written(document, "\n") + "\n"


def inner(value: object, depth: int) -> str:
    """The same of what stands so deep in a document, without the newline."""
    return _written(value, "\n" + depth * _BELOW)


def _written(value: Any, line: str) -> str:
    kind: type = type(value)
    return _PLAIN[kind](value) if kind in _PLAIN else _writer(kind)(value, line)


@cache
def _writer(kind: Hashable) -> Write:
    """How objects of a class are written."""
    assert isinstance(kind, type)
    if issubclass(kind, Mapping):
        return lambda value, line: _object(((_key(k), v) for k, v in sorted(value.items())), line)
    if issubclass(kind, (tuple, list)):
        return _list
    if is_dataclass(kind):
        return _remembering(_of_class(kind)) if kind is Metric else _of_class(kind)
    for plain, write in _PLAIN.items():  # an enumeration of texts, a number of numpy's
        if issubclass(kind, plain):
            return lambda value, _: write(value)
    raise TypeError(f"JSON has no {kind.__name__}")


def _of_class(kind: type) -> Write:
    """Of a dataclass: its keys in order; what is its default is left out."""
    optional, names = defaults(kind), tuple(sorted(keys(kind)))
    written, values = [_key(name) for name in names], attributes(names)
    if not optional:
        return lambda value, line: _object(zip(written, values(value), strict=True), line)

    def write(value: object, line: str) -> str:
        every = zip(names, written, values(value), strict=True)
        there = ((k, v) for n, k, v in every if n not in optional or v != optional[n])
        return _object(there, line)

    return write


def _remembering(write: Write) -> Write:
    """Metrics of equal values are one object, in the cells of a sweep nearly all of them."""
    kept: dict[tuple[int, str], tuple[Metric, str]] = {}

    def remembered(value: Metric, line: str) -> str:
        at = id(value), line
        found = kept.get(at)  # the metric too, so that nothing else is where it is
        if found is None:
            if len(kept) >= REMEMBERED:
                kept.clear()
            found = kept[at] = value, write(value, line)
        return found[1]

    return remembered


def _object(entries: Iterable[tuple[str, Any]], line: str) -> str:
    below, plain = line + _BELOW, _PLAIN
    lines = [
        key + (plain[type(value)](value) if type(value) in plain else _written(value, below))
        for key, value in entries
    ]
    return f"{{{below}{f',{below}'.join(lines)}{line}}}" if lines else "{}"


def _list(values: Iterable[Any], line: str) -> str:
    below = line + _BELOW
    lines = [_written(value, below) for value in values]
    return f"[{below}{f',{below}'.join(lines)}{line}]" if lines else "[]"


@cache
def _key(name: str) -> str:
    return f"{quoted(name)}: "


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"JSON has no {value}")
    return float.__repr__(value)


_PLAIN: dict[type, Callable[[Any], str]] = {
    str: quoted,
    bool: lambda value: "true" if value else "false",
    int: int.__repr__,
    float: _number,
    type(None): lambda _: "null",
}
"""How what holds nothing is written; a bool is an int too, so it comes first."""
