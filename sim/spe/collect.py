"""Stage 2, collect data: how long a sampled op is in flight, and what is measured of it.

Fidelity note. Modelled: time in flight (TOTAL) as a quantile of the op's (class, memory level),
chosen by a hash of the op's index, so an op has one latency in every arm; ISSUE, XLAT, the events
and the physical address as functions of (op, key). Counters saturate at CountSize when the record
is built, not in flight (Arm ARM D17.3.7, J1.1.1.78). Not modelled: dependence of an op's latency on
its neighbours. ISSUE, XLAT, misprediction and VA → PA have no source: UNVERIFIED. Calibrated by the
core preset's latency table (`sim.workload.timing`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim import draws
from sim.draws import mix64, njit_inline

BYTE = np.uint64(255)


@njit_inline
def latency_ticks(tables: Any, quantiles: Any, key: Any, op: Any) -> Any:
    """Ticks in flight of `op`: entry hash(op) of the 256 quantiles at `quantiles` (uint64)."""
    return tables[quantiles + (mix64(key, np.uint64(op)) & BYTE)]


def latency_of(latency: memoryview | list[int], row_level: int, key: int, op: int) -> int:
    """`latency_ticks` for the reference engine."""
    return latency[(row_level << 8) + (draws.splitmix64(key, op) & 255)]
