"""Layout: which block follows which in memory? BOLT, AutoFDO and llvm-profgen by sampled branches.

Fidelity note. Modelled: code is basic blocks; each way that leads from one to another within a
function may become the fall-through, at most one from and to a block, by chaining blocks greedily
by the most frequent way first, as Pettis and Hansen's bottom-up algorithm does (PLDI 1990); ways
that fall through already come before others that are as frequent, and what no sample shows stays
as it is. How often code falls into a block is how often the instruction before it is executed, or
sampled. Worth: executed ways that fall through; so regret is branches taken (or jumps put in) that
the best layout would not have. Not modelled: hot and cold splitting, order of functions, indirect
branches, and what a tool infers about code that was not sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.decisions.choosing import I64, Question, aligned
from analysis.decisions.kinds.hot_instructions import by_pc
from analysis.fidelity import profiles
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
    """Ways that a layout may make fall-throughs: blocks that they lead from and to.

    First those of branches [E], by `row` of the stream's edges; then code that runs on into a block
    [F], by the address `into` before it (as `by_pc` numbers them). `old` says which fall through in
    the program as it is.
    """

    row: I64
    into: I64
    origin: I64
    target: I64
    old: NDArray[np.bool_]


def ways(arm: ArmResult) -> Ways:
    """The candidates of a stream."""
    assert arm.visits is not None
    edges, stream = arm.visits.edges, arm.stream
    branch, after = edges[:, 0], edges[:, 1]
    pc, symbol = stream.static_pc, stream.static_symbol
    kept = (symbol[branch] == symbol[after]) & ~_enters(symbol, pc)[after]
    kept &= edges[:, 3] & _INDIRECT == 0
    row = np.flatnonzero(kept)
    goals = np.unique(pc[after[row]])
    apart = _begins(pc, stream.static_class)
    begins = np.union1d(apart, goals)
    ran_on = np.setdiff1d(goals, apart) - np.uint64(4)
    before = np.r_[pc[branch[row]], ran_on]
    goal = np.r_[pc[after[row]], ran_on + np.uint64(4)]
    return Ways(
        row,
        np.asarray(np.searchsorted(np.unique(pc), ran_on), np.int64),
        np.asarray(np.searchsorted(begins, before, side="right") - 1, np.int64),
        np.asarray(np.searchsorted(begins, goal), np.int64),
        goal == before + np.uint64(4),
    )


def _begins(pc: NDArray[np.uint64], op_class: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Addresses that nothing runs on to: after a branch, or after code that was never executed."""
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
    """Ways that fall through after blocks are chained by `score` [E + F], as indices of these."""
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


def _root(chain: dict[int, int], block: int) -> int:
    """First block of the chain that one is in; paths are halved on the way."""
    while (above := chain.get(block, block)) != block:
        chain[block] = block = chain.get(above, above)
    return block


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
        truth = np.r_[arm.visits.edges[found.row, 2], _at(arm, arm.visits.members)[found.into]]
        worth = truth.astype(np.float64)
        return Question(
            kind=self.name,
            unit="ways between blocks",
            chosen=f"an order of the blocks that {truth.size:,} ways join",
            truth=truth,
            others=int(arm.visits.members.sum()) - int(truth.sum()),
            item=np.arange(truth.size),
            each=np.ones(truth.size),
            catch=lambda score: float(worth[chained(found, score)].sum()),
        )

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Sampled branches by way, then samples of the instructions before blocks."""
        assert arm.visits is not None
        whole, found, mine = arm.visits.edges, run.sightings[EDGES], ways(arm)
        n = int(arm.stream.static_class.size)
        keys, seen = (rows[:, 0] * n + rows[:, 1] for rows in (whole, found))
        profile = np.asarray(sum(v.profile for v in run.vcpus), np.int64)
        by_way = aligned(keys, seen, found[:, 2])[mine.row]
        return np.asarray(np.r_[by_way, _at(arm, profile)[mine.into]], np.int64)


def _at(arm: ArmResult, cells: I64) -> I64:
    """A histogram [S × 8] by address, as `by_pc` numbers them."""
    counts = profiles.group(cells, arm.stream, "pc")
    return np.asarray(np.bincount(by_pc(arm.stream), counts), np.int64)


KINDS = (Layout(),)
