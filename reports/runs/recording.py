"""What `speskew record` does after its options are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.store.files import check_writable
from sim import units
from sim.errors import SpeskewError
from sim.workload.recording import recorder

if TYPE_CHECKING:
    from sim.workload.recording.recorder import Recorded


class RecordingError(SpeskewError):
    """The program was not recorded; the message says why."""


def record(
    program: Sequence[str],
    out: Path,
    *,
    limit: str | None,
    skip: str | None,
    cpu: str,
    sysroot: Path | None,
    force: bool,
) -> Recorded:
    """Record `program` into `out`; returns the streams written, one per thread."""

    if out.exists() and not force:
        raise RecordingError(f"{out} exists; give --force to overwrite it")
    check_writable(out)
    try:
        return recorder.record(
            list(program),
            out,
            limit=None if limit is None else units.parse_ops(limit),
            skip=None if skip is None else units.parse_ops(skip),
            cpu=cpu,
            sysroot=sysroot,
            progress=_progress(),
        )
    except (recorder.RecorderError, units.UnitError) as error:
        raise RecordingError(str(error)) from error


def _progress() -> Callable[[int], None] | None:
    """Ops recorded so far, on one line of a terminal."""
    if not sys.stderr.isatty():
        return None
    return lambda ops: click.echo(f"\r{ops:,} ops recorded", sys.stderr, nl=False)


def ending(recorded: Recorded) -> str:
    """How the recording ended, in words."""
    text = f"{recorded.ops:,} ops in {len(recorded)} stream{'s' if len(recorded) > 1 else ''}"
    if recorded.interrupted:
        return f"{text}; interrupted, what was executed is kept"
    if recorded.signal is not None:
        return f"{text}; the program was ended by {recorded.signal.name}"
    if recorded.stopped_at_limit:
        return f"{text}; stopped at the limit"
    return f"{text}; the program's exit status was {recorded.exit_status}"
