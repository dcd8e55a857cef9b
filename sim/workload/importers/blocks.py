"""From the ops of a trace, thread by thread, to static blocks and their executions.

Fidelity note. A block ends at a branch, where the next pc is not pc + 4, where the trace itself
reports a break (signal, exception), or after 1,024 ops; the op sequence does not depend on it. A
block is known by its start and its words, compared in full, so rewritten code gets a new block.
An op whose word is no memory instruction keeps no address. What makes no sense is counted in the
same pass (see `sense`).

Memory does not grow with the length of a trace, only with the distinct code in it, which is
limited. Executions go to working files of 4 bytes a block and 8 bytes a memory instruction.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.draws import allocates, njit, njit_inner
from sim.errors import SpeskewError
from sim.workload import a64
from sim.workload.importers.sense import (
    ADDRESSED,
    BARE,
    ENTRIES,
    FAR,
    LOST,
    STRAY,
    Counts,
    leads_to,
    may_go_anywhere,
    must_access,
)
from sim.workload.recording.convert import Executions, static_blocks, write_executions
from sim.workload.recording.elfsymbols import Ranked, best_symbols

MAX_STATIC_OPS: Final = 1 << 23
"""Instructions in distinct blocks that one import may hold: 32 MiB of code."""
MAX_BREAKS: Final = 1 << 24
"""Discontinuities that one thread may have."""
_MAX_BLOCK: Final = 1024
_SLICE: Final = 1 << 16
_LEN, _BRANCHED, _BLOCKS, _WORDS, _RUNS = range(5)  # of the builder's state
_FNV: Final = 0x100000001B3


class TraceError(SpeskewError):
    """A trace cannot be imported. Reads "FILE:PLACE: what, why, how to fix"."""


class TruncatedError(TraceError):
    """A trace ends before its end."""


@dataclass(frozen=True, slots=True)
class Ops:
    """Consecutive ops of one thread. All arrays are [n].

    `address` is the first one an op touched, 0 for none; `apart` marks ops that the trace says do
    not follow from the op before.
    """

    pc: NDArray[np.uint64]
    word: NDArray[np.uint32]
    address: NDArray[np.uint64]
    apart: NDArray[np.bool_]

    def part(self, begin: int, end: int) -> Ops:
        """Ops `begin` to `end`."""
        cut = slice(begin, end)
        return Ops(self.pc[cut], self.word[cut], self.address[cut], self.apart[cut])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Per thread: pass over `skip` ops, then take at most `limit` (None: all)."""

    skip: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """What is known of the traced program beside its trace."""

    name: str
    build_id: str = ""
    symbols: tuple[Ranked, ...] = ()


@njit_inner
def _find(start, length, current, table, starts, lengths, firsts, words):  # type: ignore[no-untyped-def]
    """The slot of `table` that holds the block, or the empty one where it belongs."""
    mask = np.uint64(table.size - 1)
    hashed = start ^ np.uint64(length)
    for i in range(length):
        hashed = (hashed ^ np.uint64(current[i])) * np.uint64(_FNV)
    at = (hashed ^ (hashed >> np.uint64(29))) & mask
    while table[at] >= 0:
        block = table[at]
        if starts[block] == start and lengths[block] == length:
            first = firsts[block]
            same = True
            for i in range(length):
                if words[first + i] != current[i]:
                    same = False
                    break
            if same:
                return at
        at = (at + np.uint64(1)) & mask
    return at


@njit
@allocates
def _end_block(state, begin, current, table, starts, lengths, firsts, words):  # type: ignore[no-untyped-def]
    """Close the current block; returns its id, a new one if it was never seen."""
    length = state[_LEN]
    at = _find(begin[0], length, current, table, starts, lengths, firsts, words)
    if table[at] < 0:
        block = state[_BLOCKS]
        starts[block] = begin[0]
        lengths[block] = length
        firsts[block] = state[_WORDS]
        words[state[_WORDS] : state[_WORDS] + length] = current[:length]
        table[at] = block
        state[_BLOCKS] += 1
        state[_WORDS] += length
    state[_LEN] = 0
    state[_RUNS] += 1
    return table[at]


@njit
def _build(  # type: ignore[no-untyped-def]
    pc,
    word,
    address,
    apart,
    branch,
    slot,
    state,
    begin,
    current,
    table,
    starts,
    lengths,
    firsts,
    words,
    ids,
    slots,
    breaks,
    counts,
):
    """Run ops through the builder; returns how many ids, slots and breaks. The state's _BRANCHED
    is the length of the block that the op before ended as a branch, or 0.
    """
    runs = taken = broken = 0
    for i in range(pc.size):
        length = state[_LEN]
        far = pc[i] != begin[0] + np.uint64(4 * length)
        if length and (apart[i] or length == _MAX_BLOCK or far):
            if far and not apart[i] and not may_go_anywhere(current[length - 1]):
                counts[FAR] += 1
            ids[runs] = _end_block(state, begin, current, table, starts, lengths, firsts, words)
            runs += 1
        elif state[_BRANCHED] and not apart[i]:
            last = state[_BRANCHED] - 1
            if not leads_to(begin[0] + np.uint64(4 * last), current[last], pc[i]):
                counts[STRAY] += 1
        state[_BRANCHED] = 0
        if state[_LEN] == 0:
            begin[0] = pc[i]
            if apart[i] and state[_RUNS]:
                breaks[broken] = state[_RUNS]
                broken += 1
        current[state[_LEN]] = word[i]
        state[_LEN] += 1
        if slot[i]:
            slots[taken] = address[i]
            taken += 1
            if address[i]:
                counts[ADDRESSED] += 1
            elif must_access(word[i]):
                counts[BARE] += 1
        elif address[i]:
            counts[LOST] += 1
        if branch[i]:
            state[_BRANCHED] = state[_LEN]
            ids[runs] = _end_block(state, begin, current, table, starts, lengths, firsts, words)
            runs += 1
    return runs, taken, broken


@njit
def _rehash(table, blocks, starts, lengths, firsts, words):  # type: ignore[no-untyped-def]
    """Fill an empty, larger table."""
    for block in range(blocks):
        current = words[firsts[block] : firsts[block] + lengths[block]]
        at = _find(starts[block], lengths[block], current, table, starts, lengths, firsts, words)
        table[at] = block


class ThreadBuilder:
    """One thread's static blocks and, in working files, its executions."""

    def __init__(self, folder: Path, number: int, wanted: Wanted) -> None:
        self.number = number
        self.ops = 0
        self.after: int | None = None
        self.done = False
        self._wanted = wanted
        self._seen = 0
        self._ids_path = folder / f"{number}.ids"
        self._slots_path = folder / f"{number}.slots"
        self._ids: IO[bytes] = self._ids_path.open("wb")
        self._slots: IO[bytes] = self._slots_path.open("wb")
        self._breaks: list[NDArray[np.int64]] = []
        self._broken = 0
        self._state = np.zeros(5, np.int64)
        self._counted = np.zeros(ENTRIES, np.int64)
        self._begin = np.zeros(1, np.uint64)
        self._current = np.zeros(_MAX_BLOCK, np.uint32)
        self._table = np.full(1 << 8, -1, np.int32)
        self._starts = np.empty(0, np.uint64)
        self._lengths = np.empty(0, np.int32)
        self._firsts = np.empty(0, np.int64)
        self._words = np.empty(0, np.uint32)

    @property
    def static_ops(self) -> int:
        """Instructions in distinct blocks so far."""
        return int(self._state[_WORDS])

    @property
    def counts(self) -> Counts:
        """What makes sense and what does not, of the ops in blocks that have ended."""
        words = self._words[: self.static_ops]
        undefined = np.flatnonzero(a64.unallocated(words))
        counted = self._counted
        return Counts(
            ops=self.ops,
            addressed=int(counted[ADDRESSED]),
            bare=int(counted[BARE]),
            lost=int(counted[LOST]),
            far=int(counted[FAR]),
            stray=int(counted[STRAY]),
            distinct=words.size,
            undefined=undefined.size,
            example=self._instruction(int(undefined[0])) if undefined.size else None,
        )

    def _instruction(self, number: int) -> tuple[int, int]:
        """(pc, word) of a distinct instruction."""
        firsts = self._firsts[: int(self._state[_BLOCKS])]
        block = int(np.searchsorted(firsts, number, "right")) - 1
        pc = int(self._starts[block]) + 4 * (number - int(firsts[block]))
        return pc, int(self._words[number])

    @property
    def full(self) -> bool:
        """Whether all wanted ops are here; `done` knows what followed them, too."""
        return self._wanted.limit is not None and self.ops >= self._wanted.limit

    def add(self, ops: Ops) -> None:
        """Take the next ops of the thread, or those of them that are wanted."""
        passed = min(max(self._wanted.skip - self._seen, 0), ops.pc.size)
        self._seen += ops.pc.size
        room = ops.pc.size if self._wanted.limit is None else self._wanted.limit - self.ops
        end = min(passed + room, ops.pc.size)
        for begin in range(passed, end, _SLICE):
            self._take(ops.part(begin, min(begin + _SLICE, end)))
        if end < ops.pc.size and not self.done:
            self.after = None if ops.apart[end] else int(ops.pc[end])
            self.done = True

    def _take(self, ops: Ops) -> None:
        count = ops.pc.size
        self._reserve(count)
        ids = np.empty(count + 1, np.uint32)
        slots = np.empty(count, np.uint64)
        breaks = np.empty(count, np.int64)
        runs, taken, broken = _build(
            ops.pc,
            ops.word,
            ops.address,
            ops.apart,
            a64.is_branch(ops.word),
            a64.takes_slot(ops.word),
            self._state,
            self._begin,
            self._current,
            self._table,
            self._starts,
            self._lengths,
            self._firsts,
            self._words,
            ids,
            slots,
            breaks,
            self._counted,
        )
        self._ids.write(ids[:runs].tobytes())
        self._slots.write(slots[:taken].tobytes())
        if broken:
            self._breaks.append(breaks[:broken].copy())
            self._broken += broken
        self.ops += count
        if self._broken > MAX_BREAKS:
            raise TraceError(
                f"more than {MAX_BREAKS:,} discontinuities in a thread: not the trace of a "
                "program; check what it holds, or give --limit"
            )

    def _reserve(self, count: int) -> None:
        """Room for `count` ops, each of which may end a block that was never seen."""
        blocks, words = int(self._state[_BLOCKS]), int(self._state[_WORDS])
        need = blocks + count + 1
        if need > self._starts.size:
            self._starts = _grown(self._starts, blocks, need)
            self._lengths = _grown(self._lengths, blocks, need)
            self._firsts = _grown(self._firsts, blocks, need)
        if words + count + _MAX_BLOCK > self._words.size:
            self._words = _grown(self._words, words, words + count + _MAX_BLOCK)
        if 2 * need > self._table.size:
            self._table = np.full(1 << (4 * need).bit_length(), -1, np.int32)
            _rehash(self._table, blocks, self._starts, self._lengths, self._firsts, self._words)

    def end(self) -> None:
        """The last op is here: end its block."""
        if self._state[_LEN]:
            self._reserve(0)
            block = _end_block(
                self._state,
                self._begin,
                self._current,
                self._table,
                self._starts,
                self._lengths,
                self._firsts,
                self._words,
            )
            self._ids.write(np.array([block], np.uint32).tobytes())

    def write(self, path: Path, program: Program, tid: int, remarks: tuple[str, ...] = ()) -> int:
        """Write the thread's file, remove the working files; returns the number of symbols."""
        self.end()
        self._ids.close()
        self._slots.close()
        blocks = int(self._state[_BLOCKS])
        static = static_blocks(
            self._starts[:blocks], self._lengths[:blocks], self._words[: self.static_ops]
        )
        static = replace(
            static,
            program=program.name,
            build_id=program.build_id,
            tid=tid,
            symbols=best_symbols(program.symbols, static.pc),
            remarks=remarks,
        )
        ids = np.memmap(self._ids_path, np.uint32, "r")
        slots = np.empty(0, np.uint64)
        if self._slots_path.stat().st_size:
            slots = np.memmap(self._slots_path, np.uint64, "r")
        breaks = np.concatenate([np.empty(0, np.int64), *self._breaks])
        write_executions(path, static, Executions(ids, slots, self.after, breaks))
        self.discard()
        return len(static.symbols)

    def discard(self) -> None:
        """Close and remove the working files."""
        for file, path in ((self._ids, self._ids_path), (self._slots, self._slots_path)):
            with suppress(OSError):  # what a full disk did not take goes with the file
                file.close()
            path.unlink(missing_ok=True)


def _grown(array: NDArray[Any], used: int, need: int) -> NDArray[Any]:
    """A copy with room for `need` items at least."""
    larger = np.empty(max(need, 2 * used), array.dtype)
    larger[:used] = array[:used]
    return larger
