"""Where tasks run: here, in processes of this machine, or on a cluster (`sim.runs.cluster`).

A task never raises: what goes wrong in it, up to the death of its process, is a `Failure` of that
task alone. The order of finishing is arbitrary; who asks must not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from sim.errors import SpeskewError
from sim.machine import resolve
from sim.results import RunResult
from sim.runs import batch, store
from sim.runs.pool import Died, Pool
from sim.runs.store import Store
from sim.runs.tasks import Task, key
from sim.scenario.models.workloads import Recorded, Threads


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no result, in one line."""

    why: str


Outcome = tuple[RunResult, ...] | Failure
"""Results of a task in the order of its units, or why there are none."""
Kept = tuple[Task, Failure | None]
"""A task whose results are kept, or why it has none."""
U = TypeVar("U")
T = TypeVar("T")


class Workers(Protocol):
    """Something that runs tasks."""

    def run(self, tasks: Sequence[Task], into: Store) -> Iterator[Kept]:
        """Each task once its results are in the store, or why not, in the order of finishing."""

    def each(self, work: Callable[[U], T], items: Sequence[U]) -> Iterator[tuple[int, T | Failure]]:
        """(index of the item, what `work` makes of it), in the order of finishing.

        By processes that find this machine's files. Raises what `work` raises; an item whose
        process dies each time is a failure, and named as `str` does.
        """

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


def run_into(folder: Path, task: Task) -> Failure | None:
    """Run a task's units, and keep their results in a store's folder."""
    outcome = run_task(task)
    if isinstance(outcome, Failure):
        return outcome
    store.put(folder, dict(zip(task.keys, outcome, strict=True)))
    return None


class Here:
    """One after the other, in this process."""

    def run(self, tasks: Sequence[Task], into: Store) -> Iterator[Kept]:
        """As `Workers`."""
        for task in tasks:
            yield task, run_into(into.folder, task)

    def each(self, work: Callable[[U], T], items: Sequence[U]) -> Iterator[tuple[int, T | Failure]]:
        """As `Workers`."""
        return ((index, work(item)) for index, item in enumerate(items))

    def close(self) -> None:
        """Nothing runs between two tasks."""


class Processes:
    """Processes of this machine. One that dies takes no other task with it."""

    def __init__(self, jobs: int) -> None:
        self._pool = Pool(jobs)

    def run(self, tasks: Sequence[Task], into: Store) -> Iterator[Kept]:
        """As `Workers`."""
        _build_streams(tasks)
        for index, failure in self.each(partial(run_into, into.folder), tasks):
            yield tasks[index], failure

    def each(self, work: Callable[[U], T], items: Sequence[U]) -> Iterator[tuple[int, T | Failure]]:
        """As `Workers`."""
        for index, made in self._pool.each(work, items):
            yield index, Failure(f"{items[index]}: {made.why}") if isinstance(made, Died) else made

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
