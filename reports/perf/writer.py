"""perf.data with Arm SPE AUX data: what `perf record` would have written in the simulated machine.

The file is written in one pass, record by record in time order, with AUX data encoded in blocks, so
memory does not grow with it. Rules that perf depends on and that fail silently (no sample, no
message) are kept here: TIME_CONV before AUXTRACE_INFO, records in time order across CPUs between
two FINISHED_ROUND, AUX payloads of a multiple of eight bytes that end on a record.

Fidelity note. Modelled: one AUX and one AUXTRACE record per transaction of the model's AUX ring,
with its offset, padding and flags; context switches of the task; one process per vCPU, or one
process with a thread per vCPU. Simplified: perf's reader copies each transaction by itself;
timestamps are nanoseconds of a 1 GHz generic timer, taken at selection (Arm ARM J1.1.1.97 takes it
at the start; the point is IMPLEMENTATION DEFINED); a record that a fault cut short is padding. Not
in the file: lost records of the data ring, other tasks' events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, NamedTuple

from reports.perf import events as ev
from reports.perf import header as hd
from reports.perf.events import Trailer
from reports.perf.programs import Program

FORMATS = ("6.1", "6.12", "7.x")
_V2_FORMATS = ("7.x",)
BASE_NS = 1_000_000_000
"""Perf time of the simulation's start; mappings come just before it."""
_SETUP_NS = 1_000
_ROUND = 1024


class Chunk(NamedTuple):
    """One AUX transaction of `size` bytes at `offset`, and what perf copied of the ring with it:
    `pad` zero bytes, then `bytes` with `records` records; what is left of a record that a fault has
    cut short is zero too."""

    t: int
    cpu: int
    tid: int
    offset: int
    size: int
    flags: int
    pad: int
    records: int
    bytes: int


class Switch(NamedTuple):
    """A task comes to (or leaves) its CPU at `t` ns."""

    t: int
    cpu: int
    tid: int
    arrives: bool


@dataclass(frozen=True, slots=True)
class Task:
    """The program on one CPU, from `start` to `end` ns."""

    cpu: int
    tid: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Capture:
    """Everything about a perf.data file but its AUX payload."""

    perf_format: str
    spe: hd.SpeConfig
    machine: hd.MachineText
    min_interval: int
    comm: str
    programs: tuple[Program, ...]
    tasks: tuple[Task, ...]
    switches: tuple[Switch, ...]
    chunks: tuple[Chunk, ...]
    process: int = 0
    """Of all tasks, if they are its threads; 0: each is a process of its own."""


Payload = Callable[[int, int], Iterator[Any]]
"""payload(cpu, n): the next n records of a CPU, in buffers."""


class _Item(NamedTuple):
    """What happens at `t`; `order` decides within one instant, `write` puts it into the file."""

    t: int
    order: int
    cpu: int
    write: Callable[[], None]


class Writer:
    """Writes one capture into a seekable file."""

    def __init__(self, file: IO[bytes], capture: Capture, payload: Payload) -> None:
        self._file, self._capture, self._payload = file, capture, payload
        cpus = len(capture.tasks)
        self._spe, self._tracking = hd.events(capture.spe, cpus)
        self._events = (self._spe, self._tracking)
        self._chunk_offsets: list[int] = []

    def write(self, written: Callable[[int], None] = lambda n: None) -> None:
        """The whole file; `written(n)` is told of records as they go out."""
        capture, cpus = self._capture, len(self._capture.tasks)
        self._file.write(bytes(hd.head_bytes(self._events)))
        begin = self._file.tell()
        self._setup()
        for at, item in enumerate(sorted(self._items(written), key=lambda item: item[:3]), 1):
            item.write()
            if at % _ROUND == 0:
                self._file.write(ev.finished_round())
        self._file.write(ev.finished_round())
        end = self._file.tell()
        span = (BASE_NS, max(task.end for task in capture.tasks))
        build_ids = [(p.build_id, str(p.path)) for p in capture.programs]
        features = hd.features(
            capture.machine, self._events, cpus, span, self._chunk_offsets, build_ids
        )
        self._file.write(hd.tail(features, end))
        self._file.seek(0)
        self._file.write(hd.head(self._events, end - begin, features))

    def _setup(self) -> None:
        """What perf needs to know before the first event: clock, ids, the SPE, the program."""
        capture, put = self._capture, self._file.write
        cpus = len(capture.tasks)
        put(ev.time_conv())
        put(ev.id_index([(i, cpu) for e in self._events for cpu, i in enumerate(e.ids)]))
        if capture.perf_format in _V2_FORMATS:
            midr = capture.machine.midr
            put(ev.auxtrace_info_v2(hd.PMU_TYPE, cpus, midr, capture.min_interval))
        else:
            put(ev.auxtrace_info_v1(hd.PMU_TYPE))
        for task in capture.tasks:
            at = self._tracked(BASE_NS - _SETUP_NS, task.cpu, task.tid)
            put(ev.comm(capture.comm, at))
            if at.pid != at.tid:
                continue  # a thread has the memory of its process
            for program in capture.programs:
                for s in program.segments:
                    put(ev.mmap2(s.address, s.length, s.offset, s.prot, str(program.path), at))

    def _tracked(self, t: int, cpu: int, tid: int) -> Trailer:
        return self._at(tid, t, cpu, self._tracking)

    def _at(self, tid: int, t: int, cpu: int, event: hd.Event) -> Trailer:
        return Trailer(tid, t, cpu, event.ids[cpu], self._capture.process)

    def _items(self, written: Callable[[int], None]) -> Iterator[_Item]:
        for switch in self._capture.switches:
            yield _Item(switch.t, 0, switch.cpu, partial(self._switch, switch))
        for task in self._capture.tasks:
            yield _Item(task.start, 1, task.cpu, partial(self._start, task))
            yield _Item(task.end, 3, task.cpu, partial(self._exit, task))
        for chunk in self._capture.chunks:
            yield _Item(chunk.t, 2, chunk.cpu, partial(self._chunk, chunk, written))

    def _switch(self, s: Switch) -> None:
        leaves, comes = (0, s.tid) if s.arrives else (s.tid, 0)
        self._file.write(ev.switch(comes, self._tracked(s.t, s.cpu, leaves)))

    def _start(self, task: Task) -> None:
        at = self._at(task.tid, task.start, task.cpu, self._spe)
        self._file.write(ev.itrace_start(at))

    def _exit(self, task: Task) -> None:
        self._file.write(ev.task_exit(self._tracked(task.end, task.cpu, task.tid)))

    def _chunk(self, chunk: Chunk, written: Callable[[int], None]) -> None:
        at = self._at(chunk.tid, chunk.t, chunk.cpu, self._spe)
        put = self._file.write
        put(ev.aux(chunk.offset, chunk.size, chunk.flags, at))
        copied = chunk.pad + chunk.bytes
        if copied == 0:
            return
        self._chunk_offsets.append(self._file.tell())
        fill = -copied % 8
        begin = chunk.offset + chunk.size - copied
        put(ev.auxtrace(begin, copied + fill, chunk.cpu))
        put(bytes(chunk.pad))
        left = chunk.bytes
        for block in self._payload(chunk.cpu, chunk.records):
            put(block)
            left -= block.nbytes
        put(bytes(left + fill))
        written(chunk.records)


def switches(
    log: Sequence[tuple[int, str, int]], cpu: int, tid: int, ns: Callable[[int], int]
) -> Iterator[Switch]:
    """When a vCPU's task came and went, from its log of state changes."""
    away = True
    for t, what, _ in log:
        if what == "SWITCH" and not away:
            away = True
            yield Switch(ns(t), cpu, tid, arrives=False)
        elif what == "RUN" and away:
            away = False
            yield Switch(ns(t), cpu, tid, arrives=True)
