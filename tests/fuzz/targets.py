"""Every parser of something from outside, as a function of bytes: what fuzzing calls.

A target ends, or raises its parser's documented error; anything else is a bug. It may write below
its folder only: `watch` turns a write elsewhere into an error.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from elftools.common.exceptions import ELFError

from reports.captures.spe_parser_reader import ParquetCapture
from reports.checks import baselines
from reports.checks.baselines import BaselineError
from reports.figures import readings
from reports.pages import summary
from reports.results import lookup
from reports.results.result import Result, dumps, parse
from reports.runs import comparing
from reports.store import grid, sweep_texts
from reports.store.read import read_manifest, read_result
from reports.store.rundir import RunDirError
from reports.sweeps import screening, sweeping
from reports.sweeps.words import as_table
from sim.cache import entries, home
from sim.runs import unitfile
from sim.runs.unitfile import DamagedUnitError
from sim.scenario.files import loader
from sim.scenario.files.loader import ScenarioError
from sim.workload import spestream
from sim.workload.capture import container, profile
from sim.workload.capture.perfdata import Mapping
from sim.workload.capture.profile import ProfileError
from sim.workload.capture.source import CaptureError, Reading
from sim.workload.capture.symbols import SymbolTable
from sim.workload.importers import drmemtrace, execlog, tarmac
from sim.workload.importers.blocks import Program, TraceError
from sim.workload.importers.threads import import_trace
from sim.workload.index import Index, load_index
from sim.workload.presets import get_preset
from sim.workload.recording import elfsymbols
from sim.workload.sharing.group import streams_of
from sim.workload.spestream import StreamError
from sim.workload.timing import CorePreset

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


def _parquet(file: Path, _out: Path) -> int:
    """A table of spe-parser, which is known by its name: that of the columns it seems to have."""
    data = file.read_bytes()
    kinds = {"br": b"br_tgt", "ldst": b"vaddr", "other": b""}
    kind = next(kind for kind, column in kinds.items() if column in data)
    shutil.rmtree(file.parent / "run", ignore_errors=True)
    capture = ParquetCapture.open(_run(file, f"T-{kind}.parquet") / f"T-{kind}.parquet")
    return sum(batch.records.size for batch in capture.batches(Reading()))


def _elf(file: Path, _out: Path) -> None:
    """What a recording and a capture ask of a program's file."""
    elfsymbols.machine(file)
    elfsymbols.build_id(file)
    elfsymbols.elf_symbols(file, None)
    table = SymbolTable([Mapping(1, 0x400000, 0x100000, 0, str(file), "")], {1: 1}, {})
    for address in (0x400000, 0x400040, 0x4FFFFF):
        table.name(1, address)


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
    baselines.dumps(baselines.make(Path("b.json"), result, {"spe.jitter": "on"}, ""))


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
    cells = [sweep_texts.of(cell, list(result.axes)) for cell in result.cells]
    list(sweep_texts.as_csv(list(result.axes), cells))
    as_table(result)
    if result.samples is not None:
        screening.as_csv(result)
    whole = grid.grid(result)
    for arm in whole.arms:
        whole.response(arm, "loss.total")


def _entry(file: Path, _out: Path) -> None:
    """An index entry, harmed as the bytes say: every array is a fresh one's, whatever was done.

    What compiled code indexes is then what it was built for, so it cannot leave an array.
    """
    root = file.parent / "out" / "cache"
    with _unwatched():
        fresh = _fresh_index()
        shutil.copytree(fresh.root, root)
        harmed = _harm(next((root / "index").iterdir()), file.read_bytes())
    with _cache_in(root):
        found = load_index(STREAM, fresh.preset, False)
        assert found.symbols == fresh.index.symbols
        for name, array in fresh.index.arrays.items():
            got = found.arrays[name]
            assert (got.dtype, got.shape) == (array.dtype, array.shape), name
            assert np.array_equal(got, array), name
        assert len(home.STATE.said) <= 1
    shutil.rmtree(root)
    if harmed:
        raise LookupError("harmed")


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
    "threads": (lambda file, _out: streams_of(file), StreamError),
    "manifest": (lambda file, _out: read_manifest(file), RunDirError),
    "parquet": (_parquet, CaptureError),
    "elf": (_elf, ELFError),
    "unit": (_unit, DamagedUnitError),
    "unit-body": (_unit_body, DamagedUnitError),
    "index-entry": (_entry, LookupError),
}
"""By name: the parser, and the error that it documents."""


def run(name: str, data: bytes, folder: Path) -> bool:
    """Feed a target; False if it refused the bytes. Raises what it must not raise."""
    return refusal(name, data, folder) is None


def refusal(name: str, data: bytes, folder: Path) -> str | None:
    """Why a target refuses the bytes, None if it does not. Raises what it must not raise."""
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
    return refused


# --- an index entry --------------------------------------------------------------------------

PRESET = get_preset("neoverse-n1")
STREAM = Path(str(files("scenarios") / "streams" / "threads.2.spestream"))


@dataclass(frozen=True, slots=True)
class _Fresh:
    root: Path
    preset: CorePreset
    index: Index


@contextmanager
def _cache_in(root: Path) -> Iterator[None]:
    """A process that has this cache, and has read and said nothing yet."""
    before, state = os.environ.get("SPESKEW_CACHE"), home.STATE
    os.environ["SPESKEW_CACHE"], home.STATE = str(root), home.State()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        home.STATE = state
        del os.environ["SPESKEW_CACHE"]
        if before is not None:
            os.environ["SPESKEW_CACHE"] = before


@cache
def _fresh_index() -> _Fresh:
    """A cache with one entry, made once in a process and left in the folder for such things."""
    root = Path(tempfile.mkdtemp(prefix="speskew-fuzz-")).resolve()
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    with _cache_in(root):
        return _Fresh(root, PRESET, load_index(STREAM, PRESET, False))


def _harm(entry: Path, data: bytes) -> bool:
    """Bytes are steps of six: file, what is done to it, where (3 bytes, times the file), value."""
    harmed = False
    for at in range(0, len(data) - 5, 6):
        files_now = sorted(path for path in entry.iterdir() if path.is_file())
        if not files_now:
            break
        path = files_now[data[at] % len(files_now)]
        size = path.stat().st_size
        where = int.from_bytes(data[at + 2 : at + 5]) * size >> 24
        with suppress(OSError):  # through what an earlier step has left
            _HARMS[data[at + 1] % len(_HARMS)](path, where, data[at + 5])
        harmed = True
    return harmed


def _flip(path: Path, where: int, value: int) -> None:
    data = bytearray(path.read_bytes())
    data[where : where + 1] = bytes([data[where] ^ (value or 1)]) if data else b""
    path.write_bytes(data)


def _swap(path: Path, _where: int, value: int) -> None:
    others = sorted(other for other in path.parent.iterdir() if other.is_file())
    other = others[value % len(others)]
    own, its = path.read_bytes(), other.read_bytes()
    path.write_bytes(its)
    other.write_bytes(own)


def _link(path: Path, _where: int, value: int) -> None:
    path.unlink()
    path.symlink_to(("/dev/zero", "gone", path.name, "meta.json")[value % 4])


def _foreign(path: Path, _where: int, value: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, value + 1, -1)
    else:
        path.unlink()


def _version(path: Path, _where: int, value: int) -> None:
    """An entry of another key, in itself whole."""
    meta = {"key": f"{value:024x}", "arrays": {}, "facts": {}}
    text = json.dumps({**meta, "digest": entries._digest(meta)})
    (path.parent / "meta.json").write_text(text)


def _text(path: Path, where: int, value: int) -> None:
    """A number of meta.json becomes another."""
    path = path.parent / "meta.json"
    data = bytearray(path.read_bytes() if path.is_file() else b"0")
    digits = [k for k, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if digits:
        data[digits[where % len(digits)]] = 0x30 + value % 10
    path.write_bytes(data + b" ")


_HARMS: tuple[Callable[[Path, int, int], object], ...] = (
    lambda path, where, _: os.truncate(path, where),
    lambda path, where, value: os.truncate(path, path.stat().st_size + (value + 1) * (where + 1)),
    _flip,
    _swap,
    _link,
    _foreign,
    _version,
    _text,
    lambda path, _, __: path.unlink(),
    lambda path, where, value: path.write_bytes(bytes([value]) * where),
)


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
_COMPILED = os.path.realpath(home.root() or os.devnull)
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


@contextmanager
def _unwatched() -> Iterator[None]:
    """For what a target does before its parser runs."""
    watched, _Watch.folder = _Watch.folder, None
    try:
        yield
    finally:
        _Watch.folder = watched


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if _Watch.folder is None:
        return
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & _WRITES or not isinstance(path, (str, bytes)):
            return
        _check(event, path)
    elif event in ("os.remove", "os.rmdir") and arguments[1] >= 0:  # relative to an open folder
        _check(event, os.path.join(os.readlink(f"/proc/self/fd/{arguments[1]}"), arguments[0]))
    elif event in _CHANGES:
        for path in arguments[:2] if event in _PAIRS else arguments[:1]:
            _check(event, path)


def _check(event: str, path: object) -> None:
    if isinstance(path, int):  # of an open file
        path = os.readlink(f"/proc/self/fd/{path}")
    where = str(path)
    if isinstance(path, (str, bytes)):
        where = os.path.realpath(os.fsdecode(path))
        if event in ("os.remove", "os.rename", "os.symlink"):  # these do not follow a link
            folder, name = os.path.split(os.fsdecode(path))
            where = os.path.join(os.path.realpath(folder), name)
    allowed = (str(_Watch.folder), _COMPILED)
    inside = any(where == folder or where.startswith(f"{folder}{os.sep}") for folder in allowed)
    bytecode = "__pycache__" in Path(where).parts  # of a module that is imported when it is needed
    if not inside and not bytecode and where != os.devnull:
        raise StrayError(f"{event} {where}")
