"""The compiled whole-run loop (`whole_run.c`), built when it is needed, and per-op SimPy."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from sim import draws
from sim.machine.run import Run
from sim.machine.spec import MachineSpec
from sim.workload.arrays import (
    BODY_INFO,
    BODY_SIZE,
    FIRST_FLAT,
    FLAT_AT,
    FLAT_OP,
    LATENCY,
    OP,
    TICK,
    Stream,
)
from tests.needs import run

I64 = NDArray[np.int64]
_POINTER = ctypes.POINTER(ctypes.c_int64)


class _In(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_int64)
            for name in ("interval", "mask", "first", "pop_end", "ops", "ticks", "window", "irq")
        ),
        ("key_interval", ctypes.c_uint64),
        ("key_latency", ctypes.c_uint64),
        *((name, _POINTER) for name in ("tick", "place", "latency")),
    ]


class _Out(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("selected", "collided", "written", "stops")),
        ("histogram", _POINTER),
    ]


@dataclass(frozen=True, slots=True)
class Done:
    """What the loop found, and its seconds."""

    selected: int
    collided: int
    written: int
    stops: int
    histogram: I64
    seconds: float


def build(folder: Path) -> Any:
    """The loop as a shared library, for this machine."""
    source, library = Path(__file__).with_name("whole_run.c"), folder / "whole_run.so"
    run("gcc", "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source)
    return ctypes.CDLL(str(library))


def whole_run(library: Any, spec: MachineSpec, stream: Stream, run: Run, started: int) -> Done:
    """One pass of the loop; `started` is the first profiled op."""
    tables = stream.arrays.tables
    size, info = int(tables[BODY_SIZE]), int(tables[BODY_INFO])
    ops, first = int(tables[size + OP]), int(tables[info + FIRST_FLAT])
    at = int(tables[FLAT_AT]) + 4 * first + TICK
    tick = tables[at : at + 4 * ops : 4].copy()
    place = tables[int(tables[FLAT_OP]) + first :][:ops].copy()
    latency = tables[int(tables[LATENCY]) :].copy()
    histogram = np.zeros(stream.statics * 8, np.int64)
    assert len(set(spec.spu.irq_latency)) == 1, "the loop knows one interrupt latency"
    given = _In(
        spec.spu.interval,
        spec.spu.jitter_mask,
        started + spec.event.period - 1,
        stream.ops,
        ops,
        int(tables[size + TICK]),
        spec.event.aux.watermark // spec.event.aux.record,
        spec.spu.irq_latency[0],
        draws.key(run.seed, run.replication, 0, "interval"),
        draws.key(run.seed, run.replication, 0, "latency"),
        *(array.ctypes.data_as(_POINTER) for array in (tick, place, latency)),
    )
    found = _Out(0, 0, 0, 0, histogram.ctypes.data_as(_POINTER))
    began = time.perf_counter()
    library.whole_run(ctypes.byref(given), ctypes.byref(found))
    seconds = time.perf_counter() - began
    return Done(found.selected, found.collided, found.written, found.stops, histogram, seconds)


def per_op_simpy(ops: int, interval: int) -> float:
    """Seconds of the most naive simulator: one SimPy event per op, a counter that counts down."""
    environment = simpy.Environment()

    def core() -> Any:
        count, samples = interval, 0
        for _ in range(ops):
            yield environment.timeout(43)
            count -= 1
            if count == 0:
                count, samples = interval, samples + 1

    done = environment.process(core())
    began = time.perf_counter()
    environment.run(done)
    return time.perf_counter() - began
