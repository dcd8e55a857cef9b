"""Entries of the cache: one for each content, whoever builds it, whatever was there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sim.cache import entries
from sim.workload import index
from sim.workload.index import Index
from tests.rigs.damage import NOBODY
from tests.sim.cache.kept import PRESET, THREAD, entry_of, load_twice

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@pytest.mark.parametrize("what", ["a file", "a link", "an empty folder", "a file for the parent"])
def test_something_else_in_the_entrys_place(
    what: str, cache: Path, whole: tuple[Path, Index], capsys: pytest.CaptureFixture[str]
) -> None:
    """What has the entry's name, or its folder's, makes way."""
    entry = entry_of(cache)
    if what == "a link":
        entry.rename(cache / "elsewhere")
        entry.symlink_to(cache / "elsewhere")
    else:
        shutil.rmtree(entry.parent if what == "a file for the parent" else entry)
    if what == "a file":
        entry.write_text("no folder")
    elif what == "a file for the parent":
        entry.parent.write_text("no folder")
    elif what == "an empty folder":
        entry.mkdir()
    load_twice(whole[1], capsys)
    assert entry.is_dir()
    assert not entry.is_symlink()


@as_root
def test_an_entry_that_another_user_filled(
    cache: Path, whole: tuple[Path, Index], capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it belongs to someone else: not used, not an error."""
    for path in [entry_of(cache), *entry_of(cache).iterdir()]:
        os.chown(path, NOBODY, NOBODY)
    assert "belongs to another user" in load_twice(whole[1], capsys)


def test_two_builders_leave_one_entry(
    cache: Path, whole: tuple[Path, Index], tmp_path: Path
) -> None:
    """The one that comes second finds the other's entry whole and leaves it."""
    entry, (_, built) = entry_of(cache), whole
    inode = entry.stat().st_ino
    key = index.index_key(THREAD, PRESET, False)
    facts = {"symbols": built.symbols, "name": built.name, "build_seconds": 1.0}
    entries.keep(entry, key, built.arrays, facts)
    assert entry.stat().st_ino == inode
    assert [p.name for p in entry.parent.iterdir()] == [entry.name]
