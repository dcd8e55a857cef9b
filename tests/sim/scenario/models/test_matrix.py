"""Cells of a sweep: every combination once, with ids that depend on nothing else."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.scenario.files.document import parse
from sim.scenario.files.dump import dump
from sim.scenario.files.loader import ScenarioError, load, stock_folder
from sim.scenario.models.matrix import SCENARIO_KEYS, expand, is_setting
from sim.scenario.models.scenario import Scenario, Settings
from tests.sim.scenario.models.celled import BASE, load_text

VALUES: st.SearchStrategy[Any] = st.integers(1, 9) | st.sampled_from(["64KiB", "never"])
AXES = st.dictionaries(
    st.sampled_from(["host.memlock", "vm.vcpus", "spe.interval", "host.unmap"]),
    st.lists(VALUES, min_size=1, max_size=3, unique=True),
    min_size=1,
)


def test_a_scenarios_keys_are_listed_once() -> None:
    """Those of its model and `extends`, which ends with the file; no cell has one, but settings."""
    assert sorted(SCENARIO_KEYS) == sorted((*Scenario.model_fields, "extends"))
    assert not any(map(is_setting, SCENARIO_KEYS))
    assert all(map(is_setting, Settings.model_fields))


@given(AXES)
def test_product(axes: dict[str, list[Any]]) -> None:
    """Every combination, each once, with an id of its own that is fit for a file name."""
    cells = expand(axes, ())
    found = [dict(cell.settings) for cell in cells]
    wanted = [dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values())]
    assert found == wanted
    assert len({cell.id for cell in cells}) == len(cells)
    assert all(len(cell.id) <= 110 and "/" not in cell.id for cell in cells)


@given(AXES, st.randoms())
def test_ids_are_stable(axes: dict[str, list[Any]], random: Any) -> None:
    """Neither the order of keys and values nor other cells change a cell's id."""
    before = {cell.settings: cell.id for cell in expand(axes, ())}
    keys = list(axes)
    random.shuffle(keys)
    more = {key: [*axes[key][::-1], "further"] for key in keys}
    after = {cell.settings: cell.id for cell in expand(more, ())}
    assert before.items() <= after.items()


def test_an_id_is_what_it_was() -> None:
    """Folders of old sweeps keep their names; numbers and words are different values."""
    (cell,) = expand({"vm.vcpus": [2], "host.memlock": ["2MiB"]}, ())
    assert cell.id == "host.memlock=2MiB,vm.vcpus=2-1d10b515"
    ids = {c.id for c in expand({"x": [1, "1", True, None, {"poisson": "1/s"}]}, ())}
    assert len(ids) == 5


def test_exclude_and_include() -> None:
    """Exclude takes what matches every pair of it; include adds cells as they are, once."""
    matrix: dict[str, Any] = {
        "vm.vcpus": [1, 2],
        "host.memlock": ["2MiB", "4MiB"],
        "exclude": [{"vm.vcpus": 2, "host.memlock": "2MiB"}],
        "include": [{"vm.vcpus": 8}, {"vm.vcpus": 1, "host.memlock": "2MiB"}],
    }
    assert [dict(cell.settings) for cell in expand(matrix, ())] == [
        {"vm.vcpus": 1, "host.memlock": "2MiB"},
        {"vm.vcpus": 1, "host.memlock": "4MiB"},
        {"vm.vcpus": 2, "host.memlock": "4MiB"},
        {"vm.vcpus": 8},
    ]


def test_cases_are_tuples() -> None:
    """Settings that vary together, in the order of the file; equal ones once."""
    cases: list[dict[str, Any]] = [
        {"vm.vcpus": 1, "vm.memory": "1GiB"},
        {"vm.vcpus": 2},
        {"vm.vcpus": 2},
    ]
    assert [dict(cell.settings) for cell in expand({}, cases)] == cases[:2]


def test_overrides_are_what_set_takes(tmp_path: Path) -> None:
    """A cell's settings reach its scenario, mappings and lists too."""
    file = tmp_path / "s.yaml"
    file.write_text(
        BASE + "matrix: {host.unmap: [never, {poisson: 10/s}], spe.jitter: ['on'], vm.vcpus: [2]}\n"
    )
    made = load(file)
    loaded = [load(file, cell.overrides()) for cell in expand(made.matrix, made.cases)]
    assert [arm.settings.host.unmap for s in loaded for arm in s.arms[:1]] != ["never", "never"]
    assert {arm.settings.spe.jitter for s in loaded for arm in s.arms} == {"on"}
    assert {arm.settings.vm.vcpus for s in loaded for arm in s.arms} == {2}
    assert load_text(tmp_path, dump(made)) == made.model_copy(update={"name": "copy"})


@given(
    st.one_of(
        st.text(max_size=8),
        st.integers(),
        st.booleans(),
        st.none(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["1e5", "0x1f", "on", "1", "1.5", "null", "2MiB", "10/s", "~", "-"]),
    )
)
def test_values_survive_the_way_through_set(value: Any) -> None:
    """Text stays text and numbers numbers when `--set` reads them."""
    (cell,) = expand({"x": [value]}, ())
    text = cell.overrides()[0].removeprefix("x=")
    assert "\n" not in text
    problems: list[Any] = []
    found = parse(text, "t", problems).plain() if text.strip() else ""
    assert problems == [] or any(0xD800 <= ord(c) < 0xE000 for c in str(value))
    assert found == value or problems
    assert type(found) is type(value) or problems


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("matrix: {vm.vcpus: [1]}\ncases: [{vm.vcpus: 2}]", "not both"),
        ("matrix: {vm.vcpus: 1}", "vm.vcpus needs a list"),
        ("matrix: {vm.vcpus: []}", "vm.vcpus needs a list"),
        ("matrix: [1]", "must be a mapping"),
        ("matrix: {vm.vcpus: [1], exclude: [1]}", "an entry is a mapping"),
        ("matrix: {vm.vcpus: [1], exclude: [{vm.vcpu: 1}]}", "excludes nothing: vm.vcpu"),
        ("matrix: {vm.vcpus: [1], exclude: [{}]}", "it is empty"),
        ("matrix: {vm.vcpus: [1], exclude: [{vm.vcpus: 1}]}", "no cell left"),
        ("matrix: {seed: [1, 2]}", "seed is no setting that cells can have"),
        ("cases: [{arms: []}]", "arms is no setting that cells can have"),
        ("cases: [1]", "must be a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, more: str, said: str) -> None:
    """file:line:col, what and why."""
    file = tmp_path / "s.yaml"
    file.write_text(BASE + more + "\n")
    with pytest.raises(ScenarioError) as error:
        load(file)
    assert said in str(error.value)
    assert f"{file}:3:" in str(error.value) or f"{file}:4:" in str(error.value)


def test_too_many_cells(tmp_path: Path) -> None:
    """A product beyond reason is refused before it is expanded."""
    file = tmp_path / "s.yaml"
    axis = list(range(1, 60))
    file.write_text(BASE + f"matrix: {{vm.vcpus: {axis}, a.b: {axis}, c.d: {axis}, e.f: {axis}}}\n")
    with pytest.raises(ScenarioError, match="has 12,117,361 cells"):
        load(file)


@pytest.mark.parametrize(
    ("name", "cells"), [("loss-map", 27), ("rlimit-map", 30), ("policy-map", 9), ("enable-map", 8)]
)
def test_stock_sweeps(name: str, cells: int) -> None:
    """Found by their short name, every cell loads, and says what it answers."""
    made = load(f"sweeps/{name}")
    assert made == load(stock_folder() / "sweeps" / f"{name}.yaml")
    assert made.name == name
    assert made.question.endswith("?")
    expanded = expand(made.matrix, made.cases)
    assert len(expanded) == cells
    arms = {tuple(a.name for a in load(f"sweeps/{name}", c.overrides()).arms) for c in expanded}
    assert arms == {tuple(arm.name for arm in made.arms)}
