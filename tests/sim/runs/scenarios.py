"""Small scenarios of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sim.runs.batch import Unit
from sim.scenario.files import loader
from sim.scenario.models.scenario import Scenario

TEXT = """\
replications: 3
workload: {kind: synthetic, repeat: 20, phases: [{name: loop, length: 100, iterations: 500}]}
spe: {jitter: on}
driver: {aux: 8KiB}
arms: [{design: baremetal}, {design: v6}]
"""


def unit(scenario: Scenario, replication: int = 0) -> Unit:
    """A replication of the first arm."""
    return Unit(scenario.arms[0], scenario.seed, replication, "fast", keep_records=False)


BASE = """\
name: beside
replications: 3
workload:
  kind: synthetic
  phases:
    - {name: a, length: 100, iterations: 6000}
    - {name: b, length: 37, iterations: 9000, cpi_millis: 2000}
spe: {jitter: on%s}
driver: {aux: 16KiB}
switch: {every: 100us, away: 10us}
vm: {vcpus: 2, max_buffer: unlimited}
arms:
  - design: baremetal
  - {design: v6, overrides: {host.memlock: 40KiB}}
  - {name: refused, design: v6, policies: {vmm: refuse_kill}, overrides: {host.memlock: 20KiB}}
"""


def loaded(folder: Path, text: str) -> Any:
    """A scenario from text."""
    path = folder / "beside.yaml"
    path.write_text(text)
    return loader.load(path)
