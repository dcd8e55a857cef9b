"""What the commands for real SPE captures share: opening, names, errors, progress, output."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.exitcodes import ExitCode

if TYPE_CHECKING:
    from sim.workload.capture.profiling import Sampling
    from sim.workload.capture.source import Capture
    from sim.workload.capture.symbols import SymbolTable

interval_option = click.option(
    "--interval", metavar="OPS", help="Sampling period, if CAPTURE does not say it."
)
jitter_option = click.option(
    "--jitter", is_flag=True, help="Sampled with jitter, if CAPTURE does not say it."
)
timer_option = click.option(
    "--timer", metavar="HZ", help="Timer's frequency, e.g. 1GHz, if CAPTURE does not say it."
)
raw_option = click.option(
    "--raw", is_flag=True, help="CAPTURE is a bare AUX buffer, whatever it looks like."
)

PARQUET = b"PAR1"
_SAY_EVERY = 1_000_000


def open_any(path: Path, *, raw: bool = False) -> Capture:
    """A perf.data, a raw AUX buffer, or a table of spe-parser; raises CaptureError."""
    from sim.workload.capture import container

    if not raw and container.first_bytes(path, len(PARQUET)) == PARQUET:
        from reports.captures.spe_parquet import ParquetCapture

        return ParquetCapture.open(path)
    return container.open_capture(path, raw=raw)


def sampling(interval: str | None, jitter: bool, timer: str | None) -> Sampling:
    """What a user knows of a capture; raises UnitError."""
    from sim import units
    from sim.workload.capture.profiling import Sampling
    from sim.workload.capture.source import Clock

    clock = None
    if timer is not None:
        hertz = units.parse_frequency(timer)
        if not 1000 <= hertz <= 10**11:
            raise units.UnitError(f"--timer {timer}: a timer has 1kHz to 100GHz")
        clock = Clock.of_frequency(hertz)
    return Sampling(None if interval is None else units.parse_ops(interval), jitter, clock)


def symbol_table(capture: Capture, symfs: Path | None) -> SymbolTable:
    """Names for a capture's addresses: by its mappings, if its container has any."""
    from sim.workload.capture.container import PerfCapture
    from sim.workload.capture.symbols import SymbolTable

    if isinstance(capture, PerfCapture):
        file = capture.file
        return SymbolTable(file.mappings, file.pid_of, file.build_ids, symfs)
    return SymbolTable([], {}, {}, symfs)


@contextmanager
def errors() -> Iterator[None]:
    """What a capture has wrong is the user's error: one message, exit code 2."""
    from sim.units import UnitError
    from sim.workload.capture.profile import ProfileError
    from sim.workload.capture.source import CaptureError

    try:
        yield
    except (CaptureError, ProfileError, UnitError) as error:
        _leave(ExitCode.USAGE, str(error))
    except OSError as error:
        _leave(ExitCode.USAGE, f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        _leave(ExitCode.INTERRUPTED, "interrupted; nothing was written")


def _leave(code: ExitCode, message: str) -> None:
    click.echo(f"speskew: {message}", err=True)
    sys.exit(code)


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
        click.echo(
            f"\r{text}" if sys.stderr.isatty() else text, nl=not sys.stderr.isatty(), err=True
        )

    yield report
    if said and sys.stderr.isatty():
        click.echo("\r" + " " * 60 + "\r", nl=False, err=True)


def write_atomically(path: Path, text: str) -> None:
    """The whole file or nothing."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
