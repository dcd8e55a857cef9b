"""One replication of an arm, once more, from a run directory.

A run directory keeps results, not every record. Equal input gives equal output, so an export runs
the arm again from `scenario.resolved.yaml` and checks the ledgers against `result.json`: an export
that differs from the run it is taken from is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reports.results.build import ledger
from reports.store.files import ExportError
from reports.store.read import read_result
from sim.runs import batch
from sim.scenario.files import loader
from sim.units import TICKS_PER_CYCLE

if TYPE_CHECKING:
    from reports.results.result import Replication, Result
    from sim.results import RunResult
    from sim.scenario.models.scenario import Arm
    from sim.workload.arrays import Stream

BLOCK = 1 << 16
"""Records that are expanded at a time."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """An arm's replication with its records, AUX transactions and log."""

    arm: Arm
    seed: int
    run: RunResult
    stream: Stream

    @property
    def total(self) -> int:
        """Delivered records."""
        return sum(vcpu.ledgers.delivery.delivered for vcpu in self.run.vcpus)

    def delivered(self, vcpu: int) -> range:
        """Which written records of a vCPU were delivered.

        A ring that is overwritten loses its oldest records; all other losses of written records
        are of the last ones, in a VM that was destroyed.
        """
        delivery = self.run.vcpus[vcpu].ledgers.delivery
        return range(delivery.overwritten, delivery.overwritten + delivery.delivered)

    def records(self, vcpu: int, rows: range) -> NDArray[np.void]:
        """Some written records of a vCPU, RECORD_DT."""

        chosen = self.run.vcpus[vcpu].written[rows.start : rows.stop]
        return batch.expand_rows(self.arm, self.seed, self.run.replication, vcpu, chosen)

    def blocks(self, vcpu: int) -> Iterator[NDArray[np.void]]:
        """Delivered records of a vCPU in order, at most BLOCK at a time."""
        rows = self.delivered(vcpu)
        for first in range(rows.start, rows.stop, BLOCK):
            yield self.records(vcpu, range(first, min(first + BLOCK, rows.stop)))

    def nanoseconds(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Wall ticks [n] in whole nanoseconds."""
        return nanoseconds(ticks, self.arm.settings.cpu.clock * TICKS_PER_CYCLE)


def nanoseconds(ticks: NDArray[np.int64], ticks_per_second: int) -> NDArray[np.int64]:
    """Floor of ticks in nanoseconds, exactly: three digits at a time, so nothing overflows."""
    found, rest = np.divmod(ticks, ticks_per_second)
    for _ in range(3):
        digits, rest = np.divmod(rest * 1000, ticks_per_second)
        found = found * 1000 + digits
    return found


def arms_of(folder: Path) -> tuple[str, ...]:
    """Names of the arms of a run directory, in its order."""
    return _stored(folder).arm_order


def rerun(folder: Path, name: str, replication: int) -> Rerun:
    """Run one replication of an arm of a run directory again.

    Raises ExportError if the directory is no run, has no such arm or replication, or if its result
    is not what this version of the program computes.
    """

    stored = _stored(folder)
    found = _replication(stored, name, replication, folder)
    scenario = loader.load(folder / "scenario.resolved.yaml")
    arm = next(arm for arm in scenario.arms if arm.name == name)
    run = batch.rerun(arm, scenario.seed, replication)
    if ledger([run]) != found.ledger:
        raise ExportError(
            f"{folder}: this version of speskew computes another result for {name}; run it again"
        )
    return Rerun(arm, scenario.seed, run, batch.stream_of(arm))


def _stored(folder: Path) -> Result:
    stored = read_result(folder)
    if not (folder / "scenario.resolved.yaml").is_file():
        raise ExportError(f"{folder} has no scenario.resolved.yaml; run the scenario again")
    return stored


def _replication(stored: Result, name: str, replication: int, folder: Path) -> Replication:
    if name not in stored.arms:
        known = ", ".join(stored.arm_order)
        raise ExportError(f"{folder} has no arm {name!r}; it has {known}")
    replications = stored.arms[name].replications
    if replication >= len(replications):
        raise ExportError(
            f"{folder} has replications 0 to {len(replications) - 1}, not {replication}"
        )
    return replications[replication]
