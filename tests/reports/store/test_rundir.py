"""The run directory: whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.results import shapes
from reports.store import rundir


def test_directory_appears_when_it_is_complete(tmp_path: Path) -> None:
    """Nothing at the target until the block ends; nothing else left beside it."""
    target = tmp_path / "runs" / "a"
    with rundir.staged(target) as folder:
        rundir.write_text(folder, "x.txt", "1\n")
        assert not target.exists()
    assert (target / "x.txt").read_bytes() == b"1\n"
    assert [p.name for p in target.parent.iterdir()] == ["a"]


def test_failure_leaves_the_old_run(tmp_path: Path) -> None:
    """An error while writing changes nothing."""
    target = tmp_path / "a"
    with rundir.staged(target) as folder:
        rundir.write_text(folder, "x.txt", "old")
    with pytest.raises(TypeError), rundir.staged(target) as folder:
        rundir.write_text(folder, "x.txt", rundir.dump_json(object()))
    assert (target / "x.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_old_files_do_not_survive_a_new_run(tmp_path: Path) -> None:
    """Replacing means replacing."""
    target = tmp_path / "a"
    for name in ("old", "new"):
        with rundir.staged(target) as folder:
            rundir.write_text(folder, name, "")
    assert [p.name for p in target.iterdir()] == ["new"]


def test_directory_has_the_mode_of_the_user(tmp_path: Path) -> None:
    """Readable to whom the umask allows, not the temporary directory's 0700."""
    (tmp_path / "plain").mkdir()
    with rundir.staged(tmp_path / "a"):
        pass
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_only_runs_are_replaced(tmp_path: Path) -> None:
    """--force replaces a run, and nothing that is not one."""
    rundir.check_target(tmp_path / "absent", force=False)
    rundir.check_target(tmp_path, force=False)  # empty
    (tmp_path / "thesis.tex").write_text("x")
    for force in (False, True):
        with pytest.raises(rundir.RunDirError):
            rundir.check_target(tmp_path, force=force)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(rundir.RunDirError, match="--force"):
        rundir.check_target(tmp_path, force=False)
    rundir.check_target(tmp_path, force=True)
    with pytest.raises(rundir.RunDirError, match="no directory"):
        rundir.check_target(tmp_path / "thesis.tex", force=True)


@pytest.mark.parametrize("name", ["../../etc", "a/b c", "", "...", "x" * 500, "\x00"])
def test_default_path_stays_in_runs(name: str) -> None:
    """Whatever the scenario is called, its directory is one level below runs/."""
    path = rundir.default_path(name, "text")
    assert path.parent == Path("runs")
    assert path.name not in ("", ".", "..")
    assert len(path.name) < 100
    assert path.name.endswith("-" + rundir.scenario_hash("text"))


def test_manifest_says_what_made_it() -> None:
    """Versions, host, argv, seed; serialisable."""
    log = rundir.Log()
    log.add("something", seconds=1)
    made = rundir.manifest(resolved="x", seed=5, argv=["run"], options={"jobs": 2}, log=log)
    again = json.loads(rundir.dump_json(shapes.dump(made)))
    assert again["seed"] == 5
    assert again["versions"]["numpy"]
    assert again["scenario_hash"] == rundir.scenario_hash("x")
    (line,) = log.lines().splitlines()
    assert json.loads(line)["event"] == "something"
