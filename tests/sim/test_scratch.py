"""Scratch: gone with its maker, kept while somebody is at work in it, tidied up after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim import scratch
from sim.scratch import BusyError


def test_a_file_is_gone_at_the_end(tmp_path: Path) -> None:
    """Also after an error; meanwhile it has the mode that any new file has."""
    plain = tmp_path / "plain"
    plain.touch()
    with pytest.raises(KeyError), scratch.file(tmp_path) as (path, made):  # noqa: PT012
        made.write(b"x")
        assert path.stat().st_mode == plain.stat().st_mode
        raise KeyError
    assert list(tmp_path.iterdir()) == [plain]


def test_a_folder_is_gone_with_all_in_it(tmp_path: Path) -> None:
    """At any depth."""
    with scratch.folder(tmp_path) as made:
        (made / "a" / "b").mkdir(parents=True)
        (made / "a" / "b" / "c").touch()
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_is_tidied_up_and_no_more(tmp_path: Path) -> None:
    """Unlocked and of our prefix: removed. Locked, or of another name: left alone."""
    for name in (f"{scratch.PREFIX}part-dead", "mine"):
        (tmp_path / name).touch()
    (tmp_path / f"{scratch.PREFIX}work-dead").mkdir()
    with scratch.folder(tmp_path) as alive:
        scratch.tidy(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([alive, tmp_path / "mine"])


def test_a_claim_is_one_program_s(tmp_path: Path) -> None:
    """A second one is refused while the first lasts; what stands in the folder stays."""
    with scratch.claimed(tmp_path / "a"):
        with pytest.raises(BusyError), scratch.claimed(tmp_path / "a"):
            pass
        (tmp_path / "a" / "kept").touch()
    with scratch.claimed(tmp_path / "a"):
        assert (tmp_path / "a" / "kept").exists()
    with scratch.claimed(tmp_path / "b"):
        pass
    assert not (tmp_path / "b").exists()
