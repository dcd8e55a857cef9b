"""`decide`: from a run directory, whatever it was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import speskew
from reports.progress import Terminal
from reports.runs.decided import decide
from reports.store.files import ExportError
from reports.store.rundir import RunDirError
from tests.reports.decided import TEXT

PLAIN = TEXT.replace("decisions: {kinds: [hot-functions, hot-instructions, sharing], top: 1}\n", "")
QUIET = Terminal(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was asked for nothing."""
    target = tmp_path_factory.mktemp("runs") / "plain"
    run = speskew.run(PLAIN, band=False, progress=False)
    assert run.decisions.empty
    return run.save(target, report=False)


def test_a_run_that_was_not_asked_is_simulated_again(folder: Path, tmp_path: Path) -> None:
    """The same decisions as of a run that was."""
    scenario, found = decide(folder, ("hot-functions",), "1", 0.01, 1, QUIET)
    assert scenario == "decided"
    asked = speskew.run(TEXT, band=False, progress=False)
    for name, arm in asked.arms.items():
        assert found[name]["hot-functions"] == arm.result.arms[name].decisions["hot-functions"]
    frame = asked.decisions
    assert list(frame.columns) == list(speskew_columns())
    assert frame[frame.arm == "few"].regret.iloc[0] > 0


def speskew_columns() -> tuple[str, ...]:
    """Columns that Python shows."""
    from speskew._run import DECISIONS

    return DECISIONS


def test_what_a_run_was_asked_for_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is simulated for it; another margin is."""
    run = speskew.run(TEXT, band=False, progress=False)
    saved = run.save(tmp_path / "asked", report=False)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("simulated")

    monkeypatch.setattr("reports.runs.decided.batch.run", never)
    _, found = decide(saved, (), "1", 0.01, 1, QUIET)
    assert list(found["v6"]) == ["hot-functions", "hot-instructions", "sharing"]
    with pytest.raises(AssertionError, match="simulated"):
        decide(saved, (), "1", 0.02, 1, QUIET)


def test_without_names_a_run_is_asked_for_everything(folder: Path) -> None:
    """What its stream does not have says so."""
    _, found = decide(folder, (), None, 0.01, 1, QUIET)
    assert "no addresses" in found["v6"]["hot-pages"].chosen
    assert "no branch" in found["v6"]["layout"].chosen
    assert found["v6"]["hot-functions"].regret.mean is not None


def test_another_result_is_refused(folder: Path, tmp_path: Path) -> None:
    """A run of another version of the model is not spoken for."""
    changed = tmp_path / "changed"
    changed.mkdir()
    for file in ("scenario.resolved.yaml", "manifest.json"):
        (changed / file).write_bytes((folder / file).read_bytes())
    document = json.loads((folder / "result.json").read_text())
    document["arms"]["v6"]["ledger"]["delivery"]["delivered"] += 1
    (changed / "result.json").write_text(json.dumps(document))
    with pytest.raises(ExportError, match="computes another result for v6"):
        decide(changed, ("hot-functions",), None, 0.01, 1, QUIET)
    with pytest.raises(RunDirError):
        decide(tmp_path, ("hot-functions",), None, 0.01, 1, QUIET)
