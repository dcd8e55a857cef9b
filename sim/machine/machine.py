"""The machine: builds vCPUs, VM and host from a design, runs one replication, returns its result.

`simulate` is the one entry point of the model. `MachineSpec` is what an arm resolves to, in ticks
and bytes; nothing below this module reads time units from a scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import product

import numpy as np
from simpy.events import AllOf

from sim import draws
from sim.cpu.core import Baremetal, Cpu
from sim.cpu.gic import Gic
from sim.cpu.ports import Plan
from sim.engine import FOREVER, Engine, Kind, Process, WorkClock
from sim.host.migration import Migration, migrate, share_cpus
from sim.host.pressure import (
    Blocks,
    Host,
    MemslotChange,
    Pressure,
    Random,
    Sweep,
    Touch,
    shared_blocks,
)
from sim.host.vmm import answer_enomem
from sim.kvm.hypervisor import Hypervisor
from sim.kvm.memlock import Account
from sim.kvm.notifiers import GuestBuffer
from sim.kvm.pages import Pages
from sim.kvm.tables import Stage2, stage1_tables
from sim.kvm.vm import Vm, VmSizes
from sim.ledger import Ledgers, TimeCause
from sim.linux.aux import AuxRing, Geometry
from sim.linux.driver import DriverCosts, DriverRules, SpeEvent
from sim.linux.reader import Reader, ReaderSpec
from sim.machine.rounds import Costs, Fused, Parts
from sim.policies.stages import KvmCosts
from sim.results import RecordSink, RlimitCounts, RunResult, VcpuResult
from sim.scenario.designs import Policies
from sim.spe.buffer import SLOT64, DataLoss, RecordLayout
from sim.spe.fast import MacroSampler
from sim.spe.filter import Filter
from sim.spe.port import DirectRegisters
from sim.spe.select import Interval, Jitter, TargetBias, target_distances
from sim.spe.spu import Sampler, SamplerConfig, SampleTimer, Spu
from sim.workload.arrays import Stream

Law = tuple[int, ...]
"""Integer quantile table in ticks, its size a power of two."""

SamplerFactory = Callable[..., Sampler]
ENGINES: dict[str, SamplerFactory] = {"reference": SampleTimer, "fast": MacroSampler}


@dataclass(frozen=True, slots=True)
class UnmapSpec:
    """Host pressure: `kind` as in the scenario; tables in ticks where the kind needs one."""

    kind: str
    law: Law = (0,)


@dataclass(frozen=True, slots=True)
class PressureSpec:
    """More host pressure: how pages are touched, at a table of periods or gaps in ticks."""

    kind: str
    touch: Touch
    law: Law
    sweeps: bool = False
    """Each page once per period of `law`; else at random, with gaps of `law`."""
    span: int = 1


@dataclass(frozen=True, slots=True)
class BalloonSpec:
    """Free guest pages are discarded: when a huge page of `block` pages is first hit, in ticks; the
    buffer lies in chunks of `chunk` pages."""

    kind: str
    law: Law
    chunk: int
    block: int


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """Everything that an arm's run depends on, besides the stream and the keys."""

    policies: Policies
    vcpus: int
    period: int
    """attr.sample_period: the first interval."""
    interval: int
    """What the driver programs: the period, rounded."""
    jitter: Jitter
    jitter_mask: int
    resync: bool
    in_flight: int
    filter: Filter
    aux: Geometry
    aux_va: int
    granule: int
    warm: bool
    max_buffer: int
    memlock: int
    memlock_hard: int
    cap_ipc_lock: bool
    exits: Law | None
    unmap: UnmapSpec
    irq_latency: Law
    driver: DriverCosts
    kvm: KvmCosts
    switch_ticks: int
    away_ticks: int
    random_start: bool
    rules: DriverRules = field(default_factory=DriverRules)
    snapshot: bool = False
    reader: ReaderSpec | None = None
    """None: the reader keeps up."""
    per_task: bool = True
    wall_slices: bool = False
    halted: bool = False
    wake_ticks: int = 0
    irq_retract: int = 0
    memory: int = 16 << 30
    bounce: int = 2 << 20
    unpin_after: int = FOREVER
    pressures: tuple[PressureSpec, ...] = ()
    balloons: tuple[BalloonSpec, ...] = ()
    memslot_changes: int = 0
    """Ticks between two; 0 for none."""
    migration: Migration | None = None
    visits: int = 1
    """vCPUs that a task comes back on, in turn."""
    physical_cpus: int = 0
    """0: as many as vCPUs."""
    host_slice: int = 0
    data_loss_per_mille: int = 0
    layout: RecordLayout = SLOT64
    target_bias_per_mille: int = 0
    target_bias_reach: int = 4


@dataclass(frozen=True, slots=True)
class Run:
    """Which replication, with which draws, and what to keep."""

    arm: str
    seed: int
    replication: int
    keep_records: bool = False
    keep_log: bool = False
    ends: tuple[int, ...] = ()
    """First op that a vCPU does not execute, per vCPU; empty: the stream's end."""


@dataclass(slots=True)
class Vcpu:
    """One vCPU and everything that belongs to it alone."""

    index: int
    stream: Stream
    cpu: Cpu
    spu: Spu
    event: SpeEvent
    ring: AuxRing
    ledgers: Ledgers
    sink: RecordSink
    log: list[tuple[int, str, int]]
    hypervisor: Hypervisor | None = None
    stage2: Stage2 | None = None
    fused: Fused | None = None


MAX_LOG = 1_000_000
"""Entries that a vCPU's log keeps, the first ones: 150 MB."""


def _unheard(what: Enum | str, value: int) -> None:
    """Nobody keeps the log."""


class Machine:
    """One arm's hardware and software, ready to run."""

    def __init__(
        self, spec: MachineSpec, streams: tuple[Stream, ...], run: Run, factory: SamplerFactory
    ) -> None:
        self.spec, self.run_spec = spec, run
        self.policies = spec.policies.bundle
        self.engine = Engine()
        self.host = Host(self.engine, self._zaps_windows())
        self.account = self._account()
        limit = spec.max_buffer if self.policies.window_limit.limits else FOREVER
        sizes = VmSizes(spec.memory, limit, spec.bounce, spec.unpin_after, spec.layout.max_size)
        self.vm = Vm(self.policies, spec.kvm, self.account, self.host, sizes)
        self.vcpus = [
            self._vcpu(index, streams[index % len(streams)], factory) for index in range(spec.vcpus)
        ]
        if spec.policies.virtual:
            self._configure()
            self._start_host()

    def _account(self) -> Account:
        spec, policies = self.spec, self.policies
        return Account(
            limit=spec.memlock,
            hard_limit=spec.memlock_hard,
            cap_ipc_lock=spec.cap_ipc_lock,
            high_water=policies.accounting.high_water,
            per_vm=policies.accounting_scope.per_vm,
            enforced=policies.accounting.charges,
            now=lambda: self.engine.now,
        )

    def _key(self, vcpu: int, component: str) -> int:
        return draws.key(self.run_spec.seed, self.run_spec.replication, vcpu, component)

    # --- construction --------------------------------------------------------------------

    def _vcpu(self, index: int, stream: Stream, factory: SamplerFactory) -> Vcpu:
        spec, run = self.spec, self.run_spec
        ledgers, clock = Ledgers(), WorkClock()
        log: list[tuple[int, str, int]] = []

        def note(what: Enum | str, value: int) -> None:
            if len(log) < MAX_LOG:
                name = str(what) if isinstance(what, str) else what.name
                log.append((self.engine.now, name, value))

        plan = self._plan(index, stream)
        listener = note if run.keep_log else _unheard
        cpu = Cpu(self.engine, index, stream, clock, plan, ledgers, listener)
        stage2 = self._stage2()
        pages = np.ones(spec.aux.size // spec.granule, np.uint8)
        if stage2 and not spec.rules.discard and not self.policies.backing.bounces:
            pages = stage2.translates
        sink = RecordSink(run.keep_records)
        sampler = factory(
            self.engine, index, clock, stream, self._sampler_config(index, stream), pages, sink
        )
        gic = Gic(
            self.engine,
            index,
            spec.irq_latency,
            self._key(index, "irq"),
            cpu.pmbirq_arrived,
            spec.irq_retract,
            cpu.pmbirq_late,
        )

        def line(level: bool) -> None:
            if level != gic.level:
                cpu.log("PMBIRQ_LINE", int(level))
            gic.line(level)

        data_loss = DataLoss(self._key(index, "data_loss"), spec.data_loss_per_mille)
        spu = Spu(sampler, cpu.spu_stopped, line if run.keep_log else gic.line, data_loss)
        sampler.stop = spu.stopped
        cpu.spu, cpu.gic = spu, gic
        ring = self._ring(cpu, ledgers)
        vcpu = Vcpu(index, stream, cpu, spu, None, ring, ledgers, sink, log)  # type: ignore[arg-type]
        registers = self._platform(vcpu, stage2)
        vcpu.event = SpeEvent(
            spu,
            registers,
            ring,
            spec.period,
            spec.driver,
            cpu.spend,
            lambda: self.engine.now,
            1000 + index,
            spec.rules,
        )
        cpu.event = vcpu.event
        if isinstance(sampler, MacroSampler):
            vcpu.fused = sampler.fused = self._fused(vcpu)
        return vcpu

    def _fused(self, vcpu: Vcpu) -> Fused | None:
        """Stops that need no decision are served in the kernel, unless the log wants them all."""
        full, fault = self._full_costs(), self._fault_costs()
        packed = not self.spec.layout.fixed  # cut records need a decision
        if self.run_spec.keep_log or packed or not (full or fault):
            return None
        parts = Parts(vcpu.cpu, vcpu.spu, vcpu.event, vcpu.ring, vcpu.stage2)
        return Fused(parts, self.spec.irq_latency, self._key(vcpu.index, "irq"), full, fault)

    def _full_costs(self) -> Costs:
        """A full buffer on bare metal, with a reader that is never behind."""
        spec = self.spec
        if spec.policies.virtual or spec.reader or spec.snapshot or spec.rules.discard:
            return {}
        return {TimeCause.HANDLER: spec.driver.handler}

    def _fault_costs(self) -> Costs:
        """A fault that KVM fixes by mapping the page; the guest never knows."""
        spec, policies, costs = self.spec, self.policies, self.spec.kvm
        rewinds = spec.data_loss_per_mille > 0
        if not policies.fixes_alone or rewinds:
            return {}
        told = spec.memslot_changes > 0 and policies.tells(pins_lost=True)
        if self._waits() or told:
            return {}
        return {
            TimeCause.HANDLER: costs.exit + costs.host_irq + costs.entry,
            TimeCause.FAULT: costs.fault,
        }

    def _waits(self) -> bool:
        """May fixing a fault take longer: for a page to come back, for another vCPU's mmu_lock?"""
        spec = self.spec
        swapping = any(p.touch is Touch.SWAP_OUT for p in spec.pressures)
        remote = spec.migration is not None and spec.migration.post_copy
        return swapping or remote or (spec.vcpus > 1 and spec.policies.unmap_on_unpin)

    def _ring(self, cpu: Cpu, ledgers: Ledgers) -> AuxRing:
        """The AUX ring and who reads it."""
        spec, reader = self.spec, self.spec.reader
        ring = AuxRing(
            spec.aux,
            ledgers.delivery,
            cpu.index,
            self.run_spec.keep_records,
            keeps_up=reader is None,
            overwrite=spec.snapshot,
            wake=cpu.enable_event,
        )
        if reader is not None:
            cpu.reader = Reader(self.engine, cpu.index, ring, cpu, reader)
        return ring

    def _stage2(self) -> Stage2 | None:
        if not self.spec.policies.virtual:
            return None
        tables = stage1_tables(self.spec.aux_va, self.spec.aux.size, self.spec.granule)
        return Stage2(tables, self.spec.warm)

    def _platform(self, vcpu: Vcpu, stage2: Stage2 | None) -> Hypervisor | DirectRegisters:
        cpu = vcpu.cpu
        if stage2 is None:
            cpu.platform = Baremetal(cpu)
            return DirectRegisters(vcpu.spu)
        hypervisor = Hypervisor(self.vm, cpu, Pages(self.vm, stage2, cpu.index, cpu.log))
        cpu.platform = hypervisor
        cpu.next_exit_only = not self.policies.interrupt.forces_exit
        vcpu.hypervisor, vcpu.stage2 = hypervisor, stage2
        self.engine.process(hypervisor.run())
        self.host.add(
            vcpu.index,
            GuestBuffer(self.policies, stage2, vcpu.spu.sampler, hypervisor),
            self._pressures(vcpu.index, stage2),
        )
        if self.spec.exits is not None:
            self.engine.process(self._ordinary_exits(cpu, self.spec.exits))
        return hypervisor

    def _pressures(self, vcpu: int, stage2: Stage2) -> list[Pressure]:
        found: list[Pressure] = []
        unmap = self.spec.unmap
        if unmap.kind == "published":
            found.append(Sweep(unmap.law, self._key(vcpu, "numa")))
        if unmap.kind == "poisson":
            found.append(Random(unmap.law, self._key(vcpu, "unmap")))
        for spec in self.spec.pressures:
            key = self._key(vcpu, spec.kind)
            if spec.sweeps:
                found.append(Sweep(spec.law, key, spec.touch))
            else:
                found.append(Random(spec.law, key, spec.touch, spec.span))
        for balloon in self.spec.balloons:
            tables = stage2.tables
            groups = shared_blocks(tables.pages, tables.tables, balloon.chunk, balloon.block)
            found.append(Blocks(balloon.law, self._key(vcpu, balloon.kind), groups))
        if self.spec.memslot_changes:
            found.append(MemslotChange(self.spec.memslot_changes))
        return found

    def _start_host(self) -> None:
        """What the host does to the VM as a whole."""
        spec, cpus = self.spec, self.vm.cpus
        if spec.migration is not None:
            self.engine.process(migrate(self.engine, self.host, self.vm, spec.migration))
        if 0 < spec.physical_cpus < len(cpus):
            self.engine.process(share_cpus(self.engine, cpus, spec.physical_cpus, spec.host_slice))

    def _sampler_config(self, index: int, stream: Stream) -> SamplerConfig:
        spec = self.spec
        interval = Interval(
            spec.interval, spec.jitter, self._key(index, "interval"), spec.jitter_mask
        )
        return SamplerConfig(
            interval=interval,
            latency_key=self._key(index, "latency"),
            in_flight=spec.in_flight,
            filter=spec.filter,
            page_shift=spec.granule.bit_length() - 1,
            zap_after_write=self._zaps_records(),
            resync=spec.resync,
            layout=spec.layout,
            bias=self._bias(index, stream),
            voidable=self._loses_data(),
            discard=spec.rules.discard,
        )

    def _bias(self, index: int, stream: Stream) -> TargetBias | None:
        """Erratum 1694299, if it is wanted."""
        share = self.spec.target_bias_per_mille
        if share == 0:
            return None
        distance = target_distances(stream, self.spec.target_bias_reach)
        return TargetBias(self._key(index, "target_bias"), share, distance)

    def _loses_data(self) -> bool:
        """May a fault say DL = 1?"""
        spec = self.spec
        return spec.policies.virtual and (spec.data_loss_per_mille > 0 or not spec.layout.fixed)

    def _zaps_windows(self) -> bool:
        """unmap: per_window; under per_record a pin that only a fault makes needs a first one."""
        spec = self.spec
        first = spec.unmap.kind == "per_record" and self.policies.backing.pins_at_fault
        return first or spec.unmap.kind == "per_window"

    def _zaps_records(self) -> bool:
        """unmap: per_record, and nothing keeps the page: the SPU's side takes it away itself."""
        spec = self.spec
        pressed = spec.unmap.kind == "per_record" and spec.policies.virtual
        return pressed and not self.policies.keeps_window and not spec.rules.discard

    def _plan(self, index: int, stream: Stream) -> Plan:
        """Random start: U{0 … gap-1} population ops in, the same in all arms."""
        spec, start = self.spec, 0
        if spec.random_start:
            gap = spec.interval + 1
            start = stream.op_of_pop(draws.below(self._key(index, "start"), 0, gap))
        ends = self.run_spec.ends
        end = min(stream.ops, ends[index]) if ends else stream.ops
        return Plan(
            start,
            end,
            spec.switch_ticks,
            spec.away_ticks,
            spec.wall_slices,
            spec.halted,
            spec.wake_ticks,
            spec.per_task,
            spec.visits,
        )

    # --- configuration -------------------------------------------------------------------

    def _configure(self) -> None:
        """What is charged before the guest runs: all memory, or KVM_ARM_VCPU_MAX_BUFFER_SIZE on
        each vCPU; -ENOMEM over the limit."""
        policies, sizes, account = self.policies, self.vm.sizes, self.account
        if policies.backing.pins_memory:
            if not self._charged(lambda: account.reserve(sizes.memory)):
                for vcpu in self.vcpus:
                    vcpu.event.refused = True
            return
        if not policies.accounting.high_water or sizes.max_buffer >= FOREVER:
            return
        for vcpu, visit in product(self.vcpus, range(self.spec.visits)):
            assert vcpu.hypervisor is not None
            charge = partial(
                account.configure, vcpu.hypervisor.pages.payer(visit), sizes.max_buffer
            )
            if not self._charged(charge):
                vcpu.event.refused = True
        account.forget_configuration()

    def _charged(self, charge: Callable[[], int]) -> bool:
        """Try, and try again as long as the VMM raises its limit."""
        while excess := charge():
            self.account.counts.config_enomem += 1
            reply = answer_enomem(excess, self.account, self.policies)
            if reply.limit is None:
                return False
            self.account.set_limit(reply.limit)
        return True

    def _ordinary_exits(self, cpu: Cpu, law: Law) -> Process:
        """PROCESS ordinary exits: timer, IPI, MMIO."""
        key = self._key(cpu.index, "exits")
        ordinal = 0
        while cpu.ended_at < 0:
            yield self.engine.at(draws.pick(law, key, ordinal), Kind.ORDINARY_EXIT, cpu.index)
            cpu.ordinary_exit()
            ordinal += 1

    # --- running -------------------------------------------------------------------------

    def run(self) -> RunResult:
        """Run to the end of every vCPU; asserts the conservation laws."""
        self.engine.run(self.start())
        return self.finish()

    def start(self) -> AllOf:
        """Let every vCPU run; the event that all have ended."""
        for vcpu in self.vcpus:
            self.engine.process(vcpu.cpu.run())
        return AllOf(self.engine, [vcpu.cpu.done for vcpu in self.vcpus])

    def finish(self) -> RunResult:
        """The VM is destroyed; what the run has said."""
        for vcpu in self.vcpus:
            if vcpu.hypervisor:
                vcpu.hypervisor.pages.destroy()
        self.account.release()
        return RunResult(
            arm=self.run_spec.arm,
            replication=self.run_spec.replication,
            vcpus=tuple(self._result(vcpu) for vcpu in self.vcpus),
            rlimit=self.account.counts if self.spec.policies.virtual else RlimitCounts(),
            locked=tuple(self.account.points),
            zaps=self._zaps(),
            wall=max(vcpu.ledgers.time.wall for vcpu in self.vcpus),
            verdict=self._verdict(),
            engine_events=self.engine.events,
            kernel_calls=sum(v.spu.sampler.kernel_calls for v in self.vcpus),
            kernel_truncations=sum(v.spu.sampler.truncations for v in self.vcpus),
            fused_rounds=sum(v.fused.rounds for v in self.vcpus if v.fused),
        )

    def _zaps(self) -> int:
        """Pages that went: one with every record written, if that is the pressure."""
        written = sum(vcpu.spu.sampler.written() for vcpu in self.vcpus)
        return self.host.zaps + (written if self._zaps_records() else 0)

    def _verdict(self) -> str:
        if self.vm.killed:
            return self.vm.verdict
        if any(vcpu.event.refused for vcpu in self.vcpus):
            return "-ENOMEM at configuration: refused, so a vCPU has no SPE"
        return next((vcpu.cpu.verdict for vcpu in self.vcpus if vcpu.cpu.verdict), "")

    def _result(self, vcpu: Vcpu) -> VcpuResult:
        profile = vcpu.spu.sampler.close(vcpu.ledgers.selections)
        vcpu.ledgers.close()
        if vcpu.fused:
            vcpu.fused.close()
        return VcpuResult(
            ledgers=vcpu.ledgers,
            blackouts=vcpu.cpu.blackouts,
            profile=profile,
            lost=vcpu.cpu.lost,
            ended_at_op=vcpu.cpu.ended_at,
            stops=vcpu.spu.stops,
            traps=vcpu.hypervisor.traps if vcpu.hypervisor else 0,
            ordinary_exits=vcpu.cpu.ordinary_exits,
            written=vcpu.sink.written(),
            aux=vcpu.ring.rows(),
            log=tuple(vcpu.log),
        )


def simulate(
    spec: MachineSpec, streams: tuple[Stream, ...], run: Run, engine: str = "fast"
) -> RunResult:
    """One replication of one arm; `engine` is "fast" or "reference", with the same result."""
    return Machine(spec, streams, run, ENGINES[engine]).run()
