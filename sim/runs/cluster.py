"""Tasks on the workers of a Dask scheduler, with an end to every wait.

Dask moves tasks away from a worker that dies. A scheduler that goes away takes what it knows along,
so whoever waits is told; finished tasks have been handed over. Without a worker tasks would wait
for ever: after `Scheduler.wait` seconds that is said too.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sim.policies import outside
from sim.runs.backends import Failure, Here, Kept, Outcome, WorkersError, run_task
from sim.runs.store import Store
from sim.runs.tasks import Task

U = TypeVar("U")
T = TypeVar("T")

WAIT_S = 60.0
_LOOK_S = 1.0
"""Between two looks at whether scheduler and workers are there."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Where a Dask scheduler is, and how it is reached."""

    address: str
    wait: float = WAIT_S
    """Seconds to wait for it to answer, and for a worker to be there."""
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    """Of TLS: the authority that signed, our certificate, its key; else as Dask is configured."""


class Cluster:
    """Workers of a Dask scheduler. `waiting` is told what is waited for."""

    def __init__(self, at: Scheduler, waiting: Callable[[str], None]) -> None:
        self._at, self._waiting = at, waiting
        waiting(f"waiting for the scheduler at {at.address}")
        self._client = _connected(at)

    def run(self, tasks: Sequence[Task], into: Store) -> Iterator[Kept]:
        """As `Workers`; raises WorkersError if scheduler or workers are gone for too long."""
        if names := ", ".join(outside.changed()):
            raise WorkersError(
                f"values from outside the package ({names}) do not reach a cluster; use -j"
            )
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        futures: dict[str, tuple[Any, Task]] = {}
        for task in tasks:
            future = self._client.submit(run_task, task, key=f"speskew-{task.id}", pure=False)
            futures[future.key] = future, task
            future.add_done_callback(finished.put)
        seen = time.monotonic()
        while futures:
            try:
                future = finished.get(timeout=_LOOK_S)
            except queue.Empty:
                seen = self._look(seen)
                continue
            seen = time.monotonic()
            _, task = futures.pop(future.key)
            outcome = self._outcome(future)
            if not isinstance(outcome, Failure):
                into.put(dict(zip(task.keys, outcome, strict=True)))
            yield task, outcome if isinstance(outcome, Failure) else None
            future.release()

    def each(self, work: Callable[[U], T], items: Sequence[U]) -> Iterator[tuple[int, T | Failure]]:
        """As `Workers`: here, since its workers may be on machines without our files."""
        return Here().each(work, items)

    def _look(self, seen: float) -> float:
        """When a worker was last seen."""
        if self._client.status != "running":
            raise self._gone()
        try:
            workers = len(
                self._client.sync(self._client.scheduler.ncores, callback_timeout=_LOOK_S)
            )
        except (OSError, TimeoutError):
            workers = 0  # it does not answer
        if workers:
            self._waiting(f"waiting for {workers} worker{'s' if workers > 1 else ''}")
            return time.monotonic()
        self._waiting(f"no worker at {self._at.address}: waiting for one")
        if time.monotonic() - seen > self._at.wait:
            raise WorkersError(
                f"no worker at {self._at.address} for {self._at.wait:g} s; start one (dask worker "
                f"{self._at.address}), or wait longer (--wait)"
            )
        return seen

    def _gone(self) -> WorkersError:
        return WorkersError(f"the scheduler at {self._at.address} has gone")

    def _outcome(self, future: Any) -> Outcome:
        """Of a future; a task whose workers keep dying is a failure of its own."""
        try:
            error = future.exception()
            if error is None:
                outcome: Outcome = future.result()
                return outcome
        except (CancelledError, OSError) as lost:
            raise self._gone() from lost
        if type(error).__name__ in ("CancelledError", "FutureCancelledError"):
            raise self._gone() from error
        return Failure(f"{type(error).__name__}: {' '.join(str(error).split())}")

    def close(self) -> None:
        """Leave the cluster; it drops what nobody waits for."""
        with suppress(OSError, TimeoutError):
            self._client.close(timeout=_LOOK_S)


def _connected(at: Scheduler) -> Any:
    """A client of the scheduler. What Dask would wait for in vain is looked at before."""
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port, parse_address
        from distributed.comm.registry import get_backend
        from distributed.security import Security
    except ImportError as error:
        raise WorkersError("--scheduler needs Dask: pip install 'speskew[cluster]'") from error
    for name in [*logging.root.manager.loggerDict]:  # Dask gives each a level of its own
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is said here
    try:
        scheme, _ = parse_address(at.address)
        get_backend(scheme)
        get_address_host_port(at.address)
        security = _secured(at, Security)
        if scheme in ("tls", "wss") and not security.get_connection_args("client").get(
            "ssl_context"
        ):
            raise WorkersError(
                f"{at.address} wants TLS: give --tls-ca, --tls-cert and --tls-key, or configure "
                "Dask's distributed.comm.tls"
            )
        options = {"set_as_default": False, "timeout": at.wait, "security": security}
        return Client(at.address, **options)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise WorkersError(f"no Dask scheduler at {at.address}: {why}") from error


def _secured(at: Scheduler, security: Any) -> Any:
    names = {"tls_ca_file": at.ca, "tls_client_cert": at.cert, "tls_client_key": at.key}
    given = {name: str(path) for name, path in names.items() if path is not None}
    return security(**given, require_encryption=True) if given else security()
