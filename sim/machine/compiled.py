"""The compiled part of `sim.machine.rounds`: one round after the other, inside the kernel.

Fidelity note: no mechanism of its own; `tests/exact` holds it bit-identical to the other engine,
which takes every stop through `sim.cpu`, `sim.linux` and `sim.kvm`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.draws import TAIL, mix64, njit, njit_inline, njit_inner
from sim.linux.aux import AuxFlag, Geometry, next_window, wakeup_after
from sim.results import HIST_BINS, log_linear_bin
from sim.spe import compiled as k
from sim.workload.arrays import counted_ops, op_at, pop_at, unmasked_from

MAX_ROUNDS = 1024
"""Rounds per call: a few ms, so that Ctrl-C is not kept waiting."""

# The vector of a vCPU's rounds (int64).
(
    # What never changes.
    FULL_TICKS,  # CPU time of a FULL round, FAULT_TICKS of a fault round; < 0: not here
    FAULT_TICKS,
    EXIT_TICKS,  # of an ordinary exit
    KEY_IRQ,
    KEY_EXITS,
    AUX_SIZE,
    AUX_PAGE,
    WATERMARK,
    MASKLESS,
    ALL_COUNTED,  # every op is in the population
    POP_IS_OP,  # and counts once
    # What a call begins with, and leaves behind.
    UNTIL,  # wall time of the next event that matters to a stop
    ALONE,  # and to an ordinary exit, which concerns this vCPU alone
    BOUND,  # wall time to which samples are made at most
    ALARM,  # work time of the stream's next position that matters
    EXIT,  # wall time of the next ordinary exit, FOREVER if none is served here
    NTH_EXIT,
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
    EXITS,
    SIZE,
) = range(36)
COUNTS = slice(PROFILED, SIZE)

# One row per round: what the loss and the AUX transactions need.
STOP, RESUME, ENDED, CLOSED, LENGTH, PADDED, FLAGS, FIELDS = range(8)

# Blackouts of a cause: count, ops, ticks, their maxima, then two histograms.
COUNT, OPS, TICKS, OPS_MAX, TICKS_MAX, HISTOGRAMS = range(6)
BLACKOUT = HISTOGRAMS + 2 * HIST_BINS
_COLLISION = int(AuxFlag.COLLISION)


class RoundArrays(NamedTuple):
    """What compiled code needs besides the sampler's own arrays."""

    law: NDArray[np.int64]
    """Quantiles of PMBIRQ's latency, ticks; a power of two of them."""
    exits: NDArray[np.int64]
    """Likewise of the gaps between ordinary exits."""
    vector: NDArray[np.int64]
    rounds: NDArray[np.int64]
    """[MAX_ROUNDS, FIELDS], written by a call."""
    blackouts: NDArray[np.int64]
    """[2, …] by cause (full, fault), summed up over the run."""
    mapped: NDArray[np.uint8]
    """Stage 2 of buffer and table pages."""
    before: NDArray[np.int64]
    """The sampler's state before an exit that may have to be taken back."""


@njit_inner
def _copy(source: Any, target: Any) -> None:
    """All words. For `target[:] = source` numba compiles how to print shapes that differ."""
    for i in range(source.size):
        target[i] = source[i]


@njit_inner
def _pick(law: Any, key: Any, ordinal: Any) -> Any:
    """`draws.pick`."""
    if law.size == 1:
        return law[0]
    value = np.int64(mix64(np.uint64(key), np.uint64(ordinal)) >> np.uint64(20))
    last = law.size - TAIL
    index = value & last
    return law[index if index < last else last + (value >> 16 & TAIL - 1)]


@njit_inner
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


@njit_inner
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


@njit_inner
def _blackout(account: Any, ops: Any, ticks: Any) -> None:
    """`Blackouts.add`."""
    account[COUNT] += 1
    account[OPS] += ops
    account[TICKS] += ticks
    account[OPS_MAX] = max(account[OPS_MAX], ops)
    account[TICKS_MAX] = max(account[TICKS_MAX], ticks)
    account[HISTOGRAMS + log_linear_bin(ops)] += 1
    account[HISTOGRAMS + HIST_BINS + log_linear_bin(ticks)] += 1


@njit_inline
def _rank(S: Any, v: Any, op: Any) -> Any:
    """`Stream.pop`."""
    return op if v[POP_IS_OP] != 0 else pop_at(S, op)


@njit_inner
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


@njit_inner
def _label(S: Any, v: Any, begin: Any, end: Any, label: Any) -> Any:
    """Ops [begin, end) get a label; returns how many of them are in the population."""
    members = end - begin
    if v[ALL_COUNTED] == 0:
        members = counted_ops(S, end) - counted_ops(S, begin)
    v[label] += members
    v[OTHERS] += end - begin - members
    return members


@njit_inner
def serve(S: Any, K: Any, F: Any, status: Any) -> bool:
    """From S = 1 to the restart, if that is over before anything else happens."""
    v, state = F.vector, K.state
    full = status == k.FULL
    cost = v[FULL_TICKS] if full else v[FAULT_TICKS]
    if cost < 0:
        return False
    latency = _pick(F.law, v[KEY_IRQ], v[ORDINAL] + 1)
    stopped, taken = state[k.STOP_WORK], state[k.STOP_WORK] + latency
    ended = taken + v[OFFSET] + cost
    if ended >= min(v[UNTIL], v[EXIT]) or taken >= v[ALARM]:
        return False
    stop, resume = state[k.STOP_OP], op_at(S, taken, state[k.STOP_OP])
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
    state[k.AT] = taken
    v[RUNNING] += taken - v[RESUMED]
    v[FROM], v[RESUMED] = resume, taken
    v[CLEARED] = state[k.COLLIDED]
    v[ORDINAL] += 1
    return True


@njit_inner
def serve_exit(S: Any, K: Any, F: Any) -> bool:
    """An ordinary exit, if it is over before anything else happens and the sample in flight, which
    completes at it, does not stop the SPU. Nothing is exited from while it lasts."""
    v, state = F.vector, K.state
    ended, work = v[EXIT] + v[EXIT_TICKS], v[EXIT] - v[OFFSET]
    if ended >= v[ALONE]:
        return False
    _copy(state, F.before)
    if k.flush(K.config, K.pages, state, K.places, K.rows, work) != k.HORIZON:
        _copy(F.before, state)
        return False
    op = op_at(S, work, v[FROM])
    _label(S, v, v[FROM], op, PROFILED)
    _restart(S, K, v, op, op)
    state[k.AT] = work
    v[RUNNING] += work - v[RESUMED]
    v[FROM], v[RESUMED] = op, work
    v[EXITS] += 1
    while True:
        v[NTH_EXIT] += 1
        v[EXIT] += _pick(F.exits, v[KEY_EXITS], v[NTH_EXIT])
        if v[EXIT] >= ended:
            return True


@njit_inner
def settle(K: Any, first: Any, offset: Any) -> Any:
    """The records since the last restart are final; returns how many rows are in use.

    Records that are kept get wall times; if none are, places are counted here and used again.
    """
    rows = K.state[k.ROWS]
    if K.config[k.KEEP] == k.RECORDS:
        for r in range(first, rows):
            K.rows[r, k.ROW_SELECT] += offset
            K.rows[r, k.ROW_WRITE] += offset
    elif K.config[k.KEEP] == k.NO_RECORDS:
        k.count_places(K.places, np.int64(0), rows, K.profile)
        K.state[k.ROWS] = rows = 0
    if K.config[k.ZAP_AFTER_WRITE] != 0:
        shift = K.config[k.PAGE_SHIFT]
        for page in range(K.saved[k.POINTER] >> shift, (K.state[k.POINTER] >> shift) + 1):
            K.pages_before[page] = K.pages[page]
    _copy(K.state, K.saved)
    return rows


@njit_inline
def _horizon(v: Any) -> Any:
    """Work time of what comes next of BOUND, an exit and the alarm."""
    due = min(v[BOUND], v[EXIT])
    return min(v[ALARM], due if due == k.FOREVER else due - v[OFFSET])


@njit_inline
def _serves(S: Any, K: Any, F: Any, status: Any) -> Any:
    """What ended the samples is served here: a stop, or an exit that is due."""
    v = F.vector
    if v[FULLS] + v[FAULTS] + v[EXITS] == F.rounds.shape[0]:
        return False
    if status == k.FULL or status == k.FAULT:
        return serve(S, K, F, status)
    exiting = status == k.HORIZON and v[EXIT] - v[OFFSET] < v[ALARM]
    return exiting and serve_exit(S, K, F)


@njit_inline
def _ticks(v: Any, status: Any) -> Any:
    """CPU time of a round."""
    if status == k.HORIZON:
        return v[EXIT_TICKS]
    return v[FULL_TICKS] if status == k.FULL else v[FAULT_TICKS]


@njit
def advance_rounds(S: Any, K: Any, F: Any, candidates: Any) -> Any:
    """`sim.spe.compiled.advance` over as many rounds as there are before wall time BOUND.

    K.saved is the state of the last restart; returns what ended the samples since then.
    """
    v, state = F.vector, K.state
    begun = state[k.SELECTED]
    settled = state[k.ROWS]
    left = candidates
    while True:
        status = k.advance_here(
            S,
            K.config,
            K.sizes,
            K.tracked,
            K.branches,
            K.pages,
            state,
            K.places,
            K.rows,
            K.scratch,
            _horizon(v),
            left,
        )
        offset = v[OFFSET]
        if not _serves(S, K, F, status):
            return status
        settled = settle(K, settled, offset)
        v[OFFSET] += _ticks(v, status)
        if K.config[k.KEEP] != k.NO_RECORDS:
            left = candidates - (state[k.SELECTED] - begun)


advance_special: Any = njit(getattr(advance_rounds, "py_func", advance_rounds))
"""The same where `K.tracked` and `K.branches` are arrays: each is called with one set of types."""
