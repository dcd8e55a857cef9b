"""What the commands for real SPE captures share: opening, names, errors, progress, output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.captures.spe_parser_reader import ParquetCapture
from sim import units
from sim.workload.capture import container
from sim.workload.capture.container import PerfCapture
from sim.workload.capture.profiling import Sampling
from sim.workload.capture.source import Clock
from sim.workload.capture.symbols import SymbolTable

if TYPE_CHECKING:
    from sim.workload.capture.profiling import Sampling
    from sim.workload.capture.source import Capture
    from sim.workload.capture.symbols import SymbolTable

PARQUET = b"PAR1"
_SAY_EVERY = 1_000_000


def open_any(path: Path, *, raw: bool = False) -> Capture:
    """A perf.data, a raw AUX buffer, or a table of spe-parser; raises CaptureError."""

    if not raw and container.first_bytes(path, len(PARQUET)) == PARQUET:
        return ParquetCapture.open(path)
    return container.open_capture(path, raw=raw)


def sampling(interval: str | None, jitter: bool, timer: str | None) -> Sampling:
    """What a user knows of a capture; raises UnitError."""

    clock = None
    if timer is not None:
        hertz = units.parse_frequency(timer)
        if not 1000 <= hertz <= 10**11:
            raise units.UnitError(f"--timer {timer}: a timer has 1kHz to 100GHz")
        clock = Clock.of_frequency(hertz)
    return Sampling(None if interval is None else units.parse_ops(interval), jitter, clock)


def symbol_table(capture: Capture, symfs: Path | None) -> SymbolTable:
    """Names for a capture's addresses: by its mappings, if its container has any."""

    if isinstance(capture, PerfCapture):
        file = capture.file
        return SymbolTable(file.mappings, file.pid_of, file.build_ids, symfs)
    return SymbolTable([], {}, {}, symfs)


def unfinished(unread: int) -> str:
    """What to think of a file whose writer was killed."""
    tail = f", the {unread:,} bytes after it are not" if unread else ""
    return (
        "the writer was killed (the header gives no size of the data): read up to the last whole "
        f"record{tail}; the command line, build ids and names that are written last are missing. "
        "Stop `perf record` with SIGINT"
    )


@contextmanager
def progress(passes: int) -> Iterator[Callable[[int], None]]:
    """Records read so far, on one line of a terminal, else a line for every 10 million."""
    said = 0
    step = _SAY_EVERY if sys.stderr.isatty() else 10 * _SAY_EVERY

    def report(records: int) -> None:
        nonlocal said
        if records < said + step:
            return
        said = records
        text = f"{records:,} records read ({passes} passes)" if passes > 1 else f"{records:,} read"
        begin = "\r" if sys.stderr.isatty() else ""
        click.echo(begin + text, sys.stderr, nl=not begin)

    yield report
    if said and sys.stderr.isatty():
        click.echo("\r" + " " * 60 + "\r", sys.stderr, nl=False)
