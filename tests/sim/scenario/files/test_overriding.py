"""`--set`: it reaches the arms that it says, and what does nothing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.runs import batch
from sim.scenario.files.loader import ScenarioError, Unheeded, load, origins
from sim.scenario.files.overriding import OF_A_VM

WORK = "workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 9000}]}\n"
COLD = "{name: cold, design: unpinned, overrides: {host.unmap: per_window}}"
NEVER = "{name: never, design: unpinned, overrides: {host: {unmap: never}}}"


def _file(folder: Path, *arms: str, more: str = "") -> Path:
    path = folder / "s.yaml"
    path.write_text(f"{WORK}{more}arms: [{', '.join(arms)}]\n")
    return path


def _error(path: Path, *sets: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(path, sets)
    return str(caught.value)


def _remarks(path: Path, *sets: str) -> list[str]:
    found: list[Unheeded] = []
    load(path, sets, remarks=found)
    return list(map(str, found))


def test_what_no_arm_heeds_is_an_error(tmp_path: Path) -> None:
    """It names the arms that override the key, and how to reach one of them."""
    said = _error(_file(tmp_path, COLD, NEVER), "host.unmap=published")
    assert "--set host.unmap=published: host.unmap: no arm heeds it" in said
    assert "cold, never override it" in said
    assert "arms.cold.host.unmap reaches one arm" in said


def test_what_some_arms_do_not_heed_is_a_remark(tmp_path: Path) -> None:
    """It names those that override it, and no other."""
    path = _file(tmp_path, COLD, "v6")
    assert _remarks(path, "host.unmap=never") == [
        "host.unmap: is set, but not in every arm: cold overrides it; "
        "arms.cold.host.unmap reaches one arm"
    ]
    assert _remarks(path, "host.memlock=1MiB", "seed=4") == []


def test_a_key_that_only_a_vm_has(tmp_path: Path) -> None:
    """Baremetal arms heed none of it; beside a VM nobody expects them to."""
    assert "baremetal runs without a hypervisor" in _error(
        _file(tmp_path, "baremetal"), "host.unmap=never"
    )
    assert "cold overrides it; baremetal runs without" in _error(
        _file(tmp_path, COLD, "baremetal"), "host.unmap=never"
    )
    assert _remarks(_file(tmp_path, "v6", "baremetal"), "host.unmap=never") == []


SETTINGS = {
    "host.": "host.unmap=per_window",
    "vm.bounce": "vm.bounce=64KiB",
    "vm.exits": "vm.exits=heavy",
    "vm.huge_pages": "vm.huge_pages=true",
    "vm.max_buffer": "vm.max_buffer=8KiB",
    "vm.physical_cpus": "vm.physical_cpus=1",
    "buffer.initial_s2": "buffer.initial_s2=cold",
}


@pytest.mark.parametrize("key", OF_A_VM)
def test_baremetal_does_not_heed_them(tmp_path: Path, key: str) -> None:
    """The simulation of a baremetal arm is the same with another value."""
    path = _file(tmp_path, "baremetal", "v6", more="vm: {vcpus: 2}\ndriver: {aux: 8KiB}\n")
    plain, changed = (batch.run(load(path, s, 1))[0].runs[0] for s in ((), (SETTINGS[key],)))
    assert [v.ledgers.as_dict() for v in plain.vcpus] == [
        v.ledgers.as_dict() for v in changed.vcpus
    ]


def test_a_later_value_counts(tmp_path: Path) -> None:
    """Set twice, or replaced by an option: said once, and the last one is taken."""
    path = _file(tmp_path, "v6")
    sets = ("vm.vcpus=2", "vm.vcpus=3")
    assert load(path, sets).arms[0].settings.vm.vcpus == 3
    assert _remarks(path, *sets) == [
        "vm.vcpus: is set more than once, or to nothing; the last value counts"
    ]
    found: list[Unheeded] = []
    load(path, ("replications=2",), replications=3, remarks=found)
    assert [one.key for one in found] == ["replications"]


def test_each_key_of_a_mapping_is_looked_at(tmp_path: Path) -> None:
    """A value that is a mapping is heeded key by key."""
    sets = ("host={unmap: published, memlock: 1MiB}",)
    assert "host.unmap: no arm heeds it" in _error(_file(tmp_path, COLD), *sets)


@pytest.mark.parametrize("arm", [COLD, NEVER, "{name: plain, design: unpinned}", "unpinned"])
def test_one_arm(tmp_path: Path, arm: str) -> None:
    """`arms.NAME.KEY` is stronger than the arm's own overrides, however they are written."""
    path = _file(tmp_path, arm, "v6")
    name = load(path).arms[0].name
    made = load(path, (f"arms.{name}.host.unmap=per_record", f"arms.{name}.host.memlock=1MiB"))
    assert made.arms[0].settings.host.unmap == "per_record"
    assert made.arms[0].settings.host.memlock == 1 << 20
    assert made.arms[1] == load(path).arms[1]
    assert [arm.name for arm in made.arms] == [arm.name for arm in load(path).arms]


def test_policies_and_design_of_one_arm(tmp_path: Path) -> None:
    """They are not settings, and can be set all the same; the arm keeps its name."""
    path = _file(tmp_path, "v6", "{name: a.b, design: v6, policies: {unpin: never}}")
    sets = ("arms.a.b.policies.unpin=on_disable", "arms.v6.design=unpinned")
    made = load(path, sets)
    assert made.arms[1].policies.unpin == "on_disable"
    assert (made.arms[0].name, made.arms[0].design) == ("v6", "unpinned")


def test_an_arm_that_is_not_there(tmp_path: Path) -> None:
    """The nearest name is said; wrong values are told at the option."""
    path = _file(tmp_path, COLD)
    assert "did you mean 'cold'" in _error(path, "arms.cld.host.unmap=never")
    assert "--set arms.cold.host.unmap=no: " in _error(path, "arms.cold.host.unmap=no")
    assert "did you mean 'unmap'" in _error(path, "arms.cold.host.unmp=never")


def test_origins_of_one_arm(tmp_path: Path) -> None:
    """Where an arm's value is from."""
    found = origins(_file(tmp_path, COLD), ["arms.cold.host.unmap=never"])
    assert found["arms.cold.overrides.host.unmap"] == "--set arms.cold.host.unmap=never"


@pytest.mark.parametrize(
    "cells",
    [
        "matrix: {arms.cold.host.unmap: [never, published]}\n",
        "cases: [{arms.cold.host.unmap: never}]\n",
        "samples: {method: morris, points: 2, over: {arms.cold.vm.vcpus: {low: 1, high: 4}}}\n",
    ],
)
def test_cells_may_set_keys_of_one_arm(tmp_path: Path, cells: str) -> None:
    """As `--set` may; the list of arms is no setting."""
    load(_file(tmp_path, COLD, "v6", more=cells))
    with pytest.raises(ScenarioError, match="no setting that cells can have"):
        load(_file(tmp_path, COLD, "v6", more="matrix: {arms: [[v6]]}\n"))
