"""Stretches of a shipped recording: real code and addresses, few enough to be walked op by op."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sim.scenario.files.loader import stock_folder
from sim.workload.spestream import read_spestream, write_spestream

EXECUTIONS = 8_000
FROM = (285_354, 428_031, 998_739)
"""A sort, a hash table and a walk through memory in `mix`."""


def small_recording(folder: Path) -> Path:
    """Some block executions of `mix`, in a file of its own."""
    whole = read_spestream(stock_folder() / "streams" / "mix.spestream")
    slots = whole.block_slots[whole.ids]
    before = np.r_[0, np.cumsum(slots)]
    spans = [(k, k + EXECUTIONS) for k in FROM]
    ids = np.concatenate([whole.ids[a:b] for a, b in spans])
    part = replace(
        whole,
        ids=ids,
        addresses=np.concatenate([whole.addresses[before[a] : before[b]] for a, b in spans]),
        ops=int(whole.block_len[ids].sum()),
        discontinuities=np.array([EXECUTIONS, 2 * EXECUTIONS], np.int64),
        taken_last=False,
    )
    path = folder / "small.spestream"
    write_spestream(path, part)
    return path
