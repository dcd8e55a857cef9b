"""What may stand in one place of a JSON document, by the annotation of a dataclass's field.

An `int` is a count, 0 or more. In `Annotated[…]` an int is the least value or length, a `Keys`
names keys that a mapping must have, a str describes the field in the schema.
"""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from reports.results.damage import SHOWN, DamagedError, Json
from reports.text import printable

LARGEST_INT = 2**64
LARGEST = 1e100
"""Numbers beyond these are damage: no quantity is as large, and squares must not overflow."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that a mapping must have; it may have more."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What may stand in one place: how to read it, what to call it, and its JSON Schema."""

    read: Callable[[Json], object]
    words: str
    types: tuple[type, ...]
    schema: Callable[[], dict[str, Json]]


@cache
def defaults(kind: Hashable) -> dict[str, object]:
    """Keys that an object may lack, and what that means; a value that is this is not written."""
    found = {}
    for one in fields(cast("Any", kind)):
        if one.compare and one.default is not MISSING:
            found[one.name] = one.default
        elif one.compare and one.default_factory is not MISSING:
            found[one.name] = one.default_factory()
    return found


@cache
def keys(kind: Hashable) -> tuple[str, ...]:
    """Keys of the object that a dataclass stands for, in its order."""
    return tuple(f.name for f in fields(cast("Any", kind)) if f.compare)


@cache
def attributes(names: tuple[str, ...]) -> Callable[[object], tuple[object, ...]]:
    """What gives these attributes of an object, in this order."""
    if len(names) == 1:
        (name,) = names
        return lambda value: (getattr(value, name),)
    return attrgetter(*names)


def _is_document(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint)


@cache
def shape_of(hint: Any) -> Shape:
    """Of an annotation."""
    origin, inner = get_origin(hint), get_args(hint)
    if _is_document(hint):
        return Shape(_reader(hint), "an object", (dict,), lambda: _reference(hint))
    if origin is Annotated:
        return _annotated(shape_of(inner[0]), inner)
    if origin is Literal:
        return _one_of(inner)
    if origin in (Union, types.UnionType):
        return _union([shape_of(option) for option in inner])
    if origin is tuple:
        return _list(shape_of(inner[0]), None if inner[1] is ... else len(inner))
    if origin is Mapping:
        return _mapping(shape_of(inner[1]))
    return _PLAIN[hint]


def _reference(kind: type) -> dict[str, Json]:
    return {"$ref": f"#/definitions/{kind.__name__.lower()}"}


def _must(words: str, value: Json) -> DamagedError:
    shown = printable(json.dumps(value), SHOWN) if isinstance(value, (str, float)) else ""
    return DamagedError(f"must be {words}" + (f", not {shown}" if shown else ""))


def _exactly(kind: type, words: str, name: str) -> Shape:
    def reader(value: Json) -> object:
        if type(value) is not kind:
            raise _must(words, value)
        return value

    return Shape(reader, words, (kind,), lambda: {"type": name})


def _number(value: Json) -> object:
    if type(value) not in (int, float):
        raise _must("a number", value)
    if not -LARGEST <= value <= LARGEST:  # false for NaN too
        raise DamagedError("must be a number of a size that occurs")
    return value


def _anything(value: Json) -> object:
    """As it is, as long as every number in it is one that can be computed with."""
    if type(value) in (int, float):
        return _number(value)
    if type(value) in (dict, list):
        for inner in value.values() if type(value) is dict else value:
            _anything(inner)
    return value


def _whole(least: int) -> Shape:
    words = f"a whole number, {least} or more"

    def reader(value: Json) -> object:
        if type(value) is not int:
            raise _must(words, value)
        if not least <= value <= LARGEST_INT:
            raise DamagedError(f"must be {words}" if value < least else "is too large")
        return value

    return Shape(reader, words, (int,), lambda: {"type": "integer", "minimum": least})


_PLAIN: dict[Any, Shape] = {
    str: _exactly(str, "text", "string"),
    bool: _exactly(bool, "true or false", "boolean"),
    type(None): _exactly(type(None), "null", "null"),
    float: Shape(_number, "a number", (int, float), lambda: {"type": "number"}),
    int: _whole(0),
    Any: Shape(_anything, "anything", (object,), dict),
}


def _one_of(values: tuple[Json, ...]) -> Shape:
    words = values[0] if len(values) == 1 else f"one of {', '.join(map(str, values))}"

    def reader(value: Json) -> object:
        if not any(type(value) is type(one) and value == one for one in values):
            raise _must(words, value)
        return value

    kinds = tuple({type(one) for one in values})
    return Shape(reader, words, kinds, lambda: {"enum": list(values)})


def _union(options: Sequence[Shape]) -> Shape:
    words = " or ".join(option.words for option in options)

    def reader(value: Json) -> object:
        fitting = [option for option in options if type(value) in option.types]
        if len(fitting) != 1:
            raise _must(words, value)
        return fitting[0].read(value)

    kinds = tuple(kind for option in options for kind in option.types)
    assert len(set(kinds)) == len(kinds), "the type of a value tells which option it is"
    return Shape(reader, words, kinds, lambda: {"anyOf": [o.schema() for o in options]})


def _list(inner: Shape, length: int | None) -> Shape:
    words = "a list" if length is None else f"a list of {length}"

    def reader(value: Json) -> object:
        if type(value) is not list or len(value) != (len(value) if length is None else length):
            raise _must(words, value)
        found = []
        for k, one in enumerate(value):
            try:
                found.append(inner.read(one))
            except DamagedError as error:
                raise error.under(k) from None
        return tuple(found)

    bounds = {} if length is None else {"minItems": length, "maxItems": length}
    return Shape(
        reader, words, (list,), lambda: {"type": "array", "items": inner.schema()} | bounds
    )


def _mapping(inner: Shape) -> Shape:
    def reader(value: Json) -> object:
        if type(value) is not dict:
            raise _must("an object", value)
        found = {}
        for key, one in value.items():
            try:
                found[key] = inner.read(one)
            except DamagedError as error:
                raise error.under(key) from None
        return found

    return Shape(
        reader,
        "an object",
        (dict,),
        lambda: {"type": "object", "additionalProperties": inner.schema()},
    )


def _annotated(plain: Shape, inner: tuple[Any, ...]) -> Shape:
    """With what `Annotated` adds: the least value, keys, a description."""
    shape = plain
    for extra in inner[1:]:
        if isinstance(extra, int):
            shape = _whole(extra) if inner[0] is int else _at_least(shape, extra)
        elif isinstance(extra, Keys):
            shape = _with_keys(shape, extra.names)
        else:
            shape = _described(shape, str(extra))
    return shape


def _at_least(plain: Shape, length: int) -> Shape:
    """A list of no fewer items."""

    def reader(value: Json) -> object:
        found = plain.read(value)
        if len(cast("Sequence[object]", found)) < length:
            raise DamagedError(f"must have {length} or more")
        return found

    return Shape(reader, plain.words, plain.types, lambda: plain.schema() | {"minItems": length})


def _with_keys(plain: Shape, names: tuple[str, ...]) -> Shape:
    def reader(value: Json) -> object:
        found = plain.read(value)
        for name in names:
            if name not in cast("Mapping[str, object]", found):
                raise DamagedError("is missing", name)
        return found

    return Shape(
        reader, plain.words, plain.types, lambda: plain.schema() | {"required": list(names)}
    )


def _described(plain: Shape, text: str) -> Shape:
    return Shape(
        plain.read, plain.words, plain.types, lambda: plain.schema() | {"description": text}
    )


@cache
def _fields(kind: Hashable) -> dict[str, Shape]:
    """Shape of each key of an object."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: shape_of(hints[name]) for name in keys(kind)}


def _compare_keys(
    value: Mapping[str, Json], known: Mapping[str, Shape], optional: Mapping[str, object]
) -> None:
    for name in known:
        if name not in value and name not in optional:
            raise DamagedError("is missing", name)
    for key in value:
        if key not in known:
            raise DamagedError("is not a key that belongs here").under(key)


def _reader(kind: type) -> Callable[[Json], object]:
    def reader(value: Json) -> object:
        if type(value) is not dict:
            raise _must("an object", value)
        known = _fields(kind)
        if value.keys() != known.keys():
            _compare_keys(value, known, defaults(kind))
        found = {}
        for name in (key for key in known if key in value):
            try:
                found[name] = known[name].read(value[name])
            except DamagedError as error:
                raise error.under(name) from None
        try:
            return kind(**found)
        except DamagedError:
            raise
        except ValueError as error:
            raise DamagedError(str(error)) from error

    return reader


def object_schema(kind: type) -> dict[str, Json]:
    """JSON Schema of a dataclass: what its docstring begins with, and its keys."""
    return {
        "description": inspect.cleandoc(cast("str", kind.__doc__)).partition("\n\n")[0],
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in keys(kind) if name not in defaults(kind)],
        "properties": {name: shape.schema() for name, shape in _fields(kind).items()},
    }
