"""Sampled sweeps in a scenario: what is wrong is said, and all of it is resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario.files.dump import dump
from sim.scenario.files.loader import ScenarioError, load
from tests.sim.scenario.models.celled import BASE, load_text

RANGE = "vm.vcpus: {low: 1, high: 4}"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("samples: {method: sobol, points: 6, over: {%s}}", "3:34: samples.points: Sobol' points"),
        ("samples: {method: morris, points: 60000, over: {%s}}", "makes 120,000 cells"),
        ("samples: {method: moris, points: 6, over: {%s}}", "3:19: samples.method: unknown value"),
        ("samples: {method: morris, points: 6, over: {}}", "needs a setting, or unverified"),
        ("samples: {method: morris, points: 6, over: {seed: {low: 1, high: 2}}}", "no setting"),
        (
            "samples: {method: morris, points: 6, over: {vm.vcpu: {low: 1, high: 2}}}",
            "3:45: vm.vcpu: unknown key; did you mean 'vcpus'?",
        ),
        (
            "samples: {method: morris, points: 6, over: {vm: {low: 1, high: 2}}}",
            "3:45: samples.over.vm: has keys of its own",
        ),
        (
            "samples: {method: morris, points: 6, over: {parameters.t_ent: {low: 1ns, high: 2ns}}}",
            "unknown parameter 't_ent'; did you mean 't_entry'?",
        ),
        (
            "samples: {method: morris, points: 6, over: {vm.vcpus: {low: 4, high: 1}}}",
            "3:45: samples.over.vm.vcpus: low (4) must be below high (1)",
        ),
        (
            "samples: {method: morris, points: 6, over: {driver.aux: {low: 4KiB, high: 9us}}}",
            "low is a size, high a time",
        ),
        (
            "samples: {method: morris, points: 6, over: {vm.vcpus: {low: 0, high: 1, scale: log}}}",
            "a log scale cannot begin at 0",
        ),
        (
            "samples: {method: morris, points: 6, over: {vm.vcpus: {low: 1, high: 1e999999999}}}",
            "3:70: samples.over.vm.vcpus.high: ",
        ),
        (
            "samples: {method: morris, points: 6, over: {vm.vcpus: {low: 1, high: 9e999999999s}}}",
            "3:70: samples.over.vm.vcpus.high: '9e999999999s' is too long for a quantity",
        ),
        (
            "samples: {method: morris, points: 6, over: {vm.vcpus: {low: 1.5, high: 4}}}",
            "3:61: samples.over.vm.vcpus.low: an end of a range is",
        ),
        (
            "samples: {method: morris, points: 6, over: {%s}}\nmatrix: {vm.vcpus: [1]}",
            "samples, matrix or cases: one of them",
        ),
    ],
)
def test_what_is_wrong_with_samples(tmp_path: Path, more: str, said: str) -> None:
    """file:line:col, what and why."""
    file = tmp_path / "s.yaml"
    file.write_text(BASE + more.replace("%s", RANGE) + "\n")
    with pytest.raises(ScenarioError) as error:
        load(file)
    assert said in str(error.value)
    assert f"{file}:3:" in str(error.value)


@pytest.mark.parametrize("over", [f"{{{RANGE}}}", "unverified"])
def test_samples_survive_the_resolved_form(tmp_path: Path, over: str) -> None:
    """What `show` prints loads to the same samples."""
    file = tmp_path / "s.yaml"
    file.write_text(f"{BASE}samples: {{method: sobol, points: 8, over: {over}}}\n")
    made = load(file)
    assert made.samples is not None
    assert load_text(tmp_path, dump(made)) == made.model_copy(update={"name": "copy"})
