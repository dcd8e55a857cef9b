"""Stage 3, filter: decide on completion whether a sample becomes a record.

Fidelity note. Modelled: PMSFCR.FT with B/LD/ST (a union), PMSEVFR (all bits that are set) against
the record's own Events packet (J1.1.1.85), those of branches included, PMSLATFR.MINLAT against the
unsaturated count. Evaluated when the op has finished (Arm ARM J1.1.1.76), so a
filtered sample has occupied the SPU, used its interval and may have caused collisions. LD includes
atomics that return a value and ST includes all atomics; every atomic here returns one. Not
modelled: PMSNEVFR, PMSDSFR, the FP/SIMD masks of FEAT_SPE_EFT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.scenario.models.scenario import SpeFilter
from sim.spe.collect import EV_MISPREDICTED, EV_NOT_TAKEN, EV_RETIRED
from sim.units import TICKS_PER_CYCLE
from sim.workload.a64 import OpClass
from sim.workload.arrays import LEVEL_STRIDE


@dataclass(frozen=True, slots=True)
class Filter:
    """What the kernel reads: `passes[static × LEVEL_STRIDE + level]` (0/1), MINLAT in ticks, and
    the events of branches that a record must have besides.
    """

    passes: NDArray[np.uint8]
    min_latency: int
    branch_events: int = 0


def build_filter(
    spec: SpeFilter,
    static_class: NDArray[np.uint8],
    level_events: NDArray[np.int64],
    level_source: NDArray[np.int64],
) -> Filter:
    """`level_events[level]`: event bits of an access at a memory level; `level_source[level]`: its
    data source, of which PMSDSFR looks at bits [5:0]. What has no data source passes that filter.
    """
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
    branch_events = spec.event_filter & (EV_NOT_TAKEN | EV_MISPREDICTED)
    if spec.event_filter:
        events = (level_events | EV_RETIRED).astype(np.uint64)
        mask = np.uint64(spec.event_filter ^ branch_events)
        passes &= (events & mask) == mask
    if spec.inv_data_src_filter:  # PMSDSFR, inverted
        excluded = [spec.inv_data_src_filter >> (int(s) & 63) & 1 for s in level_source]
        sourced = np.isin(static_class, (OpClass.LOAD, OpClass.ATOMIC))
        at_level = np.array(excluded, bool) & (np.arange(LEVEL_STRIDE) > 0)
        passes &= ~(sourced[:, None] & at_level)
    if branch_events:
        passes &= (static_class == OpClass.BRANCH)[:, None]
    min_latency = spec.min_latency * TICKS_PER_CYCLE
    return Filter(passes.astype(np.uint8).reshape(-1), min_latency, branch_events)
