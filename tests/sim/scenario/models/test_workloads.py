"""Workloads of a scenario: what is wrong with one is said."""

from __future__ import annotations

from pathlib import Path

import pytest

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
            "workload: {kind: recorded, path: 5}\n",
            "1:34: workload.path: must be text; put it in quotes; got 5",
        ),
    ],
)
def test_wrong_workloads(tmp_path: Path, workload: str, found: str) -> None:
    """The workload's errors stand inside it, lists and unions included."""
    assert problems(written(tmp_path, workload + ARMS)) == [found]
