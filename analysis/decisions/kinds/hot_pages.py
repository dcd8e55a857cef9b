"""Hot pages: which pages belong into fast memory? Tiering and NUMA placement by sampled accesses.

What the page that was not chosen costs depends on the machine; worth is the accesses caught.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.decisions.choosing import I64, Question, aligned, listed
from sim.runs.seen.compiled import PAGE_SHIFT
from sim.runs.seen.sightings import PAGES

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult


@dataclass(frozen=True, slots=True)
class HotPages:
    """The pages with most sampled loads and stores; worth: accesses of the whole stream."""

    name: str
    size: str
    shift: int
    top: str = "10%"

    @property
    def asks(self) -> str:
        """With the size of a page."""
        return f"which pages of {self.size} to keep in fast memory (tiering, NUMA)"

    def question(self, arm: ArmResult, top: str) -> Question | str:
        """By page; a stream that has no addresses has none."""
        assert arm.visits is not None
        pages = arm.visits.pages
        if not pages.size:
            return "the stream has no addresses, or no access passes the filters"
        truth = pages[:, 1:].sum(axis=1)
        others = int(arm.visits.members.sum()) - int(truth.sum())
        item = np.unique(self._page(pages[:, 0]), return_inverse=True)[1]
        if int(item.max()) < 1:
            return f"every access is in one page of {self.size}"
        return listed(self.name, f"pages of {self.size}", truth, others, top, item=item)

    def _page(self, small: I64) -> I64:
        return np.asarray(small >> (self.shift - PAGE_SHIFT))

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Sampled accesses by page of 4 KiB."""
        assert arm.visits is not None
        found = run.sightings[PAGES]
        return aligned(arm.visits.pages[:, 0], found[:, 0], found[:, 1:].sum(axis=1))


KINDS = (
    HotPages("hot-pages", "4 KiB", 12),
    HotPages("hot-pages-64KiB", "64 KiB", 16),
    HotPages("hot-pages-2MiB", "2 MiB", 21),
)
