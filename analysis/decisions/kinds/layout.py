"""Layout: which block follows which in memory? BOLT, AutoFDO and llvm-profgen by sampled branches.

Fidelity note. Modelled: code is straight runs that end at a branch; a branch's two ways within its
function may become the fall-through if they lead to the beginning of a run. Runs are chained
greedily by the most frequent way first, as Pettis and Hansen's bottom-up algorithm does (PLDI
1990), ways that the program has already before others that are as frequent; what no sample shows
stays as it is. Worth: executed ways that fall through, so regret is taken branches that the best
layout would not have. Not modelled: hot and cold splitting, order of functions, indirect branches,
and what a compiler infers about code that was not sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.decisions.choosing import I64, Question, aligned
from analysis.statistics.intervals import F64
from sim.runs.sightings import EDGES
from sim.workload.a64 import OpClass

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult

_INDIRECT = 2
"""Bit 1 of a branch's operation type payload."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways that a layout may make fall-throughs [E]: runs that they lead from and to.

    `row` is the row of the stream's edges; `old` says which of them fall through in the program as
    it is.
    """

    row: I64
    origin: I64
    target: I64
    old: NDArray[np.bool_]


def ways(arm: ArmResult) -> Ways:
    """The candidates among a stream's edges."""
    assert arm.visits is not None
    edges, stream = arm.visits.edges, arm.stream
    branch, after = edges[:, 0], edges[:, 1]
    pc, symbol = stream.static_pc, stream.static_symbol
    begins = _begins(pc, stream.static_class)
    origin = np.searchsorted(begins, pc[branch], side="right") - 1
    target = np.searchsorted(begins, pc[after], side="right") - 1
    kept = begins[target] == pc[after]
    kept &= (symbol[branch] == symbol[after]) & ~_enters(symbol, pc)[after]
    kept &= edges[:, 3] & _INDIRECT == 0
    row = np.flatnonzero(kept)
    falls = pc[after] == pc[branch] + np.uint64(4)
    return Ways(row, origin[row], target[row], falls[row])


def _begins(pc: NDArray[np.uint64], op_class: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Addresses at which runs begin: after a branch, or after code that was never executed."""
    known = np.unique(pc)
    branches = np.unique(pc[op_class == OpClass.BRANCH])
    apart = np.r_[True, np.diff(known) != 4]
    apart[1:] |= np.isin(known[:-1], branches)
    return np.asarray(known[apart])


def _enters(symbol: NDArray[np.int32], pc: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Static ops at which a function begins, as far as is known: its lowest address."""
    lowest = np.full(int(symbol.max(initial=0)) + 2, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(lowest, symbol, pc)
    return np.asarray(lowest[symbol] == pc)


def chained(found: Ways, score: F64) -> I64:
    """Ways that fall through after runs are chained by `score` [E], as indices of `found`."""
    order = np.lexsort((~found.old, -score))
    order = order[(score > 0)[order] | found.old[order]]
    pairs = zip(
        order.tolist(), found.origin[order].tolist(), found.target[order].tolist(), strict=True
    )
    chain: dict[int, int] = {}
    tails: set[int] = set()
    heads: set[int] = set()
    out = []
    for way, a, b in pairs:
        if a in tails or b in heads or (first := _root(chain, a)) == (other := _root(chain, b)):
            continue
        chain[other] = first
        tails.add(a)
        heads.add(b)
        out.append(way)
    return np.array(out, np.int64)


def _root(chain: dict[int, int], run: int) -> int:
    """First run of the chain that a run is in; paths are halved on the way."""
    while (above := chain.get(run, run)) != run:
        chain[run] = run = chain.get(above, above)
    return run


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of basic blocks; worth: ways that fall through instead of being taken."""

    name: str = "layout"
    asks: str = "which block to put after which (BOLT, AutoFDO)"
    top: str = ""

    def question(self, arm: ArmResult, top: str) -> Question | str:
        """By way, of those that a layout can change."""
        assert arm.visits is not None
        found = ways(arm)
        if found.row.size < 2:
            return "the stream has no branch that could be laid out otherwise"
        truth = arm.visits.edges[found.row, 2]
        worth = truth.astype(np.float64)
        return Question(
            kind=self.name,
            unit="ways of branches",
            chosen=f"an order of the runs that {truth.size:,} ways of branches join",
            truth=truth,
            others=int(arm.visits.members.sum()) - int(truth.sum()),
            item=np.arange(truth.size),
            each=np.ones(truth.size),
            catch=lambda score: float(worth[chained(found, score)].sum()),
            rows=found.row,
        )

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Sampled branches by way."""
        assert arm.visits is not None
        whole, found = arm.visits.edges, run.sightings[EDGES]
        n = int(arm.stream.static_class.size)
        keys, mine = (rows[:, 0] * n + rows[:, 1] for rows in (whole, found))
        return aligned(keys, mine, found[:, 2])[question.rows]


KINDS = (Layout(),)
