"""What can be decided, one file a kind. A file has `KINDS`: objects that a name finds here.

A new kind is a file of this folder, and its word in `sim.scenario.models.decisions`.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from analysis.decisions.choosing import I64, Question
    from sim.results import RunResult
    from sim.runs.batch import ArmResult


class Kind(Protocol):
    """A decision that people take from a profile."""

    @property
    def name(self) -> str:
        """As scenarios, results and the command line call it."""

    @property
    def asks(self) -> str:
        """What is decided, and who does it, in a line."""

    @property
    def top(self) -> str:
        """How many items a choice takes by default; empty if it takes none."""

    def question(self, arm: ArmResult, top: str) -> Question | str:
        """The decision about an arm's stream, or why there is none in it."""

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Samples of a run by the cells of the question."""


@cache
def kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    modules = [import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return {kind.name: kind for module in modules for kind in module.KINDS}
