"""The Statistical Profiling Unit: its registers, and what a sampler is.

`Spu` is the register file and the rules of D17.4: profiling is enabled iff PMBLIMITR.E = 1,
PMBSR.S = 0, PMSCR enables the level, and the CPU runs the stream. A *sampler* makes the samples in
between; there are two, with one result: `sim.spe.reference.SampleTimer` (SimPy events per sample,
written to be read against the Arm ARM) and `sim.spe.fast.MacroSampler` (compiled).

Fidelity note. Modelled: no sample spans a freeze: at exception entry, world switch or stop the
sample in flight completes at that instant and its write may itself set S. With S = 1 nothing
completes: what is still in flight is discarded (D17.4). PMSICR is saved at each disable and
re-initialised at the next enable if it is 0. Not modelled: the time that PSB CSYNC takes (it is
part of the handler's duration), owning exception level. With FEAT_SPE_EXC a stage 2 fault is in
PMBSR_EL2 (`sim.policies.exceptions`). A fault's status (FSC) is
what stage 2 says of the page that PMBPTR points to (`sim.kvm.tables`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.ledger import SelectionsLedger
from sim.policies.stages import Fault
from sim.spe.ahead import RunsAhead
from sim.spe.buffer import (
    BSC_FULL,
    CLEAR,
    EC_BUFFER,
    EC_STAGE2_ABORT,
    NO_DATA_LOSS,
    SLOT64,
    DataLoss,
    Pmbsr,
    RecordLayout,
    Stop,
)
from sim.spe.filter import Filter
from sim.spe.select import Interval, IntervalCounter, TargetBias
from sim.spe.selection import Selection


def _nothing_faults(pointer: int) -> int:
    """FSC of a write at `pointer`, where stage 2 does not say otherwise: translation, level 3."""
    return Fault.TRANSLATION.value + 3


@dataclass(frozen=True, slots=True)
class SamplerConfig:
    """What a sampler is told once; times in ticks."""

    interval: Interval
    latency_key: int
    in_flight: int
    filter: Filter
    page_shift: int
    zap_after_write: bool
    resync: bool
    layout: RecordLayout = SLOT64
    bias: TargetBias | None = None
    selection: Selection | None = None
    """At most one of the two."""
    voidable: bool = False
    """May records be voided after they were written?"""
    discard: bool = False
    """PMBLIMITR.FM = DISCARD: records are made and thrown away; nothing is translated or full."""


class Sampler(Protocol):
    """Makes samples while profiling is enabled. `op` is the next op that the CPU will execute."""

    counter: IntervalCounter
    pointer: int
    limit: int
    kernel_calls: int
    truncations: int

    @property
    def cut(self) -> int:
        """Bytes of a record that the last fault cut short, before PMBPTR."""

    def enable(self, op: int, rounds: RunsAhead | None) -> None:
        """Profiling becomes enabled now; a sampler may let `rounds` serve stops ahead of time."""

    def disable(self, op: int, work: int) -> None:
        """The CPU freezes now, at `work`; may report a stop."""

    def before_change(self) -> None:
        """The translation of a page is about to change now."""

    def on_change(self) -> None:
        """It has changed."""

    def load(self) -> None:
        """The counter has been written by software (PMSICR)."""

    def collisions(self) -> int:
        """SAMPLE_COLLISION so far."""

    def written(self) -> int:
        """Records written so far."""

    def settle(self) -> None:
        """What has been written so far cannot be voided any more."""

    def void(self) -> int:
        """Take back the records written since `settle`: they leave the profile; how many."""

    def close(self, selections: SelectionsLedger) -> NDArray[np.int64]:
        """Counts into the ledger; returns the profile [static × LEVEL_STRIDE + level]."""


OnStop = Callable[[Stop, int], None]
"""on_stop(stop, op): PMBSR.S is set at this instant; `op` is the next op to execute."""


class Spu:
    """PMSCR, PMSIRR, PMSICR, PMBPTR, PMBLIMITR and PMBSR of one core.

    The sampler is made by the SPU, which it reports its stops to; `on_stop(stop, op)` is called at
    the instant S is set; `line(level)` drives PMBIRQ, or the exception that stands for it.
    `fsc(pointer)` is what stage 2 says of a write there that has just missed; `splits`: that goes
    to PMBSR_EL2.
    """

    __slots__ = (
        "_data_loss",
        "_fsc",
        "_line",
        "_on_stop",
        "_splits",
        "collisions_cleared",
        "limit_enable",
        "pmbsr",
        "pmbsr_el2",
        "pmscr",
        "sampler",
        "stops",
        "voided",
    )

    def __init__(
        self,
        make_sampler: Callable[[OnStop], Sampler],
        on_stop: OnStop,
        line: Callable[[bool], None],
        data_loss: DataLoss = NO_DATA_LOSS,
        fsc: Callable[[int], int] = _nothing_faults,
        splits: bool = False,
    ) -> None:
        self._on_stop, self._line, self._data_loss, self._fsc = on_stop, line, data_loss, fsc
        self.pmscr = self.limit_enable = False
        self._splits = splits
        self.pmbsr: Pmbsr = CLEAR
        self.pmbsr_el2: Pmbsr = CLEAR
        self.stops = self.voided = self.collisions_cleared = 0
        self.sampler = make_sampler(self.stopped)

    @property
    def armed(self) -> bool:
        """Would profiling be enabled if the CPU ran its stream?"""
        return self.pmscr and self.limit_enable and not self.s

    @property
    def s(self) -> bool:
        """SPEProfilingStopped: PMBSR.S of any level (Arm ARM J1.1.1.100)."""
        return self.pmbsr.s or self.pmbsr_el2.s

    @property
    def coll(self) -> bool:
        """PMBSR.COLL: a collision since software last cleared PMBSR."""
        return self.sampler.collisions() > self.collisions_cleared

    def write_pmbptr(self, pointer: int) -> None:
        """PMBPTR_EL1, as an offset from the AUX area's base."""
        self.sampler.pointer = pointer

    def write_pmblimitr(self, limit: int, enable: bool) -> None:
        """PMBLIMITR_EL1: LIMIT as an offset, E."""
        self.sampler.limit = limit
        self.limit_enable = enable

    def write_pmbsr(self, value: Pmbsr) -> None:
        """PMBSR_EL1; clearing S drops the line and clears COLL."""
        self.pmbsr = value
        self.collisions_cleared = self.sampler.collisions()
        if not self.s:
            self._line(False)

    def clear_pmbsr_el2(self) -> None:
        """PMBSR_EL2 = 0."""
        self.pmbsr_el2 = CLEAR
        if not self.s:
            self._line(False)

    def read_pmbsr(self) -> Pmbsr:
        """PMBSR_EL1 with COLL as it stands."""
        coll = self.coll
        return self.pmbsr if self.pmbsr.coll == coll else self.pmbsr._replace(coll=coll)

    @property
    def recorded(self) -> int:
        """Records written and not voided."""
        return self.sampler.written() - self.voided

    def void(self) -> int:
        """Void what was written since `sampler.settle`; returns how many records."""
        count = self.sampler.void()
        self.voided += count
        return count

    def write_pmsicr(self, count: int, ecount: int = 0) -> None:
        """PMSICR_EL1: COUNT and ECOUNT."""
        self.sampler.counter.count, self.sampler.counter.ecount = count, ecount
        self.sampler.load()

    def read_pmsicr(self) -> tuple[int, int]:
        """(COUNT, ECOUNT)."""
        return self.sampler.counter.count, self.sampler.counter.ecount

    def resume(self, op: int, rounds: RunsAhead | None) -> None:
        """The CPU goes on at `op`; stops may be served by `rounds`."""
        if self.armed:
            self.sampler.enable(op, rounds)

    def after_rounds(self, stops: int, collisions_cleared: int) -> None:
        """`sim.machine.rounds` has served so many stops, and cleared PMBSR after so many
        collisions.
        """
        self.stops += stops
        self.collisions_cleared = collisions_cleared

    def stopped(self, stop: Stop, op: int) -> None:
        """The sampler hit FULL or a fault at this instant; `op` is the next op to execute."""
        self.stops += 1
        if stop is Stop.FULL:
            self.pmbsr = self.pmbsr.with_event(EC_BUFFER, BSC_FULL)
        else:
            fsc = self._fsc(self.sampler.pointer)
            dl = self.sampler.cut > 0 or self._data_loss.at(self.stops)
            if self._splits:
                self.pmbsr_el2 = self.pmbsr_el2.with_event(EC_STAGE2_ABORT, fsc, dl=dl)
            else:
                self.pmbsr = self.pmbsr.with_event(EC_STAGE2_ABORT, fsc, dl=dl)
        self._on_stop(stop, op)
        self._line(True)
