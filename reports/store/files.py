"""Files that appear under their name only when they are complete: the two ways to write one.

A folder of them is `reports.store.rundir`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from reports.store.rundir import RunDirError, make_folder
from sim import scratch


class ExportError(RunDirError):
    """A file cannot be made as asked; the message says what, why and how to fix it."""


def check(target: Path, *, force: bool) -> None:
    """Refuse early what `whole` would refuse late."""
    if target.is_dir():
        raise ExportError(f"{target} is a directory; give a file name with -o")
    if target.exists() and not force:
        raise ExportError(f"{target} exists; give --force to overwrite it, or -o another name")
    if not target.parent.is_dir():
        why = f"{target.parent} is no directory; make it first"
        raise ExportError(f"{target} cannot be written: {why}")
    check_writable(target)


def check_writable(target: Path) -> None:
    """Refuse before the work what cannot be written after it; makes the folder of `target`."""
    make_folder(target.parent, target)
    with whole(target, kept=False) as file:
        file.write(b"\n")  # a full disk makes files as long as they are empty


@contextmanager
def whole(target: Path, *, kept: bool = True) -> Iterator[IO[bytes]]:
    """A binary file that becomes `target` when the block ends without an error, if it is `kept`."""
    try:
        with scratch.file(target.parent) as (part, file):
            yield file
            file.flush()
            if kept:
                part.replace(target)
    except OSError as error:
        raise ExportError(f"{target}: not written: {error.strerror or error}") from error


def replace(target: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with whole(target) as file:
        file.write(data)


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Files by name, each whole or not at all, in a folder where nobody else writes."""
    try:
        scratch.tidy(folder)
        scratch.put(folder, files)
    except OSError as error:
        raise ExportError(f"{folder}: not written: {error.strerror or error}") from error
