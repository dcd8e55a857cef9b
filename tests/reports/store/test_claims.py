"""Two at one directory, and kills between the renames: never both lost, never one for the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from reports.store import read, rundir
from sim import scratch
from tests.rigs.processes import begun
from tests.rigs.tiny import TINY, call

SPESKEW = [sys.executable, "-m", "speskew"]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a scenario."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(TINY)


def test_the_second_of_two_is_refused_before_it_simulates() -> None:
    """With --force too; what the first makes is there afterwards, whole, and nothing else."""
    with rundir.staged(Path("out")) as folder:
        (folder / "x").touch()
        for more in ((), ("--force",)):
            done = call("run", "s.yaml", "-o", "out", *more)
            assert done.exit_code == ExitCode.USAGE
            assert done.stderr == (
                "speskew: out is being written by another process; wait for it, or give -o "
                "another one\n"
            )
        assert call("run", "s.yaml", "-o", "other", "-q", "--no-report").exit_code == 0
    assert os.listdir("out") == ["x"]
    assert sorted(os.listdir()) == ["other", "out", "s.yaml"]


def test_two_runs_at_the_same_time() -> None:
    """One of them ends with 0, the other says why not."""
    commands = [[*SPESKEW, "run", "s.yaml", "-o", "out", "--no-report", "--seed", s] for s in "12"]
    with (
        begun(commands[0], stderr=subprocess.PIPE) as one,
        begun(commands[1], stderr=subprocess.PIPE) as two,
    ):
        said = [process.communicate(timeout=120)[1] for process in (one, two)]
    codes = [one.returncode, two.returncode]
    assert sorted(codes) == [0, ExitCode.USAGE]
    refused = said[codes.index(ExitCode.USAGE)]
    assert "out is being written by" in refused or "out exists" in refused
    assert read.read_result(Path("out")).seed == codes.index(0) + 1
    assert sorted(os.listdir()) == ["out", "s.yaml"]


KILLED = """\
import os, signal, sys
from pathlib import Path
from reports.store import rundir
real, left = Path.rename, [int(sys.argv[1])]
def rename(self, target):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return real(self, target)
Path.rename = rename
with rundir.staged(Path("out")) as folder:
    (folder / "new").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("renames", "kept"), [(0, "old"), (1, "new"), (2, "new")])
@pytest.mark.parametrize("reader", [True, False])
def test_a_kill_between_the_renames(renames: int, kept: str, reader: bool) -> None:
    """Whoever comes next, to read or to write, finds one of both, whole, and no scratch."""
    Path("out").mkdir()
    Path("out/old").touch()
    done = subprocess.run([sys.executable, "-c", KILLED, str(renames)], check=False)
    assert done.returncode == -9
    assert Path("out").exists() == (renames != 1)
    if reader:
        with pytest.raises(rundir.RunDirError, match="no run directory"):
            read.read_result(Path("out"))
    else:
        with rundir.staged(Path("another")):
            assert os.listdir("out") == [kept]
        Path("another").rmdir()
    assert os.listdir("out") == [kept]
    assert sorted(os.listdir()) == ["out", "s.yaml"]


def test_what_cannot_be_put_in_place_is_kept() -> None:
    """An error between the renames: the old directory is where it was."""
    Path("out").mkdir()
    Path("out/old").touch()
    refused = pytest.raises(rundir.RunDirError, match=r"^out: not written: ")
    with refused, rundir.staged(Path("out")) as folder:
        folder.rmdir()
    assert os.listdir("out") == ["old"]
    assert sorted(os.listdir()) == ["out", "s.yaml"]


def test_folders_of_others_stay() -> None:
    """Only what has our name, is ours and has no maker goes; nothing is followed."""
    for name in (".speskew", ".speskewed-run-1", "speskew-work-1", ".tmp"):
        Path(name).mkdir()
    Path(".speskew-work-link").symlink_to("/etc")
    Path(".speskew-work-dead").mkdir()
    Path(".speskew-part-dead").touch()
    with scratch.folder(Path()) as live, scratch.file(Path()) as (part, _):
        scratch.tidy(Path())
        assert live.is_dir()
        assert part.is_file()
    assert sorted(os.listdir()) == sorted(
        [".speskew", ".speskew-work-link", ".speskewed-run-1", ".tmp", "s.yaml", "speskew-work-1"]
    )
