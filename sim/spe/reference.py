"""The reference engine's sampler: SimPy events per sample, written to be read against the Arm ARM.

Counts, collisions, filter, full and fault are written here independently of the compiled kernel
(`sim.spe.compiled`), and are never made clever for speed.

Fidelity note: as in `sim.spe.spu`, whose registers it works on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import simpy
from numpy.typing import NDArray

from sim import draws
from sim.engine import FOREVER, Engine, Kind, Process, WorkClock
from sim.ledger import SelectionsLedger
from sim.results import RecordSink
from sim.spe.ahead import RunsAhead
from sim.spe.buffer import Stop, is_full
from sim.spe.collect import latency_of
from sim.spe.record import branch_events
from sim.spe.select import IntervalCounter, TargetBias
from sim.spe.selection import TRIES, Selection
from sim.spe.spu import OnStop, SamplerConfig
from sim.workload.arrays import EL, LEVEL_STRIDE, OP, POP, SEG_INFO, Place, Stream


@dataclass(slots=True)
class _Sample:
    """One op in flight."""

    busy: int
    op: int
    t_select: int
    static: int
    level: int
    latency: int


class SampleTimer:
    """PROCESS sample timer (reference engine): one event a selection, one a completion.

    Counts, collisions, filter, full and fault are written here from the Arm ARM, independently of
    the compiled kernel.
    """

    def __init__(
        self,
        engine: Engine,
        vcpu: int,
        clock: WorkClock,
        stream: Stream,
        config: SamplerConfig,
        pages: NDArray[np.uint8],
        sink: RecordSink,
        stop: OnStop,
    ) -> None:
        self._engine, self._vcpu, self._clock = engine, vcpu, clock
        self._stream, self._config, self._pages, self._sink = stream, config, pages, sink
        self._on_stop = stop
        self._latency = stream.latency().tolist()
        self._row = stream.rows().tolist()
        self._passes = config.filter.passes.tolist()
        self._bytes = config.layout.sizes(stream.static_class).tolist()
        self.counter = IntervalCounter(config.interval)
        self.pointer = self.limit = self.cut = 0
        self.kernel_calls = self.truncations = 0
        self._enabled = False
        self._flight: list[_Sample] = []
        self._candidate = 0  # POP rank of the next selected op
        self._place: Place  # of the candidate
        self._selection = FOREVER  # its tick
        self._anchor = 0  # POP rank up to which the counter has counted
        self._pop_end = stream.size(POP)
        self._sequence: int | None = None  # resync: next point of the sequence
        self._ledger = SelectionsLedger()
        self._open: list[int] = []  # profile indices of the records that may be voided
        self._profile = np.zeros(stream.statics * LEVEL_STRIDE, np.int64)
        self._parked: simpy.Event | None = None
        self._process = engine.process(self.run())

    # --- the process ---------------------------------------------------------------------

    def run(self) -> Process:
        """PROCESS sample timer."""
        while True:
            try:
                selection = self._selection
                completion = self._flight[0].busy if self._flight else FOREVER
                if not self._enabled or selection == completion == FOREVER:
                    self._parked = self._engine.signal()
                    yield self._parked
                elif completion <= selection:  # a write comes before a selection of its instant
                    yield self._wait(completion, Kind.RECORD_WRITE)
                    self._complete(self._clock.work(self._engine.now))
                else:
                    yield self._wait(selection, Kind.SELECTION)
                    self._select()
            except simpy.Interrupt:
                continue
            finally:
                self._parked = None

    def _wait(self, work: int, kind: Kind) -> simpy.Event:
        return self._engine.at(work - self._clock.work(self._engine.now), kind, self._vcpu)

    def _wake(self) -> None:
        if self._parked is not None and not self._parked.triggered:
            self._parked.succeed()

    # --- profiling enabled and disabled --------------------------------------------------

    def enable(self, op: int, rounds: RunsAhead | None) -> None:
        """Disabled → enabled: the counter resumes, or initialises if it is 0.

        This engine takes every stop through the CPU, the driver and KVM.
        """
        pop = self._stream.pop(op)
        self._anchor = pop
        if self._config.resync:
            self._resume_sequence(pop)
        else:
            self.counter.enable()
            self._candidate = pop + self.counter.until_selection() - 1
        self._locate()
        self._enabled = True
        self._wake()

    def disable(self, op: int, work: int) -> None:
        """Freeze: what is in flight completes now, oldest first; then the counter is saved."""
        if not self._enabled:
            return
        self._interrupt()
        while self._flight and self._enabled:
            self._complete(work)
        if self._enabled:
            self._save(op)
            self._enabled = False

    def _save(self, op: int) -> None:
        if not self._config.resync:
            self.counter.advance(self._stream.pop(op) - self._anchor)

    def _interrupt(self) -> None:
        running = self._engine.active_process is self._process
        if not running and self._parked is None:
            self._process.interrupt()

    def before_change(self) -> None:
        """Pages are looked up at each write: nothing to bring up to date."""

    def on_change(self) -> None:
        """See `before_change`."""

    def load(self) -> None:
        """The counter object itself is the register."""

    def _resume_sequence(self, pop: int) -> None:
        """resync: the first point of the sequence at or after `pop`."""
        if self._sequence is None:
            self.counter.enable()
            self._sequence = pop + self.counter.until_selection() - 1
            self.counter.advance(self.counter.until_selection())
        while self._sequence < pop:
            self._sequence += self._sequence_gap()
            self._ledger.skipped += 1
        self._candidate = self._sequence

    def _sequence_gap(self) -> int:
        gap = self.counter.until_selection()
        self.counter.advance(gap)
        return gap

    # --- the five stages -----------------------------------------------------------------

    def _locate(self) -> None:
        if self._candidate < self._pop_end:
            self._place = self._stream.seek(POP, self._candidate)
            self._selection = self._place.tick
        else:
            self._selection = FOREVER

    def _select(self) -> None:
        """The counter selects the op at `_place`; it is sampled unless the SPU is busy."""
        place = self._place
        self._ledger.selected += 1
        if len(self._flight) >= self._config.in_flight:
            self._ledger.collided += 1
        else:
            seen = self._tracked(place)
            row_level = self._row[seen.static] + seen.level
            latency = latency_of(self._latency, row_level, self._config.latency_key, seen.op)
            self._fly(
                _Sample(place.tick + latency, seen.op, place.tick, seen.static, seen.level, latency)
            )
        if self._config.resync:
            self._candidate += self._sequence_gap()
            self._sequence = self._candidate
        else:
            self.counter.advance(self._candidate + 1 - self._anchor)
            self._anchor = self._candidate + 1
            self._candidate = self._anchor + self.counter.until_selection() - 1
        self._locate()

    def _tracked(self, place: Place) -> Place:
        """The op whose record a selection makes: the counter's, unless the core is odd."""
        if self._config.bias:
            return self._slipped(place, self._config.bias)
        if self._config.selection:
            return self._drawn(place, self._config.selection)
        return place

    def _drawn(self, place: Place, selection: Selection) -> Place:
        """The counter's op, kept with its weight, or another of its window that is."""
        stream, keep = self._stream, selection.keep
        begin = place.op
        while self._falls_into(begin):
            begin -= 1
        low = place.op - (place.op - begin) % selection.window
        window: range | None = None
        seen = place
        for trial in range(TRIES):
            word = draws.splitmix64(selection.key, place.op * TRIES + trial)
            weights = keep[stream.static_class[seen.static]]
            if word & 0xFFFF < weights[min(seen.op - begin, len(weights) - 1)]:
                return seen
            if window is None:
                end = place.op + 1
                while end < low + selection.window and self._falls_into(end):
                    end += 1
                window = range(stream.pop(low), stream.pop(end))
            seen = stream.seek(POP, window[(word >> 32) * len(window) >> 32])
        return place

    def _falls_into(self, op: int) -> bool:
        """Does the code run straight on from the op before, no branch taken, no change of level?"""
        if not 0 < op < self._stream.ops:
            return False
        before, after = self._stream.seek(OP, op - 1), self._stream.seek(OP, op)
        pcs, tables = self._stream.static_pc, self._stream.arrays.tables
        levels = {int(tables[tables[SEG_INFO] + 4 * p.segment + EL]) for p in (before, after)}
        return len(levels) == 1 and int(pcs[after.static]) == int(pcs[before.static]) + 4

    def _slipped(self, place: Place, bias: TargetBias) -> Place:
        """The op itself, or by erratum the branch target before."""
        back = int(bias.distance[place.static])
        if back == 0 or back > place.op or not bias.slips(place.op):
            return place
        target = self._stream.seek(OP, place.op - back)
        return target if target.static == place.static - back else place

    def _fly(self, sample: _Sample) -> None:
        """Keep the flight in order of completion; ties by order of selection."""
        at = len(self._flight)
        while at and self._flight[at - 1].busy > sample.busy:
            at -= 1
        self._flight.insert(at, sample)

    def _complete(self, work: int) -> None:
        """The oldest sample completes at `work`: filter, translate, write, full?"""
        sample = self._flight.pop(0)
        ledger = self._ledger
        ledger.completed += 1
        index = sample.static * LEVEL_STRIDE + sample.level
        if not self._passing(sample, index):
            ledger.filtered += 1
            return
        ledger.passed += 1
        if self._config.discard:
            ledger.discarded_by_mode += 1
            return
        if not self._translates(self.pointer, self.pointer + self._bytes[index]):
            ledger.lost_at_fault += 1
            self._stopped(Stop.FAULT, work)
            return
        self._profile[index] += 1
        ledger.written += 1
        if self._config.voidable:
            self._open.append(index)
        first, self.pointer = self.pointer, self.pointer + self._bytes[index]
        if self._sink.keep:
            wall = self._clock.offset
            row = (sample.op, sample.t_select + wall, work + wall)
            place = sample.static << 8 | sample.level
            self._sink.add(np.array([row], np.int64), np.array([place], np.int64))
        if self._config.zap_after_write:
            for byte in (first, self.pointer - 1):
                self._pages[byte >> self._config.page_shift] = 0
        if is_full(self.pointer, self.limit, self._config.layout.max_size):
            self._stopped(Stop.FULL, work)

    def _passing(self, sample: _Sample, index: int) -> bool:
        """PMSFCR: the record's type, its latency, the events that it has."""
        chosen = self._config.filter
        if not self._passes[index] or sample.latency < chosen.min_latency:
            return False
        wanted = chosen.branch_events
        if wanted == 0:
            return True
        key = self._config.latency_key
        return wanted & ~branch_events(self._stream, sample.op, sample.static, key) == 0

    def _translates(self, begin: int, end: int) -> bool:
        """Can bytes [begin, end) be written? If only the first of them can, they are `cut`."""
        shift = self._config.page_shift
        self.cut = 0
        if not self._pages[begin >> shift]:
            return False
        last = (end - 1) >> shift
        if not self._pages[last]:
            self.cut = (last << shift) - begin
            self.pointer = last << shift
            return False
        return True

    def _stopped(self, stop: Stop, work: int) -> None:
        """S = 1: nothing completes any more."""
        self._ledger.discarded_in_flight += len(self._flight)
        self._flight.clear()
        op = self._stream.op_at(work)
        self._save(op)
        self._enabled = False
        self._on_stop(stop, op)

    # --- results -------------------------------------------------------------------------

    def collisions(self) -> int:
        """SAMPLE_COLLISION so far."""
        return self._ledger.collided

    def written(self) -> int:
        """Records written so far."""
        return self._ledger.written

    def settle(self) -> None:
        """What has been written so far stays."""
        self._open.clear()

    def void(self) -> int:
        """Take back the records written since `settle`."""
        count = len(self._open)
        for index in self._open:
            self._profile[index] -= 1
        self._sink.drop(count)
        self._open.clear()
        return count

    def close(self, selections: SelectionsLedger) -> NDArray[np.int64]:
        """Counts into the ledger; samples still in flight are in flight at the end."""
        for name, value in self._ledger.as_dict().items():
            setattr(selections, name, value)
        selections.in_flight_at_end += len(self._flight)
        return self._profile
