"""The index of a group: that of each of its threads, with levels by the directory.

Built once per (files, core preset, models, population), kept and mapped like the index of a single
stream (`sim.workload.index`). All threads have one numbering of static ops: what executes the same
instructions is the same code, whichever thread runs it.

Fidelity note: no mechanism of its own; `sim.workload.sharing.directory` says what is modelled.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit
from sim.workload.a64 import OpClass
from sim.workload.arrays import Stream
from sim.workload.index import Index, address_of, build_index, keep, kept, stream_of_index, timings
from sim.workload.presets import get_preset
from sim.workload.remarks import bounded
from sim.workload.sharing.directory import (
    DIRECTORY_VERSION,
    PASSES,
    Accesses,
    Told,
    shared_levels,
)
from sim.workload.sharing.group import headers_of, streams_of
from sim.workload.spestream import Recording, content_hash, read_spestream
from sim.workload.timing import CorePreset


def _quiet(done: int, total: int) -> None:
    """Nobody asks how far it is."""


def group_stream(
    path: Path,
    *,
    repeat: int,
    core: str,
    exclude_kernel: bool,
    micro_ops: bool,
    told: Told | None = None,
) -> Stream:
    """The first thread's stream, with the others as `siblings`; builds the index on first use."""
    preset = get_preset(core)
    threads = [
        stream_of_index(index, preset, repeat=repeat, exclude_kernel=exclude_kernel)
        for index in load_group(path, preset, micro_ops, told or _quiet)
    ]
    remarks = [remark for header in headers_of(path) for remark in header.remarks]
    lead, *others = threads
    return replace(lead, siblings=tuple(others), remarks=bounded(tuple(dict.fromkeys(remarks))))


def group_keys(path: Path, preset: CorePreset, micro_ops: bool) -> list[str]:
    """Addresses of the indexes of a group's threads in the cache."""
    contents = tuple(content_hash(file) for file in streams_of(path))
    model = (DIRECTORY_VERSION, PASSES, preset.cluster_cores)
    return [
        address_of((contents, model, thread), preset, micro_ops) for thread in range(len(contents))
    ]


def load_group(
    path: Path, preset: CorePreset, micro_ops: bool, told: Told = _quiet
) -> tuple[Index, ...]:
    """The indexes of a group's threads, from the cache or built now."""
    headers_of(path)
    keys = group_keys(path, preset, micro_ops)
    found = [kept(key) for key in keys]
    if any(index is None for index in found):
        found = [
            keep(key, index)
            for key, index in zip(keys, _built(path, preset, micro_ops, told), strict=True)
        ]
    return tuple(index for index in found if index is not None)


def _built(path: Path, preset: CorePreset, micro_ops: bool, told: Told) -> list[Index]:
    began = time.perf_counter()
    threads = unified([read_spestream(file) for file in streams_of(path)])
    levels = shared_levels([accesses_of(one, preset) for one in threads], preset, told)
    made = [
        build_index(one, preset, micro_ops, levels=found)
        for one, found in zip(threads, levels, strict=True)
    ]
    seconds = round((time.perf_counter() - began) / len(made), 3)
    return [Index(arrays, tuple(symbols), name, seconds) for arrays, symbols, name in made]


def unified(threads: Sequence[Recording]) -> list[Recording]:
    """The threads with the static blocks of all of them, each once, and the symbols of all."""
    numbers: dict[tuple[int, bytes], int] = {}
    chosen: list[tuple[int, int]] = []  # thread and block that each number was first seen as
    renumbered = []
    for which, thread in enumerate(threads):
        mine = np.empty(thread.block_len.size, np.uint32)
        for block in range(mine.size):
            key = _identity(thread, block)
            if key not in numbers:
                numbers[key] = len(chosen)
                chosen.append((which, block))
            mine[block] = numbers[key]
        renumbered.append(mine)
    static = _static(threads, chosen)
    return [
        replace(
            static,
            ids=mine[thread.ids],
            addresses=thread.addresses,
            discontinuities=thread.discontinuities,
            tid=thread.tid,
            ops=thread.ops,
            taken_last=thread.taken_last,
            remarks=thread.remarks,
        )
        for thread, mine in zip(threads, renumbered, strict=True)
    ]


def _ops_of(thread: Recording, block: int) -> slice:
    first = int(thread.block_first[block])
    return slice(first, first + int(thread.block_len[block]))


def _identity(thread: Recording, block: int) -> tuple[int, bytes]:
    """What makes two blocks the same: where they are, and what they execute."""
    ops = _ops_of(thread, block)
    parts = (thread.word, thread.op_class, thread.flags, thread.op_payload)
    return int(thread.pc[ops.start]), b"".join(part[ops].tobytes() for part in parts)


def _static(threads: Sequence[Recording], chosen: Sequence[tuple[int, int]]) -> Recording:
    """A recording of these blocks that was never executed."""
    places = [(threads[which], _ops_of(threads[which], block)) for which, block in chosen]

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(thread, name)[ops] for thread, ops in places])

    length = np.array([ops.stop - ops.start for _, ops in places], np.int32)
    symbols = dict.fromkeys(symbol for thread in threads for symbol in thread.symbols)
    return replace(
        threads[0],
        pc=joined("pc"),
        word=joined("word"),
        op_class=joined("op_class"),
        flags=joined("flags"),
        op_payload=joined("op_payload"),
        op_header=joined("op_header"),
        block_first=np.cumsum(length, dtype=np.int64) - length,
        block_len=length,
        symbols=tuple(sorted(symbols, key=lambda symbol: (symbol.start, symbol.name))),
    )


def accesses_of(thread: Recording, preset: CorePreset) -> Accesses:
    """What a thread asks of memory, and how much of its own it does before each access."""
    slots, row, op_ticks = timings(thread, preset)
    owns = np.isin(thread.op_class, (OpClass.STORE, OpClass.ATOMIC)).astype(np.uint8)
    m = thread.addresses.size
    found = Accesses(
        thread.addresses, np.empty(m, np.int64), np.empty(m, np.uint8), np.empty(m, np.uint8)
    )
    first, length = thread.block_first.astype(np.int64), thread.block_len.astype(np.int64)
    _walk(thread.ids, first, length, slots, op_ticks, row, owns, found.gap, found.row, found.owns)
    return found


@njit
def _walk(
    ids: Any,
    first: Any,
    length: Any,
    slots: Any,
    op_ticks: Any,
    row: Any,
    owns: Any,
    out_gap: Any,
    out_row: Any,
    out_owns: Any,
) -> None:
    """Gap, row and kind of each access, in execution order."""
    m, gap = 0, np.int64(0)
    for x in range(ids.size):
        for s in range(first[ids[x]], first[ids[x]] + length[ids[x]]):
            if slots[s] == 0:
                gap += op_ticks[s]
                continue
            out_gap[m], out_row[m], out_owns[m] = gap, row[s], owns[s]
            m += 1
            gap = np.int64(0)
