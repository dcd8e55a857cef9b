"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from reports.perf import packets
from reports.store import files
from sim.scratch import PREFIX
from tests.rigs.tiny import command

call = command("export")


def test_a_failed_write_leaves_nothing(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C and a full disk in the middle: no file, no part of one; an old file stays."""
    (tmp_path / "x").write_text("old")
    for error, code in ((KeyboardInterrupt, ExitCode.INTERRUPTED), (OSError, ExitCode.USAGE)):

        def encode(*args: object, raised: type[BaseException] = error) -> None:
            raise raised

        with monkeypatch.context() as patch:
            patch.setattr(packets, "encode", encode)
            done = call("perf", synthetic, "--arm", "baremetal", "-o", tmp_path / "x", "--force")
        assert done.exit_code == code
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x": "old"}


def test_targets_that_cannot_be_files(tmp_path: Path) -> None:
    """A folder, and a file in a folder that is not there."""
    with pytest.raises(files.ExportError, match="is a directory"):
        files.check(tmp_path, force=True)
    with pytest.raises(files.ExportError, match="is no directory; make it first"):
        files.check(tmp_path / "none" / "x", force=True)


def test_what_a_kill_left_among_files_that_are_put_goes(tmp_path: Path) -> None:
    """Whatever the number of the process that was killed."""
    for number in (os.getpid(), 1 << 22):
        (tmp_path / f"{PREFIX}part-{number}").touch()
    files.put(tmp_path, {"a": b"1", "b": b"2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
