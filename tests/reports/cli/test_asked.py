"""What was asked is what is run, or it is said: `--set` in every verb and in Python."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

import speskew
from reports.exitcodes import ExitCode
from tests.rigs.tiny import TINY, call, scenario

OVERRIDDEN = TINY.replace("  - design: v6\n", "").replace("  - design: baremetal\n", "")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own; in `one.yaml` the only arm overrides host.unmap."""
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text(OVERRIDDEN)
    scenario("counters")


@pytest.mark.parametrize("verb", ["run", "check", "show", "validate", "sweep"])
def test_in_vain(verb: str) -> None:
    """An override that no arm heeds is refused before anything runs."""
    cells = "matrix: {vm.vcpus: [1, 2]}\n" if verb == "sweep" else ""
    Path("one.yaml").write_text(OVERRIDDEN + cells)
    done = call(verb, "one.yaml", "--set", "host.unmap=never")
    assert done.exit_code == ExitCode.USAGE
    assert "no arm heeds it: cold overrides it" in done.stderr


@pytest.mark.parametrize("verb", ["run", "check", "show", "validate", "sweep"])
def test_in_part(verb: str) -> None:
    """An override that some arms do not heed is told, once, and done."""
    Path("tiny.yaml").write_text(TINY + ("matrix: {vm.vcpus: [1, 2]}\n" if verb == "sweep" else ""))
    more = ("--no-report",) if verb in ("run", "sweep") else ()
    done = call(verb, "tiny.yaml", "--set", "host.unmap=never", "--set", "replications=1", *more)
    decided = ExitCode.UNDECIDED if verb == "check" else ExitCode.OK  # it has no checks
    assert done.exit_code == decided, done.stderr
    assert done.stderr.count("host.unmap: is set, but not in every arm: cold overrides it") == 1


def test_one_arm_of_a_run() -> None:
    """`--set arms.NAME.KEY` changes that arm's numbers and no other's."""
    key = "arms.cold.host.unmap=never"
    for out, sets in (("a", ()), ("b", ("--set", key))):
        assert call("run", "tiny.yaml", "-o", out, "--no-report", "--no-band", *sets).exit_code == 0
    a, b = (json.loads(Path(out, "result.json").read_text())["arms"] for out in "ab")
    assert a["v6"] == b["v6"]
    assert a["cold"]["counts"]["zaps"] > b["cold"]["counts"]["zaps"] == 0


def test_axes_of_one_arm() -> None:
    """Cells set keys of one arm; the command that reproduces a cell does it too."""
    Path("s.yaml").write_text(TINY + "matrix: {arms.cold.host.unmap: [never, per_window]}\n")
    assert call("sweep", "s.yaml", "-o", "s", "-q", "--replications", "1").exit_code == 0
    cells = json.loads(Path("s/result.json").read_text())["cells"]
    assert [c["arms"]["cold"]["counts.zaps"] > 0 for c in cells] == [False, True]
    assert "--set arms.cold.host.unmap=never" in cells[0]["reproduce"]


def test_axes_that_no_arm_heeds() -> None:
    """The cells cannot run, and say why, instead of being equal."""
    Path("s.yaml").write_text(OVERRIDDEN + "matrix: {host.unmap: [never, per_record]}\n")
    done = call("sweep", "s.yaml", "-o", "s", "-q")
    assert done.exit_code == ExitCode.USAGE
    assert "no arm heeds it: cold overrides it" in done.stderr


def test_what_cells_set_themselves() -> None:
    """`--set` of an axis is refused; of a setting of some cells it is told."""
    Path("s.yaml").write_text(TINY + "cases: [{vm.vcpus: 2}, {driver.aux: 16KiB}]\n")
    done = call("sweep", "s.yaml", "-n", "--set", "vm.vcpus=4")
    assert done.exit_code == ExitCode.OK
    assert "in 1 of 2 cells: vm.vcpus: is set more than once" in done.stderr
    Path("s.yaml").write_text(TINY + "matrix: {vm.vcpus: [1, 2]}\n")
    done = call("sweep", "s.yaml", "-n", "--set", "vm.vcpus=4")
    assert done.exit_code == ExitCode.USAGE
    assert "every cell of the sweep sets it" in done.stderr


def test_explain_knows_a_key_of_one_arm() -> None:
    """As it is written on the command line."""
    done = call("explain", "arms.v6.host.unmap")
    assert done.exit_code == ExitCode.OK
    assert done.stdout.startswith("host.unmap  (scenario key)")


def test_python() -> None:
    """The same error, a warning for the remark, and one arm reached."""
    with pytest.raises(speskew.ScenarioError, match="no arm heeds it"):
        speskew.run("one.yaml", set={"host.unmap": "never"}, progress=False)
    with pytest.warns(UserWarning, match="cold overrides it"):
        speskew.run("tiny.yaml", set={"host.unmap": "never"}, replications=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = speskew.run(
            "tiny.yaml", set={"arms.cold.host.unmap": "never"}, replications=1, progress=False
        )
    assert run.result.arms["cold"].counts.zaps == 0
