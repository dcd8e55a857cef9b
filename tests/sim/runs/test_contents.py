"""What a scenario's files hold, for whoever compares numbers with those of another day."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from sim.runs import contents
from sim.scenario.files.loader import load, stock_folder
from sim.scenario.models.scenario import Scenario

STREAMS = stock_folder() / "streams"


def of(folder: Path, workload: str, arms: str = "[baremetal]") -> Scenario:
    """A scenario of this workload."""
    (folder / "s.yaml").write_text(f"workload: {workload}\narms: {arms}\n")
    return load(folder / "s.yaml")


def digest(path: Path) -> str:
    """As sha256sum has it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_program_recorded_again_is_another(tmp_path: Path) -> None:
    """Same name; what is told apart is what the file holds. One that has gone stops nobody."""
    theirs = tmp_path / "prog.spestream"
    shutil.copy(STREAMS / "threads.0.spestream", theirs)
    scenario = of(tmp_path, "{kind: recorded, path: prog.spestream}")
    before = contents.of(scenario)
    assert before == {"prog.spestream": digest(STREAMS / "threads.0.spestream")}
    shutil.copy(STREAMS / "threads.1.spestream", tmp_path / "new")
    (tmp_path / "new").replace(theirs)
    assert contents.of(scenario) == {"prog.spestream": digest(STREAMS / "threads.1.spestream")}
    theirs.unlink()
    assert contents.of(scenario) == {"prog.spestream": ""}


def test_every_file_of_every_arm(tmp_path: Path) -> None:
    """The stock's by its place there; two arms' files of one name in one line."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shutil.copy(STREAMS / "threads.0.spestream", tmp_path / "a" / "p.spestream")
    shutil.copy(STREAMS / "threads.1.spestream", tmp_path / "b" / "p.spestream")
    other = "{name: other, design: baremetal, overrides: {workload: {path: b/p.spestream}}}"
    arms = f"[baremetal, {other}]"
    both = of(tmp_path, "{kind: recorded, path: a/p.spestream}", arms)
    first, second = (digest(tmp_path / name / "p.spestream") for name in "ab")
    assert contents.of(both) == {"p.spestream": f"{first},{second}"}
    stock = contents.of(of(tmp_path, "{kind: recorded, path: streams/mix.spestream}"))
    assert stock == {"streams/mix.spestream": digest(STREAMS / "mix.spestream")}


def test_threads_have_a_file_each() -> None:
    """And synthetic operations none."""
    names = [f"streams/contended.{k}.spestream" for k in range(4)]
    assert list(contents.of(load("false-sharing"))) == names
    assert contents.of(load("synthetic")) == {}


@pytest.mark.parametrize("name", ["quickstart", "false-sharing"])
def test_results_are_kept_under_it(name: str) -> None:
    """The digest of a unit's key is that of the same files."""
    scenario = load(name)
    whole = contents.stream_digest(scenario.arms[0].settings).split()
    assert whole == list(contents.of(scenario).values())


def test_what_people_see() -> None:
    """A line a file; enough of each digest."""
    held = {"a.spestream": "ab" * 32, "b.spestream": f"{'01' * 32},{'23' * 32}", "c.spestream": ""}
    assert contents.named(held) == {
        "content of a.spestream": "sha256 abababababababab",
        "content of b.spestream": "sha256 0101010101010101, sha256 2323232323232323",
        "content of c.spestream": "not there",
    }
