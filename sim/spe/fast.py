"""The fast engine's sampler: one SimPy event per state change, every sample in the kernel.

Between two state changes the kernel runs ahead to its own stop, to the end of the stream, over a
chunk of candidates, or to the vCPU's next event that is known of (*speculation*). Its rows are
committed when that end is reached in simulated time. If something changes earlier, at work time T,
the saved state is restored and the kernel runs again to T: results never depend on how far a
speculation went, only the cost does. Chunks double on success and shrink to twice what was used on
a truncation; a speculation that ended at T itself is not run again.

Fidelity note: none of its own; `tests/exact` holds it bit-identical to
`sim.spe.reference.SampleTimer`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sim.draws import quick, signed
from sim.engine import FOREVER, Due, Engine, Kind, WorkClock
from sim.ledger import SelectionsLedger
from sim.results import OPS_AT_ONCE, RecordSink
from sim.spe import compiled as k
from sim.spe.ahead import KernelArrays, RunsAhead
from sim.spe.buffer import Stop
from sim.spe.nearby import Nearby
from sim.spe.select import IntervalCounter, Jitter
from sim.spe.selection import selection_array
from sim.spe.spu import OnStop, SamplerConfig
from sim.workload.arrays import LEVEL_STRIDE, POP, Stream
from sim.workload.following import branch_places

I64 = NDArray[np.int64]
MIN_CHUNK = 64
MAX_CHUNK = 1 << 16
_ONE_PAGE = 62  # page shift of discard mode: one page that always translates and never fills
_ROWS = MAX_CHUNK + k.MAX_IN_FLIGHT


class MacroSampler:
    """PROCESS sample timer (fast engine), as events from one own stop to the next."""

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
        self._stream, self._settings, self._pages, self._sink = stream, config, pages, sink
        self.counter = IntervalCounter(config.interval)
        self.kernel_calls = self.truncations = 0
        self._on_stop = stop
        self._rounds: RunsAhead | None = None
        self._state = np.zeros(k.STATE_SIZE, np.int64)
        self._word = self._state.data  # the same words as plain ints, quickly
        self._saved = self._state.copy()
        self._saved_word = self._saved.data
        self._places = np.empty(_ROWS, np.int64)
        columns = sink.fields if sink.fields == k.ROW_FIELDS else 1  # places stand apart
        self._rows = np.empty((_ROWS if sink.keep else 1, columns), np.int64)
        self._profile = np.zeros(stream.statics * LEVEL_STRIDE, np.int64)
        self._open: list[NDArray[np.int64]] = []  # places of the records that may be voided
        self._zappable = pages.copy() if config.zap_after_write else pages
        self._loaded = 0
        self._chunk = 1024
        self._nearby = Nearby(stream)
        self._most_gap = config.interval.ops + 1 + config.interval.mask
        self._speculating = False
        self._ending: Due | None = None  # simulated time reaches the end of the speculation
        self._reached = FOREVER  # work time to which the speculation is complete, if to one
        engine.watch(vcpu)
        self._enabled = False
        self._started = False
        self._config = self._config_vector(config, stream)
        self._config[k.KEEP] = kept = _kept(sink, config)
        self._longest = min(MAX_CHUNK, OPS_AT_ONCE) if kept == k.OPS_ONLY else MAX_CHUNK
        sizes = config.filter.passes * config.layout.sizes(stream.static_class)
        self._bind(sizes, *_seldom(config, stream))

    def _bind(
        self,
        sizes: NDArray[np.uint8],
        tracked: I64 | None,
        branches: I64 | None,
    ) -> None:
        """Hand the arrays to the kernel, once."""
        scratch = np.empty(k.SCRATCH, np.int64)
        self._kernel: Callable[[int, int], int] = partial(
            k.advance,
            self._stream.arrays,
            self._config,
            sizes,
            tracked,
            branches,
            self._pages,
            self._state,
            self._places,
            self._rows,
            scratch,
        )
        self._arrays = KernelArrays(
            self._config,
            sizes,
            tracked,
            branches,
            self._pages,
            self._zappable,
            self._state,
            self._saved,
            self._places,
            self._rows,
            self._profile,
            scratch,
        )

    @staticmethod
    def _config_vector(config: SamplerConfig, stream: Stream) -> NDArray[np.int64]:
        vector = np.zeros(k.CONFIG_SIZE, np.int64)
        vector[k.INTERVAL] = config.interval.ops
        vector[k.JITTER] = config.interval.jitter
        vector[k.MASK] = config.interval.mask
        vector[k.KEY_INTERVAL] = signed(config.interval.key)
        vector[k.KEY_LATENCY] = signed(config.latency_key)
        vector[k.IN_FLIGHT] = config.in_flight
        vector[k.MIN_LATENCY] = config.filter.min_latency
        vector[k.RECORD] = config.layout.longest
        vector[k.MAX_SIZE] = config.layout.max_size
        if config.bias:
            vector[k.SLIPPING] = config.bias.per_mille
            vector[k.KEY_SLIP] = signed(config.bias.key)
        if config.selection:
            vector[k.CHOOSING] = 1
            vector[k.KEY_CHOICE] = signed(config.selection.key)
        vector[k.PAGE_SHIFT] = _ONE_PAGE if config.discard else config.page_shift
        vector[k.ZAP_AFTER_WRITE] = int(config.zap_after_write)
        vector[k.POP_END] = stream.size(POP)
        filtering = config.filter.min_latency > 0 or not config.filter.passes.all()
        vector[k.FILTERING] = int(filtering or not config.layout.fixed)
        vector[k.RESYNC] = int(config.resync)
        vector[k.BRANCH_EVENTS] = config.filter.branch_events
        return vector

    # --- registers -----------------------------------------------------------------------

    @property
    def pointer(self) -> int:
        """PMBPTR, offset from the AUX base; it stands still in discard mode."""
        return self._loaded if self._settings.discard else self._word[k.POINTER]

    @pointer.setter
    def pointer(self, value: int) -> None:
        self._loaded = self._word[k.POINTER] = value

    @property
    def cut(self) -> int:
        """Bytes of a record that the last fault cut short."""
        return self._word[k.CUT]

    @property
    def limit(self) -> int:
        """PMBLIMITR.LIMIT, offset from the AUX base."""
        return int(self._config[k.LIMIT])

    @limit.setter
    def limit(self, value: int) -> None:
        self._config[k.LIMIT] = FOREVER if self._settings.discard else value

    def load(self) -> None:
        """The counter object holds what software wrote; `enable` reads it."""

    # --- profiling enabled and disabled --------------------------------------------------

    def enable(self, op: int, rounds: RunsAhead | None) -> None:
        """Disabled → enabled: lay the candidates out from the counter, then run ahead."""
        self._rounds = rounds
        pop = self._stream.pop(op)
        self._word[k.AT] = self._clock.work(self._engine.now)
        if self._settings.resync and self._started:
            k.resync(self._config, self._state, pop)
        else:
            self.counter.enable()
            self._lay_out(pop)
            self._started = True
        self._enabled = True
        self._speculate(rounds)

    def _lay_out(self, pop: int) -> None:
        """Counter registers, just enabled (not all 0) → kernel coordinates; next op at `pop`."""
        state, counter = self._word, self.counter
        n1 = counter.interval.ops + 1
        to_zero = counter.count or n1
        state[k.DRAWN] = counter.drawn
        state[k.LAST] = k.NEVER
        if counter.interval.jitter is not Jitter.ERND:
            state[k.CANDIDATE] = state[k.PRIMARY] = pop + counter.count - 1
            return
        if counter.ecount:
            state[k.PRIMARY] = pop + to_zero - 1 - n1
            state[k.CANDIDATE] = pop + counter.ecount - 1
            return
        state[k.PRIMARY] = pop + to_zero - 1
        state[k.CANDIDATE] = state[k.PRIMARY] + counter.interval.byte(counter.drawn)
        state[k.DRAWN] += 1

    def _take_up(self, pop: int) -> None:
        """Kernel coordinates → counter registers, with the next op at rank `pop`."""
        state, counter = self._word, self.counter
        candidate, primary, drawn = state[k.CANDIDATE], state[k.PRIMARY], state[k.DRAWN]
        counter.ecount = 0
        if pop <= primary:
            at_zero = pop == state[k.LAST] + 1
            counter.count = 0 if at_zero else primary - pop + 1
            undraw = counter.interval.jitter is Jitter.ERND or (
                counter.interval.jitter is Jitter.RND and at_zero
            )
            counter.drawn = drawn - int(undraw)
            return
        counter.ecount = candidate - pop + 1
        counter.count = 0 if pop == primary + 1 else primary + counter.interval.ops + 2 - pop
        counter.drawn = drawn

    def disable(self, op: int, work: int) -> None:
        """Freeze: bring the state to now, complete what is in flight, save the counter."""
        if not self._enabled:
            return
        self._sync(work)
        outcome = quick(k.flush)(
            self._config, self._pages, self._state, self._places, self._rows, work
        )
        self._commit()
        self._enabled = False
        self._save(op)
        if outcome != k.HORIZON:
            self._on_stop(_STOPS[outcome], op)

    def _save(self, op: int) -> None:
        if not self._settings.resync:
            self._take_up(self._stream.pop(op))

    def before_change(self) -> None:
        """Bring the state to now: a page may be about to change."""
        if self._enabled:
            self._sync(self._clock.work(self._engine.now))

    def on_change(self) -> None:
        """Run ahead again, but not over stops: whoever changes pages may schedule more."""
        if self._enabled:
            self._speculate(None)

    # --- speculation ---------------------------------------------------------------------

    def _advance(self, horizon: int, candidates: int) -> int:
        self.kernel_calls += 1
        return self._kernel(horizon, candidates)

    def _speculate(self, rounds: RunsAhead | None) -> None:
        """Run ahead and schedule the end of the run."""
        self._saved_word[:] = self._word
        if self._settings.zap_after_write:
            self._zappable[:] = self._pages
        self._nearby.come_to(self._word[k.CANDIDATE], self._chunk * self._most_gap)
        if rounds is None:
            until = self._engine.next_due(self._vcpu)
            status = self._advance(
                FOREVER if until == FOREVER else until - self._clock.offset, self._chunk
            )
        else:
            self.kernel_calls += 1
            status, until = rounds.advance(self._stream, self._arrays, self._chunk)
            self._emit(0, self._saved_word[k.ROWS], 0)
        self._speculating = True
        self._reached = FOREVER
        now = self._engine.now - self._clock.offset
        if status == k.HORIZON:
            if until == FOREVER or self._is_over():
                return  # no candidate is left in the stream
            delay, kind = until - self._engine.now, Kind.SELECTION
            self._reached = until - self._clock.offset
        elif status == k.EXHAUSTED:
            place = self._stream.seek(POP, self._word[k.CANDIDATE])
            delay, kind = max(0, place.tick - now), Kind.SELECTION
        else:
            delay, kind = self._word[k.STOP_WORK] - now, Kind.RECORD_WRITE
        self._ending = self._engine.call(delay, kind, self._vcpu, lambda _: self._end(status))

    def _is_over(self) -> bool:
        """Is nothing in flight, and no candidate left in the stream?"""
        state = self._word
        return bool(not state[k.FLYING] and state[k.CANDIDATE] >= self._config[k.POP_END])

    def _end(self, status: int) -> None:
        """Simulated time has reached the end of the run."""
        self._commit()
        self._chunk = min(self._longest, 2 * self._chunk)
        if status in (k.EXHAUSTED, k.HORIZON):
            self._speculate(self._rounds)
            return
        self._enabled = False
        op = self._word[k.STOP_OP]
        self._save(op)
        self._on_stop(_STOPS[status], op)

    def _sync(self, work: int) -> None:
        """The committed state becomes that of `work`, everything at `work` excluded."""
        if not self._speculating:
            return
        if work == self._reached:
            self._commit()
            return
        self._state[:] = self._saved
        if self._settings.zap_after_write:
            self._pages[:] = self._zappable
        self.truncations += 1
        status = self._advance(work, _ROWS - k.MAX_IN_FLIGHT)
        if status != k.HORIZON:
            raise AssertionError(f"a stop before the present: {status} at {work}")
        used = self._word[k.SELECTED] - int(self._saved[k.SELECTED])
        self._chunk = min(self._longest, max(MIN_CHUNK, 2 * used))
        self._commit()

    def _commit(self) -> None:
        self._speculating = False
        if self._ending is not None:
            self._engine.withdraw(self._ending, self._vcpu)
            self._ending = None
        self._emit(self._saved_word[k.ROWS], self._word[k.ROWS], self._clock.offset)
        self._word[k.ROWS] = self._saved_word[k.ROWS] = 0

    def _emit(self, begin: int, end: int, offset: int) -> None:
        """Output rows [begin, end) are final; their times are `offset` behind wall time."""
        if begin == end:
            return
        quick(k.count_places)(self._places, begin, end, self._profile)
        if self._settings.voidable:
            self._open.append(self._places[begin:end].copy())
        if self._config[k.KEEP] != k.NO_RECORDS:
            rows = self._rows[begin:end]
            rows[:, k.ROW_SELECT :] += offset  # times, if there are; nobody reads them here again
            self._sink.add(rows, self._places[begin:end])

    # --- results -------------------------------------------------------------------------

    def collisions(self) -> int:
        """SAMPLE_COLLISION so far; the state is committed whenever software can look."""
        return self._word[k.COLLIDED]

    def written(self) -> int:
        """Records written so far; committed like `collisions`."""
        return self._word[k.WRITTEN]

    def settle(self) -> None:
        """What has been written so far stays."""
        self._open.clear()

    def void(self) -> int:
        """Take back the records written since `settle`; the state is committed by then."""
        count = sum(places.size for places in self._open)
        voided = np.zeros_like(self._profile)
        for places in self._open:
            k.count_places(places, 0, places.size, voided)
        self._profile -= voided
        self._sink.drop(count)
        self._open.clear()
        return count

    def close(self, selections: SelectionsLedger) -> NDArray[np.int64]:
        """Counts into the ledger; samples still in flight are in flight at the end."""
        for name, index in _COUNTERS:
            setattr(selections, name, self._word[index])
        selections.in_flight_at_end += self._word[k.FLYING]
        if self._settings.discard:
            selections.discarded_by_mode, selections.written = selections.written, 0
            self._profile[:] = 0
        return self._profile


def _kept(sink: RecordSink, config: SamplerConfig) -> int:
    """What of records goes to the sink."""
    if not sink.keep or config.discard:
        return k.NO_RECORDS
    return k.RECORDS if sink.fields == k.ROW_FIELDS else k.OPS_ONLY


def _seldom(config: SamplerConfig, stream: Stream) -> tuple[I64 | None, I64 | None]:
    """`tracked` and `branches` of the kernel: None if no scenario's option needs either."""
    tracked = _tracked(config, stream)
    branches = branch_places(stream) if config.filter.branch_events else None
    if tracked is None and branches is None:
        return None, None
    nothing = np.zeros(1, np.int64)  # one set of types for all that need any
    return (
        nothing if tracked is None else tracked,
        nothing if branches is None else branches,
    )


def _tracked(config: SamplerConfig, stream: Stream) -> I64 | None:
    """What the kernel reads to find the op that is tracked, if it is not the counter's."""
    if config.bias:
        return config.bias.distance.astype(np.int64)
    if config.selection:
        return selection_array(config.selection, stream)
    return None


_STOPS = {k.FULL: Stop.FULL, k.FAULT: Stop.FAULT}
_COUNTERS = (
    ("selected", k.SELECTED),
    ("collided", k.COLLIDED),
    ("discarded_in_flight", k.DISCARDED),
    ("completed", k.COMPLETED),
    ("filtered", k.FILTERED),
    ("passed", k.PASSED),
    ("lost_at_fault", k.LOST),
    ("written", k.WRITTEN),
    ("skipped", k.SKIPPED),
)
