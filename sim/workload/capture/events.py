"""The SPE events of a `perf.data`: what each was asked to sample, and what to leave out.

Sources: Linux `drivers/perf/arm_spe_pmu.c` (format attributes), `include/uapi/linux/perf_event.h`
(`config3` came with 136 bytes of attribute, `config4` with 144).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

STATIC_TYPES: Final = 6
"""PERF_TYPE_MAX: event types below are the kernel's own, from here on they are PMUs'."""
_CONFIG1, _CONFIG2, _CONFIG3, _CONFIG4 = 56, 64, 128, 136
_JITTER_BIT: Final = 16
_KINDS: Final = {32: "branches", 33: "loads", 34: "stores"}
_FURTHER_KINDS: Final = 36
"""From this bit of `config` on there are masks, SIMD and floating point (FEAT_SPE_EFT)."""
_LATENCY_BITS: Final = (1 << 12) - 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attr:
    """One event's `perf_event_attr`, as far as it matters here."""

    type: int
    config: int
    period: int
    sample_type: int
    flags: int
    config1: int
    config2: int
    config3: int
    config4: int
    ids: tuple[int, ...]

    @classmethod
    def of(cls, data: bytes, ids: tuple[int, ...]) -> Attr:
        """From the attribute's bytes, at least 64; fields beyond its end are 0."""

        def word(at: int) -> int:
            return int.from_bytes(data[at : at + 8], "little") if len(data) >= at + 8 else 0

        kind, _, config, period, sample_type, _, flags = struct.unpack_from("<IIQQQQQ", data)
        return cls(
            kind,
            config,
            period,
            sample_type,
            flags,
            word(_CONFIG1),
            word(_CONFIG2),
            word(_CONFIG3),
            word(_CONFIG4),
            ids,
        )

    @property
    def sample_id_all(self) -> bool:
        """Whether every record ends in a trailer of ids."""
        return bool(self.flags >> 18 & 1)

    @property
    def exclude_kernel(self) -> bool:
        """Whether EL1 was not profiled."""
        return bool(self.flags >> 5 & 1)


@dataclass(frozen=True, slots=True)
class Event:
    """An SPE event: its PMU's name or type, what was asked for, and its filters in words."""

    name: str
    period: int
    """Operations asked for."""
    jitter: bool
    exclude_kernel: bool
    filters: tuple[str, ...]


def event(attr: Attr, name: str) -> Event:
    """What an SPE event's attribute says."""
    jitter = bool(attr.config >> _JITTER_BIT & 1)
    return Event(name, attr.period, jitter, attr.exclude_kernel, tuple(_filters(attr)))


def _filters(attr: Attr) -> Iterator[str]:
    """Each filter that was on: type, events, latency, data source."""
    kinds = [name for bit, name in _KINDS.items() if attr.config >> bit & 1]
    if kinds:
        yield f"only {', '.join(kinds)}"
    if further := attr.config >> _FURTHER_KINDS << _FURTHER_KINDS:
        yield f"operation types by bits {further:#x} of config"
    if attr.config1:
        yield f"only with all events of {attr.config1:#x}"
    if attr.config3:
        yield f"none with an event of {attr.config3:#x}"
    if latency := attr.config2 & _LATENCY_BITS:
        yield f"only from {latency:,} cycles on"
    if further := attr.config2 & ~_LATENCY_BITS:
        yield f"bits {further:#x} of config2"
    if attr.config4:
        yield f"no loads from the data sources of {attr.config4:#x}"


def common(values: Iterable[T]) -> T | None:
    """The value that all have; None if they differ or there is none."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def differing(events: Sequence[Event]) -> tuple[str, ...]:
    """What the events of one file were not asked for alike, in words."""
    kinds: dict[str, set[object]] = {
        "period": {e.period for e in events},
        "jitter": {e.jitter for e in events},
        "exclusion of the kernel": {e.exclude_kernel for e in events},
        "filters": {e.filters for e in events},
    }
    return tuple(name for name, values in kinds.items() if len(values) > 1)
