"""`speskew export bolt`: an arm's branches as BOLT's pre-aggregated profile, read by every BOLT.

A line an entry: `B FROM TO COUNT MISPREDICTED` is a branch that was taken, `F FROM TO COUNT` a
stretch that ran through. A record of SPE holds one branch: of one that was not taken the stretch
goes from it to the next instruction. Addresses are those of the program, with its build id before
them, so that BOLT leaves out what is of another one. Format: bolt/include/bolt/Profile/
DataAggregator.h of LLVM 19.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reports.perf.programs import recordings
from reports.store.files import ExportError
from sim.runs import batch
from sim.spe.collect import EV_MISPREDICTED, EV_NOT_TAKEN
from sim.workload.a64 import OpClass
from sim.workload.spestream import read_header

if TYPE_CHECKING:
    from reports.rerunning import Rerun

I64 = NDArray[np.int64]
_CONDITIONAL = 1
INSTRUCTION = 4
"""Bytes."""


def sampled(found: Rerun, written: Callable[[int], None]) -> I64:
    """Branches of an arm's delivered records: (fell through, from, to, times, mispredicted)."""
    parts = []
    for vcpu in range(len(found.run.vcpus)):
        for records in found.blocks(vcpu):
            branch = records[found.stream.static_class[records["insn"]] == OpClass.BRANCH]
            rows = np.ones((branch.size, 5), np.int64)
            rows[:, 0] = (branch["events"] & EV_NOT_TAKEN) != 0
            rows[:, 1] = found.stream.static_pc[branch["insn"]]
            rows[:, 2] = branch["target"]
            rows[:, 4] = (branch["events"] & EV_MISPREDICTED) != 0
            parts.append(rows)
            written(records.size)
    return np.concatenate([np.empty((0, 5), np.int64), *parts])


def executed(found: Rerun) -> I64:
    """Every branch that the whole stream executes, as `sampled`; none is known as mispredicted."""
    edges = batch.visits_of(found.arm, found.stream).edges
    pc = found.stream.static_pc.view(np.int64)
    origin, target = pc[edges[:, 0]], pc[edges[:, 1]]
    fell = (edges[:, 3] & _CONDITIONAL != 0) & (target == origin + INSTRUCTION)
    return np.column_stack([fell, origin, target, edges[:, 2], np.zeros_like(edges[:, 2])])


def write(file: IO[bytes], branches: I64, build_id: str) -> tuple[int, int]:
    """The profile of these branches; returns how often one was taken, and not taken.

    Without a build id addresses stand alone, which BOLT takes for the program's own. Raises
    ExportError if there is no branch.
    """
    if not len(branches):
        raise ExportError("no record is of a branch: there is nothing to lay out by")
    kinds, at = np.unique(branches[:, :3], axis=0, return_inverse=True)
    counts, missed = np.zeros((2, len(kinds)), np.int64)
    np.add.at(counts, at.ravel(), branches[:, 3])
    np.add.at(missed, at.ravel(), branches[:, 4])
    where = f"{build_id}:" if build_id else ""
    for (fell, origin, target), n, wrong in zip(
        kinds.tolist(), counts.tolist(), missed.tolist(), strict=True
    ):
        ends = f"{where}{origin:x} {where}{target:x} {n}"
        file.write(f"F {ends}\n".encode() if fell else f"B {ends} {wrong}\n".encode())
    fallen = int(counts[kinds[:, 0] == 1].sum())
    return int(counts.sum()) - fallen, fallen


def build_id_of(found: Rerun) -> str:
    """Of the recorded program; ExportError for a workload that is none."""
    files = recordings(found.arm.settings.workload)
    if not files:
        raise ExportError(f"the workload of {found.arm.name} is no recorded program")
    return read_header(files[0]).build_id
