"""The compiled sampler: makes every sample between two state changes.

A pure, prefix-consistent function of a state vector: advancing to H1 and then to H2 gives the bits
of advancing to H2, for any split and any limit on candidates. `advance` does everything strictly
before the horizon H, in the order of an instant (record write before selection), and stops at its
own FULL or FAULT. It changes nothing but the state vector and its output rows, so a speculation is
undone by restoring the vector.

Candidates are made in blocks: gaps, prefix sum, places, latencies, each a small loop that LLVM
vectorises. A *stretch* of a block in which nothing collides, stops or reaches the horizon is
committed at once; what lies between stretches is scanned candidate by candidate. Coordinates:
candidates in POP (population rank), times in work ticks. Source of the design: blocked kernels
measured at 3 ns a sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim import laws
from sim.draws import allocates, mix64, njit, njit_inline, njit_inner
from sim.spe.collect import (
    EV_MISPREDICTED,
    EV_NOT_TAKEN,
    MISPREDICT_PER_256,
    NOISE,
    latency_ticks,
)
from sim.spe.selection import choose
from sim.workload.arrays import (
    AXES,
    EL,
    LATENCY,
    PLACE_MASK,
    ROW,
    ROW_SHIFT,
    SEG_INFO,
    STATIC,
    op_at,
    seek_op,
)
from sim.workload.following import not_taken
from sim.workload.places import FOREVER as FOREVER  # the compiled code's callers use it too
from sim.workload.places import places_of

BLOCK = 512
MIN_BLOCK = 16
MIN_STRETCH = 4
CAND, OPS, TICKS, PLACES, BUSY_UNTIL, BYTES, BASE, _ROWS = range(8)
SCRATCH = (_ROWS, BLOCK + 1)
"""Shape of the work arrays, a row each."""
MAX_IN_FLIGHT = 4

# State vector (int64).
(
    CANDIDATE,  # POP rank of the next op that the counter selects
    PRIMARY,  # POP rank at which COUNT reaches 0 for that candidate
    LAST,  # POP rank at which COUNT last reached 0
    DRAWN,  # ordinal of the next random byte
    POINTER,  # PMBPTR - base of the AUX area
    FLYING,  # samples in flight
    SELECTED,
    COLLIDED,
    COMPLETED,
    FILTERED,
    PASSED,
    LOST,
    WRITTEN,
    DISCARDED,
    SKIPPED,
    STOP_WORK,  # work time of the stop that ended the last call
    STOP_OP,  # first op that begins at or after it
    ROWS,  # output rows of the last call
    AT,  # a work time at or before the next candidate's; a hint
    PACE,  # ticks from one candidate to the next, 0 if unknown; a hint
    CUT,  # bytes of a record that the last fault cut short
    FLIGHT,  # first of MAX_IN_FLIGHT × (busy until, op, t_select, place, bytes if it passes)
) = range(22)
FLIGHT_FIELDS = 5
BUSY, F_OP, F_SELECT, F_PLACE, F_BYTES = range(FLIGHT_FIELDS)
STATE_SIZE = FLIGHT + MAX_IN_FLIGHT * FLIGHT_FIELDS

# Configuration vector (int64).
(
    INTERVAL,
    JITTER,
    MASK,
    KEY_INTERVAL,
    KEY_LATENCY,
    IN_FLIGHT,
    MIN_LATENCY,
    RECORD,  # bytes of the longest record
    PAGE_SHIFT,
    ZAP_AFTER_WRITE,
    LIMIT,
    POP_END,
    KEEP,  # NO_RECORDS, RECORDS or OPS_ONLY
    FILTERING,  # may any sample be filtered, or its record have another length?
    RESYNC,  # restart: resync
    MAX_SIZE,  # 1 << PMSIDR.MaxSize: the buffer is full if not as much is left
    SLIPPING,  # of 1000 selections after a branch target, how many sample it (`TargetBias`)
    KEY_SLIP,
    BRANCH_EVENTS,  # that a record must have (`Filter.branch_events`)
    CHOOSING,  # is the tracked op drawn by weights (`sim.spe.selection`)?
    KEY_CHOICE,
) = range(21)
CONFIG_SIZE = 21

_ROW_SHIFT = np.uint64(ROW_SHIFT)
_LAW = np.uint64(laws.STRIDE)
NEVER = -(1 << 62)

HORIZON, EXHAUSTED, FULL, FAULT = 0, 3, 1, 2
NOTHING = -1
"""No outcome yet."""
_ERND = 2
# Output row columns.
ROW_OP, ROW_SELECT, ROW_WRITE, ROW_FIELDS = 0, 1, 2, 3
# What is kept of records; rows have one column if it is ops only.
NO_RECORDS, RECORDS, OPS_ONLY = 0, 1, 2


@njit_inner
def _byte(config: Any, ordinal: Any) -> Any:
    return np.int64(mix64(np.uint64(config[KEY_INTERVAL]), np.uint64(ordinal))) & config[MASK]


@njit_inner
def _gaps_plain(config: Any, candidate: Any, drawn: Any, cand: Any, m: Any) -> None:
    """Candidates 0..m without ERnd: a prefix sum of gaps N + 1 (+ byte)."""
    n1 = config[INTERVAL] + 1
    if config[JITTER] == 0:
        for j in range(m + 1):
            cand[j] = candidate + j * n1
        return
    key = np.uint64(config[KEY_INTERVAL])
    mask = config[MASK]
    for j in range(m):
        cand[j + 1] = n1 + (np.int64(mix64(key, np.uint64(drawn + j))) & mask)
    at = candidate
    cand[0] = at
    for j in range(1, m + 1):
        at += cand[j]
        cand[j] = at


@njit_inner
def _gaps_ernd(config: Any, candidate: Any, primary: Any, drawn: Any, cand: Any, m: Any) -> None:
    """Candidates 0..m with ERnd: a grid of N + 1 plus a byte at each point."""
    n1 = config[INTERVAL] + 1
    key = np.uint64(config[KEY_INTERVAL])
    mask = config[MASK]
    cand[0] = candidate
    for j in range(m):
        cand[j + 1] = primary + (j + 1) * n1 + (np.int64(mix64(key, np.uint64(drawn + j))) & mask)


@njit_inner
@allocates
def _slip(S: Any, config: Any, tracked: Any, ops: Any, place: Any, m: Any) -> None:
    """`TargetBias`: selections closely after a branch target become samples of the target."""
    T = S.tables
    key = np.uint64(config[KEY_SLIP])
    at = np.empty(AXES, np.int64)
    entry = np.int64(-1)
    for j in range(m):
        static = (place[j] & PLACE_MASK) >> 8
        back = tracked[static]
        if back == 0 or back > ops[j]:
            continue
        if np.int64(mix64(key, np.uint64(ops[j])) >> np.uint64(1)) % 1000 >= config[SLIPPING]:
            continue
        target, level, _, entry = seek_op(S, ops[j] - back, entry, at)
        if target == static - back:
            ops[j] -= back
            row = T[T[STATIC] + 4 * target + ROW] + level
            place[j] = (row << ROW_SHIFT) | (target << 8) | level


@njit_inner
def _latencies(T: Any, config: Any, ops: Any, tick: Any, place: Any, busy: Any, m: Any) -> None:
    """When each sample would complete."""
    key = np.uint64(config[KEY_LATENCY])
    latency = np.uint64(T[LATENCY])
    for j in range(m):
        law = latency + (np.uint64(place[j]) >> _ROW_SHIFT) * _LAW
        busy[j] = tick[j] + latency_ticks(T, law, key, ops[j])


@njit_inline
def _histogram(place: Any) -> Any:
    """static × 8 + level of a place."""
    return ((place & PLACE_MASK) >> 8 << 3) + (place & 255)


@njit_inner
def _passing(sizes: Any, config: Any, place: Any, tick: Any, busy: Any, ok: Any, m: Any) -> None:
    """Bytes of each sample's record, 0 if it is filtered.

    A filter that keeps everything costs nothing.
    """
    if config[FILTERING] == 0:
        for j in range(m):
            ok[j] = config[RECORD]
        return
    minimum = config[MIN_LATENCY]
    for j in range(m):
        size = np.int64(sizes[_histogram(place[j])])
        yes = size != 0 and busy[j] - tick[j] >= minimum
        ok[j] = size if yes else 0


@njit_inner
@allocates
def _with_events(S: Any, config: Any, branches: Any, ops: Any, place: Any, ok: Any, m: Any) -> None:
    """Drop the branches whose records lack `BRANCH_EVENTS`.

    `branches` of `sim.workload.following.branch_places`.
    """
    T = S.tables
    wanted = config[BRANCH_EVENTS]
    key = np.uint64(config[KEY_LATENCY]) ^ np.uint64(NOISE)
    at = np.empty(AXES, np.int64)
    entry = np.int64(-1)
    for j in range(m):
        if ok[j] == 0:
            continue
        events = np.int64(0)
        if np.int64(mix64(key, np.uint64(ops[j])) >> np.uint64(8)) & 255 < MISPREDICT_PER_256:
            events |= EV_MISPREDICTED
        if wanted & ~events == EV_NOT_TAKEN:
            static, _, g, entry = seek_op(S, ops[j], entry, at)
            el = T[T[SEG_INFO] + 4 * g + EL]
            fell, entry = not_taken(S, branches, ops[j], static, el, entry, at)
            if fell:
                events |= EV_NOT_TAKEN
        if wanted & ~events != 0:
            ok[j] = 0


@njit_inner
def _oldest(state: Any) -> Any:
    """In-flight slot that completes first; ties by order of selection."""
    best = 0
    for f in range(1, state[FLYING]):
        if state[FLIGHT + f * FLIGHT_FIELDS + BUSY] < state[FLIGHT + best * FLIGHT_FIELDS + BUSY]:
            best = f
    return best


@njit_inner
def _take(state: Any, slot: Any) -> None:
    """Remove an in-flight slot, keeping the order of selection."""
    for f in range(slot, state[FLYING] - 1):
        for k in range(FLIGHT_FIELDS):
            state[FLIGHT + f * FLIGHT_FIELDS + k] = state[FLIGHT + (f + 1) * FLIGHT_FIELDS + k]
    state[FLYING] -= 1


@njit_inner
def _complete(
    state: Any, config: Any, pages: Any, places: Any, rows: Any, slot: Any, at: Any
) -> Any:
    """One sample completes at work time `at`: filter, translate, write. HORIZON, FULL or FAULT."""
    base = FLIGHT + slot * FLIGHT_FIELDS
    op, selected = state[base + F_OP], state[base + F_SELECT]
    place, size = state[base + F_PLACE], state[base + F_BYTES]
    _take(state, slot)
    state[COMPLETED] += 1
    if size == 0:
        state[FILTERED] += 1
        return HORIZON
    state[PASSED] += 1
    page = state[POINTER] >> config[PAGE_SHIFT]
    last = (state[POINTER] + size - 1) >> config[PAGE_SHIFT]
    if pages[page] == 0 or pages[last] == 0:
        state[CUT] = 0
        if pages[page] != 0:
            state[CUT] = (last << config[PAGE_SHIFT]) - state[POINTER]
            state[POINTER] = last << config[PAGE_SHIFT]
        state[LOST] += 1
        state[STOP_WORK] = at
        return FAULT
    r = state[ROWS]
    places[r] = place
    if config[KEEP] != NO_RECORDS:
        rows[r, ROW_OP] = op
    if config[KEEP] == RECORDS:
        rows[r, ROW_SELECT], rows[r, ROW_WRITE] = selected, at
    state[ROWS] = r + 1
    state[POINTER] += size
    state[WRITTEN] += 1
    if config[ZAP_AFTER_WRITE] != 0:
        pages[page] = pages[last] = 0
    if state[POINTER] > config[LIMIT] - config[MAX_SIZE]:
        state[STOP_WORK] = at
        return FULL
    return HORIZON


@njit_inner
def _next_candidate(state: Any, config: Any) -> None:
    """The counter after a selection."""
    byte = np.int64(0)
    if config[JITTER] != 0:
        byte = _byte(config, state[DRAWN])
        state[DRAWN] += 1
    state[LAST] = state[PRIMARY]
    if config[JITTER] == _ERND:
        state[PRIMARY] += config[INTERVAL] + 1
        state[CANDIDATE] = state[PRIMARY] + byte
    else:
        state[CANDIDATE] += config[INTERVAL] + 1 + byte
        state[PRIMARY] = state[CANDIDATE]


# --- stretches -------------------------------------------------------------------------------


@njit_inner
def _is_clear(tick: Any, busy: Any, m: Any) -> Any:
    """Does each of `m` candidates but the last complete before the next is selected?"""
    overlaps = 0
    for j in range(m - 1):
        overlaps += 1 if busy[j] > tick[j + 1] else 0
    return overlaps == 0


@njit_inner
def _clear_until(tick: Any, busy: Any, ok: Any, room: Any, horizon: Any, j: Any, m: Any) -> Any:
    """End of the stretch that begins with candidate `j`: those after it lie before the horizon, all
    but the last complete before the next is selected, and their records fit into `room` bytes."""
    while j < m - 1 and busy[j] <= tick[j + 1] and tick[j + 1] < horizon:
        room -= ok[j]
        if room < 0:
            break
        j += 1
    return j + 1


@njit_inner
def _stretch(
    state: Any, config: Any, scratch: Any, limit: Any, horizon: Any, j: Any, m: Any
) -> Any:
    """End of the stretch of a block of `m` that begins with candidate `j`; `j` if there is none.

    Records up to byte `limit` neither fill the buffer nor fault.
    """
    tick, busy, ok = scratch[TICKS], scratch[BUSY_UNTIL], scratch[BYTES]
    if config[ZAP_AFTER_WRITE] != 0 or state[FLYING] > 1 or m - j < MIN_STRETCH:
        return j
    room = limit - state[POINTER]
    if state[FLYING] == 1:
        if state[FLIGHT + BUSY] > tick[j]:
            return j
        room -= state[FLIGHT + F_BYTES]
    if room < 0:
        return j
    fits = config[FILTERING] == 0 and (m - 1) * config[RECORD] <= room
    if j == 0 and fits and tick[m - 1] < horizon and _is_clear(tick, busy, m):
        return m
    return _clear_until(tick, busy, ok, room, horizon, j, m)


@njit_inner
def _emit(config: Any, places: Any, rows: Any, r: Any, scratch: Any, j: Any, end: Any) -> Any:
    """Output of samples [j, end) of a block from row `r` on; returns (rows, bytes)."""
    ops, tick, place = scratch[OPS], scratch[TICKS], scratch[PLACES]
    busy, ok = scratch[BUSY_UNTIL], scratch[BYTES]
    if config[FILTERING] == 0 and config[KEEP] != RECORDS:
        out, found = places[r : r + end - j], place[j:end]
        for i in range(found.size):
            out[i] = found[i]
        if config[KEEP] == OPS_ONLY:
            for i in range(j, end):
                rows[r + i - j, ROW_OP] = ops[i]
        return end - j, (end - j) * config[RECORD]
    first, size = r, np.int64(0)
    for i in range(j, end):
        if ok[i] == 0:
            continue
        places[r] = place[i]
        if config[KEEP] != NO_RECORDS:
            rows[r, ROW_OP] = ops[i]
        if config[KEEP] == RECORDS:
            rows[r, ROW_SELECT], rows[r, ROW_WRITE] = tick[i], busy[i]
        r += 1
        size += ok[i]
    return r - first, size


@njit_inner
def _fly(state: Any, scratch: Any, j: Any) -> None:
    """Candidate `j` of a block is sampled."""
    f = FLIGHT + state[FLYING] * FLIGHT_FIELDS
    state[f + BUSY] = scratch[BUSY_UNTIL, j]
    state[f + F_OP] = scratch[OPS, j]
    state[f + F_SELECT] = scratch[TICKS, j]
    state[f + F_PLACE] = scratch[PLACES, j]
    state[f + F_BYTES] = scratch[BYTES, j]
    state[FLYING] += 1


@njit_inner
def _commit(
    state: Any, config: Any, pages: Any, places: Any, rows: Any, scratch: Any, j: Any, end: Any
) -> None:
    """A stretch: each sample completes before the next selection; the last one flies on."""
    if state[FLYING] == 1:
        _complete(state, config, pages, places, rows, 0, state[FLIGHT + BUSY])
    n, done = end - j, end - j - 1
    written, grown = _emit(config, places, rows, state[ROWS], scratch, j, end - 1)
    state[ROWS] += written
    state[SELECTED] += n
    state[COMPLETED] += done
    state[FILTERED] += done - written
    state[PASSED] += written
    state[WRITTEN] += written
    state[POINTER] += grown
    _fly(state, scratch, end - 1)
    n1 = config[INTERVAL] + 1
    if config[JITTER] != 0:
        state[DRAWN] += n
    if config[JITTER] == _ERND:
        state[LAST] = state[PRIMARY] + (n - 1) * n1
        state[PRIMARY] += n * n1
    else:
        state[LAST] = scratch[CAND, end - 1]
        state[PRIMARY] = scratch[CAND, end]
    state[CANDIDATE] = scratch[CAND, end]


# --- blocks ----------------------------------------------------------------------------------


@njit_inner
def _writable(state: Any, config: Any, pages: Any) -> Any:
    """Byte up to which the records of a block neither fill the buffer nor fault."""
    limit = config[LIMIT] - config[MAX_SIZE]
    page = state[POINTER] >> config[PAGE_SHIFT]
    last = (state[POINTER] + BLOCK * config[RECORD]) >> config[PAGE_SHIFT]
    while page <= last and page < pages.size:
        if pages[page] == 0:
            return min(limit, page << config[PAGE_SHIFT])
        page += 1
    return limit


@njit_inner
def _block_size(state: Any, config: Any, limit: Any, horizon: Any) -> Any:
    """Candidates of the next block: about as many as there are before the horizon or a stop."""
    want = np.int64(BLOCK)
    if config[ZAP_AFTER_WRITE] != 0:
        want = np.int64(MIN_STRETCH)
    elif horizon != FOREVER:
        want = np.int64(MIN_BLOCK)
        if state[PACE] > 0:
            fit = (horizon - state[AT]) // state[PACE]
            want = fit + (fit >> 3) + 2
    room = max(np.int64(0), limit - state[POINTER]) // config[RECORD] + 2
    return max(np.int64(MIN_STRETCH), min(np.int64(BLOCK), want, room))


@njit_inner
def _track(S: Any, config: Any, tracked: Any, ops: Any, place: Any, m: Any) -> None:
    """Selected ops become those that are tracked; nothing is compiled where all are, None."""
    if tracked is not None:
        if config[SLIPPING] != 0:
            _slip(S, config, tracked, ops, place, m)
        elif config[CHOOSING] != 0:
            choose(S, np.uint64(config[KEY_CHOICE]), tracked, ops, place, m)


@njit_inner
def _filter_events(
    S: Any, config: Any, branches: Any, ops: Any, place: Any, ok: Any, m: Any
) -> None:
    """Drop what lacks events of branches; nothing is compiled where none are asked for, None."""
    if branches is not None and config[BRANCH_EVENTS] != 0:
        _with_events(S, config, branches, ops, place, ok, m)


@njit_inline
def _make_block(
    S: Any,
    config: Any,
    sizes: Any,
    tracked: Any,
    branches: Any,
    state: Any,
    scratch: Any,
    m: Any,
) -> None:
    """The next `m` candidates and what would become of each; of one more its place."""
    cand, ops, tick = scratch[CAND], scratch[OPS], scratch[TICKS]
    place, busy, ok = scratch[PLACES], scratch[BUSY_UNTIL], scratch[BYTES]
    if config[JITTER] == _ERND:
        _gaps_ernd(config, state[CANDIDATE], state[PRIMARY], state[DRAWN], cand, m)
    else:
        _gaps_plain(config, state[CANDIDATE], state[DRAWN], cand, m)
    places_of(S, config[POP_END], scratch[BASE], busy, cand, ops, tick, place, m + 1)
    _track(S, config, tracked, ops, place, m)
    _latencies(S.tables, config, ops, tick, place, busy, m)
    _passing(sizes, config, place, tick, busy, ok, m)
    _filter_events(S, config, branches, ops, place, ok, m)
    if m > 0 and tick[m] != FOREVER:
        state[PACE] = (tick[m] - tick[0]) // m


@njit_inner
def _complete_due(
    state: Any, config: Any, pages: Any, places: Any, rows: Any, at: Any, horizon: Any
) -> Any:
    """What completes up to `at`, that included, does, oldest first; returns HORIZON if that comes
    before, FULL or FAULT at such a stop, whose sample's op is STOP_OP then, else NOTHING."""
    while state[FLYING] > 0:
        slot = _oldest(state)
        due = state[FLIGHT + slot * FLIGHT_FIELDS + BUSY]
        if due <= at:
            if due >= horizon:
                return HORIZON
            state[STOP_OP] = state[FLIGHT + slot * FLIGHT_FIELDS + F_OP]
            outcome = _complete(state, config, pages, places, rows, slot, due)
            if outcome != HORIZON:
                state[DISCARDED] += state[FLYING]
                state[FLYING] = 0
                return outcome
            continue
        break
    return NOTHING


@njit_inner
def run_block(
    config: Any,
    pages: Any,
    state: Any,
    places: Any,
    rows: Any,
    scratch: Any,
    limit: Any,
    horizon: Any,
    m: Any,
) -> Any:
    """Run a block of `m` candidates; returns HORIZON, FULL or FAULT, or NOTHING at its end."""
    j = np.int64(0)
    while True:
        end = _stretch(state, config, scratch, limit, horizon, j, m)
        if end - j >= MIN_STRETCH:
            _commit(state, config, pages, places, rows, scratch, j, end)
            j = end
        at = scratch[TICKS, j]
        state[AT] = at
        status = _complete_due(state, config, pages, places, rows, at, horizon)
        if status != NOTHING:
            return status
        if at >= horizon:
            return HORIZON
        if j >= m:
            return NOTHING
        state[SELECTED] += 1
        if state[FLYING] >= config[IN_FLIGHT]:
            state[COLLIDED] += 1
        else:
            _fly(state, scratch, j)
        _next_candidate(state, config)
        j += 1


@njit_inline
def advance_here(
    S: Any,
    config: Any,
    sizes: Any,
    tracked: Any,
    branches: Any,
    pages: Any,
    state: Any,
    places: Any,
    rows: Any,
    scratch: Any,
    horizon: Any,
    candidates: Any,
) -> Any:
    """Advance to `horizon` (exclusive, work ticks), to an own stop, or over `candidates`.

    Returns HORIZON, EXHAUSTED, FULL or FAULT. `places` [≥ candidates + MAX_IN_FLIGHT] receives the
    place of each record written, `rows` [same, 3 or 1] its op and times if they are kept, from
    state[ROWS] on. `sizes[static × 8 + level]` is the record's bytes, 0 if the filter drops it;
    `tracked` is `TargetBias.distance` where that is on, or `selection_array` where the tracked op
    is drawn by weights; `branches[static]` is that of `branch_places` where events of branches are
    filtered; without either they may be None, for which half as much is compiled. `pages[page]`
    tells whether the AUX page translates.
    """
    left = candidates
    while True:
        limit = _writable(state, config, pages)
        m = min(_block_size(state, config, limit, horizon), left)
        _make_block(S, config, sizes, tracked, branches, state, scratch, m)
        status = run_block(config, pages, state, places, rows, scratch, limit, horizon, m)
        if status in (FULL, FAULT):
            state[STOP_OP] = op_at(S, state[STOP_WORK], state[STOP_OP])
        if status != NOTHING:
            return status
        left -= m
        if left == 0:
            return EXHAUSTED


@njit
def advance(
    S: Any,
    config: Any,
    sizes: Any,
    tracked: Any,
    branches: Any,
    pages: Any,
    state: Any,
    places: Any,
    rows: Any,
    scratch: Any,
    horizon: Any,
    candidates: Any,
) -> Any:
    """`advance_here`, for Python: rounds have it within, not to wait until this is compiled."""
    return advance_here(
        S,
        config,
        sizes,
        tracked,
        branches,
        pages,
        state,
        places,
        rows,
        scratch,
        horizon,
        candidates,
    )


@njit
def flush(config: Any, pages: Any, state: Any, places: Any, rows: Any, at: Any) -> Any:
    """The CPU freezes at work time `at`: what is in flight completes, oldest first."""
    while state[FLYING] > 0:
        outcome = _complete(state, config, pages, places, rows, _oldest(state), at)
        if outcome != HORIZON:
            state[DISCARDED] += state[FLYING]
            state[FLYING] = 0
            return outcome
    return HORIZON


@njit
def resync(config: Any, state: Any, pop: Any) -> Any:
    """`restart: resync`: go to the first point at or after `pop`."""
    while state[CANDIDATE] < pop:
        _next_candidate(state, config)
        state[SKIPPED] += 1


@njit
def count_places(places: Any, begin: Any, end: Any, out: Any) -> None:
    """Add places [begin, end) to a (static × 8 + level) histogram."""
    for r in range(begin, end):
        out[_histogram(places[r])] += 1
