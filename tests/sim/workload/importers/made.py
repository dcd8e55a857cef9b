"""Ops in a row, as a reader of traces would give them."""

from __future__ import annotations

import numpy as np

from sim.workload.importers.blocks import Ops

NOP, RET = 0xD503201F, 0xD65F03C0


def straight(count: int, start: int = 0x1000, step: int = 4, word: int = NOP) -> Ops:
    """Ops one after another, `step` bytes apart."""
    return Ops(
        (start + step * np.arange(count)).astype(np.uint64),
        np.full(count, word, np.uint32),
        np.zeros(count, np.uint64),
        np.zeros(count, np.bool_),
    )
