"""Scenario files of a test, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario.files.loader import ScenarioError, load

GOOD = """\
workload:
  kind: synthetic
  phases: [{name: loop, length: 10, iterations: 100}]
arms: [baremetal]
"""
ARMS = "arms: [baremetal]\n"
PHASE = "{name: loop, length: 10, iterations: 100}"


def written(folder: Path, text: str, name: str = "s.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, *sets: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(path, sets)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(p).replace(f"{path}:", "") for p in caught.value.problems]
