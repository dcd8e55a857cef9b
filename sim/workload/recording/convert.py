"""From static blocks and a long list of their executions to a .spestream file.

Shared by everything that makes streams: the recorder and the importers. Executions are read a chunk
at a time, so that memory does not grow with the length of a stream.

Fidelity note. A discontinuity is an execution that no architectural successor of the block before
explains: fall-through, or the target of a direct branch. After an indirect branch every block is a
possible successor, so an asynchronous event there shows only if the caller knows of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.workload import a64
from sim.workload.a64 import Flag, OpClass
from sim.workload.recording.elfsymbols import touched
from sim.workload.spestream import CHUNK_BLOCKS, Chunk, Recording, write_chunks


@dataclass(frozen=True, slots=True)
class Executions:
    """What one thread executed: `ids` [E], static blocks in order; `slots`, at least the addresses
    of their memory instructions (both may be memory-mapped); `after`, the pc that followed the
    last op, None if it is not known; `breaks`, executions known not to follow from the one before.
    """

    ids: NDArray[np.uint32]
    slots: NDArray[np.uint64]
    after: int | None
    breaks: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class _Flow:
    """Per static block [B]: first pc, pc after its end, direct target, and how it may go on."""

    start: NDArray[np.uint64]
    after: NDArray[np.uint64]
    target: NDArray[np.uint64]
    falls: NDArray[np.bool_]
    anywhere: NDArray[np.bool_]

    def follows(self, ids: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether each execution but the first is a legal successor of the one before."""
        before, now = ids[:-1], self.start[ids[1:]]
        falls = self.falls[before] & (now == self.after[before])
        return np.asarray(self.anywhere[before] | falls | (now == self.target[before]))


def thread_path(out: Path, number: int, *, several: bool) -> Path:
    """Where thread `number` goes: `out` itself, or one of its numbered siblings."""
    name = out.name.removesuffix(".spestream") + f".{number}.spestream"
    return out.with_name(name) if several else out


def static_blocks(
    starts: NDArray[np.uint64], length: NDArray[np.int32], word: NDArray[np.uint32]
) -> Recording:
    """A recording of B blocks, `starts` and `length` [B], of `word` [S] that was never executed."""
    first = np.cumsum(length, dtype=np.int64) - length
    offset = np.arange(word.size) - np.repeat(first, length)
    ops = a64.classify(word)
    return Recording(
        pc=np.repeat(starts, length) + (4 * offset).astype(np.uint64),
        word=word,
        op_class=ops.op_class,
        flags=ops.flags,
        op_payload=ops.op_payload,
        op_header=ops.op_header,
        block_first=first,
        block_len=length,
        ids=np.empty(0, np.uint32),
        addresses=np.empty(0, np.uint64),
        discontinuities=np.empty(0, np.int64),
        symbols=(),
        build_id="",
        program="",
        tid=0,
        ops=0,
        taken_last=False,
    )


def write_executions(path: Path, static: Recording, executed: Executions) -> None:
    """Write one thread's file; of `static` only the blocks and symbols that it reached."""
    ids = executed.ids
    flow = _flow(static)
    used = np.zeros(static.block_len.size, np.bool_)
    breaks = [executed.breaks]
    for first in range(0, ids.size, CHUNK_BLOCKS):
        part = ids[max(first - 1, 0) : first + CHUNK_BLOCKS]
        used[part] = True
        breaks.append(np.flatnonzero(~flow.follows(part)) + max(first - 1, 0) + 1)
    kept = _keep(static, used)
    renumber = (np.cumsum(used) - 1).astype(np.uint32)
    end = replace(
        kept,
        discontinuities=np.unique(np.concatenate(breaks)).astype(np.int64),
        taken_last=_taken_last(static, flow, int(ids[-1]), executed.after),
    )
    write_chunks(path, end, _chunks(ids, executed.slots, renumber, kept.block_slots))


def _flow(static: Recording) -> _Flow:
    last = static.last_op
    flags = static.flags[last]
    branch = static.op_class[last] == OpClass.BRANCH
    after = static.pc[last] + np.uint64(4)
    return _Flow(
        start=static.pc[static.block_first],
        after=after,
        target=a64.branch_targets(static.pc[last], static.word[last]),
        falls=~branch | ((flags & Flag.CONDITIONAL.value) != 0),
        anywhere=branch & ((flags & Flag.INDIRECT.value) != 0),
    )


def _keep(static: Recording, used: NDArray[np.bool_]) -> Recording:
    """Only the blocks that `used` [B] names, and only the symbols that touch them."""
    ops = np.repeat(used, static.block_len)
    length = static.block_len[used]
    pc = static.pc[ops]
    return replace(
        static,
        pc=pc,
        word=static.word[ops],
        op_class=static.op_class[ops],
        flags=static.flags[ops],
        op_payload=static.op_payload[ops],
        op_header=static.op_header[ops],
        block_first=np.cumsum(length, dtype=np.int64) - length,
        block_len=length,
        symbols=touched(static.symbols, pc),
    )


def _taken_last(static: Recording, flow: _Flow, last: int, after: int | None) -> bool:
    """Whether the last op jumped; a conditional branch with nothing after it counts as not."""
    if static.op_class[static.last_op[last]] != OpClass.BRANCH:
        return False
    if not flow.falls[last]:
        return True
    return after is not None and after != int(flow.after[last])


def _chunks(
    ids: NDArray[np.uint32],
    slots: NDArray[np.uint64],
    renumber: NDArray[np.uint32],
    block_slots: NDArray[np.int64],
) -> Iterator[Chunk]:
    at = 0
    for first in range(0, ids.size, CHUNK_BLOCKS):
        part = renumber[ids[first : first + CHUNK_BLOCKS]]
        count = int(block_slots[part].sum())
        yield Chunk(part, np.array(slots[at : at + count]))
        at += count
