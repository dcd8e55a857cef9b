"""Stage 3, filter: decide on completion whether a sample becomes a record.

Fidelity note. Modelled: PMSFCR.FT with B/LD/ST (a union), PMSEVFR (all bits), PMSLATFR.MINLAT
against the unsaturated count. Evaluated when the op has finished (Arm ARM J1.1.1.76), so a
filtered sample has occupied the SPU, used its interval and may have caused collisions. LD includes
atomics that return a value and ST includes all atomics; every atomic here returns one. Not
modelled: PMSNEVFR, PMSDSFR, the FP/SIMD masks of FEAT_SPE_EFT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.scenario.models.scenario import SpeFilter
from sim.units import TICKS_PER_CYCLE
from sim.workload.a64 import OpClass
from sim.workload.arrays import LEVEL_STRIDE

EV_RETIRED = 1 << 1
"""Set in every record: wrong-path ops are not modelled."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What the kernel reads: `passes[static × LEVEL_STRIDE + level]` (0/1), MINLAT in ticks."""

    passes: NDArray[np.uint8]
    min_latency: int


def build_filter(
    spec: SpeFilter, static_class: NDArray[np.uint8], level_events: NDArray[np.int64]
) -> Filter:
    """`level_events[level]`: event bits of an access at a memory level."""
    wanted = np.ones(static_class.size, bool)
    if spec.load or spec.store or spec.branch:
        wanted = np.zeros(static_class.size, bool)
        for on, classes in (
            (spec.load, (OpClass.LOAD, OpClass.ATOMIC)),
            (spec.store, (OpClass.STORE, OpClass.ATOMIC)),
            (spec.branch, (OpClass.BRANCH,)),
        ):
            if on:
                wanted |= np.isin(static_class, classes)
    passes = np.repeat(wanted, LEVEL_STRIDE).reshape(-1, LEVEL_STRIDE)
    if spec.event_filter:
        events = (level_events | EV_RETIRED).astype(np.uint64)
        mask = np.uint64(spec.event_filter)
        passes &= (events & mask) == mask
    return Filter(passes.astype(np.uint8).reshape(-1), spec.min_latency * TICKS_PER_CYCLE)
