"""Damaged caches: whatever was done to a kept file, the numbers are those of a fresh cache."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from sim.cache import entries, home
from sim.workload import index
from sim.workload.index import Index, load_index
from sim.workload.recording.recorder import compile_plugin
from tests.needs import need
from tests.rigs.damage import DAMAGES
from tests.sim.cache.kept import PRESET, THREAD, assert_same, entry_of, load_twice

ARRAYS = (*index._BIG, *index._SMALL)


# --- index -----------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["meta.json", "execs.npy", "size.npy"])
def test_a_damaged_index_is_built_again(
    damage: str,
    file: str,
    cache: Path,
    whole: tuple[Path, Index],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Any damage to a file: the same arrays, one line, and a whole entry afterwards."""
    DAMAGES[damage](entry_of(cache) / file)
    said = load_twice(whole[1], capsys)
    if damage != "unreadable" or os.geteuid() != 0:
        assert "this index is not used, but built again" in said
        assert file in said or damage == "swapped"


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("damage", ["cut by a byte", "a bit flipped, times kept", "missing"])
def test_no_array_is_trusted(
    damage: str,
    name: str,
    cache: Path,
    whole: tuple[Path, Index],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each array's file is checked, mapped or not."""
    DAMAGES[damage](entry_of(cache) / f"{name}.npy")
    assert f"{name}.npy" in load_twice(whole[1], capsys)


def _forged(entry: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A changed meta.json with a digest that fits."""
    meta = json.loads((entry / "meta.json").read_text())
    del meta["digest"]
    change(meta)
    meta["digest"] = entries._digest(meta)
    (entry / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta.update(key="0" * 24),
        lambda meta: meta["arrays"].pop("execs"),
        lambda meta: meta["arrays"].update(more=[1, 1]),
    ],
    ids=["another key", "an array less", "an array more"],
)
def test_an_entry_of_another_version_is_built_again(
    change: Callable[[dict[str, Any]], object],
    cache: Path,
    whole: tuple[Path, Index],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A whole entry that is not the one that was asked for is not used."""
    _forged(entry_of(cache), change)
    assert "built again" in load_twice(whole[1], capsys)


def test_a_touched_file_is_read_again(cache: Path, whole: tuple[Path, Index]) -> None:
    """Trust ends with the next write to a file, in the same process too."""
    load_index(THREAD, PRESET, False)
    inode = (entry_of(cache) / "execs.npy").stat().st_ino
    DAMAGES["a bit flipped, times kept"](entry_of(cache) / "execs.npy")
    assert_same(load_index(THREAD, PRESET, False), whole[1])
    assert (entry_of(cache) / "execs.npy").stat().st_ino != inode


def test_files_are_summed_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second load in a process, or in a worker that was handed its state, sums nothing."""
    summed = []
    crc = entries._crc

    def counted(file: IO[bytes]) -> int:
        summed.append(file.name)
        return crc(file)

    monkeypatch.setattr(entries, "_crc", counted)
    load_index(THREAD, PRESET, False)
    assert len(summed) == len(ARRAYS)
    load_index(THREAD, PRESET, False)
    parent = home.STATE
    monkeypatch.setattr(home, "STATE", home.State())
    home.adopt(parent)
    load_index(THREAD, PRESET, False)
    assert len(summed) == len(ARRAYS)
    monkeypatch.setattr(home, "STATE", home.State())
    load_index(THREAD, PRESET, False)
    assert len(summed) == 2 * len(ARRAYS)


def test_an_index_that_cannot_be_written_is_used_all_the_same(
    whole: tuple[Path, Index],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A full disk costs the next run time, and this one a line."""

    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "new"))
    monkeypatch.setattr(home, "STATE", home.State())
    monkeypatch.setattr("sim.cache.sealed.sync", full)
    assert_same(load_index(THREAD, PRESET, False), whole[1])
    said = capsys.readouterr().err
    assert "No space left on device; this index is not kept for the next run" in said
    assert said.count("\n") == 1
    assert list((tmp_path / "new" / "index").iterdir()) == []


def test_without_a_cache_an_index_is_built(
    whole: tuple[Path, Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No place to write: the same arrays, in memory."""
    monkeypatch.setattr(home, "root", lambda: None)
    assert_same(load_index(THREAD, PRESET, False), whole[1])


# --- plugin ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the compiled plugin, sealed."""
    need("gcc")
    root = tmp_path_factory.mktemp("plugin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPESKEW_CACHE", str(root))
        assert compile_plugin(root / "unused").is_relative_to(root)
    return root


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_plugin_is_compiled_again(
    damage: str,
    plugin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Any damage: the same plugin, which loads, and one line."""
    shutil.copytree(plugin, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path))
    monkeypatch.setattr(home, "STATE", home.State())
    (tmp_path / "other").write_bytes(b"to swap with")
    path = compile_plugin(tmp_path / "unused")
    whole = path.read_bytes()
    capsys.readouterr()
    DAMAGES[damage](path)
    again = compile_plugin(tmp_path / "unused")
    said = capsys.readouterr().err
    assert again == path
    assert again.read_bytes() == whole
    assert ctypes.CDLL(str(again), mode=os.RTLD_LAZY).takes_slot
    root_reads_all = damage == "unreadable" and os.geteuid() == 0
    assert said.count("\n") == (0 if damage == "missing" or root_reads_all else 1)


def test_without_a_cache_a_plugin_is_made_beside(
    plugin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No place, or a full disk: the plugin lies in the recording's own folder."""
    monkeypatch.setattr(home, "STATE", home.State())
    monkeypatch.setattr(home, "root", lambda: None)
    (kept,) = plugin.rglob("*.so")
    whole = kept.read_bytes()
    assert compile_plugin(tmp_path).read_bytes() == whole
    monkeypatch.setattr(home, "root", lambda: Path("/proc"))
    (made,) = tmp_path.iterdir()
    made.unlink()
    assert compile_plugin(tmp_path) == made
    assert whole.startswith(made.read_bytes())
    assert capsys.readouterr().err.count("\n") == 1
