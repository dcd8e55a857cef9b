"""A group: the streams of one process's threads, by name, in a file beside them.

`speskew record` writes it for a program of several threads. JSON, so that it can be written and
cut by hand::

    {"format": "speskew threads", "version": 1, "streams": ["prog.0.spestream", …]}

Names are relative to the file. Thread k runs on vCPU k, and core k holds its caches.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, NoReturn

from sim import inputs, scratch
from sim.workload.spestream import Header, StreamError, read_header

SUFFIX: Final = ".threads.json"
MAX_THREADS: Final = 64
"""Bits of the directory's set of sharers; the recorder has as many threads alive at once."""
_FORMAT: Final = "speskew threads"
_VERSION: Final = 1
_MAX_BYTES: Final = 1 << 20
_MOST_LETTERS: Final = 4096


def group_path(out: Path) -> Path:
    """Where the group of the streams of `out` goes: `prog.spestream` has `prog.threads.json`."""
    return out.with_name(out.name.removesuffix(".spestream") + SUFFIX)


def write_group(path: Path, streams: Sequence[Path]) -> None:
    """Name the streams, which lie beside `path`, in order; StreamError if that is not possible."""
    names = [stream.name for stream in streams]
    text = json.dumps({"format": _FORMAT, "version": _VERSION, "streams": names}, indent=1) + "\n"
    try:
        with scratch.file(path.parent) as (part, file):
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            part.replace(path)
    except OSError as error:
        raise StreamError(f"{path}: not written: {error.strerror or error}") from error


def group_of(out: Path, streams: Sequence[Path]) -> Path | None:
    """Name several streams of `out` as one workload; None if there is one, or too many."""
    if not 1 < len(streams) <= MAX_THREADS:
        return None
    path = group_path(out)
    write_group(path, streams)
    return path


def streams_of(path: Path) -> tuple[Path, ...]:
    """The files of a group, in the order of vCPUs; StreamError says what is wrong with it."""
    return _streams(path, inputs.stamp(path))


def headers_of(path: Path) -> tuple[Header, ...]:
    """Headers of a group's files, which must be of one program; StreamError."""
    files = streams_of(path)
    headers = tuple(read_header(file) for file in files)
    for file, header in zip(files, headers, strict=True):
        if header.build_id != headers[0].build_id:
            _refuse(path, f"{file.name} and {files[0].name} are of two programs", "one process")
    _check_copies(path, files, headers)
    return headers


def _check_copies(path: Path, files: Sequence[Path], headers: Sequence[Header]) -> None:
    """Refuse a stream that stands there under two names: a thread would share all with itself.

    Headers are equal if the streams are: they hold each frame's checksum, and the thread's number.
    """
    first: dict[Header, Path] = {}
    for file, header in zip(files, headers, strict=True):
        known = first.setdefault(header, file)
        if known is not file:
            _refuse(path, f"{known.name} and {file.name} are one stream", "each thread once")


def stamps(path: Path) -> tuple[tuple[int, ...], ...]:
    """What changes when the group or one of its files is written again (`sim.inputs.stamp`)."""
    return inputs.stamp(path), *(inputs.stamp(file) for file in streams_of(path))


@cache
def _streams(path: Path, stamp: tuple[int, ...]) -> tuple[Path, ...]:
    """As `streams_of`, of the file that has this stamp."""
    names = _names(path, _document(path))
    if not 1 <= len(names) <= MAX_THREADS:
        _refuse(path, f"it names {len(names)} streams", f"1 to {MAX_THREADS}")
    if len(set(map(os.path.normpath, names))) < len(names):
        _refuse(path, "it names a stream twice", "each once")
    return tuple(path.parent / name for name in names)


def _document(path: Path) -> object:
    try:
        data = inputs.read_at_most(path, _MAX_BYTES)
    except OSError as error:
        raise StreamError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    if len(data) > _MAX_BYTES:
        _refuse(path, "it is too long", f"at most {_MAX_BYTES:,} bytes")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        _refuse(path, "it is no JSON", f'{{"format": "{_FORMAT}", …}}')


def _names(path: Path, document: object) -> list[str]:
    found = document if isinstance(document, dict) else {}
    if found.get("format") != _FORMAT:
        _refuse(path, "it is no group of streams", f'"format": "{_FORMAT}"')
    if type(version := found.get("version")) is not int or version != _VERSION:  # True is 1
        _refuse(path, "another version of the format", f'"version": {_VERSION}')
    names = found.get("streams")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        _refuse(path, "no list of streams", '"streams": [names of files]')
    if not all(map(_possible, names)):
        _refuse(path, "a name that no file has", "names of files")
    return names


def _possible(name: str) -> bool:
    """Can a file have this name? Not one that has no bytes, like half of a surrogate pair."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return bool(name) and "\0" not in name and len(name) <= _MOST_LETTERS


def _refuse(path: Path, what: str, wanted: str) -> NoReturn:
    raise StreamError(f"{path}: {what}; wanted is {wanted} (`speskew record` writes such a file)")
