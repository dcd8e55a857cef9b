"""Running ahead over stops and exits: what the compiled sampler hands to whoever may serve them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.workload.arrays import Stream


class KernelArrays(NamedTuple):
    """What compiled code reads and writes, `sim.spe.compiled`; `saved` and `pages_before` are what
    a speculation goes back to. `tracked` and `branches` are None, both or neither.
    """

    config: NDArray[np.int64]
    sizes: NDArray[np.uint8]
    tracked: NDArray[np.int64] | None
    branches: NDArray[np.int64] | None
    pages: NDArray[np.uint8]
    pages_before: NDArray[np.uint8]
    state: NDArray[np.int64]
    saved: NDArray[np.int64]
    places: NDArray[np.int64]
    rows: NDArray[np.int64]
    profile: NDArray[np.int64]
    scratch: NDArray[np.int64]


class RunsAhead(Protocol):
    """Runs ahead over stops and exits that need no decision (`sim.machine.rounds`)."""

    def advance(self, stream: Stream, arrays: KernelArrays, candidates: int) -> tuple[int, int]:
        """Like `sim.spe.compiled.advance`, to the next event that is known of; also returns when
        that is, wall time. `arrays.saved` becomes the state of the last restart, its ROWS those
        that are final.
        """
