"""Stage 1, choose an operation: the interval counter PMSICR_EL1, literally.

Fidelity note. Modelled: COUNT, ECOUNT, PMSIRR.RND, FEAT_SPE_ERnd (Arm ARM D17.3.3-4, pseudocode
J1.1.1.101 and J1.1.1.124): the op that finds COUNT = 0 reloads it and does not count, hence gaps of
N + 1. Random bytes are drawn at the reload (RND) or when COUNT reaches 0 (ERnd), addressed by their
ordinal. At disabled → enabled an all-zero PMSICR is initialised from PMSIRR, so the first gap after
a stop that found the counter at 0 is one op shorter. Not modelled: the IMPLEMENTATION DEFINED point
in an op's life at which it is chosen; wrong-path ops. A change of exception level inside the stream
holds the counter and is not a re-initialisation. No parameter calibrates this stage.

`TargetBias` is Neoverse N1 erratum 1694299 (fixed in r4p1): too many samples on branch targets, too
few closely after. That much is published, and no magnitude: its share and its reach are UNVERIFIED,
and it is off by default. A block's first op counts as a target, jumped to or fallen into; the
sample keeps the time of its selection. Dependence on code alignment is not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sim import draws
from sim.workload.arrays import (
    BLOCK,
    BLOCK_STATIC,
    BODY_INFO,
    BODY_SIZE,
    FIRST_FLAT,
    FLAT_OP,
    OP,
    PLACE_MASK,
    STATIC,
    Stream,
)


class Jitter(IntEnum):
    """How PMSIRR.RND perturbs the interval."""

    OFF = 0
    RND = 1
    ERND = 2


@dataclass(frozen=True, slots=True)
class Interval:
    """What PMSIRR_EL1 says, and the address of its random bytes.

    `ops` is INTERVAL × 256 on hardware; tests use any positive number, with a `mask` for the byte
    that keeps ECOUNT below the interval.
    """

    ops: int
    jitter: Jitter
    key: int
    mask: int = 255

    def byte(self, ordinal: int) -> int:
        """The `ordinal`-th random byte."""
        return draws.splitmix64(self.key, ordinal) & self.mask


@dataclass(frozen=True, slots=True)
class TargetBias:
    """Which selected ops are sampled as the branch target before them."""

    key: int
    per_mille: int
    distance: NDArray[np.uint8]
    """[statics] ops back to the branch target, 0 if none is closely before."""

    def slips(self, op: int) -> bool:
        """Does a selection of this op slip?"""
        return (draws.splitmix64(self.key, op) >> 1) % 1000 < self.per_mille


def target_distances(stream: Stream, reach: int) -> NDArray[np.uint8]:
    """`TargetBias.distance` for targets up to `reach` ops before, in one block or loop body."""
    T = stream.arrays.tables
    found = np.zeros(stream.statics, np.uint8)
    bodies = (int(T[BODY_INFO]) - int(T[BODY_SIZE])) // 4
    runs = [
        (int(T[T[FLAT_OP] + first] & PLACE_MASK) >> 8, int(T[T[BODY_SIZE] + 4 * b + OP]))
        for b in range(bodies)
        if (first := int(T[T[BODY_INFO] + 4 * b + FIRST_FLAT])) >= 0
    ]
    for row in range(int(T[BLOCK]), int(T[STATIC]), 4):
        runs.append((int(T[row + BLOCK_STATIC]), int(T[row + OP])))
    for first, ops in runs:
        after = np.arange(1, min(ops, reach + 1), dtype=np.uint8)
        found[first + after.astype(np.int64)] = after
    return found


@dataclass(slots=True)
class IntervalCounter:
    """PMSICR_EL1 and the ordinal of the next random byte.

    `until_selection` and `advance` move over whole gaps; `tests/exact` has the op-by-op machine
    that they must equal.
    """

    interval: Interval
    count: int = 0
    ecount: int = 0
    drawn: int = 0

    def enable(self) -> None:
        """Disabled → enabled: initialise from PMSIRR if PMSICR is 0."""
        if self.count == 0 and self.ecount == 0:
            self._reload()

    def until_selection(self) -> int:
        """Population ops from here to the next selected one, itself included (≥ 1)."""
        n, drawn = self.interval.ops, self.drawn
        if self.interval.jitter is not Jitter.ERND:
            if self.count:
                return self.count
            return 1 + n + (self.interval.byte(drawn) if self.interval.jitter else 0)
        passed, count, ecount = 0, self.count, self.ecount
        while True:
            to_zero = count or n + 1
            if 0 < ecount < to_zero:
                return passed + ecount
            passed, count = passed + to_zero, 0
            ecount = self.interval.byte(drawn)
            drawn += 1
            if ecount == 0:
                return passed

    def advance(self, ops: int) -> None:
        """Count `ops` population ops; a selection may be only the last of them."""
        while ops:
            if self.count == 0:
                self._reload()
                self.ecount = max(0, self.ecount - 1)
                ops -= 1
                continue
            step = min(ops, self.count)
            ops -= step
            self.count -= step
            if self.count == 0 and self.interval.jitter is Jitter.ERND:
                self.ecount = self.interval.byte(self.drawn)
                self.drawn += 1
            else:
                self.ecount = max(0, self.ecount - step)

    def _reload(self) -> None:
        self.count = self.interval.ops
        if self.interval.jitter is Jitter.RND:
            self.count += self.interval.byte(self.drawn)
            self.drawn += 1
