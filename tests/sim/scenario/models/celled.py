"""Scenarios with cells, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sim.scenario.files.loader import load

BASE = """\
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 5000}]}
arms: [{design: baremetal}, {design: v6}]
"""


def load_text(folder: Path, text: str) -> Any:
    """The scenario of a text, under a name of its own."""
    file = folder / "copy.yaml"
    file.write_text(text.replace("name: s\n", "name: copy\n", 1))
    return load(file)
