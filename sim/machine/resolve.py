"""From an arm's settings to a machine: text times become ticks here, once.

Distributions become integer quantile tables and costs become ticks at the arm's core clock; the
machine and everything below it see integers only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path

from sim import draws, inputs, units
from sim.cache.identity import by_identity
from sim.engine import FOREVER
from sim.host.migration import Migration
from sim.host.pressure import SWEEP_MEMORY, Touch
from sim.kvm.tables import DESCRIPTOR_BYTES
from sim.linux.aux import Geometry
from sim.linux.driver import DriverCosts, DriverRules, least_period, sanitise_period
from sim.linux.reader import ReaderSpec
from sim.linux.tree import programming
from sim.linux.tree.programming import KernelDriver, Wanted
from sim.machine.spec import (
    BalloonSpec,
    EventSpec,
    HostSpec,
    MachineSpec,
    PressureSpec,
    SpuSpec,
    TaskSpec,
    UnmapSpec,
    VmSpec,
)
from sim.policies.stages import KvmCosts
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.host import Balloon, LiveMigration, MemslotChange, PoissonUnmap, Scan
from sim.scenario.models.quantities import (
    UNLIMITED,
    ConstantTime,
    ExponentialTime,
    TimeDistribution,
    UniformTime,
)
from sim.scenario.models.scenario import Arm, Settings, SpeFilter
from sim.scenario.models.selection import SelectionTable
from sim.scenario.models.workloads import Profiled, Recorded, Synthetic, Threads, Workload
from sim.scenario.parameters import resolve as resolve_parameters
from sim.spe.buffer import LAYOUTS
from sim.spe.filter import build_filter
from sim.spe.record import CoreFacts
from sim.spe.select import Jitter
from sim.spe.selection import Weights, whole_weights
from sim.workload.arrays import Stream
from sim.workload.presets import get_preset
from sim.workload.remarks import bounded

Parameters = dict[str, TimeDistribution]
"""Times by their name in parameters.toml."""
Told = Callable[[int, int], None]
"""told(done, total) of work that takes long."""
_JITTER = {"off": Jitter.OFF, "on": Jitter.RND, "ernd": Jitter.ERND}


def passes(workload: Workload) -> int:
    """How often a workload runs in a row; StreamError or ProfileError if its file is none."""
    return workload.passes(pass_ops(workload) if workload.ops else 1)


def pass_ops(workload: Workload) -> int:
    """Operations of one pass, EL1 code of an overlay not counted; of threads, of the longest.

    Errors as `passes`.
    """
    if isinstance(workload, Synthetic):
        return workload.pass_ops
    path = stock_folder() / workload.path
    if isinstance(workload, Threads):
        from sim.workload.sharing.group import headers_of

        return max(header.ops for header in headers_of(path))
    of = _recorded_ops if isinstance(workload, Recorded) else _profiled_ops
    return of(path, inputs.stamp(path))


@cache
def _recorded_ops(path: Path, stamp: tuple[int, ...]) -> int:
    from sim.workload.spestream import read_header

    return read_header(path).ops


@cache
def _profiled_ops(path: Path, stamp: tuple[int, ...]) -> int:
    from sim.workload.capture import profile

    return profile.load(path).ops


def stream_of(settings: Settings, told: Told | None = None) -> Stream:
    """The instruction stream of an arm's settings, with its siblings if it is one of threads.

    `told(done, total)` hears of work that takes long. StreamError or ProfileError if a file is
    none, or if there is not a vCPU for each thread.
    """
    workload, spe = settings.workload, settings.spe
    micro_ops = spe.population == "micro_ops"
    if isinstance(workload, Recorded):
        from sim.workload.index import recorded_stream

        return recorded_stream(
            stock_folder() / workload.path,
            repeat=passes(workload),
            core=settings.cpu.core,
            exclude_kernel=spe.exclude_kernel,
            micro_ops=micro_ops,
            overlay=workload.kernel,
            clock_hz=settings.cpu.clock,
        )
    if isinstance(workload, Threads):
        from sim.workload.sharing.index import group_stream

        _want_a_vcpu_each(settings)
        return group_stream(
            stock_folder() / workload.path,
            repeat=passes(workload),
            core=settings.cpu.core,
            exclude_kernel=spe.exclude_kernel,
            micro_ops=micro_ops,
            told=told,
        )
    if isinstance(workload, Profiled):
        from sim.workload.profiled import profiled_stream

        return profiled_stream(
            stock_folder() / workload.path,
            repeat=passes(workload),
            core=settings.cpu.core,
            exclude_kernel=spe.exclude_kernel,
            micro_ops=micro_ops,
            clock_hz=settings.cpu.clock,
        )
    from sim.workload.synthetic import synthetic_stream

    return synthetic_stream(
        workload, core=settings.cpu.core, exclude_kernel=spe.exclude_kernel, micro_ops=micro_ops
    )


def _want_a_vcpu_each(settings: Settings) -> None:
    from sim.workload.sharing.group import streams_of
    from sim.workload.spestream import StreamError

    assert isinstance(settings.workload, Threads)
    path = stock_folder() / settings.workload.path
    threads, vcpus = len(streams_of(path)), settings.vm.vcpus
    if threads != vcpus:
        raise StreamError(
            f"{path}: {threads} threads, but vm.vcpus is {vcpus}; each thread has a vCPU of its "
            f"own: set vm.vcpus: {threads}, or name {vcpus} streams in the file"
        )


def stream_remarks(settings: Settings) -> tuple[str, ...]:
    """What the import of the workload found in doubt, as `stream_of` has it, without its stream.

    StreamError or ProfileError if the file is none.
    """
    workload = settings.workload
    if isinstance(workload, Threads):
        from sim.workload.sharing.group import headers_of

        _want_a_vcpu_each(settings)
        headers = headers_of(stock_folder() / workload.path)
        return bounded(tuple(dict.fromkeys(r for header in headers for r in header.remarks)))
    if isinstance(workload, Recorded):
        from sim.workload.spestream import read_header

        return bounded(read_header(stock_folder() / workload.path).remarks)
    if isinstance(workload, Profiled):
        from sim.workload.capture import profile

        return bounded(profile.load(stock_folder() / workload.path).remarks)
    return ()


def stream_key(settings: Settings) -> str:
    """Settings with equal keys share a stream, as long as nobody writes its file again."""
    workload = settings.workload
    if isinstance(workload, Threads):
        from sim.workload.sharing.group import stamps

        return f"{_streamed(settings)} {stamps(stock_folder() / workload.path)}"
    if isinstance(workload, (Recorded, Profiled)):
        return f"{_streamed(settings)} {inputs.stamp(stock_folder() / workload.path)}"
    return _streamed(settings)


@by_identity(256)
def _streamed(settings: Settings) -> str:
    """The settings that a stream depends on."""
    spe, workload = settings.spe, settings.workload
    threads = settings.vm.vcpus if isinstance(workload, Threads) else None
    return repr((settings.cpu, spe.exclude_kernel, spe.population, workload, threads))


def core_facts(settings: Settings) -> CoreFacts:
    """What the core preset says about records."""
    preset = get_preset(settings.cpu.core)
    return CoreFacts(
        preset.level_events(), preset.level_source(), (1 << settings.spe.counter_bits) - 1
    )


def machine_spec(arm: Arm, stream: Stream) -> MachineSpec:
    """An arm in ticks and bytes."""
    settings = arm.settings
    parameters = resolve_parameters(settings)
    return MachineSpec(
        policies=arm.policies,
        vcpus=settings.vm.vcpus,
        granule=settings.vm.page_bytes,
        spu=_spu(arm, stream, parameters),
        event=_event(settings, parameters),
        task=_task(settings, parameters),
        vm=_vm(arm, parameters),
        host=_host(arm, parameters),
    )


def kernel_driver(settings: Settings) -> KernelDriver | None:
    """The driver of `driver.kernel_tree` for an arm's event; raises TreeError if it cannot be had.

    It is compiled, unless the cache has it, and started once to see what it programs.
    """
    driver, spe = settings.driver, settings.spe
    if not driver.kernel_tree:
        return None
    wanted = Wanted(
        period=spe.interval,
        aux=_geometry(settings),
        watermark=driver.watermark,
        jitter=spe.jitter != "off",
        ernd=spe.jitter == "ernd",
        load=spe.filter.load,
        store=spe.filter.store,
        branch=spe.filter.branch,
        event_filter=spe.filter.event_filter,
        min_latency=spe.filter.min_latency,
        inv_data_src_filter=spe.filter.inv_data_src_filter,
        exclude_kernel=spe.exclude_kernel,
        snapshot=driver.capture == "snapshot",
        discard=driver.capture == "discard",
        min_interval=spe.min_interval,
        spe=spe.version,
        wide_counters=spe.counter_bits > 12,
    )
    return programming.driver(driver.kernel_tree, wanted)


def interval_of(settings: Settings) -> int:
    """The interval in ops that the driver programs: the period, raised and rounded."""
    kernel = kernel_driver(settings)
    if kernel is not None:
        return kernel.interval
    spe = settings.spe
    least = least_period(settings.driver.version, spe.min_interval)
    return sanitise_period(spe.interval, least)


def _spu(arm: Arm, stream: Stream, parameters: Parameters) -> SpuSpec:
    settings = arm.settings
    spe, clock = settings.spe, settings.cpu.clock
    kernel = kernel_driver(settings)
    jitter, filters = _JITTER[spe.jitter], spe.filter
    if kernel is not None:  # what it programs is what the SPU does
        filters = SpeFilter.model_validate(kernel.filters)
        jitter = (jitter if spe.jitter != "off" else Jitter.RND) if kernel.random else Jitter.OFF
    facts = core_facts(settings)
    return SpuSpec(
        interval=interval_of(settings),
        jitter=jitter,
        jitter_mask=255,
        resync=spe.restart == "resync",
        in_flight=spe.in_flight,
        filter=build_filter(filters, stream.static_class, facts.level_events, facts.level_source),
        irq_latency=law(parameters[arm.policies.bundle.exceptions.latency], clock),
        irq_retract=_constant(parameters, "t_irq_retract", clock),
        layout=LAYOUTS[settings.records],
        data_loss_per_mille=spe.data_loss_per_mille,
        target_bias_per_mille=spe.target_bias_per_mille,
        target_bias_reach=spe.target_bias_reach,
        flag_updates=updates_flags(settings),
        selection=_weights(spe.selection),
    )


def updates_flags(settings: Settings) -> bool:
    """PMBIDR_EL1.F: the core's, if `spe.flag_updates` leaves it to it."""
    said = settings.spe.flag_updates
    return bool(get_preset(settings.cpu.core).flag_updates) if said == "core" else said == "on"


def _weights(table: SelectionTable | None) -> Weights | None:
    return None if table is None else Weights(table.window, whole_weights(table.columns()))


def _event(settings: Settings, parameters: Parameters) -> EventSpec:
    driver = settings.driver
    return EventSpec(
        period=settings.spe.interval,
        aux=_geometry(settings),
        aux_va=settings.buffer.va,
        driver=_driver_costs(parameters, settings.cpu.clock),
        random_start=True,
        rules=DriverRules(driver.version != "6.1", driver.capture == "discard"),
        snapshot=driver.capture == "snapshot",
        reader=_reader(settings, parameters),
        per_task=driver.mode == "task",
        kernel=kernel_driver(settings),
    )


def window_bytes(settings: Settings) -> int:
    """Bytes after which a full buffer is due: the watermark, half of the AUX area by default."""
    return settings.driver.watermark or settings.driver.aux // 2


def _geometry(settings: Settings) -> Geometry:
    driver, layout = settings.driver, LAYOUTS[settings.records]
    watermark = window_bytes(settings)
    page = settings.vm.page_bytes
    return Geometry(driver.aux, page, watermark, layout.max_size, layout.align)


def _vm(arm: Arm, parameters: Parameters) -> VmSpec:
    vm, host, clock = arm.settings.vm, arm.settings.host, arm.settings.cpu.clock
    return VmSpec(
        kvm=_kvm_costs(parameters, clock),
        warm=arm.settings.buffer.initial_s2 == "warm",
        max_buffer=vm.max_buffer,
        memlock=host.memlock,
        memlock_hard=UNLIMITED if host.cap_sys_resource else host.memlock_hard,
        cap_ipc_lock=host.cap_ipc_lock,
        exits=_exits(arm.settings),
        dirty_bit=vm.dirty_log == "hardware",
        memory=vm.memory,
        bounce=vm.bounce,
        unpin_after=_unpin_after(arm),
    )


def _reader(settings: Settings, parameters: Parameters) -> ReaderSpec | None:
    reader, clock = settings.driver.reader, settings.cpu.clock
    if reader.kind == "keeps_up":
        return None
    wakeup, copy, enable = (
        _constant(parameters, f"t_reader_{name}", clock) for name in ("wakeup", "copy", "enable")
    )
    return ReaderSpec(reader.cpu == "same", wakeup, copy, enable)


def _task(settings: Settings, parameters: Parameters) -> TaskSpec:
    switch, clock = settings.switch, settings.cpu.clock
    if switch is None:
        return TaskSpec()
    away = units.ticks(switch.away, clock)
    polled = away <= _constant(parameters, "t_halt_poll", clock)
    wake = "t_wake_polling" if polled else "t_wake_halted"
    return TaskSpec(
        switch_ticks=units.ticks(switch.every, clock),
        away_ticks=away,
        wall_slices=switch.clock == "guest_wall",
        halted=switch.meanwhile == "halted",
        visits=switch.vcpus,
        wake_ticks=_constant(parameters, wake, clock),
    )


def _unpin_after(arm: Arm) -> int:
    after = arm.policies.bundle.unpin.after
    return FOREVER if after is None else units.ticks(after, arm.settings.cpu.clock)


def law(distribution: TimeDistribution, clock_hz: int) -> tuple[int, ...]:
    """A time distribution as an integer quantile table in ticks."""
    match distribution:
        case ConstantTime(value=value):
            return (units.ticks(value, clock_hz),)
        case UniformTime(low=low, high=high):
            return draws.uniform_table(units.ticks(low, clock_hz), units.ticks(high, clock_hz))
        case ExponentialTime(mean=mean):
            return draws.exponential_table(units.ticks(mean, clock_hz))


def _exits(settings: Settings) -> tuple[int, ...] | None:
    gap = settings.vm.exits
    return draws.exponential_table(units.ticks(gap, settings.cpu.clock)) if gap else None


def _unmap(arm: Arm, parameters: Parameters) -> UnmapSpec:
    settings = arm.settings
    unmap, clock = settings.host.unmap, settings.cpu.clock
    if isinstance(unmap, PoissonUnmap):
        if unmap.poisson == 0:
            return UnmapSpec("never")
        return UnmapSpec("poisson", draws.exponential_table(units.ticks(unmap.poisson, clock)))
    if unmap != "published":
        return UnmapSpec(unmap)
    periods = _scaled(law(parameters["t_numa_sweep"], clock), settings.vm.memory)
    return UnmapSpec("published", periods, _piece(arm), _scans(settings))


@lru_cache(maxsize=16)
def _scaled(periods: tuple[int, ...], memory: int) -> tuple[int, ...]:
    """Periods of sweeps over so many bytes of guest memory; every unit of an arm has the same."""
    return tuple(max(1, period * memory // SWEEP_MEMORY) for period in periods)


SCAN_SIZE = 256 << 20
"""numa_balancing_scan_size_mb: what task_numa_work makes PROT_NONE at a time."""
MAX_ORDER = 10
"""Largest chunk of the page allocator in Linux 6.1, as a power of two of pages."""


def _scans(settings: Settings) -> int:
    """Steps of a sweep of NUMA balancing over guest memory."""
    return max(1, settings.vm.memory // SCAN_SIZE)


def _piece(arm: Arm) -> int:
    """Pages of the AUX area that lie together in guest memory.

    Source: rb_alloc_aux in kernel/events/ring_buffer.c. In 6.1 chunks are as large as the
    watermark, or the allocator's largest; since May 2025 (6.12.y) single pages, unless a driver
    sets PERF_PMU_CAP_AUX_NO_SG or AUX_PREFER_LARGE, and arm_spe sets neither. Pointers that are
    intermediate physical addresses need one piece, wherever a driver would get it.
    """
    settings = arm.settings
    if not arm.policies.bundle.pointers.virtual:
        return settings.driver.aux // settings.vm.page_bytes
    driver, page = settings.driver, settings.vm.page_bytes
    match settings.buffer.physical:
        case "scattered":
            return 1
        case "contiguous":
            return driver.aux // page
    kernel = kernel_driver(settings)
    if kernel is not None:
        return kernel.piece
    if driver.version != "6.1":
        return 1
    watermark = driver.aux if driver.capture == "snapshot" else driver.watermark or driver.aux // 2
    chunk = min(driver.aux, 1 << (watermark - 1).bit_length(), page << MAX_ORDER)
    return max(1, chunk // page)


_SCANS = {
    "numa_balancing": ("t_numa_sweep", Touch.ZAP),
    "ksm": ("t_ksm_pass", Touch.ZAP),
    "khugepaged": ("t_thp_collapse", Touch.MOVE),
    "compaction": ("t_compaction", Touch.MOVE),
    "reclaim": ("t_reclaim", Touch.SWAP_OUT),
    "ageing": ("t_ageing", Touch.AGE),
}
"""The parameter that gives a pressure's pace for 16 GiB, and what it does to a page."""
_SHARED = {"compaction": Touch.ZAP, "reclaim": Touch.UNMAP_THEN_SWAP}
"""What is done instead to pages that have a mapping: unmapped before a pin is noticed."""
_SWEEPS = ("numa_balancing", "ksm")
_THP_BYTES = 2 << 20


def _host(arm: Arm, parameters: Parameters) -> HostSpec:
    """`host.pressure` in ticks; paces are scaled to the guest's memory and the buffer's share."""
    settings = arm.settings
    clock = settings.cpu.clock
    pressures: list[PressureSpec] = []
    balloons: list[BalloonSpec] = []
    memslot_changes, migration = 0, None
    for pressure in settings.host.pressure:
        match pressure:
            case Scan(kind=kind):
                pressures.append(_scan(arm, kind, parameters))
            case Balloon():
                balloons.extend(_balloon(arm, pressure, parameters))
            case MemslotChange(every=every):
                memslot_changes = units.ticks(every, clock)
            case LiveMigration():
                migration = _migration(pressure, clock, parameters)
    return HostSpec(
        unmap=_unmap(arm, parameters),
        pressures=tuple(pressures),
        balloons=tuple(balloons),
        memslot_changes=memslot_changes,
        migration=migration,
        physical_cpus=settings.vm.physical_cpus,
        host_slice=_constant(parameters, "t_host_slice", clock),
    )


def _migration(plan: LiveMigration, clock: int, parameters: Parameters) -> Migration:
    return Migration(
        start=units.ticks(plan.start, clock),
        rounds=plan.rounds,
        round=units.ticks(plan.round, clock),
        log_start=_constant(parameters, "t_dirty_log_start", clock),
        downtime=_constant(parameters, "t_downtime", clock),
        post_copy=plan.post_copy,
    )


def _balloon(arm: Arm, pressure: Balloon, parameters: Parameters) -> Iterator[BalloonSpec]:
    """Nothing where the host has no huge pages, or what is reported is never a part of one."""
    settings = arm.settings
    page, clock = settings.vm.page_bytes, settings.cpu.clock
    block = page * (page // DESCRIPTOR_BYTES)
    whole = pressure.kind == "free_page_reporting" and page < 64 << 10
    if not settings.vm.huge_pages or whole:
        return
    if pressure.kind == "ballooning":
        mean = _constant(parameters, "t_balloon", clock) * settings.vm.memory // block
    else:
        mean = _constant(parameters, "t_free_page_report", clock)
    law = draws.exponential_table(max(1, mean))
    yield BalloonSpec(pressure.kind, law, _piece(arm), block // page)


def _scan(arm: Arm, kind: str, parameters: Parameters) -> PressureSpec:
    """A sweep's period grows with memory; a random hit falls on the buffer with its share of it.

    What reclaim takes grows with memory, so that what it takes of the buffer does not.
    """
    name, touch = _SCANS[kind]
    settings = arm.settings
    if settings.vm.memory_kind == "shared":
        touch = _SHARED.get(kind, touch)
    pace, memory = law(parameters[name], settings.cpu.clock), settings.vm.memory
    if kind in _SWEEPS:
        periods = tuple(max(1, period * memory // SWEEP_MEMORY) for period in pace)
        numa = kind == "numa_balancing"
        piece, scans = (_piece(arm), _scans(settings)) if numa else (1, 0)
        return PressureSpec(kind, touch, periods, sweeps=True, piece=piece, scans=scans)
    spread = SWEEP_MEMORY if kind == "reclaim" else memory
    span = max(1, _THP_BYTES // settings.vm.page_bytes) if kind == "khugepaged" else 1
    hit = max(settings.driver.aux, span * settings.vm.page_bytes)
    gap = max(1, pace[0] * spread // hit)
    return PressureSpec(kind, touch, draws.exponential_table(gap), span=span)


def _constant(parameters: Parameters, name: str, clock: int) -> int:
    distribution = parameters[name]
    assert isinstance(distribution, ConstantTime), name
    return units.ticks(distribution.value, clock)


def _driver_costs(parameters: Parameters, clock: int) -> DriverCosts:
    return DriverCosts(
        start=_constant(parameters, "t_driver_start", clock),
        stop=_constant(parameters, "t_driver_stop", clock),
        handler=_constant(parameters, "t_irq_handler", clock),
    )


def _kvm_costs(parameters: Parameters, clock: int) -> KvmCosts:
    names = KvmCosts.__dataclass_fields__
    return KvmCosts(**{name: _constant(parameters, f"t_{name}", clock) for name in names})
