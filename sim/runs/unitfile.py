"""A unit's result as bytes: JSON with a schema and raw arrays behind a checksum, no code.

    line    ``speskew unit 4``
    digest  SHA-256 of all that follows
    size    of the body before compression, uint32, little-endian
    body    zlib: the length of the JSON, uint32, little-endian; the JSON; the arrays, end to end

The schema is that of the dataclasses of `sim.results` and `sim.ledger`: a dataclass is an object
of all its fields, a mapping a list of [key, value], a tuple a list, an enumeration its value, an
array an object of its shape. Its bytes stand behind the JSON, in the order of the shapes, as
little-endian int64 or `AUX_DT`. Reading accepts what the schema says and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import operator
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import GenericAlias
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from sim.results import AUX_DT, RunResult

MAGIC = b"speskew unit 4\n"
MOST_BYTES = (1 << 32) - 1
"""Of a body before compression."""
_DIGEST = 32
_UINT32 = struct.Struct("<I")
_LAYOUTS = {np.int64: np.dtype("<i8"), np.void: AUX_DT}
"""How an array of a declared element type lies in the file."""


class DamagedUnitError(Exception):
    """Bytes that are no unit; the message says why, in one line."""


class _MisfitError(Exception):
    """What does not belong where it stands; the place is put together on the way out."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why, self.at = why, ""

    def under(self, place: str) -> _MisfitError:
        """The same, seen from one level further out."""
        self.at = place + self.at
        return self


def dumps(result: RunResult) -> bytes:
    """The bytes of a result; equal results, equal bytes."""
    arrays: list[bytes] = []
    tree = _form(RunResult).write(result, arrays)
    text = json.dumps(tree, separators=(",", ":")).encode()
    return sealed(b"".join((_UINT32.pack(len(text)), text, *arrays)))


def sealed(body: bytes) -> bytes:
    """A body as it stands in a file, under its checksum."""
    if len(body) > MOST_BYTES:
        raise ValueError(f"a unit of {len(body):,} bytes: {MOST_BYTES:,} are the most")
    rest = _UINT32.pack(len(body)) + zlib.compress(body, 1)
    return MAGIC + hashlib.sha256(rest).digest() + rest


def loads(data: bytes) -> RunResult:
    """The result in these bytes; raises DamagedUnitError."""
    body = memoryview(_body(data))
    if len(body) < _UINT32.size:
        raise DamagedUnitError("its body is empty")
    end = _UINT32.size + _UINT32.unpack_from(body)[0]
    if end > len(body):
        raise DamagedUnitError("its JSON ends too early")
    try:
        tree = json.loads(bytes(body[_UINT32.size : end]))
    except (ValueError, RecursionError) as error:  # also: no UTF-8, digits without an end
        raise DamagedUnitError(
            f"its JSON cannot be read: {' '.join(str(error).split())}"
        ) from error
    arrays = _Arrays(body[end:])
    try:
        result: RunResult = _form(RunResult).read(tree, arrays)
    except _MisfitError as error:
        raise DamagedUnitError(f"result{error.at}: {error.why}") from None
    arrays.close()
    return result


def _body(data: bytes) -> bytes:
    if not data.startswith(MAGIC):
        raise DamagedUnitError("it does not begin as a unit of this version does")
    head = len(MAGIC) + _DIGEST
    rest = data[head:]
    if hashlib.sha256(rest).digest() != data[len(MAGIC) : head]:
        raise DamagedUnitError("its checksum does not match: it was cut or changed")
    if len(rest) < _UINT32.size:
        raise DamagedUnitError("it has no body")
    size = _UINT32.unpack_from(rest)[0]
    inflate = zlib.decompressobj()
    try:
        body = inflate.decompress(rest[_UINT32.size :], size + 1)
    except zlib.error as error:
        raise DamagedUnitError(f"its body cannot be inflated: {error}") from error
    if len(body) != size or not inflate.eof or inflate.unused_data:
        raise DamagedUnitError("its body has another length than it says")
    return body


class _Arrays:
    """Raw arrays of a file, taken one after the other."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = raw
        self._at = 0

    def take(self, layout: np.dtype[Any], shape: list[int]) -> NDArray[Any]:
        """The next array; its own copy, as what is read in is the caller's."""
        count = 1
        for length in shape:
            count *= length
        end = self._at + count * layout.itemsize
        if end > len(self._raw):
            raise _MisfitError("the array ends too early")
        found = np.frombuffer(self._raw[self._at : end], layout).reshape(shape).copy()
        self._at = end
        return found

    def close(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._raw):
            raise DamagedUnitError(f"{len(self._raw) - self._at} bytes follow its last array")


# --- forms: how a declared type is written and read ------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """One declared type; `read` raises _MisfitError for what it refuses."""

    write: Callable[[Any, list[bytes]], Any]
    read: Callable[[Any, _Arrays], Any]


@cache
def _form(declared: Any) -> _Form:
    """The form of a type of a result; raises TypeError if results may not hold it."""
    if isinstance(declared, type):
        if declared is int:
            return _Form(lambda value, _: operator.index(value), _read_int)
        if issubclass(declared, StrEnum):
            return _enumeration(declared)
        if declared is str:
            return _Form(lambda value, _: str(value), _read_str)
        if is_dataclass(declared):
            return _record(declared)
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _row(arguments[0])
    if origin is tuple:
        return _tuple(arguments)
    if origin is dict:
        return _mapping(*arguments)
    if origin is np.ndarray:
        return _array(_LAYOUTS[get_args(arguments[1])[0]])
    raise TypeError(f"a result holds no {declared}")


def _refuse(wanted: str, found: Any) -> NoReturn:
    if isinstance(found, (dict, list)):
        shown = "an object" if isinstance(found, dict) else "a list"
    else:
        shown = json.dumps(found)[:40]
    raise _MisfitError(f"{wanted} is expected, not {shown}")


def _read_int(value: Any, _arrays: _Arrays) -> int:
    if type(value) is not int:  # true is an int to isinstance
        _refuse("an integer", value)
    return value


def _read_str(value: Any, _arrays: _Arrays) -> str:
    if not isinstance(value, str):
        _refuse("a text", value)
    return value


def _list(value: Any, length: int | None = None) -> list[Any]:
    if not isinstance(value, list) or length not in (None, len(value)):
        _refuse("a list" if length is None else f"a list of {length}", value)
    return value


def _enumeration(declared: type[StrEnum]) -> _Form:
    members = {member.value: member for member in declared}

    def read(value: Any, _arrays: _Arrays) -> StrEnum:
        if not isinstance(value, str) or value not in members:
            _refuse(f"a member of {declared.__name__}", value)
        return members[value]

    return _Form(lambda value, _: value.value, read)


def _record(declared: type[Any]) -> _Form:
    hints = get_type_hints(declared)
    forms = {each.name: _form(hints[each.name]) for each in fields(declared)}

    def write(value: Any, arrays: list[bytes]) -> dict[str, object]:
        return {name: form.write(getattr(value, name), arrays) for name, form in forms.items()}

    def read(value: Any, arrays: _Arrays) -> Any:
        if not isinstance(value, dict) or list(value) != list(forms):
            _refuse(f"an object of every field of {declared.__name__}, in order", value)
        found = {}
        for name, form in forms.items():
            try:
                found[name] = form.read(value[name], arrays)
            except _MisfitError as error:
                raise error.under(f".{name}") from None
        return declared(**found)

    return _Form(write, read)


def _each(form: _Form, values: Iterable[Any], arrays: _Arrays) -> tuple[Any, ...]:
    found: list[Any] = []
    try:
        for value in values:
            found.append(form.read(value, arrays))
    except _MisfitError as error:
        raise error.under(f"[{len(found)}]") from None
    return tuple(found)


def _row(declared: Any) -> _Form:
    form = _form(declared)
    return _Form(
        lambda values, arrays: [form.write(value, arrays) for value in values],
        lambda value, arrays: _each(form, _list(value), arrays),
    )


def _tuple(declared: tuple[Any, ...]) -> _Form:
    forms = [_form(each) for each in declared]

    def read(value: Any, arrays: _Arrays) -> tuple[Any, ...]:
        found = _list(value, len(forms))
        return tuple(f.read(v, arrays) for f, v in zip(forms, found, strict=True))

    return _Form(
        lambda value, arrays: [f.write(v, arrays) for f, v in zip(forms, value, strict=True)], read
    )


def _mapping(key: Any, value: Any) -> _Form:
    pairs = _row(GenericAlias(tuple, (key, value)))

    def read(found: Any, arrays: _Arrays) -> dict[Any, Any]:
        read = pairs.read(found, arrays)
        made = dict(read)
        if len(made) != len(read):
            raise _MisfitError("a key stands there twice")
        return made

    return _Form(lambda value, arrays: pairs.write(value.items(), arrays), read)


def _array(layout: np.dtype[Any]) -> _Form:
    def write(value: NDArray[Any], arrays: list[bytes]) -> dict[str, object]:
        if value.dtype != layout:
            raise TypeError(f"an array of {value.dtype}, where {layout} is declared")
        arrays.append(value.tobytes())
        return {"shape": list(value.shape)}

    def read(value: Any, arrays: _Arrays) -> NDArray[Any]:
        if not isinstance(value, dict) or list(value) != ["shape"]:
            _refuse("the shape of an array", value)
        shape = _list(value["shape"])
        if len(shape) > 2 or any(type(n) is not int or not 0 <= n < 1 << 32 for n in shape):
            _refuse("a shape of one or two lengths", shape)
        return arrays.take(layout, shape)

    return _Form(write, read)
