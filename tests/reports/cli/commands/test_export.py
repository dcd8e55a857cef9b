"""`speskew export`: refusals, whole files, and what an export is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from tests.rigs.tiny import command

call = command("export")

EXPORTS = ("perf", "tables")


@pytest.mark.parametrize("kind", EXPORTS)
def test_nothing_is_overwritten_without_force(synthetic: Path, kind: str, tmp_path: Path) -> None:
    """A file in the way is left alone and named; --force replaces it."""
    target = tmp_path / ("x" if kind == "perf" else "x-br.parquet")
    target.write_text("mine")
    args = (kind, synthetic, "--arm", "baremetal", "-o", tmp_path / "x")
    refused = call(*args)
    assert refused.exit_code == ExitCode.USAGE
    assert f"{target} exists; give --force" in refused.stderr
    assert target.read_text() == "mine"
    assert call(*args, "--force").exit_code == ExitCode.OK
    assert target.stat().st_size > 1000


@pytest.mark.parametrize("kind", EXPORTS)
def test_equal_bytes_for_equal_input(synthetic: Path, kind: str, tmp_path: Path) -> None:
    """Two exports do not differ, whatever they are called."""
    for name in ("a", "b"):
        assert call(kind, synthetic, "--arm", "baremetal", "-o", tmp_path / name).exit_code == 0
    first, second = (sorted(tmp_path.glob(f"{name}*")) for name in ("a", "b"))
    assert len(first) == len(second) == (1 if kind == "perf" else 3)
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--arm", "v7"), "has no arm 'v7'; it has baremetal"),
        (("--arm", "baremetal", "--replication", "5"), "has replications 0 to 0, not 5"),
    ],
)
def test_what_the_run_does_not_have(
    synthetic: Path, change: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    """An unknown arm or replication: exit 2, what there is, no file."""
    done = call("perf", synthetic, *change, "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    """A folder without a run, and one with a broken result."""
    done = call("perf", tmp_path, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "is no run directory" in done.stderr
    (tmp_path / "result.json").write_text("[]")
    done = call("perf", tmp_path, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "result.json is no result of speskew" in done.stderr


def test_help_tells_the_exit_codes() -> None:
    """Every verb says what its exit codes mean and how to overwrite."""
    for verb in EXPORTS:
        text = call(verb, "--help").output
        assert "Exit codes:" in text
        assert "--force" in text
