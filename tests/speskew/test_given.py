"""What is given: settings, values, errors in the command line's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import speskew
from tests.rigs.tiny import TINY, call


def test_settings_reach_the_scenario(made: speskew.Run) -> None:
    """Text, numbers, lists and truth values; seed and replications."""
    run = speskew.run(
        TINY,
        set={"spe.interval": "2048ops", "vm.vcpus": 2, "host.cap_ipc_lock": True, "arms": ["v6"]},
        replications=2,
        seed=9,
        band=False,
    )
    setup = run.result.arms["v6"].setup
    assert (setup.interval_ops, setup.vcpus, setup.limit_bytes) == (2048, 2, None)
    assert (run.result.seed, run.result.replications, list(run.arms)) == (9, 2, ["v6"])
    assert "interval: 2048ops" in run.scenario
    assert made.result.arms["v6"].setup.interval_ops == 1024


@pytest.mark.parametrize(
    "more", [{"spe.intervall": "1024ops"}, {"host.memlock": "64kB", "seed": -1}]
)
def test_errors_have_the_command_lines_text(folder: Path, more: dict[str, object]) -> None:
    """Every problem of a scenario; and a file that is not there."""
    with pytest.raises(speskew.ScenarioError) as caught:
        speskew.run("tiny.yaml", set=more)
    options = [word for key, value in more.items() for word in ("--set", f"{key}={value}")]
    assert call("run", "tiny.yaml", *options).stderr == f"{caught.value}\n"
    with pytest.raises(speskew.ScenarioError) as absent:
        speskew.run(folder / "absent.yaml")
    assert call("run", str(folder / "absent.yaml")).stderr == f"{absent.value}\n"
    with pytest.raises(speskew.RunDirError) as missing:
        speskew.load(folder / "absent")
    assert call("report", "run", ".").stderr == (
        f"speskew: {missing.value}\n".replace(str(folder / "absent"), ".")
    )


def test_values_that_click_refuses_are_refused() -> None:
    """Before anything is read."""
    with pytest.raises(ValueError, match="jobs must be 1 or more, not 0"):
        speskew.run("absent", jobs=0)
    with pytest.raises(ValueError, match="engine must be one of fast, reference, not 'quick'"):
        speskew.run("absent", engine="quick")  # type: ignore[arg-type]


def test_words_and_lists() -> None:
    """What the commands print; a wrong name is told the nearest."""
    assert repr(speskew.explain("irq_masked")) + "\n" == call("explain", "irq_masked").stdout
    with pytest.raises(ValueError, match="did you mean 'irq_masked'") as caught:
        speskew.explain("irq_maskd")
    assert call("explain", "irq_maskd").stderr == f"speskew: {caught.value}\n"
    for what in ("scenarios", "designs", "presets", "streams"):
        rows = json.loads(call("list", what, "--format", "json").stdout)
        frame = getattr(speskew, f"list_{what}")()
        assert list(frame["name"]) == [row["name"] for row in rows]
