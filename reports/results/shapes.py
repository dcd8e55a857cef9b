"""JSON documents as frozen dataclasses: read with every value checked, written back, described.

The class is the document: its fields are the keys, its annotations say what may stand there, and
the published schema is made from them. `DamagedError` names the field that is wrong by its path,
`arms.v6.loss.total.mean`. A field that does not compare (`compare=False`) is not in the document;
one with a default may be absent there, and is if it has that value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, cast, get_args, get_type_hints

from reports.results.damage import Json
from reports.results.fields import attributes, defaults, keys, object_schema, shape_of

T = TypeVar("T")
_PLAIN = frozenset({str, int, float, bool, type(None)})


def read(kind: type[T], value: Json) -> T:
    """`value` as an object of the dataclass `kind`; raises DamagedError."""
    asked: Any = kind
    return cast("T", shape_of(asked).read(value))


def dump(value: object) -> Json:
    """What `json` writes of a document; reading that gives an equal one."""
    if type(value) in _PLAIN:  # nearly all of it
        return value
    if is_dataclass(value):
        kind: type = type(value)
        left_out = defaults(kind)
        return {
            name: dump(inner)
            for name, inner in items(value)
            if name not in left_out or inner != left_out[name]
        }
    if isinstance(value, Mapping):
        return {key: dump(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [dump(inner) for inner in value]
    return value


def items(node: object) -> Iterable[tuple[str, Any]]:
    """Key and value of an object of a document, whether its keys are fixed or names."""
    if is_dataclass(node):
        kind: type = type(node)
        names = keys(kind)
        return zip(names, attributes(names)(node), strict=True)
    return node.items() if isinstance(node, Mapping) else ()


def schema(kind: type) -> dict[str, Json]:
    """JSON Schema (draft 7) of a dataclass, those that it is made of in `definitions`."""
    found = {one.__name__.lower(): object_schema(one) for one in sorted(_below(kind), key=_name)}
    return (
        {"$schema": "http://json-schema.org/draft-07/schema#"}
        | object_schema(kind)
        | ({"definitions": found} if found else {})
    )


def _name(kind: type) -> str:
    return kind.__name__


def _below(kind: type) -> set[type]:
    """Every dataclass that `kind` is made of, itself only if it holds itself."""
    found: set[type] = set()
    left = [kind]
    while left:
        hints = get_type_hints(left.pop(), include_extras=True)
        fresh = {k for hint in hints.values() for k in _classes(hint)} - found
        found |= fresh
        left += fresh
    return found


def _classes(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for inner in get_args(hint):
        yield from _classes(inner)
