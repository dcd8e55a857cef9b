"""Every parser of something from outside, as a function of bytes: what fuzzing calls.

A target ends, or raises its parser's documented error; anything else is a bug. It may write below
its folder only: `watch` turns a write elsewhere into an error.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from reports.checks import baselines
from reports.checks.baselines import BaselineError
from reports.figures import readings
from reports.pages import summary
from reports.results import lookup
from reports.results.result import Result, dumps, parse
from reports.runs import comparing
from reports.store import grid
from reports.store.read import read_manifest, read_result
from reports.store.rundir import RunDirError
from reports.sweeps import screening, sweeping
from reports.sweeps.words import as_table
from sim import draws
from sim.runs import unitfile
from sim.runs.unitfile import DamagedUnitError
from sim.scenario import loader
from sim.scenario.loader import ScenarioError
from sim.workload import spestream
from sim.workload.capture import container, profile
from sim.workload.capture.profile import ProfileError
from sim.workload.capture.source import CaptureError, Reading
from sim.workload.importers import drmemtrace, execlog, tarmac
from sim.workload.importers.blocks import Program, TraceError
from sim.workload.importers.threads import import_trace
from sim.workload.spestream import StreamError

Target = Callable[[Path, Path], object]
"""target(file, output folder)"""


def _yaml(file: Path, _out: Path) -> None:
    loader.dump(loader.load(file))


def _spestream(file: Path, _out: Path) -> None:
    spestream.read_header(file)
    spestream.read_spestream(file)


def _trace(read: Callable[..., None], file: Path, out: Path) -> None:
    import_trace(partial(read, file), out / "o.spestream", Program("fuzz"))


def _capture(file: Path, _out: Path, *, raw: bool) -> int:
    capture = container.open_capture(file, raw=raw)
    return sum(batch.records.size for batch in capture.batches(Reading()))


def _unit(file: Path, _out: Path) -> None:
    unitfile.loads(file.read_bytes())


def _unit_body(file: Path, _out: Path) -> None:
    """What stands in a unit whose checksum is right."""
    unitfile.loads(unitfile.sealed(file.read_bytes()))


def _run(file: Path, name: str) -> Path:
    """A run directory that holds the input as one of its files."""
    folder = file.parent / "run"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(file.read_bytes())
    return folder


def _result(file: Path, _out: Path) -> None:
    """Reading a run's result, and whatever is said of one that was read."""
    folder = _run(file, "result.json")
    result = read_result(folder)
    assert parse(dumps(result)) == result
    say(result)
    comparing.as_table(comparing.compare(str(folder), str(folder), everything=True))


def say(result: Result) -> None:
    """Everything that is told from a result alone."""
    summary.render(result)
    for reading in SENTENCES:
        reading(result)
    lookup.metrics(result)
    baselines.dumps(baselines.make(Path("b.json"), result, "", ""))


SENTENCES: tuple[Callable[[Result], str], ...] = (
    readings.ledgers,
    readings.losses,
    readings.distances,
    readings.symbols,
    readings.blackouts,
    readings.locked,
)


def _sweep_result(file: Path, _out: Path) -> None:
    """Reading a sweep's result, and its tables."""
    result = sweeping.read_result(_run(file, "result.json"))
    sweeping.as_csv(result)
    as_table(result)
    if result.samples is not None:
        screening.as_csv(result)
    whole = grid.grid(result)
    for arm in whole.arms:
        whole.response(arm, "loss.total")


TARGETS: dict[str, tuple[Target, type[Exception]]] = {
    "yaml": (_yaml, ScenarioError),
    "spestream": (_spestream, StreamError),
    "drmemtrace": (partial(_trace, drmemtrace.read), TraceError),
    "tarmac": (partial(_trace, tarmac.read), TraceError),
    "execlog": (partial(_trace, execlog.read), TraceError),
    "spe-packets": (partial(_capture, raw=True), CaptureError),
    "perf-data": (partial(_capture, raw=False), CaptureError),
    "profile": (lambda file, _out: profile.load(file), ProfileError),
    "baseline": (lambda file, _out: baselines.read(file), BaselineError),
    "result": (_result, RunDirError),
    "sweep-result": (_sweep_result, RunDirError),
    "manifest": (lambda file, _out: read_manifest(file), RunDirError),
    "unit": (_unit, DamagedUnitError),
    "unit-body": (_unit_body, DamagedUnitError),
}
"""By name: the parser, and the error that it documents."""


def run(name: str, data: bytes, folder: Path) -> bool:
    """Feed a target; False if it refused the bytes. Raises what it must not raise."""
    target, documented = TARGETS[name]
    file, out = folder / "input.unit", folder / "out"
    out.mkdir(exist_ok=True)
    file.write_bytes(data)
    refused = None
    try:
        with _watched(folder):
            target(file, out)
    except documented as error:
        refused = str(error)
    if refused is not None:
        assert refused, "an error without a message"
        assert not any(out.iterdir()), "a refused input left a file"
    shutil.rmtree(out)
    return refused is None


# --- writes elsewhere ------------------------------------------------------------------------

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
    "shutil.rmtree",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "socket.connect",
)


_PAIRS = ("os.rename", "os.link", "os.symlink")
_COMPILED = os.path.realpath(draws.cache_root())
"""Where numba keeps compiled code."""


class StrayError(BaseException):
    """Something outside the folder was changed, or a process begun. No parser catches it."""


class _Watch:
    folder: str | None = None
    installed = False


@contextmanager
def _watched(folder: Path) -> Iterator[None]:
    if not _Watch.installed:
        sys.addaudithook(_look)  # for the life of the process; idle outside this block
        _Watch.installed = True
    _Watch.folder = str(folder)
    try:
        yield
    finally:
        _Watch.folder = None


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if _Watch.folder is None:
        return
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & _WRITES or not isinstance(path, (str, bytes)):
            return
        _check(event, path)
    elif event in _CHANGES:
        for path in arguments[:2] if event in _PAIRS else arguments[:1]:
            _check(event, path)


def _check(event: str, path: object) -> None:
    where = os.path.realpath(os.fsdecode(path)) if isinstance(path, (str, bytes)) else str(path)
    allowed = (str(_Watch.folder), _COMPILED)
    inside = any(where == folder or where.startswith(f"{folder}{os.sep}") for folder in allowed)
    if not inside and where != os.devnull:
        raise StrayError(f"{event} {where}")
