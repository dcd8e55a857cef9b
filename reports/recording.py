"""What `speskew record` does after its options are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sim import units


class RecordingError(Exception):
    """The program was not recorded; the message says why."""


def record(
    program: Sequence[str], out: Path, *, limit: str | None, skip: str, cpu: str, force: bool
) -> list[Path]:
    """Record `program` into `out`; returns the streams written, one per thread."""
    from sim.workload import recorder

    if out.exists() and not force:
        raise RecordingError(f"{out} exists; give --force to overwrite it")
    try:
        return recorder.record(
            list(program),
            out,
            limit=None if limit is None else units.parse_ops(limit),
            skip=units.parse_ops(skip),
            cpu=cpu,
            progress=lambda text: click.echo(text, err=True),
        )
    except (recorder.RecorderError, units.UnitError) as error:
        raise RecordingError(str(error)) from error
