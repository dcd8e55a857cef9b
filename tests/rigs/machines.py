"""Machines that tests are about: an arm's, with some of its fields changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sim import draws
from sim.machine.machine import ENGINES, simulate
from sim.machine.resolve import machine_spec
from sim.machine.run import Run
from sim.machine.spec import EventSpec, HostSpec, MachineSpec, SpuSpec, TaskSpec, VmSpec
from sim.results import RunResult
from sim.scenario.models.designs import DESIGNS
from sim.scenario.models.scenario import Arm, Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.arrays import Stream
from sim.workload.synthetic import synthetic_stream

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


def synthetic(
    *phases: Phase, repeat: int = 1, core: str = "neoverse-n1", exclude_kernel: bool = True
) -> Stream:
    """A synthetic stream, counted in instructions, of user code alone unless it is said."""
    workload = Synthetic(kind="synthetic", phases=phases, repeat=repeat)
    return synthetic_stream(workload, core=core, exclude_kernel=exclude_kernel, micro_ops=False)


def simulated(
    spec: MachineSpec, *streams: Stream, seed: int = 5, engine: str = "fast"
) -> RunResult:
    """A machine's run with its records and its log; a stream for each vCPU, or one for all."""
    return simulate(spec, streams, Run("arm", seed, 0, keep_records=True, keep_log=True), engine)


def agreed(spec: MachineSpec, *streams: Stream, seed: int = 7) -> RunResult:
    """The run of a machine, in which both engines agree."""
    fast, reference = (simulated(spec, *streams, seed=seed, engine=each) for each in ENGINES)
    for one, other in zip(fast.vcpus, reference.vcpus, strict=True):
        assert one.ledgers.as_dict() == other.ledgers.as_dict()
        assert one.log == other.log
        assert (one.profile == other.profile).all()
        assert one.written.tolist() == other.written.tolist()
        assert one.aux.tolist() == other.aux.tolist()
    return fast


def table(values: Sequence[int]) -> tuple[int, ...]:
    """A table of equally likely values, a power of two of them: the last slice is all one."""
    if len(values) == 1:
        return (values[0],)
    return (*values[:-1], *[values[-1]] * draws.TAIL)


def mean_of(table: Sequence[int]) -> float:
    """Mean of a draw: the last slice is in parts."""
    if len(table) == 1:
        return table[0]
    size = len(table) - draws.TAIL + 1
    whole, parts = table[: size - 1], table[size - 1 :]
    return (sum(whole) + sum(parts) / draws.TAIL) / size
