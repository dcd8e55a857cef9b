"""Machines that tests are about: an arm's, with some of its fields changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sim.machine.resolve import machine_spec
from sim.machine.spec import EventSpec, HostSpec, MachineSpec, SpuSpec, TaskSpec, VmSpec
from sim.scenario.models.designs import DESIGNS
from sim.scenario.models.scenario import Arm, Settings
from sim.workload.arrays import Stream

PARTS: dict[str, Any] = {
    "spu": SpuSpec,
    "event": EventSpec,
    "task": TaskSpec,
    "vm": VmSpec,
    "host": HostSpec,
}


def vary(spec: MachineSpec, **changes: Any) -> MachineSpec:
    """The machine with some fields changed, each in the part of the specification that has it."""
    parts: dict[str, Any] = {}
    for name, part in PARTS.items():
        inner = {key: changes.pop(key) for key in part.__dataclass_fields__ if key in changes}
        if inner:
            parts[name] = replace(getattr(spec, name), **inner)
    return replace(spec, **parts, **changes)


def assembled(**values: Any) -> MachineSpec:
    """A machine from the fields of all its parts; those with a default may be left out."""
    parts: dict[str, Any] = {}
    for name, part in PARTS.items():
        known = part.__dataclass_fields__
        parts[name] = part(**{key: values.pop(key) for key in known if key in values})
    return MachineSpec(**parts, **values)


def machine_of(
    design: str,
    settings: Settings,
    stream: Stream,
    policies: dict[str, Any] | None = None,
    **changes: Any,
) -> MachineSpec:
    """A design's machine for a stream; `changes` as for `vary`, after `policies` of the design."""
    chosen = DESIGNS[design].policies.model_copy(update=policies or {})
    arm = Arm(name="arm", design=design, policies=chosen, settings=settings)
    return vary(machine_spec(arm, stream), **changes)
