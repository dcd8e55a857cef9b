"""Ways in which a kept file goes bad: by name, each a function of its path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], None]
NOBODY = 65534
_HUGE = 1 << 40


def _cut(path: Path, keep: Callable[[int], int]) -> None:
    os.truncate(path, keep(path.stat().st_size))


def _patch(path: Path, at: Callable[[int], int], change: Callable[[bytes], bytes]) -> None:
    data = bytearray(path.read_bytes())
    begin = at(len(data))
    data[begin : begin + 64] = change(bytes(data[begin : begin + 64]))
    path.write_bytes(data)


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _flip(some: bytes) -> bytes:
    return bytes([some[0] ^ 1]) + some[1:]


def _link_to_copy(path: Path) -> None:
    copy = path.with_name(f"{path.name}.copy")
    path.rename(copy)
    path.symlink_to(copy)


def _link_to_harmed(path: Path) -> None:
    _link_to_copy(path)
    _patch(path.resolve(), lambda n: n // 2, _flip)


def _swap(path: Path) -> None:
    """With another file of the same folder that differs."""
    own = path.read_bytes()
    other = next(p for p in sorted(path.parent.iterdir()) if p.is_file() and p.read_bytes() != own)
    path.write_bytes(other.read_bytes())
    other.write_bytes(own)


def _quietly(path: Path) -> None:
    """One bit differs, the times do not."""
    before = path.stat()
    _patch(path, lambda n: n // 2, _flip)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _older(path: Path) -> None:
    """As if a file of another size and date had been put back from a backup."""
    shutil.copyfile(__file__, path)
    os.utime(path, (0, 0))


DAMAGES: dict[str, Damage] = {
    "emptied": lambda path: _cut(path, lambda n: 0),
    "cut to a byte": lambda path: _cut(path, lambda n: 1),
    "cut in the head": lambda path: _cut(path, lambda n: min(40, n - 1)),
    "cut to half": lambda path: _cut(path, lambda n: n // 2),
    "cut by a byte": lambda path: _cut(path, lambda n: n - 1),
    "longer by a byte": lambda path: _cut(path, lambda n: n + 1),
    "longer by a page": lambda path: _cut(path, lambda n: n + 4096),
    "a terabyte long": lambda path: _cut(path, lambda n: _HUGE),
    "first bit flipped": lambda path: _patch(path, lambda n: 0, _flip),
    "eighth byte flipped": lambda path: _patch(path, lambda n: 8, _flip),
    "a bit flipped": lambda path: _patch(path, lambda n: n // 2, _flip),
    "a bit flipped, times kept": _quietly,
    "last bit flipped": lambda path: _patch(path, lambda n: n - 1, _flip),
    "end of zeros": lambda path: _patch(
        path, lambda n: max(0, n - 64), lambda some: bytes(len(some))
    ),
    "ones inside": lambda path: _patch(path, lambda n: n // 3, lambda some: b"\xff" * len(some)),
    "all zeros": lambda path: _replace(path, lambda p: p.write_bytes(bytes(5000))),
    "all noise": lambda path: _replace(path, lambda p: p.write_bytes(os.urandom(5000))),
    "text": lambda path: _replace(path, lambda p: p.write_text('{"arrays": [1, 2], "a": {}}')),
    "another file's text": _older,
    "swapped": _swap,
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: _replace(path, lambda p: p.mkdir()),
    "a full folder": lambda path: _replace(path, lambda p: (p / "a" / "b").mkdir(parents=True)),
    "a fifo": lambda path: _replace(path, os.mkfifo),
    "a link to itself": lambda path: _replace(path, lambda p: p.symlink_to(p.name)),
    "a link to nothing": lambda path: _replace(path, lambda p: p.symlink_to("gone")),
    "a link to /dev/zero": lambda path: _replace(path, lambda p: p.symlink_to("/dev/zero")),
    "a link to a copy": _link_to_copy,
    "a link to a harmed copy": _link_to_harmed,
    "unreadable": lambda path: path.chmod(0),
}
"""For any user."""
if os.geteuid() == 0:
    DAMAGES["another user's"] = lambda path: os.chown(path, NOBODY, NOBODY)
