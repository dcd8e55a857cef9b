"""What the host does to one machine's vCPUs: which pressures press on a buffer, ordinary exits."""

from __future__ import annotations

from collections.abc import Callable

from simpy.events import Event

from sim import draws
from sim.cpu.ports import GuestCpu
from sim.engine import Engine, Kind
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


class OrdinaryExits:
    """Ordinary exits of one vCPU: timer, IPI, MMIO. The next one is the `ordinal`-th, at `due`."""

    __slots__ = ("_cpu", "_engine", "_event", "due", "key", "law", "ordinal")

    def __init__(self, engine: Engine, cpu: GuestCpu, law: Law, key: int) -> None:
        self._engine, self._cpu, self.law, self.key = engine, cpu, law, key
        self.ordinal, self.due = 0, draws.pick(law, key, 0)
        self.arm()

    def arm(self) -> None:
        """The event of the next one is set."""
        self._event = self._engine.call(
            self.due - self._engine.now, Kind.ORDINARY_EXIT, self._cpu.index, self._happen
        )

    def disarm(self) -> None:
        """None happens until it is armed again."""
        self._engine.withdraw(self._event, self._cpu.index)

    def after_rounds(self, ordinal: int, due: int) -> None:
        """`sim.machine.rounds` has served all before this one."""
        self.ordinal, self.due = ordinal, due

    def _happen(self, _: Event) -> None:
        self._cpu.ordinary_exit()
        if self._cpu.ended_at < 0:
            self.ordinal += 1
            self.due += draws.pick(self.law, self.key, self.ordinal)
            self.arm()
