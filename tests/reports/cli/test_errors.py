"""Every way in which a command can end early: a message, a code, nothing that a terminal obeys."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from reports.cli import errors
from reports.cli.commands import list_
from reports.exitcodes import ExitCode
from reports.reference import listing
from sim.errors import Kind, SpeskewError
from sim.ledger import LawBrokenError
from tests.rigs.tiny import call

SPESKEW = [sys.executable, "-c", "from reports.cli.main import main; main()"]
EVIL = "a\x1b[31mb\u202ec"
HARMLESS = r"a\x1b[31mb\u202ec"


class _BaselineError(SpeskewError):
    kind = Kind.BASELINE


def _interrupted_import() -> Exception:
    """What Ctrl-C becomes where a module's import turns every exception into its own."""
    error = ImportError("numpy failed to import")
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (SpeskewError("what, why, how"), ExitCode.USAGE, "speskew: what, why, how"),
        (_BaselineError("old"), ExitCode.BASELINE, "speskew: old"),
        (LawBrokenError("ops"), ExitCode.MODEL, "speskew: a law of the model is broken: ops"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "speskew: interrupted; nothing was written"),
        (_interrupted_import(), ExitCode.INTERRUPTED, "speskew: interrupted; nothing was written"),
        (MemoryError(), ExitCode.USAGE, "speskew: too large for this machine's memory"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            ExitCode.USAGE,
            "speskew: cannot write: No space left on device",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", EVIL),
            ExitCode.USAGE,
            f"speskew: {HARMLESS}: No such file or directory",
        ),
        (SpeskewError(EVIL), ExitCode.USAGE, f"speskew: {HARMLESS}"),
    ],
)
def test_an_error_has_a_message_and_a_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: ExitCode, message: str
) -> None:
    """By its kind, whichever command raises it; what it quotes is made harmless."""

    def broken(what: str) -> None:
        raise error

    monkeypatch.setattr(listing, "rows", broken)
    done = call("list", "designs")
    assert done.exit_code == code
    assert done.stderr.splitlines() == [message]
    assert done.stdout == ""


def test_a_defect_says_so_and_how_to_report_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback, the version, and a code that no check has."""

    def broken(what: str) -> None:
        raise RuntimeError(EVIL)

    monkeypatch.setattr(listing, "rows", broken)
    done = call("list", "designs")
    assert done.exit_code == ExitCode.DEFECT
    assert f"RuntimeError: {HARMLESS}" in done.stderr
    assert "this is a defect of speskew" in done.stderr
    assert "Please report it" in done.stderr
    assert "\x1b" not in done.stderr


def test_usage_errors_quote_harmlessly() -> None:
    """click repeats what was typed: as escapes."""
    for args in ([EVIL], ["run"], ["list", EVIL], ["run", "x", f"--{EVIL}"], ["report", EVIL]):
        done = call(*args)
        assert done.exit_code == ExitCode.USAGE
        assert done.stderr.startswith("Usage: ")
        assert not {"\x1b", "\u202e"} & set(done.output)


def test_names_of_files_are_harmless_on_every_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario, a run folder, a capture, a stream with escape sequences in their names."""
    monkeypatch.chdir(tmp_path)
    Path(EVIL).write_bytes(b"nothing that anybody reads")
    for args in (
        ["show", EVIL],
        ["validate", EVIL],
        ["run", EVIL],
        ["check", EVIL],
        ["sweep", EVIL],
        ["report", "spe", EVIL],
        ["import", "spe", EVIL],
        ["import", "tarmac", EVIL],
        ["compare", EVIL, EVIL],
        ["export", "perf", EVIL, "--arm", EVIL],
        ["baseline", "show", f"{EVIL}.json"],
        ["record", "--", f"./{EVIL}"],
        ["explain", EVIL],
    ):
        done = call(*args)
        assert done.exit_code not in (ExitCode.OK, ExitCode.DEFECT), (args, done.output)
        assert not {"\x1b", "\u202e"} & set(done.output), (args, done.output)


def test_every_error_of_ours_has_the_base() -> None:
    """An exception class of sim, analysis or reports is a SpeskewError, or never reaches a user."""
    inner = {
        "VmKilledError",
        "BusyError",
        "AbsentError",
        "BrokenSealError",
        "DamagedUnitError",
        "DriverDiedError",
        "_BrokenError",
        "_Corrupt",
        "_MisfitError",
        "_WantedError",
    }  # caught where raised
    root = Path(errors.__file__).parents[2]
    found = {
        line.split("(")[0].removeprefix("class ")
        for package in ("sim", "analysis", "reports")
        for path in (root / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("class ") and line.partition("(")[2].startswith("Exception)")
    }
    assert found == inner | {"SpeskewError"}


def _stdout_to(target: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    with open(target, "w") as out:
        return subprocess.run(
            [*SPESKEW, "list", "designs"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | (env or {}),
        )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_stdout(unbuffered: str) -> None:
    """A message and 2, and no complaint of Python's as it ends about what it still has to write."""
    done = _stdout_to("/dev/full", {"PYTHONUNBUFFERED": unbuffered})
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == "speskew: cannot write: No space left on device\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away(unbuffered: str) -> None:
    """`| head -1` is no error worth a word: 141, as of a program that SIGPIPE ended."""
    with subprocess.Popen(
        [*SPESKEW, "list", "designs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (ExitCode.PIPE, "")


def test_a_locale_without_the_character(tmp_path: Path) -> None:
    """An escape in its place."""
    done = _stdout_to(str(tmp_path / "out"), {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out").read_bytes().isascii()


def test_exit_and_help_are_no_errors() -> None:
    """click's own ways out keep their codes."""
    assert call("list", "--help").exit_code == 0
    assert call("--version").exit_code == 0

    @click.command()
    def leaves() -> None:
        click.get_current_context().exit(7)

    with errors.answered(), pytest.raises(SystemExit) as leaving:
        leaves.main([], standalone_mode=True)
    assert leaving.value.code == 7
    assert isinstance(list_.command, click.Command)
