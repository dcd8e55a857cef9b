"""Full disk, read-only folder, kill, two at once, clock jumps: never half a result."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from reports.store import rundir
from tests.needs import need, run
from tests.rigs.processes import begun
from tests.rigs.swept import MATRIX, SPESKEW, results
from tests.rigs.tiny import TINY, call

RUN = ("run", "s.yaml", "-o", "disk/out", "--no-report", "--no-band")
SWEEP = ("sweep", "sweep.yaml", "-o", "disk/out", "-q", "--no-report")


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """A folder with a scenario and a sweep of it."""
    Path("s.yaml").write_text(TINY)
    Path("sweep.yaml").write_text(TINY + MATRIX)
    Path("disk").mkdir()


def mount(*options: str) -> bool:
    """A file system at `disk`; False where that is not allowed."""
    need("umount")
    arguments = ("-t", "tmpfs", *options, "tmpfs", "disk")
    return run("mount", *arguments, check=False, capture_output=True).returncode == 0


@contextlib.contextmanager
def small_disk(kib: int) -> Iterator[bool]:
    """`disk` has little room: a small file system, or a limit on files where none can be mounted.

    Yields whether it is a file system.
    """
    if mount("-o", f"size={kib}k"):
        try:
            yield True
        finally:
            run("umount", "disk")
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    try:
        yield False
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_and_a_run() -> None:
    """A message and exit code 2; no directory under the run's name, nothing left over."""
    with small_disk(16):
        done = call(*RUN)
        assert done.exit_code == ExitCode.USAGE, done.output
        assert "No space left" in done.stderr or "too large" in done.stderr
        assert "Traceback" not in done.stderr
        assert list(Path("disk").iterdir()) == []
    assert call(*RUN).exit_code == 0


def test_full_disk_and_a_sweep() -> None:
    """Finished units stay, no result; with room again --resume ends with the usual bytes."""
    assert call(*SWEEP[:3], "whole", *SWEEP[4:]).exit_code == 0
    with small_disk(120) as mounted:
        done = call(*SWEEP)
        assert done.exit_code == ExitCode.USAGE, done.output
        assert "No space left" in done.stderr or "too large" in done.stderr
        assert not Path("disk/out/result.json").exists()
        assert not list(Path("disk/out").rglob(".*.json.*"))
        if mounted:
            units = {p.name for p in Path("disk/out/units").iterdir()}
            run("mount", "-o", "remount,size=8m", "disk")
            assert call(*SWEEP, "--resume").exit_code == 0
            assert units < {p.name for p in Path("disk/out/units").iterdir()}
            assert results("disk/out") == results("whole")


@pytest.mark.parametrize("command", [RUN, SWEEP], ids=["run", "sweep"])
def test_read_only_folder(command: tuple[str, ...]) -> None:
    """Said so, exit code 2, before or after the simulation; nothing is there."""
    mounted = os.geteuid() == 0 and mount("-o", "ro")
    if not mounted:
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere, and may not mount here")
        Path("disk").chmod(0o555)
    try:
        done = call(*command)
        assert done.exit_code == ExitCode.USAGE, done.output
        assert "Read-only" in done.stderr or "Permission denied" in done.stderr
        assert list(Path("disk").iterdir()) == []
    finally:
        if mounted:
            run("umount", "disk")
        else:
            Path("disk").chmod(0o755)


def whole(folder: Path) -> bool:
    """A run directory with everything in it."""
    result = json.loads((folder / "result.json").read_text())
    manifest = json.loads((folder / "manifest.json").read_text())
    return bool(result["arms"]) and manifest["seed"] == result["seed"]


@pytest.mark.parametrize("after", [0.3, 0.9, 1.5, 2.5])
def test_killed_run(after: float) -> None:
    """Whenever it is killed, the run's name stands for a whole result or for nothing."""
    with begun([*SPESKEW, *RUN], stderr=subprocess.DEVNULL) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not Path("disk/out").exists() or whole(Path("disk/out"))
    assert call(*RUN, "--force").exit_code == 0
    assert whole(Path("disk/out"))


def test_two_runs_into_one_folder() -> None:
    """One of both is there, whole; the other says why not, or was replaced."""
    commands = [[*SPESKEW, *RUN, "--seed", seed, "--force"] for seed in ("1", "2")]
    with contextlib.ExitStack() as stack:
        both = [stack.enter_context(begun(c, stderr=subprocess.PIPE)) for c in commands]
        said = [process.communicate(timeout=120)[1] for process in both]
    assert 0 in [process.returncode for process in both]
    assert not any("Traceback" in text for text in said)
    assert whole(Path("disk/out"))
    assert [p.name for p in Path("disk").iterdir()] == ["out"]


def test_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock runs backwards by years while a sweep runs: the same bytes, no wait."""
    assert call(*SWEEP[:3], "whole", *SWEEP[4:]).exit_code == 0
    back = itertools.count()

    class Jumping:
        """Each look at the clock is a year before the last."""

        @staticmethod
        def now(_tz: object) -> datetime:
            """As datetime.now."""
            return datetime(2100, 1, 1, tzinfo=UTC) - timedelta(days=365 * next(back))

    monkeypatch.setattr(rundir, "datetime", Jumping)
    monkeypatch.setattr(time, "time", lambda: 4e9 - 1e7 * next(back))
    done = call(*(word for word in SWEEP if word != "-q"))
    assert done.exit_code == 0, done.output
    assert next(back) > 1, "the clock was looked at"
    assert results("disk/out") == results("whole")
    os.utime("s.yaml", (0, 0))
    assert call(*RUN[:3], "disk/run", *RUN[4:]).exit_code == 0
    assert whole(Path("disk/run"))
