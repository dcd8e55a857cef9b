"""What an arm resolves to, in ticks and bytes: everything that a run depends on, besides the stream
and the keys. A `MachineSpec` has a part for each thing that a machine is made of.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.engine import FOREVER
from sim.host.migration import Migration
from sim.host.pressure import Touch
from sim.kvm.tables import FlagUpdates
from sim.linux.aux import Geometry
from sim.linux.driver import DriverCosts, DriverRules
from sim.linux.reader import ReaderSpec
from sim.linux.tree.programming import KernelDriver
from sim.policies.stages import KvmCosts
from sim.scenario.models.designs import Policies
from sim.spe.buffer import SLOT64, RecordLayout
from sim.spe.filter import Filter
from sim.spe.select import Jitter
from sim.spe.selection import Weights

Law = tuple[int, ...]
"""Integer quantile table in ticks (`sim.draws.pick`)."""


@dataclass(frozen=True, slots=True)
class UnmapSpec:
    """Host pressure: `kind` as in the scenario; tables in ticks where the kind needs one."""

    kind: str
    law: Law = (0,)
    piece: int = 1
    scans: int = 0
    """Published: adjacent pages that lie together, and steps of a sweep."""


@dataclass(frozen=True, slots=True)
class PressureSpec:
    """More host pressure: how pages are touched, at a table of periods or gaps in ticks."""

    kind: str
    touch: Touch
    law: Law
    sweeps: bool = False
    """Each page once per period of `law`; else at random, with gaps of `law`."""
    span: int = 1
    piece: int = 1
    scans: int = 0
    """Of a sweep: adjacent pages that lie together, and its steps (0: page by page)."""


@dataclass(frozen=True, slots=True)
class BalloonSpec:
    """Free guest pages are discarded: when a huge page of `block` pages is first hit, in ticks; the
    buffer lies in chunks of `chunk` pages."""

    kind: str
    law: Law
    chunk: int
    block: int


@dataclass(frozen=True, slots=True)
class SpuSpec:
    """The SPU: which ops it samples, what it writes, and how long its interrupt takes."""

    interval: int
    """What the driver programs: the period, rounded."""
    jitter: Jitter
    jitter_mask: int
    resync: bool
    in_flight: int
    filter: Filter
    irq_latency: Law
    irq_retract: int = 0
    """Ticks before the core in which PMBIRQ cannot be recalled."""
    layout: RecordLayout = SLOT64
    data_loss_per_mille: int = 0
    """Faults that say DL = 1."""
    target_bias_per_mille: int = 0
    target_bias_reach: int = 4
    flag_updates: bool = True
    """PMBIDR.F: its walks set the access flag, and the dirty state where stage 2 has it."""
    selection: Weights | None = None


@dataclass(frozen=True, slots=True)
class EventSpec:
    """The guest's perf event: its driver, its AUX ring and who reads it."""

    period: int
    """attr.sample_period: the first interval."""
    aux: Geometry
    aux_va: int
    driver: DriverCosts
    random_start: bool
    """It starts U{0 … gap-1} population ops in, the same in all arms."""
    rules: DriverRules = field(default_factory=DriverRules)
    snapshot: bool = False
    reader: ReaderSpec | None = None
    """None: the reader keeps up."""
    per_task: bool = True
    kernel: KernelDriver | None = None
    """The driver of a kernel tree in place of ours."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """When the profiled task leaves its CPU, for how long, and where it comes back."""

    switch_ticks: int = 0
    """Ticks between two switches; 0 for none."""
    away_ticks: int = 0
    wall_slices: bool = False
    halted: bool = False
    wake_ticks: int = 0
    visits: int = 1
    """vCPUs that a task comes back on, in turn."""


@dataclass(frozen=True, slots=True)
class VmSpec:
    """The VM: what KVM's work costs, its memory, what its VMM may lock; bytes. Bare metal has one
    too, and nothing looks at it.
    """

    kvm: KvmCosts
    warm: bool
    """Stage 2 maps the buffer when the event starts."""
    max_buffer: int
    memlock: int
    memlock_hard: int
    cap_ipc_lock: bool
    exits: Law | None
    """Gaps between ordinary exits; None for none."""
    dirty_bit: bool = False
    """VTCR_EL2.HD: what the dirty log takes is the dirty state, not the permission."""
    memory: int = 16 << 30
    bounce: int = 2 << 20
    unpin_after: int = FOREVER


@dataclass(frozen=True, slots=True)
class HostSpec:
    """What the host does to the VM; times in ticks."""

    unmap: UnmapSpec
    pressures: tuple[PressureSpec, ...] = ()
    balloons: tuple[BalloonSpec, ...] = ()
    memslot_changes: int = 0
    """Ticks between two; 0 for none."""
    migration: Migration | None = None
    physical_cpus: int = 0
    """0: as many as vCPUs."""
    host_slice: int = 0


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """One arm's machine."""

    policies: Policies
    vcpus: int
    granule: int
    """Bytes of a page."""
    spu: SpuSpec
    event: EventSpec
    task: TaskSpec
    vm: VmSpec
    host: HostSpec


def by_status(spec: MachineSpec) -> bool:
    """May a fault say anything but a missing entry?"""
    aged = any(pressure.touch is Touch.AGE for pressure in spec.host.pressures)
    logged = spec.host.migration is not None and spec.policies.bundle.backing.write_protected
    updates = FlagUpdates.of(spec.spu.flag_updates, spec.vm.dirty_bit)
    return (aged and not updates.access) or (logged and not updates.dirty)


def zaps_windows(spec: MachineSpec) -> bool:
    """unmap: per_window; under per_record a pin that only a fault makes needs a first one."""
    unmap = spec.host.unmap
    first = unmap.kind == "per_record" and spec.policies.bundle.backing.pins_at_fault
    return first or unmap.kind == "per_window"


def zaps_records(spec: MachineSpec) -> bool:
    """unmap: per_record, and nothing keeps the page: the SPU's side takes it away itself."""
    pressed = spec.host.unmap.kind == "per_record" and spec.policies.virtual
    return pressed and not spec.policies.bundle.keeps_entries and not spec.event.rules.discard
