"""The baseline of a made-up run."""

from __future__ import annotations

from pathlib import Path

from reports.checks import baselines
from reports.checks.baselines import Baseline
from tests.rigs.fakes import Plan
from tests.rigs.samples import described

RESULT = described((Plan(lost=7), Plan(name="v6", design="v6", seed=3)))


def made(path: str = "b.json") -> Baseline:
    """The baseline of the made-up run."""
    return baselines.make(Path(path), RESULT, {"spe.jitter": "on"}, "speskew baseline update x")
