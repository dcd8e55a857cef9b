"""A third sampler: one event per executed op, PMSICR executed literally.

Written from the Arm ARM's description (D17.3.3-4, J1.1.1.101, J1.1.1.124) without looking ahead:
every op that executes decrements, reloads or draws, as hardware would. Only for small streams and
`restart: hold`. It plugs into the same machine as the two engines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import simpy
from numpy.typing import NDArray

from sim import draws
from sim.engine import Engine, Kind, Process, WorkClock
from sim.ledger import SelectionsLedger
from sim.results import RecordSink
from sim.spe.ahead import RunsAhead
from sim.spe.buffer import Stop
from sim.spe.select import IntervalCounter, Jitter
from sim.spe.selection import Selection
from sim.spe.spu import OnStop, SamplerConfig
from sim.workload.arrays import EL, OP, SEG_INFO, Place, Stream


@dataclass(slots=True)
class Flying:
    """A sampled op on its way to completion."""

    done_at: int
    op: int
    began: int
    index: int
    latency: int


class PerOpTimer:
    """One SimPy event per op."""

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
        assert not config.resync
        self.engine, self.vcpu, self.clock, self.stream = engine, vcpu, clock, stream
        self.config, self.pages, self.sink = config, pages, sink
        self.counter = IntervalCounter(config.interval)  # used as two plain registers
        self.pointer = self.limit = self.cut = 0
        self.kernel_calls = self.truncations = 0
        self.report = stop
        self.bytes_drawn = 0
        self.enabled = False
        self.op = 0
        self.flight: list[Flying] = []
        self.counts = SelectionsLedger()
        self.profile = np.zeros(stream.statics * 8, np.int64)
        self.unsettled: list[int] = []
        self.parked: simpy.Event | None = None
        self.process = engine.process(self.run())

    def run(self) -> Process:
        """PROCESS: the ops of the stream, one by one."""
        while True:
            try:
                if not self.enabled or (self.op >= self.stream.ops and not self.flight):
                    self.parked = self.engine.signal()
                    yield self.parked
                elif self.flight and self.flight[0].done_at <= self.stream.tick(self.op):
                    yield self.wait(self.flight[0].done_at, Kind.RECORD_WRITE)
                    self.complete(self.clock.work(self.engine.now))
                else:
                    yield self.wait(self.stream.tick(self.op), Kind.SELECTION)
                    self.execute()
            except simpy.Interrupt:
                continue
            finally:
                self.parked = None

    def wait(self, work: int, kind: Kind) -> simpy.Event:
        """An event at a work time."""
        return self.engine.at(work - self.clock.work(self.engine.now), kind, self.vcpu)

    # --- the interval counter, one op at a time ------------------------------------------

    def random_byte(self) -> int:
        """The next random byte."""
        interval = self.config.interval
        value = draws.splitmix64(interval.key, self.bytes_drawn) & interval.mask
        self.bytes_drawn += 1
        return value

    def reload(self) -> None:
        """COUNT = INTERVAL, low byte random if RND without ERnd."""
        interval = self.config.interval
        self.counter.count = interval.ops
        if interval.jitter is Jitter.RND:
            self.counter.count += self.random_byte()

    def counted(self) -> bool:
        """One member of the population: is it selected?"""
        registers, ernd = self.counter, self.config.interval.jitter is Jitter.ERND
        if registers.count == 0:
            self.reload()
        else:
            registers.count -= 1
            if registers.count == 0:
                if not ernd:
                    return True
                registers.ecount = self.random_byte()
                return registers.ecount == 0
        if ernd and registers.ecount:
            registers.ecount -= 1
            return registers.ecount == 0
        return False

    def execute(self) -> None:
        """The next op executes."""
        place = self.stream.seek(OP, self.op)
        members = self.stream.pop(self.op + 1) - self.stream.pop(self.op)
        for _ in range(members):
            if not self.counted():
                continue
            self.counts.selected += 1
            if len(self.flight) >= self.config.in_flight:
                self.counts.collided += 1
                continue
            seen = self.recorded_as(place)
            row = int(self.stream.rows()[seen.static]) + seen.level
            latency = self.in_flight_for(row, seen.op)
            index = seen.static * 8 + seen.level
            self.flight.append(Flying(place.tick + latency, seen.op, place.tick, index, latency))
            self.flight.sort(key=lambda sample: sample.done_at)
        self.op += 1

    def in_flight_for(self, row: int, op: int) -> int:
        """Ticks: the hash as a fraction in 16ths, of which each F goes a level further out."""
        digits = f"{draws.splitmix64(self.config.latency_key, op):016X}"
        out = len(digits[:4]) - len(digits[:4].lstrip("F"))
        cell = 240 * out + int(digits[out : out + 2], 16)
        span, base = divmod(int(self.stream.latency()[row * 1216 + cell]), 1 << 32)
        return base + span * int(digits[-4:], 16) // 65536

    def recorded_as(self, place: Place) -> Place:
        """The op that is tracked when the counter chooses the one at `place`."""
        if self.config.selection:
            return self.drawn_from_window(place, self.config.selection)
        return self.slipped(place)

    def drawn_from_window(self, place: Place, selection: Selection) -> Place:
        """List the window's population, then keep or try another, by one 64-bit word a try."""
        reach = range(max(0, place.op - 2000), min(self.stream.ops, place.op + 2000))
        code = {op: self.stream.seek(OP, op) for op in reach}
        pc = {op: int(self.stream.static_pc[at.static]) for op, at in code.items()}
        level = {op: self.exception_level(op) for op in reach}

        def taken(op: int) -> bool:
            return op not in code or pc[op] - pc[op - 1] != 4 or level[op] != level[op - 1]

        begin = end = place.op
        while begin - 1 in code and not taken(begin):
            begin -= 1
        end += 1
        while end in code and not taken(end):
            end += 1
        which = (place.op - begin) // selection.window
        run = range(begin, end)[which * selection.window :][: selection.window]
        members = [op for op in run for _ in range(self.stream.pop(op + 1) - self.stream.pop(op))]
        op = place.op
        for trial in range(64):
            word = draws.splitmix64(selection.key, 64 * place.op + trial)
            weights = selection.keep[int(self.stream.static_class[code[op].static])]
            if word % 65536 < (weights[op - begin :] or weights[-1:])[0]:
                return code[op]
            op = members[(word // 2**32) * len(members) // 2**32]
        return place

    def slipped(self, place: Place) -> Place:
        """The erratum: walk back over ops that follow each other in the code."""
        bias = self.config.bias
        back = int(bias.distance[place.static]) if bias else 0
        if bias is None or back == 0 or not bias.slips(place.op):
            return place
        at = place
        for step in range(1, back + 1):
            if place.op - step < 0:
                return place
            at = self.stream.seek(OP, place.op - step)
        return at if at.static == place.static - back else place

    # --- completion ----------------------------------------------------------------------

    def complete(self, work: int) -> None:
        """Filter, translate, write, full?"""
        sample = self.flight.pop(0)
        self.counts.completed += 1
        chosen = self.config.filter
        if not chosen.passes[sample.index] or sample.latency < chosen.min_latency:
            self.counts.filtered += 1
            return
        if chosen.branch_events & ~self.branch_events(sample):
            self.counts.filtered += 1
            return
        self.counts.passed += 1
        if self.config.discard:
            self.counts.discarded_by_mode += 1
            return
        length = self.config.layout.bytes_of[self.stream.static_class[sample.index // 8]]
        shift, begin = self.config.page_shift, self.pointer
        touched = {at >> shift for at in range(begin, begin + length)}
        missing = [page for page in sorted(touched) if self.pages[page] == 0]
        if missing:
            self.counts.lost_at_fault += 1
            fault_at = max(begin, missing[0] << shift)
            self.cut = fault_at - begin
            self.pointer = fault_at
            self.set_s(Stop.FAULT)
            return
        self.counts.written += 1
        self.profile[sample.index] += 1
        self.unsettled.append(sample.index)
        shift = self.clock.offset
        row = [sample.op, sample.began + shift, work + shift]
        place = (sample.index // 8 << 8) + sample.index % 8
        self.sink.add(np.array([row], np.int64), np.array([place], np.int64))
        self.pointer += length
        if self.config.zap_after_write:
            self.pages[list(touched)] = 0
        if self.limit - self.pointer < self.config.layout.max_size:
            self.set_s(Stop.FULL)

    def branch_events(self, sample: Flying) -> int:
        """Bit 6: a conditional branch went on at the next instruction; bit 7: mispredicted."""
        static, ops = sample.index // 8, int(self.stream.ops)
        noise = draws.splitmix64(self.config.latency_key ^ 0x53504500, sample.op)
        events = 0x80 if (noise >> 8) % 256 < 5 else 0
        if not self.stream.static_payload[static] & 1:
            return events
        level = self.exception_level(sample.op)
        later = (op for op in range(sample.op + 1, ops) if self.exception_level(op) == level)
        after = next(later, None)
        falls = int(self.stream.static_pc[static]) + 4
        if after is None or self.stream.static_pc[self.stream.seek(OP, after).static] == falls:
            events |= 0x40
        return events

    def exception_level(self, op: int) -> int:
        """Of the segment that holds an op."""
        tables = self.stream.arrays.tables
        segment = self.stream.seek(OP, op).segment
        return int(tables[tables[SEG_INFO] + 4 * segment + EL])

    def set_s(self, stop: Stop) -> None:
        """PMBSR.S = 1."""
        self.counts.discarded_in_flight += len(self.flight)
        self.flight.clear()
        self.enabled = False
        self.report(stop, self.op)

    # --- the Sampler interface -----------------------------------------------------------

    def enable(self, op: int, rounds: RunsAhead | None) -> None:
        """Disabled → enabled."""
        if self.counter.count == 0 and self.counter.ecount == 0:
            self.reload()
        self.op = op
        self.enabled = True
        if self.parked is not None and not self.parked.triggered:
            self.parked.succeed()

    def disable(self, op: int, work: int) -> None:
        """The CPU freezes."""
        if not self.enabled:
            return
        if self.engine.active_process is not self.process and self.parked is None:
            self.process.interrupt()
        self.op = op
        while self.flight and self.enabled:
            self.complete(work)
        self.enabled = False

    def before_change(self) -> None:
        """Nothing is precomputed."""

    def on_change(self) -> None:
        """Nothing is precomputed."""

    def load(self) -> None:
        """The registers are the state."""

    def collisions(self) -> int:
        """So far."""
        return self.counts.collided

    def written(self) -> int:
        """So far."""
        return self.counts.written

    def settle(self) -> None:
        """Records so far stay."""
        self.unsettled = []

    def void(self) -> int:
        """Records since then go."""
        gone = len(self.unsettled)
        np.subtract.at(self.profile, self.unsettled, 1)
        self.sink.drop(gone)
        self.settle()
        return gone

    def close(self, selections: SelectionsLedger) -> NDArray[np.int64]:
        """Hand the counts over."""
        for name, value in self.counts.as_dict().items():
            setattr(selections, name, value)
        selections.in_flight_at_end += len(self.flight)
        return self.profile
