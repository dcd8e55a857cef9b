"""Scratch: gone with its maker, kept while somebody is at work in it, tidied up after a kill."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sim import interrupts, scratch
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
    """A second one is refused while the first lasts; what stands in the folder is seen to."""
    seen: list[list[Path]] = []

    def finish(path: Path) -> None:
        seen.append(list(path.iterdir()))

    kept = tmp_path / "a" / "kept"
    with scratch.claimed(tmp_path / "a", finish):
        with pytest.raises(BusyError), scratch.claimed(tmp_path / "a", finish):
            pass
        kept.touch()
    with scratch.claimed(tmp_path / "a", finish):
        kept.unlink()
    assert seen == [[], [kept], [kept], []]
    assert not (tmp_path / "a").exists()


def test_who_tidies_up_is_no_rival(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on what was made this moment is that of a process that removes it."""
    taken: list[int] = []
    make = tempfile.mkdtemp

    def seized(prefix: str, dir: Path) -> str:
        name = make(prefix=prefix, dir=dir)
        if not taken:
            taken.append(os.open(name, os.O_RDONLY))
            fcntl.flock(taken[0], fcntl.LOCK_EX)
        return name

    monkeypatch.setattr(tempfile, "mkdtemp", seized)
    with scratch.folder(tmp_path) as made:
        assert made.is_dir()
    os.close(taken[0])


@contextmanager
def interrupted_at(steps: Sequence[int]) -> Iterator[list[int]]:
    """Ctrl-C before each of these steps of scratch's own code; gives the number of steps."""
    done = [0]

    def traced(frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in (scratch.__file__, interrupts.__file__):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if done[0] in steps:
                signal.raise_signal(signal.SIGINT)
            done[0] += 1
        return traced

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.settrace(traced)
    try:
        yield done
    finally:
        sys.settrace(None)
        signal.signal(signal.SIGINT, usual)


def _emptied(claim: Path) -> None:
    (claim / "a").unlink(missing_ok=True)


def _one_of_each(parent: Path) -> None:
    with (
        scratch.file(parent) as (_, made),
        scratch.folder(parent) as folder,
        scratch.claimed(parent / "claim", _emptied),
    ):
        made.write(b"x")
        (folder / "a").touch()
        (parent / "claim" / "a").touch()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_between_any_two_steps(tmp_path: Path) -> None:
    """And once more, some steps later: nothing is left, and nothing stays locked by a name."""
    with interrupted_at(()) as steps:
        _one_of_each(tmp_path)
    assert steps[0] > 500
    instants = random.Random("Ctrl-C")
    for step in range(0, steps[0], 3):
        with interrupted_at((step, step + instants.randrange(1, 100))) as done:
            with suppress(KeyboardInterrupt):
                _one_of_each(tmp_path)
            assert done[0] >= step
        scratch.abandon()
        assert list(tmp_path.iterdir()) == [], step


def test_a_block_that_ends_after_all_was_abandoned(tmp_path: Path) -> None:
    """At the end of a process, where a stack of blocks is unwound later: nothing is said."""
    with scratch.folder(tmp_path) as made:
        scratch.abandon()
        assert not made.exists()
    assert not list(tmp_path.iterdir())


def test_files_are_put_whole_or_not_at_all(tmp_path: Path) -> None:
    """Each under its name, replacing what stood there; after an error nothing of ours is left."""
    (tmp_path / "a").write_bytes(b"before")
    (tmp_path / "c").mkdir()
    scratch.put(tmp_path, {"a": b"1", "b": b"2"})
    with pytest.raises(IsADirectoryError):
        scratch.put(tmp_path, {"d": b"3", "c": b"4"})
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert found == {"a": b"1", "b": b"2", "d": b"3"}


def test_what_a_process_of_our_number_left_is_written_over(tmp_path: Path) -> None:
    """In a container a command has the same number each time."""
    (tmp_path / f"{scratch.PREFIX}part-{os.getpid()}").write_bytes(b"half of it, and more")
    scratch.put(tmp_path, {"a": b"1"})
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"1")]


def test_files_that_are_put_are_one_step_to_an_end(tmp_path: Path) -> None:
    """Ctrl-C between two of them comes when both are there."""
    plain = tmp_path / "plain"
    plain.touch()

    class Interrupting(dict[str, bytes]):
        def items(self) -> Any:
            yield "a", b"1"
            signal.raise_signal(signal.SIGINT)
            yield "b", b"2"

    with pytest.raises(KeyboardInterrupt):
        scratch.put(tmp_path, Interrupting())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "plain"]
    assert (tmp_path / "a").stat().st_mode == plain.stat().st_mode
