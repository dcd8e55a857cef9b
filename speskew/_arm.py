"""One arm of a run: its numbers by name."""

from __future__ import annotations

from typing import Any

from reports.pages import summary
from reports.results import lookup
from reports.results.arms import verdict_words
from reports.results.metric import Metric
from reports.results.result import Arm as ArmResult
from reports.results.result import Result
from speskew import _html


class Arm:
    """An arm's numbers. What has no property here is `arm["a.dotted.name"]`.

    Names are those of `result.json` below `arms.<name>` (docs/reference/metrics.md).
    """

    def __init__(self, name: str, result: Result, called: str) -> None:
        self.name, self.called = name, called
        self.result = result
        """The run's."""

    def __getitem__(self, path: str) -> Any:
        """A Metric, or a plain number, text or branch; raises UnknownMetricError."""
        return lookup.find(self.result, f"arms.{self.name}.{path}")

    @property
    def _found(self) -> ArmResult:
        return self.result.arms[self.name]

    @property
    def design(self) -> str:
        """Which design it is."""
        return self._found.design

    @property
    def loss(self) -> Metric:
        """Fraction of the population's ops that no sample can stand for, all causes."""
        return self._found.loss.total

    @property
    def skew(self) -> Metric:
        """Samples in the wrong place, by symbol or by instruction: where it is worse; fraction."""
        truth = self._found.skew.truth
        return truth.pc if self._found.skew.level == "pc" else truth.symbol

    @property
    def verdict(self) -> str:
        """Is the profile skewed, the same as the truth, or can that not be told? In words."""
        return verdict_words(self._found)

    @property
    def time_added(self) -> Metric:
        """Wall time above baremetal's; fraction."""
        return self._found.time_added

    @property
    def wall(self) -> Metric:
        """Wall time per vCPU, without the populating of memory before the guest runs; ms."""
        return self._found.wall

    @property
    def locked(self) -> int:
        """Most memory that was locked at a time; bytes."""
        return self._found.rlimit.locked_bytes_peak

    @property
    def exits(self) -> int:
        """KVM_EXIT_RLIMIT, all replications."""
        return self._found.rlimit.exits

    @property
    def records(self) -> int:
        """Records that reached perf record, all replications."""
        return self._found.ledger.delivery["delivered"]

    def __str__(self) -> str:
        return summary.of_arm(self.name, self.result)

    def __repr__(self) -> str:
        return f"<Arm {self.called}:{self.name}, predicted>"

    def _repr_html_(self) -> str:
        return _html.text(str(self))


class Arms(dict[str, Arm]):
    """Arms by name, in the scenario's order."""

    def __missing__(self, name: str) -> Arm:
        raise KeyError(f"no arm {name!r}; arms: {', '.join(self)}")
