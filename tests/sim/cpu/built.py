"""Machines of scenarios with time slices."""

from __future__ import annotations

from typing import Any

from sim.machine import resolve
from sim.machine.spec import MachineSpec
from sim.results import VcpuResult
from sim.scenario.models.designs import DESIGNS
from sim.scenario.models.scenario import Arm, Settings
from sim.workload.arrays import Stream

PAGE = 4096
TICKS_PER_US = 3000 * 64
LOOP = {"name": "loop", "length": 100, "iterations": 10_000, "cpi_millis": 1000}


def _settings(**keys: Any) -> Settings:
    workload = {"kind": "synthetic", "phases": [LOOP]}
    return Settings.model_validate({"workload": workload} | keys)


def _arm(design: str, settings: Settings, **policies: Any) -> Arm:
    chosen = DESIGNS[design][0].model_copy(update=policies)
    return Arm(name="arm", design=design, policies=chosen, settings=settings)


def built(
    design: str, policies: dict[str, Any] | None = None, **keys: Any
) -> tuple[MachineSpec, Stream]:
    settings = _settings(**keys)
    stream = resolve.stream_of(settings)
    return resolve.machine_spec(_arm(design, settings, **(policies or {})), stream), stream


def switches(vcpu: VcpuResult) -> list[tuple[int, int]]:
    """(time, op) of each context switch."""
    return [(t, op) for t, what, op in vcpu.log if what == "SWITCH"]


# --- slices ----------------------------------------------------------------------------------

SLICES = {"every": "50us", "away": "10us"}
