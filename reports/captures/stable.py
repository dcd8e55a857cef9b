"""`report spe --decisions`: would one decide the same by half of the capture?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.decisions.kinds import kinds
from analysis.decisions.stability import Stability, stability
from reports.text import percent
from sim.workload.capture.records import (
    BRANCH,
    LOAD_STORE,
    Packet,
    Records,
    code_address,
    has,
    timing_class,
)
from sim.workload.capture.source import Reading
from sim.workload.timing import TimingClass

if TYPE_CHECKING:
    from sim.workload.capture.source import Capture

Progress = Callable[[int], None]
PAGES = {"hot-pages": 12, "hot-pages-64KiB": 16, "hot-pages-2MiB": 21}
PEERS = (0x9, 0xA, 0xC)
"""Data sources that are another core: peer core, local cluster, peer cluster (Neoverse)."""
LINE = 6
LAYOUT_TOP = "10%"
"""Of a capture without its program a layout is its hot ways of branches."""
_EIGHT = np.uint64(8)
_Columns = dict[str, tuple[NDArray[np.uint64], NDArray[np.float64]]]


def decide(capture: Capture, progress: Progress) -> list[Stability]:
    """Every kind that the capture's records can decide; functions need symbols and are left out."""
    parts: dict[str, list[tuple[NDArray[np.uint64], NDArray[np.float64]]]] = {}
    done = 0
    for batch in capture.batches(Reading()):
        whole = batch.records[(batch.records["damage"] == 0) & has(batch.records, Packet.PC)]
        for kind, mine in _columns(whole).items():
            parts.setdefault(kind, []).append(mine)
        done += batch.records.size
        progress(done)
    found = []
    for kind, columns in parts.items():
        keys, worth = (np.concatenate(column) for column in zip(*columns, strict=True))
        top = kinds()[kind].top or LAYOUT_TOP
        one = stability(kind, keys, worth, top)
        if one is not None:
            found.append(one)
    return found


def _columns(records: Records) -> _Columns:
    """Item and worth of each record that a kind looks at."""
    pc, classes = code_address(records["pc"]), timing_class(records)
    placed = (records["op_class"] == LOAD_STORE) & has(records, Packet.VA) & (records["va"] > 0)
    va = records["va"] << _EIGHT >> _EIGHT
    loads = np.isin(classes, (TimingClass.LOAD, TimingClass.ATOMIC)) & has(records, Packet.TOTAL)
    ways = (records["op_class"] == BRANCH) & has(records, Packet.TARGET)
    shared = placed & has(records, Packet.SOURCE) & np.isin(records["source"], PEERS)
    target = code_address(records["target"])
    step = np.uint64(0x9E3779B97F4A7C15)  # odd: two ways share a number once in 2^64
    out = {"hot-instructions": _ones(pc)}
    out |= {kind: _ones(va[placed] >> np.uint64(bits)) for kind, bits in PAGES.items()}
    out["slow-loads"] = (pc[loads], records["total"][loads].astype(np.float64))
    out["layout"] = _ones(pc[ways] * step ^ target[ways])
    out["sharing"] = _ones(va[shared] >> np.uint64(LINE))
    return out


def _ones(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    return keys, np.ones(keys.size)


def lines(found: list[Stability]) -> Iterator[str]:
    """For people: a line a kind."""
    yield "Would you decide the same by half of it? (missed, of what the best choice catches)"
    if not found:
        yield "  nothing to decide: too few records, or one item"
    for one in found:
        thinned = ", ".join(f"1/{part}: {percent(x)}" for part, x in one.thinned.items())
        yield (
            f"  {one.kind}: {one.taken:,} of {one.items:,} items, {one.records:,} records: "
            f"by one half in the other {percent(one.halves)}; by a part in all {thinned}"
        )
