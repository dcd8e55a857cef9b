"""Compiling what the first run of all needs in several processes at once.

A run compiles as it goes: what builds and counts its stream, then the sampling kernel, then what
its records show, a dozen seconds one after the other. The later ones take arrays of the same types
whatever the scenario. So, where nothing is compiled yet, further processes begin with the kernel,
and end with the run; what has built its stream goes on with what records show. `sim.cache.compiled`
sees to it that nobody compiles what another one is at.

No mechanism: nothing here changes a number.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import int64, none, typeof

from sim import children, results
from sim.cache import compiled as cache
from sim.linux import aux
from sim.machine import compiled as c
from sim.runs.seen import compiled as seen
from sim.runs.seen import tally
from sim.spe import compiled as k
from sim.spe.ahead import KernelArrays
from sim.workload.arrays import StreamArrays, seek_in

types: Any = typeof  # numba has no annotation of it
Call = tuple[Any, tuple[Any, ...]]
"""A compiled function, and the types that it is called with."""


def _made(kind: Any, dimensions: int) -> np.ndarray[Any, Any]:
    return np.zeros((1,) * dimensions, kind)


def _fixed(kind: Any, dimensions: int) -> np.ndarray[Any, Any]:
    """Of a stream; nobody may write to it."""
    array = _made(kind, dimensions)
    array.setflags(write=False)
    return array


def kernel_types() -> tuple[Any, Any, Any]:
    """Numba's types of a stream's arrays, a sampler's, and the rounds'."""
    stream = StreamArrays(
        tables=_fixed(np.int64, 1),
        execs=_fixed(np.uint64, 1),
        levels=_fixed(np.uint8, 1),
        cells=_fixed(np.uint64, 2),
        pops=_fixed(np.int64, 1),
        checkpoints=_fixed(np.int64, 2),
    )
    row, table, octets = _made(np.int64, 1), _made(np.int64, 2), _made(np.uint8, 1)
    kernel = KernelArrays(
        config=row,
        sizes=octets,
        tracked=None,
        branches=None,
        pages=octets,
        pages_before=octets,
        state=row,
        saved=row,
        places=row,
        rows=table,
        profile=row,
        scratch=table,
    )
    rounds = c.RoundArrays(
        law=row,
        exits=row,
        vector=row,
        rounds=table,
        blackouts=table,
        mapped=octets,
        before=row,
    )
    return types(stream), types(kernel), types(rounds)


def rounds() -> Iterator[Call]:
    """The rounds, and so what they begin with: where the next samples lie, and records of them."""
    row, table, octets = (types(_made(*of)) for of in ((np.int64, 1), (np.int64, 2), (np.uint8, 1)))
    yield k.run_block, (row, octets, row, row, table, table, int64, int64, int64)
    yield c.advance_rounds, (*kernel_types(), int64)


def serving() -> Iterator[Call]:
    """What the rounds call later, in that order."""
    stream, kernel, round_arrays = kernel_types()
    yield c.serve, (stream, kernel, round_arrays, int64)
    yield c.serve_exit, (stream, kernel, round_arrays)
    yield c.settle, (kernel, int64, int64)


def stops() -> Iterator[Call]:
    """The sampler without rounds, for arms in which Python decides at each stop."""
    stream, *_ = kernel_types()
    row, table, octets = (types(_made(*of)) for of in ((np.int64, 1), (np.int64, 2), (np.uint8, 1)))
    sampler = (row, octets, none, none, octets, row, row, table, table)
    yield k.advance, (stream, *sampler, int64, int64)


def places() -> Iterator[Call]:
    """Where clock, ops and the AUX buffer's head are: what Python asks of compiled code."""
    stream, *_ = kernel_types()
    yield seek_in, (stream, int64, int64)
    yield aux.free_space, (int64, int64, int64)
    yield aux.wakeup_after, (int64, int64, int64)
    yield results.log_linear_bin, (int64,)


def decisions() -> Iterator[Call]:
    """What the records of a recorded program show, and what the whole program visits."""
    stream, *_ = kernel_types()
    row, table, octets = (types(_made(*of)) for of in ((np.int64, 1), (np.int64, 2), (np.uint8, 1)))
    words = types(_made(np.uint64, 1))
    given = types(_fixed(np.uint64, 1))
    yield seen.find, (stream, octets, row, row, row, row, row, row, table)
    yield seen.page_keys, (given, row, row, row, row)
    yield tally.count, (row, row, row, row, row)
    yield seen.edge_keys, (row, row, row, row)
    yield seen.count_pairs, (given, int64, row, row, row, row)
    yield seen.new_pages, (given, words, words)
    yield seen.count_pages, (stream, given, words, row, row, row, row, row, table)


PARTS: dict[str, Callable[[], Iterator[Call]]] = {
    part.__name__: part for part in (rounds, serving, stops, places, decisions)
}
ASIDE = (("rounds",), ("serving", "stops"))
"""Parts of each further process: with what the first one does until it has built its stream, three
shares of about the same size. The rounds wait for `serving`."""


@contextmanager
def ahead(engine: str) -> Iterator[Callable[[bool], None]]:
    """For the time of a run: if nothing is compiled yet, other processes compile too.

    Yielded is what compiles here in the meantime. It is for whoever has built the streams, and
    would only wait for the others otherwise; True if records will be asked what they show.
    """
    wanted = (
        engine == "fast"
        and cache.keeps()
        and not cache.holds("sim.machine.compiled.advance_rounds")
    )
    command = [sys.executable, "-m", __name__]
    quiet = subprocess.DEVNULL
    begun = [
        children.start([*command, *parts], stdin=quiet, stdout=quiet, stderr=quiet)
        for parts in (ASIDE if wanted else ())
    ]
    try:
        yield _meanwhile if wanted else _nothing
    finally:
        for process in begun:
            process.kill()
            process.wait()


def _meanwhile(decides: bool) -> None:
    compile_parts(["places", "decisions"] if decides else ["places"])


def _nothing(_decides: bool) -> None:
    """All is there, or will be made as it is called."""


def compile_parts(names: Sequence[str]) -> None:
    """One part after the other."""
    for name in names:
        if name == "stops":
            os.nice(_LATER)
        for function, signature in PARTS[name]():
            function.compile(signature)


_LATER = 10
"""Of nice(2): no first arm waits for the stops, and there may be too few processors."""


if __name__ == "__main__":
    compile_parts(sys.argv[1:])
