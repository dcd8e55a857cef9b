"""Where tasks run: here, in processes of this machine, or on a cluster (`sim.runs.cluster`).

A task never raises: what goes wrong in it, up to the death of its process, is a `Failure` of that
task alone. The order of finishing is arbitrary; who asks must not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sim.errors import SpeskewError
from sim.machine import resolve
from sim.results import RunResult
from sim.runs import batch
from sim.runs.pool import Died, Pool
from sim.runs.tasks import Task, key
from sim.scenario.models.workloads import Recorded, Threads


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no result, in one line."""

    why: str


Outcome = tuple[RunResult, ...] | Failure
"""Results of a task in the order of its units, or why there are none."""


class Workers(Protocol):
    """Something that runs tasks."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Each task with its outcome, in the order of finishing."""

    def close(self) -> None:
        """End what still runs."""


class WorkersError(SpeskewError):
    """The workers cannot be had: no cluster there, or a package missing."""


def run_task(task: Task) -> Outcome:
    """Run a task's units where this is called."""
    try:
        if task.keys != tuple(key(unit) for unit in task.units):
            return Failure("the worker has another speskew, numpy, numba or stream than the client")
        return tuple(batch.run_unit(unit) for unit in task.units)
    except Exception as error:  # whatever a cell does, the others go on
        return Failure(f"{type(error).__name__}: {' '.join(str(error).split())}")


class Here:
    """One after the other, in this process."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """As `Workers`."""
        for task in tasks:
            yield task, run_task(task)

    def close(self) -> None:
        """Nothing runs between two tasks."""


class Processes:
    """Processes of this machine. One that dies takes no other task with it."""

    def __init__(self, jobs: int) -> None:
        self._pool = Pool(jobs)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """As `Workers`."""
        _build_streams(tasks)
        for index, outcome in self._pool.each(run_task, tasks):
            if isinstance(outcome, Died):
                outcome = Failure(f"{tasks[index]}: {outcome.why}")
            yield tasks[index], outcome

    def close(self) -> None:
        """No process is left; tasks that have begun are given up."""
        self._pool.close()


def _build_streams(tasks: Sequence[Task]) -> None:
    """Indexes of recorded streams, once, here: workers find them in the cache."""
    settings = [unit.arm.settings for task in tasks for unit in task.units]
    recorded = [s for s in settings if isinstance(s.workload, (Recorded, Threads))]
    for found in {resolve.stream_key(s): s for s in recorded}.values():
        with suppress(Exception):  # its own task will say what is wrong with it
            resolve.stream_of(found)
