"""Compiling what the first run of all needs in several processes at once.

A run compiles as it goes: what builds and counts its stream, then the sampling kernel, then the
rounds, a dozen seconds one after the other. The kernel takes arrays of the same types
whatever the scenario. So, where nothing is compiled yet, further processes begin with the two that
come later, and end with the run. `sim.cache.compiled` sees to it that nobody compiles what another
one is at.

No mechanism: nothing here changes a number.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import int64, none, typeof

from sim import children
from sim.cache import compiled as cache
from sim.machine import compiled as c
from sim.spe import compiled as k
from sim.spe.ahead import KernelArrays
from sim.workload.arrays import StreamArrays

types: Any = typeof  # numba has no annotation of it


def kernel_types() -> tuple[Any, Any, Any]:
    """Numba's types of a stream's arrays, a sampler's, and the rounds'."""
    stream = StreamArrays(
        tables=_made(np.int64, 1),
        execs=_made(np.uint64, 1),
        levels=_made(np.uint8, 1),
        cells=_made(np.uint64, 2),
        pops=_made(np.int64, 1),
        checkpoints=_made(np.int64, 2),
    )
    for array in stream:
        array.setflags(write=False)
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


def _made(kind: Any, dimensions: int) -> np.ndarray[Any, Any]:
    return np.zeros((1,) * dimensions, kind)


def _sampling() -> None:
    """The rounds; so first of all what they begin with, where the next samples lie."""
    stream, kernel, rounds = kernel_types()
    c.advance_rounds.compile((stream, kernel, rounds, int64))


def _rounds() -> None:
    """What the rounds need later, in that order; half of the work."""
    stream, kernel, rounds = kernel_types()
    row, table, octets = (types(_made(*of)) for of in ((np.int64, 1), (np.int64, 2), (np.uint8, 1)))
    k.run_block.compile((row, octets, row, row, table, table, int64, int64, int64))
    c.serve.compile((stream, kernel, rounds, int64))
    c.serve_exit.compile((stream, kernel, rounds))
    c.settle.compile((kernel, int64, int64))
    sampler = (row, octets, none, none, octets, row, row, table, table)
    k.advance.compile((stream, *sampler, int64, int64))


PARTS: dict[str, Callable[[], None]] = {"sampling": _sampling, "rounds": _rounds}


@contextmanager
def ahead(engine: str) -> Iterator[None]:
    """For the time of a run: if nothing is compiled yet, other processes compile too."""
    wanted = (
        engine == "fast"
        and cache.keeps()
        and not cache.holds("sim.machine.compiled.advance_rounds")
    )
    command = [sys.executable, "-m", __name__]
    quiet = subprocess.DEVNULL
    begun = [
        children.start([*command, part], stdin=quiet, stdout=quiet, stderr=quiet)
        for part in (PARTS if wanted else ())
    ]
    try:
        yield
    finally:
        for process in begun:
            process.kill()
            process.wait()


if __name__ == "__main__":
    PARTS[sys.argv[1]]()
