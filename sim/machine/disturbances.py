"""What the host does to one machine's vCPUs: which pressures press on a buffer, ordinary exits."""

from __future__ import annotations

from collections.abc import Callable

from sim import draws
from sim.cpu.ports import GuestCpu
from sim.engine import Engine, Kind, Process
from sim.host.pressure import Blocks, MemslotChange, Pressure, Random, Sweep, shared_blocks
from sim.kvm.tables import Stage1Tables
from sim.machine.spec import HostSpec, Law


def pressures(spec: HostSpec, tables: Stage1Tables, key: Callable[[str], int]) -> list[Pressure]:
    """All that press on the buffer of a vCPU; `key` names the draws of one of its components."""
    found: list[Pressure] = []
    unmap = spec.unmap
    if unmap.kind == "published":
        found.append(Sweep(unmap.law, key("numa"), piece=unmap.piece, scans=unmap.scans))
    if unmap.kind == "poisson":
        found.append(Random(unmap.law, key("unmap")))
    for pressure in spec.pressures:
        own = key(pressure.kind)
        if pressure.sweeps:
            sweep = Sweep(pressure.law, own, pressure.touch, pressure.piece, pressure.scans)
            found.append(sweep)
        else:
            found.append(Random(pressure.law, own, pressure.touch, pressure.span))
    for balloon in spec.balloons:
        groups = shared_blocks(tables.pages, tables.tables, balloon.chunk, balloon.block)
        found.append(Blocks(balloon.law, key(balloon.kind), groups))
    if spec.memslot_changes:
        found.append(MemslotChange(spec.memslot_changes))
    return found


def ordinary_exits(engine: Engine, cpu: GuestCpu, law: Law, key: int) -> Process:
    """PROCESS ordinary exits: timer, IPI, MMIO."""
    ordinal = 0
    while cpu.ended_at < 0:
        yield engine.at(draws.pick(law, key, ordinal), Kind.ORDINARY_EXIT, cpu.index)
        cpu.ordinary_exit()
        ordinal += 1
