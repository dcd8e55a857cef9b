"""Stops that are always handled the same way, in one call: stop, interrupt, handler, restart.

Between two events of the rest of the machine, a buffer that fills on bare metal, or a fault that
KVM fixes by mapping one page, changes nothing but this vCPU. Such a *round* needs no SimPy event:
the kernel draws the interrupt's latency, lets the CPU run on for that long, charges the handler's
time, programs the next window or maps the page, restarts the counter, and goes on sampling. A round
counts only if it is over strictly before the next event of the machine (on bare metal, where vCPUs
do not meet: of this vCPU), and only if nothing has to be decided: PMBIRQ is not masked where it
arrives, the next window is not truncated, the walk's table pages are mapped. Everything else is
left to `sim.cpu.core`, `sim.linux` and `sim.kvm`.

Fidelity note: no mechanism of its own; `tests/exact` holds it bit-identical to the other engine,
which takes every stop through those modules. Source of the idea: design §6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.cpu.core import Cpu
from sim.draws import mix64, njit
from sim.kvm.tables import Stage2
from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import AuxFlag, AuxRing, Geometry, next_window, wakeup_after
from sim.linux.driver import SpeEvent
from sim.results import HIST_BINS, Blackouts, log_linear_bin
from sim.spe import compiled as k
from sim.spe.fast import KernelArrays
from sim.spe.spu import Spu
from sim.workload.arrays import Stream, counted_ops, op_at, pop_at, unmasked_from

MAX_ROUNDS = 1024
"""Rounds per call: a few ms, so that Ctrl-C is not kept waiting."""

# The vector of a vCPU's rounds (int64).
(
    # What never changes.
    FULL_TICKS,  # CPU time of a FULL round, FAULT_TICKS of a fault round; < 0: not here
    FAULT_TICKS,
    KEY_IRQ,
    AUX_SIZE,
    AUX_PAGE,
    WATERMARK,
    MASKLESS,
    ALL_COUNTED,  # every op is in the population
    POP_IS_OP,  # and counts once
    # What a call begins with, and leaves behind.
    UNTIL,  # wall time of the next event that matters
    OFFSET,  # wall - work
    RESUMED,  # work time at the last restart
    FROM,  # first op that has no label yet
    ORDINAL,  # of the last PMBIRQ
    HEAD,  # of the AUX ring; WINDOW, PAD, WAKEUP as in the driver and the ring
    WINDOW,
    PAD,
    WAKEUP,
    CLEARED,  # collisions when PMBSR was last cleared
    # What a call counts.
    PROFILED,
    OTHERS,  # ops that are not in the population
    LOST_FULL,
    LOST_FAULT,
    RUNNING,
    BYTES,  # of records in the windows that were closed
    FULLS,
    FAULTS,
    SIZE,
) = range(28)
_COUNTS = slice(PROFILED, SIZE)

# One row per round: what the loss and the AUX transactions need.
STOP, RESUME, ENDED, CLOSED, LENGTH, PADDED, FLAGS, FIELDS = range(8)

# Blackouts of a cause: count, ops, ticks, their maxima, then two histograms.
COUNT, OPS, TICKS, OPS_MAX, TICKS_MAX, HISTOGRAMS = range(6)
_BLACKOUT = HISTOGRAMS + 2 * HIST_BINS
_COLLISION = int(AuxFlag.COLLISION)


class FusedArrays(NamedTuple):
    """What compiled code needs besides the sampler's own arrays."""

    law: NDArray[np.int64]
    """Quantiles of PMBIRQ's latency, ticks; a power of two of them."""
    vector: NDArray[np.int64]
    rounds: NDArray[np.int64]
    """[MAX_ROUNDS, FIELDS], written by a call."""
    blackouts: NDArray[np.int64]
    """[2, …] by cause (full, fault), summed up over the run."""
    mapped: NDArray[np.uint8]
    """Stage 2 of buffer and table pages."""


@njit
def _latency(F: Any, ordinal: Any) -> Any:
    """`draws.pick`."""
    if F.law.size == 1:
        return F.law[0]
    value = mix64(np.uint64(F.vector[KEY_IRQ]), np.uint64(ordinal)) >> np.uint64(20)
    return F.law[np.int64(value) & (F.law.size - 1)]


@njit
def _next_window(F: Any, K: Any) -> bool:
    """The driver ends its transaction and begins the next one; false if that needs a decision."""
    v, state = F.vector, K.state
    written = state[k.POINTER] - v[WINDOW]
    head = v[HEAD] + written
    wakeup = wakeup_after(head, v[WAKEUP], v[WATERMARK])
    record = K.config[k.RECORD]
    geometry = Geometry(v[AUX_SIZE], v[AUX_PAGE], v[WATERMARK], record, record)
    window = next_window(geometry, head, head, wakeup + v[WATERMARK])
    if window.truncated:
        return False
    row = F.rounds[v[FULLS] + v[FAULTS]]
    row[CLOSED], row[LENGTH], row[PADDED] = v[HEAD] - v[PAD], written + v[PAD], v[PAD]
    row[FLAGS] = _COLLISION if state[k.COLLIDED] > v[CLEARED] else 0
    v[BYTES] += written
    v[HEAD] = head + window.pad
    v[WAKEUP] = wakeup_after(v[HEAD], wakeup, v[WATERMARK])
    v[PAD], v[WINDOW] = window.pad, window.head
    state[k.POINTER], K.config[k.LIMIT] = window.head, window.limit
    v[FULLS] += 1
    return True


@njit
def _map_page(F: Any, K: Any) -> bool:
    """KVM maps the page that the write missed; false if a table page is missing too."""
    pages = K.pages.size
    for table in range(pages, F.mapped.size):
        if F.mapped[table] == 0:
            return False
    page = K.state[k.POINTER] >> K.config[k.PAGE_SHIFT]
    F.mapped[page] = K.pages[page] = 1
    F.rounds[F.vector[FULLS] + F.vector[FAULTS], LENGTH] = 0
    F.vector[FAULTS] += 1
    return True


@njit
def _blackout(account: Any, ops: Any, ticks: Any) -> None:
    """`Blackouts.add`."""
    account[COUNT] += 1
    account[OPS] += ops
    account[TICKS] += ticks
    account[OPS_MAX] = max(account[OPS_MAX], ops)
    account[TICKS_MAX] = max(account[TICKS_MAX], ticks)
    account[HISTOGRAMS + log_linear_bin(ops)] += 1
    account[HISTOGRAMS + HIST_BINS + log_linear_bin(ticks)] += 1


@njit
def _rank(S: Any, v: Any, op: Any) -> Any:
    """`Stream.pop`."""
    return op if v[POP_IS_OP] != 0 else pop_at(S, op)


@njit
def _restart(S: Any, K: Any, v: Any, stop: Any, resume: Any) -> None:
    """PMSICR is saved at op `stop` and taken up at op `resume`, or the sequence is.

    A counter that is found at 0 is initialised: its next gap is one op shorter (`sim.spe.select`).
    """
    state = K.state
    pop = _rank(S, v, resume)
    if K.config[k.RESYNC] != 0:
        k.resync(K.config, state, pop)
        return
    saved = _rank(S, v, stop)
    moved = pop - saved - (1 if saved == state[k.LAST] + 1 else 0)
    state[k.CANDIDATE] += moved
    state[k.PRIMARY] += moved
    state[k.LAST] = k.NEVER


@njit
def _label(S: Any, v: Any, begin: Any, end: Any, label: Any) -> Any:
    """Ops [begin, end) get a label; returns how many of them are in the population."""
    members = end - begin
    if v[ALL_COUNTED] == 0:
        members = counted_ops(S, end) - counted_ops(S, begin)
    v[label] += members
    v[OTHERS] += end - begin - members
    return members


@njit
def _round(S: Any, K: Any, F: Any, status: Any) -> bool:
    """From S = 1 to the restart, if that is over before anything else happens."""
    v, state = F.vector, K.state
    full = status == k.FULL
    cost = v[FULL_TICKS] if full else v[FAULT_TICKS]
    if cost < 0:
        return False
    latency = _latency(F, v[ORDINAL] + 1)
    stopped, taken = state[k.STOP_WORK], state[k.STOP_WORK] + latency
    ended = taken + v[OFFSET] + cost
    if ended >= v[UNTIL]:
        return False
    stop, resume = state[k.STOP_OP], op_at(S, taken)
    if v[MASKLESS] == 0 and unmasked_from(S, resume) != resume:
        return False
    nth = v[FULLS] + v[FAULTS]
    if not (_next_window(F, K) if full else _map_page(F, K)):
        return False
    F.rounds[nth, STOP], F.rounds[nth, RESUME], F.rounds[nth, ENDED] = stop, resume, ended
    _label(S, v, v[FROM], stop, PROFILED)
    lost = _label(S, v, stop, resume, LOST_FULL if full else LOST_FAULT)
    _blackout(F.blackouts[0 if full else 1], lost, ended - stopped - v[OFFSET])
    _restart(S, K, v, stop, resume)
    v[RUNNING] += taken - v[RESUMED]
    v[FROM], v[RESUMED] = resume, taken
    v[CLEARED] = state[k.COLLIDED]
    v[ORDINAL] += 1
    return True


@njit
def _settle(K: Any, first: Any, offset: Any) -> Any:
    """The records since the last restart are final; returns how many rows are in use.

    Rows that are kept get wall times; others are counted here, and their places used again.
    """
    rows = K.state[k.ROWS]
    if K.config[k.KEEP] != 0:
        for r in range(first, rows):
            K.rows[r, k.ROW_SELECT] += offset
            K.rows[r, k.ROW_WRITE] += offset
    else:
        k.count_places(K.places, 0, rows, K.profile)
        K.state[k.ROWS] = rows = 0
    if K.config[k.ZAP_AFTER_WRITE] != 0:
        shift = K.config[k.PAGE_SHIFT]
        for page in range(K.saved[k.POINTER] >> shift, (K.state[k.POINTER] >> shift) + 1):
            K.pages_before[page] = K.pages[page]
    K.saved[:] = K.state
    return rows


@njit
def advance_fused(S: Any, K: Any, F: Any, candidates: Any) -> Any:
    """`kernel.advance` over as many rounds as there are; K.saved is the state of the last restart.

    Returns what ended the samples since then.
    """
    v, state = F.vector, K.state
    begun = state[k.SELECTED]
    settled = state[k.ROWS]
    left = candidates
    while True:
        status = k.advance(
            S,
            K.config,
            K.sizes,
            K.distance,
            K.pages,
            state,
            K.places,
            K.rows,
            K.scratch,
            k.FOREVER,
            left,
        )
        if status != k.FULL and status != k.FAULT:
            return status
        if v[FULLS] + v[FAULTS] == F.rounds.shape[0]:
            return status
        offset = v[OFFSET]
        if not _round(S, K, F, status):
            return status
        settled = _settle(K, settled, offset)
        v[OFFSET] += v[FULL_TICKS] if status == k.FULL else v[FAULT_TICKS]
        if K.config[k.KEEP] != 0:
            left = candidates - (state[k.SELECTED] - begun)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a round touches."""

    cpu: Cpu
    spu: Spu
    event: SpeEvent
    ring: AuxRing
    stage2: Stage2 | None


Costs = dict[TimeCause, int]
"""CPU time of a round by cause, ticks; empty if such rounds are not served here."""


class Fused:
    """Runs the rounds of one vCPU and tells its parts what has gone by."""

    def __init__(
        self, parts: Parts, law: tuple[int, ...], key: int, full: Costs, fault: Costs
    ) -> None:
        self._parts, self._full, self._fault = parts, full, fault
        self.rounds = 0
        geometry = parts.ring.geometry
        mapped = parts.stage2.mapped if parts.stage2 else np.zeros(0, np.uint8)
        self._arrays = FusedArrays(
            np.array(law, np.int64),
            np.zeros(SIZE, np.int64),
            np.zeros((MAX_ROUNDS, FIELDS), np.int64),
            np.zeros((2, _BLACKOUT), np.int64),
            mapped,
        )
        v = self._vector = self._arrays.vector.data
        v[FULL_TICKS] = sum(full.values()) if full else -1
        v[FAULT_TICKS] = sum(fault.values()) if fault else -1
        v[KEY_IRQ] = key - (1 << 64) if key >> 63 else key
        v[AUX_SIZE], v[AUX_PAGE], v[WATERMARK] = geometry.size, geometry.page, geometry.watermark
        stream = parts.cpu.stream
        v[MASKLESS], v[ALL_COUNTED] = int(parts.cpu.maskless), int(stream.all_counted)
        v[POP_IS_OP] = int(stream.pop_is_op)

    def advance(self, stream: Stream, arrays: KernelArrays, candidates: int) -> int:
        """Run ahead; the machine is then as if the SPU had just been restarted a last time."""
        v = self._vector
        self._load(v)
        status = int(advance_fused(stream.arrays, arrays, self._arrays, candidates))
        if v[FULLS] or v[FAULTS]:
            self._tell(v, int(arrays.saved[k.WRITTEN]))
        return status

    def _load(self, v: memoryview) -> None:
        cpu, ring = self._parts.cpu, self._parts.ring
        self._arrays.vector[_COUNTS] = 0
        v[UNTIL] = cpu.engine.next_event(None if cpu.platform.virtual else cpu.index)
        v[OFFSET] = cpu.clock.offset
        v[RESUMED] = cpu.resumed_at - cpu.clock.offset
        v[FROM] = cpu.label_from
        v[ORDINAL] = cpu.gic.ordinal
        v[HEAD], v[PAD], v[WAKEUP] = ring.head, ring.pad, ring.wakeup
        v[WINDOW] = self._parts.event.window_head
        v[CLEARED] = self._parts.spu.collisions_cleared

    def _tell(self, v: memoryview, written: int) -> None:
        """What `sim.cpu`, `sim.linux` and `sim.kvm` would have counted and kept."""
        cpu, spu = self._parts.cpu, self._parts.spu
        n = v[FULLS] + v[FAULTS]
        self.rounds += n
        ops, time = cpu.ledgers.ops.by_label, cpu.ledgers.time
        ops[OpLabel.PROFILED] += v[PROFILED]
        ops[OpLabel.NOT_IN_POPULATION] += v[OTHERS]
        ops[OpLabel.IRQ_DELIVERY_FULL] += v[LOST_FULL]
        ops[OpLabel.IRQ_DELIVERY_FAULT] += v[LOST_FAULT]
        time.running += v[RUNNING]
        for rounds, costs in ((v[FULLS], self._full), (v[FAULTS], self._fault)):
            for cause, ticks in costs.items():
                time.stopped[cause] += rounds * ticks
        rows = self._arrays.rounds[:n]
        cpu.clock.offset = v[OFFSET]
        cpu.restarted(v[FROM], v[OFFSET] + v[RESUMED], rows[:, STOP : RESUME + 1])
        cpu.gic.ordinal = v[ORDINAL]
        spu.stops += n
        spu.collisions_cleared = v[CLEARED]
        if v[FULLS]:
            self._tell_driver(v, rows, written)

    def _tell_driver(self, v: memoryview, rows: NDArray[np.int64], written: int) -> None:
        event, ring = self._parts.event, self._parts.ring
        event.reopened(v[WINDOW], written)
        ring.went_on(v[HEAD], v[PAD], v[WAKEUP], v[BYTES])
        ring.transactions += v[FULLS]
        if ring.keep:
            for row in rows[rows[:, LENGTH] > 0].tolist():
                records = (row[LENGTH] - row[PADDED]) // ring.geometry.record
                closed = (row[CLOSED], row[LENGTH], row[PADDED], row[FLAGS], row[ENDED])
                ring.keep_row(event.tid, *closed, records)

    def close(self) -> None:
        """Blackouts go to the CPU's, at the end of a run."""
        for cause, account in zip(("full", "fault"), self._arrays.blackouts, strict=True):
            if account[COUNT]:
                self._parts.cpu.blackouts.setdefault(cause, Blackouts()).merge(
                    _as_blackouts(account)
                )


def _as_blackouts(account: NDArray[np.int64]) -> Blackouts:
    histograms = account[HISTOGRAMS:].reshape(2, HIST_BINS)
    ops, ticks = ({int(b): int(h[b]) for b in np.flatnonzero(h)} for h in histograms)
    count, lost, length, lost_max, length_max = account[:HISTOGRAMS].tolist()
    return Blackouts(count, lost, length, lost_max, length_max, ops, ticks)
