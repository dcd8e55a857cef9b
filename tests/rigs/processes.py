"""Processes that end with the test that began them: what a failure left would fail others."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def begun(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process; afterwards it is over and its pipes are closed, whatever happened."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def group(leader: int) -> set[int]:
    """Processes of a group that run, its leader's aside: those that it started, at any depth."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended
            continue
        if int(of) == leader and state != "Z":
            found.add(int(stat.parent.name))
    return found - {leader}


def left(leader: int, patience: float = 20) -> set[int]:
    """Processes of a group that outlive its leader; they are ended here."""
    deadline = time.monotonic() + patience
    while (found := group(leader)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in found:
        os.kill(process, signal.SIGKILL)
    return found


def presses(*args: object, **kwargs: object) -> None:
    """Ctrl-C, as the terminal sends it."""
    signal.raise_signal(signal.SIGINT)
