"""The stock: every file loads, says what it answers, and the main job has its size and arms."""

import json
import re
from pathlib import Path

import pytest

from sim.machine.resolve import pass_ops, passes
from sim.scenario.files.dump import dump
from sim.scenario.files.loader import find, load, stock_folder
from sim.scenario.files.schema import schema
from sim.scenario.models.scenario import DESIGNS
from sim.workload.spestream import read_header

STOCK = sorted(path.stem for path in stock_folder().glob("*.yaml"))
COMMENT = "# yaml-language-server: $schema=./scenario.schema.json"


def test_the_stock_is_complete() -> None:
    """The scenarios that the documentation names are there."""
    assert {"quickstart", "synthetic", "resonance", "always-cold", "rlimit"} <= set(STOCK)


@pytest.mark.parametrize("name", STOCK)
def test_stock_file(name: str) -> None:
    """Found by bare name and by path, called like its file, and with a question."""
    path = stock_folder() / f"{name}.yaml"
    assert find(name) == path
    made = load(name)
    assert made == load(path) == load(str(path))
    assert made.name == name
    assert re.fullmatch(r"[A-Z].*\?", made.question)
    assert made.schema_version == 1
    names = [arm.name for arm in made.arms]
    assert len(set(names)) == len(names)
    assert names[0] == "baremetal", "every stock scenario has the truth to compare with"
    assert {arm.design for arm in made.arms} <= set(DESIGNS)


@pytest.mark.parametrize("name", STOCK)
def test_first_line_is_for_editors(name: str) -> None:
    """Editors find the schema beside the file; the question follows."""
    lines = (stock_folder() / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == COMMENT
    assert lines[1].startswith("# Question: ")
    assert (stock_folder() / "scenario.schema.json").is_file()


@pytest.mark.parametrize("name", STOCK)
def test_stock_round_trips(name: str, tmp_path: Path) -> None:
    """The resolved form loads to the same scenario, from any folder."""
    made = load(name)
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump(made), encoding="utf-8")
    assert load(copy) == made


@pytest.mark.parametrize("name", STOCK)
def test_recorded_streams_exist(name: str) -> None:
    """Recorded workloads of the stock are held relative to it and are there."""
    for arm in load(name).arms:
        workload = arm.settings.workload
        if workload.kind in ("recorded", "threads"):
            assert not Path(workload.path).is_absolute()
            assert pass_ops(workload) > 0


def test_quickstart_is_two_billion_ops() -> None:
    """The main job runs at least 2e9 ops in every arm, over the designs to compare."""
    made = load("quickstart")
    assert [arm.name for arm in made.arms] == [
        "baremetal",
        "v6",
        "unpinned",
        "unpinned-error",
        "unpinned-cold",
    ]
    assert [arm.design for arm in made.arms] == [
        "baremetal",
        "v6",
        "unpinned",
        "unpinned-error",
        "unpinned",
    ]
    for arm in made.arms:
        workload = arm.settings.workload
        assert workload.kind == "recorded"
        header = read_header(stock_folder() / workload.path)
        assert passes(workload) * header.ops >= 2 * 10**9
        assert workload == made.arms[0].settings.workload


def test_quickstart_arms_differ_in_the_host_only() -> None:
    """Unmapping is what separates the arms; nothing else of their settings does."""
    arms = load("quickstart").arms
    assert [arm.settings.host.unmap for arm in arms] == [
        "never",
        "published",
        "published",
        "published",
        "per_window",
    ]
    rest = [arm.settings.model_dump(exclude={"host": {"unmap"}}) for arm in arms]
    assert all(other == rest[0] for other in rest)


def test_published_schema_is_in_sync() -> None:
    """The committed file is what `speskew schema` prints."""
    text = (stock_folder() / "scenario.schema.json").read_text(encoding="utf-8")
    assert json.loads(text) == schema()
    assert text == json.dumps(schema(), indent=2) + "\n"


def test_schema_stands_on_its_own() -> None:
    """Every reference resolves, unknown keys are refused, and designs are listed."""
    made = schema()
    names = re.findall(r'"#/definitions/([^"]+)"', json.dumps(made))
    assert names
    assert set(names) <= set(made["definitions"])
    assert made["additionalProperties"] is False
    assert made["definitions"]["Arm"]["anyOf"][0]["enum"] == list(DESIGNS)
    assert {"workload", "arms", "extends", "seed"} <= set(made["properties"])
    for definition in made["definitions"].values():
        if definition.get("type") == "object":
            assert definition["additionalProperties"] is False
