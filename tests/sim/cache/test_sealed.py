"""Sealed files: whole, ours, and of their own name, or not taken."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cache import sealed
from sim.cache.sealed import BrokenSealError


@given(st.binary(max_size=40), st.data())
def test_a_seal_is_of_one_payload_and_one_name(payload: bytes, data: st.DataObject) -> None:
    """What was sealed comes back; any other bit, length or name is refused."""
    whole = sealed.sealed(payload, "a")
    assert sealed.unsealed(whole, "a") == payload
    at = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[at // 8] ^= 1 << at % 8
    for other, name in (
        (bytes(flipped), "a"),
        (whole[:-1], "a"),
        (whole + b"\0", "a"),
        (whole, "b"),
    ):
        with pytest.raises(BrokenSealError, match="checksum"):
            sealed.unsealed(other, name)


def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders are made; an error leaves what was there, and nothing beside it."""
    path = tmp_path / "a" / "b"
    sealed.write(path, b"old")

    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sealed, "sync", full)
        with pytest.raises(OSError, match="No space"):
            sealed.write(path, b"new")
    assert [p.read_bytes() for p in path.parent.iterdir()] == [b"old"]
    sealed.write(path, b"new")
    assert sealed.read(path, 3) == b"new"


def test_what_stands_in_the_way_is_replaced(tmp_path: Path) -> None:
    """A folder where the file goes, a file where its folder goes."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    sealed.write(tmp_path / "a" / "b", b"x")
    sealed.write(tmp_path / "a" / "b" / "c", b"y")
    assert sealed.read(tmp_path / "a" / "b" / "c", 1) == b"y"


def test_only_files_are_opened(tmp_path: Path) -> None:
    """No link is followed, no folder or long file read; what is missing is said to be."""
    (tmp_path / "file").write_bytes(b"1234")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name, says in (("link", "link: "), (".", "is not a file"), ("file", "is too long")):
        with pytest.raises(BrokenSealError, match=says):
            sealed.read(tmp_path / name, 3)
    with pytest.raises(FileNotFoundError):
        sealed.read(tmp_path / "absent", 3)


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """What is set aside for it is its size, not the most that it may have."""
    (tmp_path / "file").write_bytes(b"1234")
    tracemalloc.start()
    try:
        assert sealed.read(tmp_path / "file", 1 << 28) == b"1234"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
