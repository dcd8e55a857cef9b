"""Threads written by hand, and a small core to run them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.workload.presets import get_preset
from sim.workload.sharing.directory import Accesses
from sim.workload.timing import CacheGeometry, CorePreset, TimingClass

LINE = 64
CYCLE = 64
"""Ticks."""
ROWS = {"load": TimingClass.LOAD, "store": TimingClass.STORE, "atomic": TimingClass.ATOMIC}


def thread(accesses: Sequence[tuple[str, int]], gap: int = 0) -> Accesses:
    """Accesses (kind, address), `gap` ticks of other work before each."""
    kinds = [kind for kind, _ in accesses]
    return Accesses(
        address=np.array([address for _, address in accesses], np.uint64),
        gap=np.full(len(accesses), gap, np.int64),
        row=np.array([8 * int(ROWS[kind]) for kind in kinds], np.uint8),
        owns=np.array([kind != "load" for kind in kinds], np.uint8),
    )


def core(cluster_cores: int = 1, *, small: bool = False) -> CorePreset:
    """Neoverse N1 with clusters of so many cores; or with caches of a few lines."""
    preset = replace(get_preset("neoverse-n1"), cluster_cores=cluster_cores)
    if not small:
        return preset
    return replace(
        preset,
        l1d=CacheGeometry(sets=2, ways=2, line_bytes=LINE),
        l2=CacheGeometry(sets=2, ways=3, line_bytes=LINE),
        slc=CacheGeometry(sets=4, ways=3, line_bytes=LINE),
    )
