"""What an arm asks for beside what it gets: every setting that is clamped, rounded or passed over.

No mechanism of its own: it asks the functions that the machine is built with (`resolve`, the
driver's periods, the ring's `next_window`), and says both values and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sim import units
from sim.linux.aux import Geometry, next_window
from sim.linux.driver import PERIOD_QUANTUM
from sim.machine.resolve import interval_of, kernel_driver, updates_flags
from sim.scenario.files.dump import written
from sim.scenario.models.host import Balloon
from sim.scenario.models.quantities import (
    SIZES,
    TIMES,
    UNLIMITED,
    ConstantTime,
    ExponentialTime,
    TimeDistribution,
    UniformTime,
    Unit,
)
from sim.scenario.models.scenario import Arm, Settings
from sim.units import PICOS_PER_SECOND, TICKS_PER_CYCLE

TOLD = 100
"""Times that ticks change by more than one in so many are told: below is below any source."""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """One setting of an arm: as it was asked for, as it is run, and why, as a person would say."""

    setting: str
    requested: str
    effective: str
    why: str

    def __str__(self) -> str:
        return f"{self.setting} {self.requested} → {self.effective}: {self.why}"


def remarks(arms: Iterable[Arm]) -> Iterator[str]:
    """Every adjustment of several arms, each with its arm."""
    return (f"{arm.name}: {one}" for arm in arms for one in adjusted(arm))


def adjusted(arm: Arm) -> tuple[Adjusted, ...]:
    """Every setting of an arm that is not run as it was asked for."""
    settings = arm.settings
    found = [*_interval(settings), *_watermark(settings), *_times(settings)]
    if arm.policies.virtual:
        found += [*_memlock(arm), *_max_buffer(arm), *_pressure(settings), *_ageing(settings)]
        found += _physical(arm)
    return tuple(found)


def _interval(settings: Settings) -> Iterator[Adjusted]:
    spe = settings.spe
    kernel, effective = kernel_driver(settings), interval_of(settings)
    if kernel is None and settings.driver.version == "7.x" and effective < spe.min_interval:
        why = (
            f"below spe.min_interval, {spe.min_interval}ops, which the driver of 7.x only warns of"
        )
        yield Adjusted("spe.interval", f"{spe.interval}ops", f"{effective}ops", why)
        return
    if effective == spe.interval:
        return
    if kernel is not None:
        why = f"the driver of {kernel.name} programs it (PMSIRR_EL1)"
    elif spe.interval < spe.min_interval and settings.driver.version != "7.x":
        why = f"the least is spe.min_interval, {spe.min_interval}ops (PMSIDR_EL1.Interval)"
    else:
        why = f"the driver rounds down to multiples of {PERIOD_QUANTUM}ops (PMSIRR_EL1.INTERVAL)"
    yield Adjusted("spe.interval", f"{spe.interval}ops", f"{effective}ops", why)


def _watermark(settings: Settings) -> Iterator[Adjusted]:
    """Of the first window, which begins at the start of the ring."""
    driver, page = settings.driver, settings.vm.page_bytes
    if not driver.watermark:
        return
    ring = Geometry(driver.aux, page, driver.watermark)
    effective = int(next_window(ring, 0, 0, driver.watermark).limit)
    if effective != driver.watermark:
        why = (
            f"PMBLIMITR holds whole pages, so the first interrupt comes at the end of one ({page}B)"
        )
        yield _sizes("driver.watermark", driver.watermark, effective, why)


def _sizes(setting: str, requested: int, effective: int, why: str) -> Adjusted:
    return Adjusted(setting, _text(requested, SIZES), _text(effective, SIZES), why)


def _text(value: int, unit: Unit) -> str:
    return str(written(value, unit))


def _memlock(arm: Arm) -> Iterator[Adjusted]:
    host, page = arm.settings.host, arm.settings.vm.page_bytes
    if not arm.policies.bundle.accounting.charges or host.memlock >= UNLIMITED:
        return
    if host.cap_ipc_lock:
        why = "host.cap_ipc_lock: with CAP_IPC_LOCK no limit is looked at"
        yield Adjusted("host.memlock", _text(host.memlock, SIZES), "unlimited", why)
    elif host.memlock % page:
        effective = units.round_down(host.memlock, page)
        yield _sizes("host.memlock", host.memlock, effective, f"whole pages of {page}B are charged")


def _max_buffer(arm: Arm) -> Iterator[Adjusted]:
    vm = arm.settings.vm
    limits = arm.policies.bundle.window_limit.limits
    if limits and vm.max_buffer < UNLIMITED and vm.max_buffer % vm.page_bytes:
        effective = units.round_down(vm.max_buffer, vm.page_bytes)
        why = f"a window is whole pages of {vm.page_bytes}B"
        yield _sizes("vm.max_buffer", vm.max_buffer, effective, why)


def _pressure(settings: Settings) -> Iterator[Adjusted]:
    """As `resolve._balloon` leaves them out."""
    for pressure in settings.host.pressure:
        if not isinstance(pressure, Balloon):
            continue
        if not settings.vm.huge_pages:
            why = "without vm.huge_pages nothing but free memory is taken"
        elif pressure.kind == "free_page_reporting" and settings.vm.page_bytes < 64 << 10:
            why = "what is reported is never a part of a huge page of this granule"
        else:
            continue
        yield Adjusted("host.pressure", pressure.kind, "nothing", why)


def _physical(arm: Arm) -> Iterator[Adjusted]:
    """As `resolve._piece` has it."""
    asked = arm.settings.buffer.physical
    if not arm.policies.bundle.pointers.virtual and asked == "scattered":
        why = "intermediate physical pointers (pointers: ipa) need one piece of guest memory"
        yield Adjusted("buffer.physical", asked, "contiguous", why)


def _ageing(settings: Settings) -> Iterator[Adjusted]:
    """As `sim.kvm.notifiers` passes it over."""
    aged = any(pressure.kind == "ageing" for pressure in settings.host.pressure)
    if not aged or settings.spe.flag_updates != "core" or not updates_flags(settings):
        return
    why = (
        "with PMBIDR_EL1.F = 1 the SPU sets the access flag itself (spe.flag_updates; "
        f"{settings.cpu.core}'s is UNVERIFIED)"
    )
    yield Adjusted("host.pressure", "ageing", "nothing", why)


def _times(settings: Settings) -> Iterator[Adjusted]:
    clock = settings.cpu.clock
    named = [(f"parameters.{n}", p) for n, t in settings.parameters.items() for p in _picos(t)]
    if settings.switch is not None:
        named += [("switch.every", settings.switch.every), ("switch.away", settings.switch.away)]
    for setting, picos in named:
        ticks = units.ticks(picos, clock)
        effective = ticks * PICOS_PER_SECOND // (TICKS_PER_CYCLE * clock)
        if abs(effective - picos) * TOLD > picos:
            why = f"time is in ticks, 1/{TICKS_PER_CYCLE} cycle: this is {ticks} of them"
            yield Adjusted(setting, _text(picos, TIMES), _text(effective, TIMES), why)


def _picos(time: TimeDistribution) -> tuple[int, ...]:
    match time:
        case ConstantTime(value=value):
            return (value,)
        case UniformTime(low=low, high=high):
            return (low, high)
        case ExponentialTime(mean=mean):
            return (mean,)
