"""Whatever ends a command, nothing that it started goes on; a worker's death costs one unit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from tests.needs import CROSS, RECORDING, need, run
from tests.rigs.processes import begun, group, left
from tests.rigs.swept import LONG, results
from tests.rigs.tiny import TINY, call

pytestmark = pytest.mark.deep

SPESKEW = [sys.executable, "-m", "speskew"]
ENDLESS = (
    TINY.replace("repeat: 40", "repeat: 400000")
    + "checks: [{test: bound, metric: arms.cold.loss.total, at_most: 10%}]\n"
)
FORKING = """\
#include <unistd.h>
int main(void) { if (!fork() && !fork()) for (;;) pause(); for (volatile long i;; i++); }
"""
WORKER = b"spawn_main"
COMMANDS = {
    "record": ("record", "-o", "out.spestream", "forking"),
    "run": ("run", "endless.yaml", "-o", "out", "-j", "2"),
    "check": ("check", "endless.yaml", "-j", "2"),
    "sweep": ("sweep", "endless-sweep.yaml", "-o", "out", "-j", "2"),
}
STARTED = {
    "record": (3, b"-plugin"),
    "run": (2, WORKER),
    "check": (2, WORKER),
    "sweep": (2, WORKER),
}
"""Processes that each starts, and a word of their command lines: QEMU and its forks; workers."""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with scenarios that end, and with one that does not."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(TINY)
    Path("sweep.yaml").write_text(LONG)
    Path("endless.yaml").write_text(ENDLESS)
    Path("endless-sweep.yaml").write_text(ENDLESS + "matrix: {spe.interval: [1024ops, 2048ops]}\n")


def started(leader: int, word: bytes = WORKER) -> list[int]:
    """Processes that it started with this word in their command lines, the oldest first."""
    found = []
    for process in group(leader):
        with suppress(OSError):  # it has ended
            if word in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
    return sorted(found)


def until_started(leader: subprocess.Popen[str], verb: str) -> None:
    """Until everything that a command starts is there."""
    count, word = STARTED[verb]
    deadline = time.monotonic() + 120
    while len(started(leader.pid, word)) < count:
        assert leader.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("verb", "number"),
    [
        ("record", signal.SIGKILL),
        ("record", signal.SIGTERM),
        ("record", signal.SIGHUP),
        ("run", signal.SIGKILL),
        ("run", signal.SIGHUP),
        ("check", signal.SIGKILL),
        ("check", signal.SIGTERM),
        ("sweep", signal.SIGKILL),
        ("sweep", signal.SIGTERM),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_nothing_outlives_a_command(verb: str, number: signal.Signals) -> None:
    """The signal goes to the command alone; a moment later its children are gone too."""
    if verb == "record":
        need(*RECORDING)
        Path("forking.c").write_text(FORKING)
        run(CROSS, "-static", "-O1", "-o", "forking", "forking.c")
    command = [*SPESKEW, *COMMANDS[verb]]
    with begun(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        until_started(process, verb)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        assert not left(process.pid)
    if number == signal.SIGKILL:
        return
    assert process.returncode == ExitCode.INTERRUPTED, said
    assert "interrupted" in said
    assert "Traceback" not in said
    if verb == "record":  # what was executed is kept
        assert sorted(p.name for p in Path().glob("*.spestream")) == ["out.spestream"]
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize("verb", ["run", "sweep"])
def test_a_killed_worker_costs_nothing(verb: str) -> None:
    """One of two is killed in the middle: the same bytes, exit code 0, and a line that says so."""
    longer = {"run": TINY.replace("repeat: 40", "repeat: 6000")}
    longer["sweep"] = LONG.replace("repeat: 200", "repeat: 2000")
    source = "long.yaml"
    Path(source).write_text(longer[verb])
    last = ("--no-report",) if verb == "sweep" else ("--no-report", "--no-band")
    assert call(verb, source, "-o", "whole", "-q", *last).exit_code == 0
    command = [*SPESKEW, verb, source, "-o", "out", "-j", "2", *last]
    with begun(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        until_started(process, verb)
        time.sleep(1.5)
        os.kill(started(process.pid)[0], signal.SIGKILL)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "is run again" in said
    kept = ("manifest.json", "log.jsonl")
    there = {k: v for k, v in results("out").items() if k not in kept}
    assert there == {k: v for k, v in results("whole").items() if k not in kept}


@pytest.mark.parametrize("verb", ["run", "check", "sweep"])
def test_workers_that_die_each_time(verb: str) -> None:
    """Exit code 3 and the arm and replication, or the cell; no traceback, no process left."""
    with begun(
        [*SPESKEW, *COMMANDS[verb], "-q"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        while process.poll() is None:
            for worker in started(process.pid):
                os.kill(worker, signal.SIGKILL)
            time.sleep(0.05)
        said = process.communicate(timeout=60)[1]
        assert not left(process.pid)
    assert process.returncode == ExitCode.MODEL, said
    assert "its process was killed, as when memory is short (twice)" in said
    assert "Traceback" not in said
    assert ("cell spe.interval=1024ops" if verb == "sweep" else "arm baremetal, replicat") in said
