"""Kernel trees: Debian's sources, as far as they are read, and copies with a patch."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from pathlib import Path

from sim.linux.tree.sources import DRIVER, FILES
from tests.needs import kernel_source, run


def unpacked(version: str, folder: Path) -> Path:
    """The files of a tree that are read, unpacked below `folder` unless they are there.

    An archive is a gigabyte once it is decompressed: one process does it, the others wait.
    """
    archive = kernel_source(version)
    name = f"linux-{version}-{archive.stat().st_mtime_ns}"
    tree = folder / name
    with (folder / f"{name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not tree.is_dir():
            work = Path(tempfile.mkdtemp(dir=folder))
            wanted = (f"linux-source-{version}/{name}" for name in FILES)
            stop = ("--strip-components=1", "--occurrence=1")  # and do not read on for another
            run("tar", "-C", work, *stop, "-xJf", archive, *wanted)
            work.rename(tree)
    return tree


def patched(tree: Path, folder: Path, *edits: tuple[str, str], file: str = DRIVER) -> Path:
    """A copy of a tree below `folder` in which text of one file is replaced, once each."""
    copy = Path(tempfile.mkdtemp(prefix="linux-", dir=folder))
    for name in FILES:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / name, copy / name)
    text = (copy / file).read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    (copy / file).write_text(text, encoding="utf-8")
    return copy
