"""Workloads of a scenario: what is wrong with one is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario.models.workloads import Synthetic
from tests.sim.scenario.files.written import ARMS, PHASE, problems, written


@pytest.mark.parametrize(
    ("workload", "found"),
    [
        ("", "1:1: workload: is missing"),
        ("workload: 5\n", "1:11: workload: must be a mapping, e.g. {key: value}; got 5"),
        (
            f"workload: {{phases: [{PHASE}]}}\n",
            "1:1: workload.kind: is missing; it says what workload is",
        ),
        (
            f"workload: {{kind: synthetc, phases: [{PHASE}]}}\n",
            "1:18: workload.kind: unknown value 'synthetc'; did you mean 'synthetic'?",
        ),
        (
            "workload: {kind: synthetic, phases: []}\n",
            "1:29: workload.phases: must have at least 1 entry; got a list",
        ),
        (
            "workload: {kind: synthetic, phases: {}}\n",
            "1:29: workload.phases: must be a list, e.g. [a, b]; got a mapping",
        ),
        (
            "workload: {kind: synthetic, phases: [{name: x, length: 0, iterations: 1}]}\n",
            "1:56: workload.phases.0.length: must be greater than or equal to 1; got 0",
        ),
        (
            "workload: {kind: synthetic, phases: [{name: x, length: 9, iterations: 1, leng: 1}]}\n",
            "1:74: workload.phases.0.leng: unknown key; did you mean 'length'?",
        ),
        (
            "workload: {kind: synthetic, phases: [{name: x, length: 9, iterations: 1, "
            "mix: {other: 0, load: 0, store: 0, branch: 0}}]}\n",
            "1:74: workload.phases.0.mix: all frequencies are 0; "
            "give at least one class, e.g. other: 1",
        ),
        (
            "workload: {kind: synthetic, phases: [{name: x, length: 9, iterations: 1, "
            "levels: {l1: 0, l2: 0, slc: 0, dram: 0}}]}\n",
            "1:74: workload.phases.0.levels: all frequencies are 0; "
            "give at least one level, e.g. l1: 1",
        ),
        (
            "workload: {kind: synthetic, phases: [{name: x, length: 1000000, "
            "iterations: 100000000}]}\n",
            "1:1: workload: 100,000,000,000,000 ops in all; at most 10,000,000,000,000: "
            "lower repeat or iterations",
        ),
        (
            "workload: {kind: recorded, path: streams/mx.spestream}\n",
            "1:34: workload.path: no file 'streams/mx.spestream' beside the scenario or in the "
            "stock; did you mean 'streams/mix.spestream'? (`speskew record` makes one)",
        ),
        (
            "workload: {kind: threads, path: streams/contend.threads.json}\n",
            "1:33: workload.path: no file 'streams/contend.threads.json' beside the scenario or in "
            "the stock; did you mean 'streams/contended.threads.json'? (`speskew record` of "
            "several threads makes one)",
        ),
        (
            "workload: {kind: recorded, path: 5}\n",
            "1:34: workload.path: must be text; put it in quotes; got 5",
        ),
    ],
)
def test_wrong_workloads(tmp_path: Path, workload: str, found: str) -> None:
    """The workload's errors stand inside it, lists and unions included."""
    assert problems(written(tmp_path, workload + ARMS)) == [found]


@pytest.mark.parametrize(("ops", "passes"), [(1, 1), (14_999, 1), (15_001, 2), (100_000, 10)])
def test_a_length_in_operations_is_the_nearest_number_of_passes(ops: int, passes: int) -> None:
    """Of 10,000 operations each, at least one; another program gets other passes."""
    phase = {"name": "x", "length": 10, "iterations": 1000}
    made = Synthetic.model_validate({"kind": "synthetic", "phases": [phase], "ops": f"{ops}ops"})
    assert made.passes(made.pass_ops) == passes
    assert made.passes(2 * made.pass_ops) == max(1, round(ops / 20_000))
    assert Synthetic.model_validate({"kind": "synthetic", "phases": [phase]}).passes(10_000) == 1


def test_a_length_is_given_once() -> None:
    """Not in passes and in operations."""
    phase = {"name": "x", "length": 10, "iterations": 1000}
    workload = {"kind": "synthetic", "phases": [phase], "repeat": 2, "ops": "20000ops"}
    with pytest.raises(ValueError, match="repeat and ops both say how long the run is"):
        Synthetic.model_validate(workload)
