"""Scenarios that are no files: text and plain values mean what a file of them would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.scenario.files import loader
from sim.scenario.files.document import MAX_BYTES, MAX_DEPTH
from sim.scenario.files.given import Given, of_text, of_values
from sim.scenario.files.loader import ScenarioError
from sim.scenario.models.workloads import Recorded

pytestmark = pytest.mark.usefixtures("own_folder")

TEXT = """\
name: mine
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 500}]}
spe: {interval: 2048ops, jitter: on}
arms: [baremetal, {design: v6, overrides: {host.memlock: 64KiB}}]
"""
VALUES: dict[str, object] = {
    "name": "mine",
    "workload": {
        "kind": "synthetic",
        "phases": ({"name": "loop", "length": np.int64(100), "iterations": 500},),
    },
    "spe": {"interval": "2048ops", "jitter": "on"},
    "arms": ["baremetal", {"design": "v6", "overrides": {"host.memlock": "64KiB"}}],
}


def said(source: Given, *overrides: str) -> list[str]:
    """What is wrong with it."""
    with pytest.raises(ScenarioError) as caught:
        loader.load(source, overrides)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("given", [of_text(TEXT), of_values(VALUES)], ids=["text", "values"])
def test_it_is_what_a_file_of_it_is(given: Given) -> None:
    """The same scenario as from a file with its text, overrides included."""
    Path("mine.yaml").write_text(loader.raw(given))
    sets = ("vm.vcpus=2",)
    assert loader.load(given, sets, replications=3) == loader.load("mine.yaml", sets, 3)
    assert loader.load(given) == loader.load(of_text(TEXT))


def test_a_nameless_one_has_a_name() -> None:
    """Where a file's stem would stand."""
    assert loader.load(of_text(TEXT.replace("name: mine\n", ""))).name == "scenario"


def test_problems_of_a_text_have_their_lines() -> None:
    """As those of a file."""
    wrong = of_text(TEXT.replace("2048ops", "2kB").replace("v6", "v66"))
    assert [line.split(": ")[0] for line in said(wrong)] == ["scenario:3:17", "scenario:4:28"]


def test_problems_of_values_have_their_keys() -> None:
    """There is no line; the dotted key says where."""
    (line,) = said(of_values(VALUES | {"spe": {"intervall": "2048ops"}}))
    assert line == "scenario: spe.intervall: unknown key; did you mean 'interval'?"
    (line,) = said(of_values(VALUES), "spe.interval=2kB")
    assert line.startswith("--set spe.interval=2kB: spe.interval: ")


def test_what_yaml_cannot_say_is_refused() -> None:
    """Every value and key at once, each with its place."""
    wrong: Any = {"a": {"b": [1, {2}]}, "c": float("nan"), 3: "d", "e": {None: 1}}
    with pytest.raises(ScenarioError) as caught:
        of_values(wrong)
    assert [problem.message for problem in caught.value.problems] == [
        "a.b.1: must be text, a number, a list or a mapping; got {2}",
        "c: must be text, a number, a list or a mapping; got nan",
        "a key must be text, not 3",
        "e: a key must be text, not None",
    ]


def test_endless_values_end() -> None:
    """A mapping that holds itself, and a text that is too long."""
    loop: dict[str, object] = {}
    loop["again"] = loop
    with pytest.raises(ScenarioError, match=f"more than {MAX_DEPTH}"):
        of_values(loop)
    with pytest.raises(ScenarioError, match="a scenario has at most"):
        of_text("#" * (MAX_BYTES + 1))


def test_paths_are_relative_to_the_current_folder() -> None:
    """Streams and bases, of texts and of values; a Path is as good as its text."""
    Path("base.yaml").write_text(TEXT)
    assert loader.load(of_text("extends: base.yaml\nseed: 5\n")).seed == 5
    assert loader.load(of_values({"extends": Path("base.yaml"), "seed": 5})).seed == 5
    here = Path("mine.spestream")
    here.write_bytes((loader.stock_folder() / "streams" / "mix.spestream").read_bytes())
    workload = {"kind": "recorded", "path": here}
    found = loader.load(of_values({"workload": workload, "arms": ["baremetal"]}))
    recorded = found.arms[0].settings.workload
    assert isinstance(recorded, Recorded)
    assert recorded.path == str(here.resolve())


def test_a_folder_named_scenarios_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """People keep their own scenarios in a folder of that name, and it may be first on the path."""
    Path("scenarios").mkdir()
    monkeypatch.syspath_prepend(str(Path().resolve()))
    assert loader.find("quickstart").is_file()
    assert loader.load("quickstart").name == "quickstart"
