"""Kernel trees: Debian's sources, as far as they are read, and copies with a patch."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path

from sim.linux.tree.sources import DRIVER, FILES
from tests.needs import kernel_source


def unpacked(version: str, folder: Path) -> Path:
    """The files of a tree that are read, unpacked below `folder` unless they are there."""
    archive = kernel_source(version)
    tree = folder / f"linux-{version}-{archive.stat().st_mtime_ns}"
    if tree.is_dir():
        return tree
    work = Path(tempfile.mkdtemp(dir=folder))
    wanted = {f"linux-source-{version}/{name}": name for name in FILES}
    with tarfile.open(archive, "r|xz") as members:
        for member in members:
            name = wanted.pop(member.name, None)
            data = members.extractfile(member) if name else None
            if name is None or data is None:
                continue
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.read())
            if not wanted:
                break
    assert not wanted, wanted
    try:
        work.rename(tree)
    except OSError:  # another process was faster
        shutil.rmtree(work)
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
