"""A sweep on a real Dask cluster on loopback: one scheduler, two workers, one of them killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import reports
from reports.exitcodes import ExitCode
from tests.rigs.processes import begun
from tests.rigs.swept import LONG, SPESKEW, results, units
from tests.rigs.tiny import call

Process = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a scenario of eight cells; no long wait for what is not there."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(LONG)
    monkeypatch.setenv("PYTHONPATH", str(Path(next(iter(reports.__path__))).parent))
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")


def part(module: str, *args: str) -> Process:
    """A part of the cluster, with its log in a file."""
    command = [sys.executable, "-m", f"distributed.cli.{module}", *args]
    with Path(f"{module}-{time.monotonic_ns()}.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, text=True)


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[Process]]]:
    """Address of a scheduler, and its workers; each is a process of its own, ended afterwards."""
    file = Path("scheduler.json")
    processes = [
        part(
            "dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(file),
        )
    ]
    try:
        wait_for(lambda: complete(file), processes[0])
        address = str(json.loads(file.read_text())["address"])
        for number in range(workers):
            processes.append(
                part(
                    "dask_worker",
                    address,
                    "--host",
                    "127.0.0.1",
                    "--nthreads",
                    "1",
                    "--no-nanny",
                    "--no-dashboard",
                    "--local-directory",
                    f"w{number}",
                )
            )
        yield address, processes[1:]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], process: Process) -> None:
    """Until something is so; fails if the process ends before, or after five minutes."""
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, "".join(p.read_text() for p in Path().glob("*.log"))
        assert time.monotonic() < deadline
        time.sleep(0.01)


def complete(file: Path) -> bool:
    """True when a scheduler's file is there and whole: Dask writes it in place."""
    try:
        return "address" in json.loads(file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def finished(count: int) -> Callable[[], bool]:
    """True when so many units are kept."""
    return lambda: Path("out/units").is_dir() and len(units()) >= count


def test_one_of_two_workers_is_killed_in_the_middle() -> None:
    """The sweep ends well on the other one, with the bytes of a sweep on one process."""
    assert call("sweep", "s.yaml", "-o", "whole", "-q").exit_code == 0
    with cluster(2) as (address, members):
        command = [*SPESKEW, "sweep", "s.yaml", "-o", "out", "--scheduler", address]
        with begun(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sweep:
            wait_for(finished(6), sweep)
            members[0].send_signal(signal.SIGKILL)
            assert len(units()) < 72, "too late to disturb it"
            out, err = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, err
    assert "FAILED" not in out
    assert "8/8 cells" in err
    assert results() == results("whole")


def test_a_sweep_begun_here_ends_on_a_cluster() -> None:
    """Where units ran makes no difference: killed here, resumed there."""
    assert call("sweep", "s.yaml", "-o", "whole", "-q").exit_code == 0
    with begun([*SPESKEW, "sweep", "s.yaml", "-o", "out", "-q"]) as here:
        wait_for(finished(3), here)
        here.kill()
        here.wait()
    before = units()
    with cluster(1) as (address, _):
        done = subprocess.run(
            [*SPESKEW, "sweep", "s.yaml", "-o", "out", "-q", "--resume", "--scheduler", address],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert before.items() <= units().items()
    assert results() == results("whole")


def test_no_cluster_is_a_usage_error() -> None:
    """No scheduler there: exit 2 and what is missing, nothing is run."""
    done = subprocess.run(
        [*SPESKEW, "sweep", "s.yaml", "--scheduler", "tcp://127.0.0.1:9"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == ExitCode.USAGE
    assert "no Dask scheduler at tcp://127.0.0.1:9" in done.stderr
    assert not Path("runs").exists()
