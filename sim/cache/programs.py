"""Compiled programs by name: one sealed file each in the cache, whole or made again.

The name holds a digest of all that the program is made of. Where nothing can be kept, it lies in a
folder that goes with whoever uses it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sim.cache import home, sealed
from sim.cache.sealed import BrokenSealError


@dataclass(frozen=True, slots=True)
class Kind:
    """What programs of a kind are called on stderr, their most bytes, and the mode of their files;
    None leaves that to the umask."""

    word: str
    most: int
    mode: int | None = None


def program(kind: Kind, name: str, make: Callable[[], bytes], spare: Callable[[], Path]) -> Path:
    """The file of the program `name`; `make` compiles it, unless it is in the cache.

    `spare` says in which folder it is to lie if nothing can be kept.
    """
    path = (home.root() or spare()) / name
    if _is_whole(kind, path):
        home.touch(path)
        return path
    code = make()
    try:
        sealed.write(path, sealed.sealed(code, name))
        _set_mode(kind, path)
    except OSError as error:
        home.say(kind.word, f"{path}: {error.strerror}; the compiled {kind.word} is not kept")
        path = spare() / name
        path.write_bytes(code)
        _set_mode(kind, path)
    return path


def _is_whole(kind: Kind, path: Path) -> bool:
    try:
        sealed.unsealed(sealed.read(path, kind.most), path.name)
    except FileNotFoundError:
        return False
    except BrokenSealError as error:
        why = f"{error}; this {kind.word} is not used, but compiled again"
        home.say(kind.word, f"{path}: {why}")
        return False
    return kind.mode is None or os.access(path, os.X_OK)


def _set_mode(kind: Kind, path: Path) -> None:
    if kind.mode is not None:
        path.chmod(kind.mode)
