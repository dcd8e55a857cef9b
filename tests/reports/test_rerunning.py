"""A run that is made again from its directory, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from reports.exitcodes import ExitCode
from tests.rigs.tiny import command

call = command("export")


def test_runs_without_their_scenario_or_of_another_version(synthetic: Path, tmp_path: Path) -> None:
    """What is missing is named; another version's result is exit code 5."""
    shutil.copy(synthetic / "result.json", tmp_path)
    done = call("perf", tmp_path, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "has no scenario.resolved.yaml; run the scenario again" in done.stderr
    (tmp_path / "result.json").write_text('{"result_version": 0}')
    done = call("perf", tmp_path, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.BASELINE


def test_a_run_that_comes_out_differently_is_refused(synthetic: Path, tmp_path: Path) -> None:
    """The ledgers of the run and of the re-run must agree: one op more is found."""
    folder = tmp_path / "run"
    shutil.copytree(synthetic, folder)
    stored = json.loads((folder / "result.json").read_text())
    stored["arms"]["baremetal"]["replications"][0]["ledger"]["ops"]["profiled"] += 1
    (folder / "result.json").write_text(json.dumps(stored))
    done = call("perf", folder, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "computes another result for baremetal; run it again" in done.stderr
    assert not (tmp_path / "x").exists()
