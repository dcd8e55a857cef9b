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
from tests.faults.victim import Server
from tests.needs import module, run
from tests.rigs.processes import begun
from tests.rigs.swept import LONG, MATRIX, SPESKEW, results, units
from tests.rigs.tiny import TINY, call

Process = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a scenario of eight cells; no long wait for what is not there."""
    module("distributed")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("s.yaml").write_text(LONG)
    monkeypatch.setenv("PYTHONPATH", str(Path(next(iter(reports.__path__))).parent))
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")


def part(module: str, *args: str) -> Process:
    """A part of the cluster, with its log in a file."""
    command = [sys.executable, "-m", f"distributed.cli.{module}", *args]
    with Path(f"{module}-{time.monotonic_ns()}.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, text=True)


@contextmanager
def cluster(
    workers: int, *secured: str, protocol: str = "tcp"
) -> Iterator[tuple[str, list[Process]]]:
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
            "--protocol",
            protocol,
            *secured,
            "--scheduler-file",
            str(file),
        )
    ]
    try:
        wait_for(lambda: complete(file), processes[0])
        Path("scheduler.pid").write_text(str(processes[0].pid))
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
                    *secured,
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


@pytest.mark.deep
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


@pytest.mark.deep
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


Asked = Callable[..., tuple[int, str]]


@pytest.fixture
def asked(warm: Server) -> Asked:
    """Exit code and stderr of a sweep on what is no cluster, with little patience."""

    def told(address: str, *more: str) -> tuple[int, str]:
        warm.begin("sweep", "s.yaml", "-o", "out", "--scheduler", address, "--wait", "2", *more)
        code, said = warm.end(), Path("../stderr").read_text(encoding="utf-8")
        assert "Traceback" not in said
        return code, said

    return told


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://127.0.0.1:9", "no Dask scheduler at tcp://127.0.0.1:9: Timed out"),
        ("tcp://nowhere.invalid:8786", "no Dask scheduler at tcp://nowhere.invalid:8786: "),
        ("bogus://x", "no Dask scheduler at bogus://x: unknown address scheme 'bogus'"),
        ("tls://127.0.0.1:9", "tls://127.0.0.1:9 wants TLS: give --tls-ca"),
        ("tcp://127.0.0.1:no", "no Dask scheduler at tcp://127.0.0.1:no: "),
    ],
)
def test_no_cluster_is_a_usage_error(address: str, why: str, asked: Asked) -> None:
    """Exit 2 and what is missing, soon, with a word of what is waited for; nothing is run."""
    code, said = asked(address)
    assert code == ExitCode.USAGE, said
    assert why in said
    assert not Path("out").exists()


def test_what_tls_wants_is_looked_at_before(asked: Asked) -> None:
    """A file that holds no certificate is named as the reason; options of TLS need a scheduler."""
    Path("x.pem").write_text("nothing")
    files = ("--tls-ca", "x.pem", "--tls-cert", "x.pem", "--tls-key", "x.pem")
    code, said = asked("tls://127.0.0.1:9", *files)
    assert code == ExitCode.USAGE
    assert "no Dask scheduler at tls://127.0.0.1:9: " in said
    assert call("sweep", "s.yaml", "--tls-ca", "x.pem").exit_code == ExitCode.USAGE


def test_tls(asked: Asked) -> None:
    """Over TLS with a certificate of ours: the bytes of a sweep on one process."""
    subject = ("-subj", "/CN=speskew", "-days", "2", "-nodes", "-newkey", "rsa:2048")
    files = ("-keyout", "k.pem", "-out", "c.pem")
    run("openssl", "req", "-x509", *subject, *files, capture_output=True)
    Path("s.yaml").write_text(TINY + MATRIX)
    assert call("sweep", "s.yaml", "-o", "whole", "-q").exit_code == 0
    theirs = ("--tls-ca-file", "c.pem", "--tls-cert", "c.pem", "--tls-key", "k.pem")
    ours = ("--tls-ca", "c.pem", "--tls-cert", "c.pem", "--tls-key", "k.pem")
    with cluster(1, *theirs, protocol="tls") as (address, _):
        assert address.startswith("tls://")
        code, said = asked(address, *ours, "--wait", "60")
    assert code == 0, said
    assert results() == results("whole")


def test_no_worker_is_said(asked: Asked) -> None:
    """A scheduler without workers: it is said what is waited for, and an end comes."""
    with cluster(0) as (address, _):
        code, said = asked(address, "--wait", "4")
    assert code == ExitCode.USAGE, said
    assert f"no worker at {address}: waiting for one" in said
    assert f"no worker at {address} for 4 s; start one (dask worker {address})" in said


@pytest.mark.deep
def test_the_scheduler_is_killed_in_the_middle() -> None:
    """A message with the line to go on; resumed here, the sweep has the usual bytes."""
    assert call("sweep", "s.yaml", "-o", "whole", "-q").exit_code == 0
    with cluster(1) as (address, (worker,)):
        command = [*SPESKEW, "sweep", "s.yaml", "-o", "out", "--scheduler", address]
        with begun(command, stderr=subprocess.PIPE) as sweep:
            wait_for(finished(3), sweep)
            scheduler = int(Path("scheduler.pid").read_text())
            os.kill(scheduler, signal.SIGKILL)
            said = sweep.communicate(timeout=120)[1]
        worker.kill()
    assert len(units()) < 72, "too late to disturb it"
    assert sweep.returncode == ExitCode.USAGE, said
    assert f"the scheduler at {address} has gone; finished units are kept: --resume -o out" in said
    assert "Traceback" not in said, said
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--resume").exit_code == 0
    assert results() == results("whole")
