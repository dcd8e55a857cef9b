"""The host invalidates stage 2: processes that take pages of the AUX buffer away.

Fidelity note. `published`: NUMA balancing makes every page of the guest PROT_NONE once per sweep,
6.4 s to 60 s for 16 GiB (kernel/sched/fair.c defaults; scaled with guest memory); the buffer's
pages lie anywhere in the sweep, so they are hit one by one, in hashed order. `poisson`: pages at
random. `per_window`: every page of a window is taken when the window is enabled ("always cold", an
upper bound: it implies tens of thousands of zaps per second). `per_record`: a page is taken after
every record written to it. A zap passes through the design's MMU notifier policy. Not modelled
here: KSM, THP, reclaim, migration; the time that the host spends on it; unmapping of stage 1 table
pages by `published` and `poisson` (they are 0.5 % of the pages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sim import draws
from sim.engine import Engine, Kind, Process

SWEEP_MEMORY = 16 << 30
"""Guest size for which the sweep's published period is given, bytes."""


class Target(Protocol):
    """One vCPU's AUX buffer as the host sees it."""

    pages: int

    def zap(self, page: int) -> bool:
        """Take a page's stage 2 entry away unless the design refuses; true if it went."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """NUMA balancing: quantile table of the period in ticks, and the draw key."""

    periods: tuple[int, ...]
    key: int


@dataclass(frozen=True, slots=True)
class Random:
    """Pages at random: quantile table of the gap in ticks, and the draw key."""

    gaps: tuple[int, ...]
    key: int


class Host:
    """Everything that the host does to the guests' buffers; counts the pages that went."""

    def __init__(self, engine: Engine, per_window: bool) -> None:
        self._engine = engine
        self._per_window = per_window
        self._targets: dict[int, Target] = {}
        self.zaps = 0

    def add(self, vcpu: int, target: Target, pressure: Sweep | Random | None) -> None:
        """Watch a vCPU's buffer; start the process that presses on it."""
        self._targets[vcpu] = target
        match pressure:
            case Sweep():
                self._engine.process(self.sweep(vcpu, target, pressure))
            case Random():
                self._engine.process(self.random(vcpu, target, pressure))

    def window_enabled(self, vcpu: int, first: int, last: int) -> None:
        """unmap: per_window."""
        if self._per_window:
            for page in range(first, last):
                self._zap(self._targets[vcpu], page)

    def sweep(self, vcpu: int, target: Target, pressure: Sweep) -> Process:
        """PROCESS NUMA balancing: each page once per sweep, beginning inside a sweep."""
        turn = 0
        skip = draws.pick(pressure.periods, pressure.key, 0)
        skip = draws.below(pressure.key, 1 << 40, skip)
        while True:
            period = draws.pick(pressure.periods, pressure.key, turn)
            waited = 0
            for at, page in _sweep_order(pressure.key, turn, target.pages, period):
                if turn == 0 and at < skip:
                    continue
                due = at - (skip if turn == 0 else 0)
                yield self._engine.at(due - waited, Kind.HOST_UNMAP, vcpu)
                waited = due
                self._zap(target, page)
            rest = period - (skip if turn == 0 else 0) - waited
            yield self._engine.at(rest, Kind.HOST_UNMAP, vcpu)
            turn += 1

    def random(self, vcpu: int, target: Target, pressure: Random) -> Process:
        """PROCESS random unmapping: exponential gaps, uniform pages."""
        ordinal = 0
        while True:
            gap = draws.pick(pressure.gaps, pressure.key, 2 * ordinal)
            yield self._engine.at(gap, Kind.HOST_UNMAP, vcpu)
            self._zap(target, draws.below(pressure.key, 2 * ordinal + 1, target.pages))
            ordinal += 1

    def _zap(self, target: Target, page: int) -> None:
        if target.zap(page):
            self.zaps += 1


def _sweep_order(key: int, turn: int, pages: int, period: int) -> list[tuple[int, int]]:
    """(ticks into the sweep, page), ascending: where the guest's pages lie in host memory."""
    where = ((draws.below(key, (turn + 1 << 24) + page, period), page) for page in range(pages))
    return sorted(where)
