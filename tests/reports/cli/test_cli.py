"""The command line: exit codes, streams, files."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.cli.main import VERBS
from reports.exitcodes import MEANING, ExitCode
from sim.ledger import LawBrokenError
from sim.runs import batch
from sim.workload.spestream import StreamError
from tests.rigs.processes import begun
from tests.rigs.tiny import TINY, call

HEAVY = ("numpy", "simpy", "numba", "pandas", "matplotlib", "scipy", "pydantic", "pyarrow", "rich")


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def _cpu_seconds(code: str) -> tuple[float, str]:
    """CPU time of a new process, best of three, and what it printed."""
    spent, out = [], ""
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", code]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent), out


def test_help_is_light() -> None:
    """`--help` imports nothing heavy, and costs less than importing click three times over."""
    code = (
        "import sys\nfrom reports.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    spent, out = _cpu_seconds(code)
    assert out.splitlines()[-1] == "[]"
    assert spent < 3 * _cpu_seconds("import click")[0]


@pytest.mark.parametrize("command", [[], *([name] for name in VERBS)])
def test_help_documents_exit_codes(command: list[str]) -> None:
    """Each code stands in each help with its meaning."""
    text = call(*command, "--help").output
    for code in ExitCode:
        assert f"{code.value:<4} {MEANING[code]}" in text


def test_bad_scenario_names_every_problem() -> None:
    """Exit 2, one line a problem with file, line and column, nothing written."""
    Path("bad.yaml").write_text(TINY.replace("8KiB", "8kB").replace("replications", "replication"))
    for command in ("run", "validate", "show"):
        done = call(command, "bad.yaml")
        assert done.exit_code == ExitCode.USAGE
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert [line.split(":")[1] for line in lines] == ["2", "11"]
    assert [p.name for p in Path().iterdir() if p.is_dir()] == []


@pytest.mark.parametrize(
    "args", [["run"], ["run", "tiny.yaml", "-j", "0"], ["dance"], ["list", "cats"], ["run", "--x"]]
)
def test_usage_errors_exit_2(args: list[str]) -> None:
    """As click does, on stderr."""
    done = call(*args)
    assert done.exit_code == ExitCode.USAGE
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LawBrokenError("ops ledger: 1 != 2"), ExitCode.MODEL),
        (StreamError("mix.spestream: damaged"), ExitCode.USAGE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_errors_have_their_codes(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: ExitCode
) -> None:
    """Each failure of the model has its exit code, a message, and writes nothing."""

    def fails(*args: object, **kwargs: object) -> Iterator[batch.ArmResult]:
        raise error

    monkeypatch.setattr(batch, "run_arms", fails)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == code
    assert str(error) in done.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_real_ctrl_c(jobs: str) -> None:
    """SIGINT in the middle of the first arm: 130 within seconds, and no traceback."""
    Path("long.yaml").write_text(TINY.replace("repeat: 40", "repeat: 4000"))
    listens = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [
        sys.executable,
        "-c",
        f"{listens}from reports.cli.main import main; main()",  # in the background too
        "run",
        "long.yaml",
        "-o",
        "out",
        "-j",
        jobs,
        "--no-report",
        "--engine",
        "reference",
        "--replications",
        "50",
    ]
    with begun(command, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not list(Path().glob(".speskew-*")):  # before it begins
            time.sleep(0.02)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5 if jobs == "1" else 2)  # workers have to load first
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "interrupted" in err
    assert "Traceback" not in err


def test_schema_is_json_schema() -> None:
    """What editors need, with the scenario's keys."""
    found = json.loads(call("schema").stdout)
    assert "arms" in found["properties"]


def test_validate_good_scenarios() -> None:
    """A line each, exit 0."""
    done = call("validate", "tiny.yaml", "quickstart")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "tiny.yaml: ok, 3 arms, 3 replications"
