"""Stage 2, collect data: how long a sampled op is in flight, and what is measured of it.

Fidelity note. Modelled: time in flight (TOTAL) by the law of the op's (class, memory level), drawn
by a hash of the op's index (`sim.laws`: no tail is cut before 2^-24), so an op has one latency in
every arm; ISSUE, XLAT, the events and the physical address as functions of (op, key). Counters
saturate at CountSize when the record is built, not in flight (Arm ARM D17.3.7, J1.1.1.78). Not
modelled: dependence of an op's latency on its neighbours. ISSUE, XLAT, misprediction and VA → PA
have no source: UNVERIFIED. Calibrated by the core preset's latency table (`sim.workload.timing`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim import laws
from sim.draws import mix64, njit_inline

EV_RETIRED = 1 << 1
"""Set in every record: wrong-path ops are not modelled."""
EV_NOT_TAKEN, EV_MISPREDICTED = 1 << 6, 1 << 7
"""Set by branches, from one execution to the next: no table has them."""
MISPREDICT_PER_256 = 5
"""Share of branches marked mispredicted, of 256; UNVERIFIED."""
NOISE = 0x5350_4500
"""XORed to the key of TOTAL: the key of what else a record measures."""


@njit_inline
def latency_ticks(tables: Any, law: Any, key: Any, op: Any) -> Any:
    """Ticks in flight of `op` by the law at `law` (uint64)."""
    return laws.drawn(tables, law, mix64(key, np.uint64(op)))


def latency_of(latency: memoryview | list[int], row_level: int, key: int, op: int) -> int:
    """`latency_ticks` for the reference engine."""
    return laws.draw(latency, row_level * laws.STRIDE, key, op)
