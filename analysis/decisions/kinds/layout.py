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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.decisions.choosing import I64, Question, aligned
from analysis.decisions.kinds.hot_instructions import by_pc
from analysis.fidelity import profiles
from analysis.statistics.intervals import F64
from sim.draws import njit
from sim.runs.seen.sightings import EDGES
from sim.workload.a64 import OpClass

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult

_INDIRECT = 2
"""Bit 1 of a branch's operation type payload."""
_INSIDE = -1
"""Instead of a chain's other end: something follows this block, or precedes it, already."""


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
    seen = np.flatnonzero(score > 0)
    ranked = seen[np.lexsort((~found.old[seen], -score[seen]))]
    order = np.r_[ranked, np.flatnonzero(found.old & (score <= 0))]
    first = np.arange(int(max(found.origin.max(), found.target.max())) + 1)
    taken = np.zeros(order.size, np.bool_)
    _join(found.origin[order], found.target[order], first, first.copy(), taken)
    return np.asarray(order[taken], np.int64)


@njit
def _join(origin: Any, target: Any, first: Any, last: Any, taken: Any) -> None:
    """Take each way that leads from the end of a chain to the beginning of another.

    Of each block that ends a chain, `first` has the first block of it; of each that begins one,
    `last` has the last.
    """
    for way in range(origin.size):
        a, b = origin[way], target[way]
        begin, end = first[a], last[b]
        if begin != b and begin != _INSIDE and end != _INSIDE:
            first[a] = last[b] = _INSIDE
            first[end], last[begin] = begin, end
            taken[way] = True


@dataclass(frozen=True)
class Order(Question):
    """Which of these ways are to fall through; `address` numbers those of static ops [S]."""

    found: Ways
    address: I64


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
        address = by_pc(arm.stream)
        ran_on = _at(address, arm.visits.members, arm)[found.into]
        truth = np.r_[arm.visits.edges[found.row, 2], ran_on]
        worth = truth.astype(np.float64)
        return Order(
            kind=self.name,
            unit="ways between blocks",
            chosen=f"an order of the blocks that {truth.size:,} ways join",
            truth=truth,
            others=int(arm.visits.members.sum()) - int(truth.sum()),
            item=np.arange(truth.size),
            each=np.ones(truth.size),
            catch=lambda score: float(worth[chained(found, score)].sum()),
            found=found,
            address=address,
        )

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Sampled branches by way, then samples of the instructions before blocks."""
        assert arm.visits is not None
        assert isinstance(question, Order)
        whole, found, mine = arm.visits.edges, run.sightings[EDGES], question.found
        n = int(arm.stream.static_class.size)
        keys, seen = (rows[:, 0] * n + rows[:, 1] for rows in (whole, found))
        profile = np.asarray(sum(v.profile for v in run.vcpus), np.int64)
        by_way = aligned(keys, seen, found[:, 2])[mine.row]
        ran_on = _at(question.address, profile, arm)[mine.into]
        return np.asarray(np.r_[by_way, ran_on], np.int64)


def _at(address: I64, cells: I64, arm: ArmResult) -> I64:
    """A histogram [S × 8] by address."""
    counts = profiles.group(cells, arm.stream, "pc")
    return np.asarray(np.bincount(address, counts), np.int64)


KINDS = (Layout(),)
