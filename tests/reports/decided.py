"""A run that was asked for decisions, with a function too few samples tell from the next."""

from __future__ import annotations

from functools import cache

from reports.progress import Terminal
from reports.results.result import Result
from reports.runs import simulating
from reports.runs.simulating import Description, How
from sim.scenario.files import loader
from sim.scenario.files.given import of_text

TEXT = """\
name: decided
replications: 4
workload:
  kind: synthetic
  repeat: 40
  phases:
    - {name: loop, length: 100, iterations: 500}
    - {name: walk, length: 90, iterations: 530}
    - {name: rest, length: 37, iterations: 300}
spe: {jitter: on}
driver: {aux: 8KiB}
decisions: {kinds: [hot-functions, hot-instructions, sharing], top: 1}
arms:
  - design: baremetal
  - design: v6
  - {name: few, design: unpinned, overrides: {spe.interval: 262144ops}}
"""
"""Three loops, two of nearly one size."""


@cache
def described() -> Description:
    """What it says."""
    how = How(band=False)
    scenario = loader.load(of_text(TEXT))
    return simulating.describe(simulating.simulate(scenario, TEXT, how, Terminal(quiet=True)))


def result() -> Result:
    """Its result."""
    return described().result
