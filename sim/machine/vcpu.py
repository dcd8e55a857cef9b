"""One vCPU: its parts, in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sim import draws
from sim.cpu.baremetal import Baremetal
from sim.cpu.core import Cpu
from sim.cpu.gic import Gic
from sim.cpu.ports import CpuParts, Plan
from sim.engine import Engine, WorkClock
from sim.kvm.hypervisor import Hypervisor
from sim.kvm.pages import Pages
from sim.kvm.tables import FlagUpdates, Stage2, no_tables, stage1_tables
from sim.kvm.vm import Vm
from sim.ledger import Ledgers
from sim.linux.aux import AuxRing
from sim.linux.driver import SpeEvent
from sim.linux.reader import Reader
from sim.linux.tree.event import Around, KernelEvent
from sim.machine.disturbances import OrdinaryExits
from sim.machine.rounds import RoundCosts, RoundParts, Rounds
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, zaps_records
from sim.policies.exceptions import Masking
from sim.results import FIRST_TID, OpSink, RecordSink, VcpuResult, hand_on
from sim.spe.buffer import DataLoss
from sim.spe.fast import MacroSampler
from sim.spe.register_port import DirectRegisters
from sim.spe.select import Interval, TargetBias, target_distances
from sim.spe.selection import Selection
from sim.spe.spu import Sampler, SamplerConfig, Spu
from sim.workload.arrays import Stream

SamplerFactory = Callable[..., Sampler]

MAX_LOG = 1_000_000
"""Entries that a vCPU's log keeps, the first ones: 150 MB."""


def _unheard(what: Enum | str, value: int) -> None:
    """Nobody keeps the log."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the vCPUs of a machine have in common."""

    spec: MachineSpec
    run: Run
    engine: Engine
    vm: Vm
    cpus: list[Cpu] = field(default_factory=list)


class Vcpu:
    """One vCPU and everything that belongs to it alone."""

    hypervisor: Hypervisor | None = None
    """None on bare metal, as `stage2`."""
    rounds: Rounds | None = None

    def __init__(self, shared: Shared, index: int, stream: Stream, factory: SamplerFactory) -> None:
        self.index, self.stream = index, stream
        self._shared, self._factory = shared, factory
        self._clock = WorkClock()
        self.ledgers = Ledgers()
        self.log: list[tuple[int, str, int]] = []
        self.sink = self._sink(shared.run)
        self.stage2 = self._stage2()
        self.cpu = Cpu(
            shared.engine,
            index,
            stream,
            self._clock,
            self._plan(),
            self.ledgers,
            self._note if shared.run.keep_log else _unheard,
            self._make_parts,
        )
        shared.cpus.append(self.cpu)

    def key(self, component: str) -> int:
        """Of the draws of one of its components."""
        return self._shared.run.key(self.index, component)

    def _note(self, what: Enum | str, value: int) -> None:
        if len(self.log) < MAX_LOG:
            name = str(what) if isinstance(what, str) else what.name
            self.log.append((self._shared.engine.now, name, value))

    # --- its parts -----------------------------------------------------------------------

    def _make_parts(self, cpu: Cpu) -> CpuParts:
        """Everything that the CPU drives and that reports to it."""
        spec, engine = self._shared.spec, self._shared.engine
        exceptions = spec.policies.bundle.exceptions
        self.gic = Gic(
            engine,
            self.index,
            spec.spu.irq_latency,
            self.key("irq"),
            cpu.pmbirq_arrived,
            0 if exceptions.profiling else spec.spu.irq_retract,
            cpu.pmbirq_late,
        )
        data_loss = DataLoss(self.key("data_loss"), spec.spu.data_loss_per_mille)
        line = self._logged_line if self._shared.run.keep_log else self.gic.line
        status = (self._fsc, spec.policies.bundle.splits) if self.stage2 else ()
        self.spu = Spu(self._sampler(), cpu.spu_stopped, line, data_loss, *status)
        self.ring = self._ring()
        wake = cpu.enable_event
        if spec.event.reader is not None:
            wake = Reader(engine, self.index, self.ring, cpu, spec.event.reader).wake
        self.hypervisor = self._hypervisor(cpu)
        self.event = self._event(cpu, wake)
        platform = self.hypervisor or Baremetal(self.event, cpu.spend, exceptions.masking)
        self.exits = self._exits(cpu)
        self.rounds = self._rounds(cpu)
        return CpuParts(self.spu, self.gic, platform, self.event, self.rounds)

    def _fsc(self, pointer: int) -> int:
        assert self.stage2 is not None
        return self.stage2.fsc(pointer // self._shared.spec.granule)

    def _event(self, cpu: Cpu, wake: Callable[[], None]) -> SpeEvent | KernelEvent:
        """The guest's event, with our driver or that of a kernel tree."""
        event, engine = self._shared.spec.event, self._shared.engine
        registers = self.hypervisor or DirectRegisters(self.spu)
        tid = FIRST_TID + self.index
        if event.kernel is not None:
            around = Around(
                self.spu,
                registers,
                self.ring,
                event.driver,
                cpu.spend,
                lambda: engine.now,
                tid,
                wake,
                self._panic,
            )
            return KernelEvent(event.kernel.start(), around, event.kernel.expected)
        return SpeEvent(
            self.spu,
            registers,
            self.ring,
            event.period,
            event.driver,
            cpu.spend,
            lambda: engine.now,
            tid,
            event.rules,
            wake,
        )

    def _panic(self, why: str) -> None:
        """The guest's kernel has crashed: its machine stops, with all of its CPUs."""
        self._shared.vm.kill(why)
        for cpu in self._shared.cpus:
            cpu.kill()

    def _logged_line(self, level: bool) -> None:
        if level != self.gic.level:
            self._note("PMBIRQ_LINE", int(level))
        self.gic.line(level)

    def _sampler(self) -> Callable[..., Sampler]:
        """What makes the SPU's sampler, told whom it reports stops to."""
        return partial(
            self._factory,
            self._shared.engine,
            self.index,
            self._clock,
            self.stream,
            self._sampler_config(),
            self._translating(),
            self.sink,
        )

    def _translating(self) -> NDArray[np.uint8]:
        """Pages that the SPU can write to: all, or those that stage 2 maps."""
        spec = self._shared.spec
        pages = np.ones(spec.event.aux.size // spec.granule, np.uint8)
        discard = spec.event.rules.discard
        if self.stage2 and not discard and not spec.policies.bundle.backing.bounces:
            pages = self.stage2.translates
        return pages

    def _ring(self) -> AuxRing:
        event = self._shared.spec.event
        return AuxRing(
            event.aux,
            self.ledgers.delivery,
            self.index,
            self._shared.run.keep_records,
            keeps_up=event.reader is None,
            overwrite=event.snapshot,
        )

    def _stage2(self) -> Stage2 | None:
        spec = self._shared.spec
        if not spec.policies.virtual:
            return None
        size, granule = spec.event.aux.size, spec.granule
        if spec.policies.bundle.pointers.virtual:
            tables = stage1_tables(spec.event.aux_va, size, granule)
        else:
            tables = no_tables(size, granule)
        updates = FlagUpdates.of(spec.spu.flag_updates, spec.vm.dirty_bit)
        return Stage2(tables, spec.vm.warm, updates)

    def _hypervisor(self, cpu: Cpu) -> Hypervisor | None:
        if self.stage2 is None:
            return None
        vm = self._shared.vm
        pages = Pages(vm, self.stage2, self.index, cpu.log)
        return Hypervisor(vm, cpu, self.spu, self.gic, pages)

    def _rounds(self, cpu: Cpu) -> Rounds | None:
        """Stops that need no decision are served in the kernel, unless the log wants them all."""
        spec = self._shared.spec
        costs = RoundCosts.of(spec)
        packed = not spec.spu.layout.fixed  # cut records need a decision
        compiled = isinstance(self.spu.sampler, MacroSampler)
        if not compiled or self._shared.run.keep_log or packed or not costs:
            return None
        if isinstance(self.event, KernelEvent):  # whose code is not ours to compile
            return None
        parts = RoundParts(cpu, self.gic, self.spu, self.event, self.ring, self.stage2, self.exits)
        virtual = spec.policies.virtual
        held, alone = not virtual and self._holds_interrupts(), virtual and spec.vcpus == 1
        return Rounds(parts, spec.spu.irq_latency, self.key("irq"), costs, not held, alone)

    def _exits(self, cpu: Cpu) -> OrdinaryExits | None:
        law = self._shared.spec.vm.exits
        if law is None or not self._shared.spec.policies.virtual:
            return None
        return OrdinaryExits(self._shared.engine, cpu, law, self.key("exits"))

    def _holds_interrupts(self) -> bool:
        return self._shared.spec.policies.bundle.exceptions.masking is not Masking.NOTHING

    # --- what they are told --------------------------------------------------------------

    def _sampler_config(self) -> SamplerConfig:
        spec = self._shared.spec
        spu = spec.spu
        return SamplerConfig(
            interval=Interval(spu.interval, spu.jitter, self.key("interval"), spu.jitter_mask),
            latency_key=self.key("latency"),
            in_flight=spu.in_flight,
            filter=spu.filter,
            page_shift=spec.granule.bit_length() - 1,
            zap_after_write=zaps_records(spec),
            resync=spu.resync,
            layout=spu.layout,
            bias=self._bias(),
            selection=self._selection(),
            voidable=self._loses_data(),
            discard=spec.event.rules.discard,
        )

    def _bias(self) -> TargetBias | None:
        """Erratum 1694299, if it is wanted."""
        spu = self._shared.spec.spu
        if spu.target_bias_per_mille == 0:
            return None
        distance = target_distances(self.stream, spu.target_bias_reach)
        return TargetBias(self.key("target_bias"), spu.target_bias_per_mille, distance)

    def _selection(self) -> Selection | None:
        """Weights of what is tracked, if the sampler has any."""
        weights = self._shared.spec.spu.selection
        if weights is None:
            return None
        return Selection(self.key("selection"), weights.window, weights.keep)

    def _sink(self, run: Run) -> RecordSink:
        if run.keep_records or run.watch is None:
            return RecordSink(run.keep_records)
        return OpSink(run.watch(self.index), final=not self._loses_data())

    def _loses_data(self) -> bool:
        """May a fault say DL = 1?"""
        spec = self._shared.spec
        loses = spec.spu.data_loss_per_mille > 0 or not spec.spu.layout.fixed
        return spec.policies.virtual and loses

    def _plan(self) -> Plan:
        """Random start: U{0 … gap-1} population ops in, the same in all arms."""
        spec, stop_at, start = self._shared.spec, self._shared.run.stop_at, 0
        if spec.event.random_start:
            gap = spec.spu.interval + 1
            start = self.stream.op_of_pop(draws.below(self.key("start"), 0, gap))
        task = spec.task
        return Plan(
            start,
            min(self.stream.ops, stop_at[self.index]) if stop_at else self.stream.ops,
            task.switch_ticks,
            task.away_ticks,
            task.wall_slices,
            task.halted,
            task.wake_ticks,
            spec.event.per_task,
            task.visits,
            self._shared.run.locate_losses,
        )

    # --- the end -------------------------------------------------------------------------

    def result(self) -> VcpuResult:
        """What the run says of it; asserts the conservation laws."""
        profile = self.spu.sampler.close(self.ledgers.selections)
        self.ledgers.close()
        if self.rounds:
            self.rounds.close()
        return VcpuResult(
            ledgers=self.ledgers,
            blackouts=self.cpu.blackouts,
            profile=profile,
            lost=self.cpu.lost,
            ended_at_op=self.cpu.ended_at,
            stops=self.spu.stops,
            traps=self.hypervisor.traps if self.hypervisor else 0,
            ordinary_exits=self.cpu.ordinary_exits,
            written=self._written(),
            aux=self.ring.rows(),
            aux_counts=self.ring.counts,
            log=tuple(self.log),
        )

    def _written(self) -> NDArray[np.int64]:
        """Records that are kept; who watches is told of all by then."""
        rows, run = self.sink.written(), self._shared.run
        if run.watch is not None and run.keep_records:
            hand_on(rows, run.watch(self.index))
        return rows
