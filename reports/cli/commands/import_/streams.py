"""`speskew import drmemtrace|tarmac|execlog`: instruction traces as .spestream files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.cli import options
from reports.cli.output import put_paths, say
from reports.exitcodes import table

if TYPE_CHECKING:
    from sim.workload.importers.threads import Imported, Progress, Reader


@dataclass(frozen=True, slots=True)
class _Request:
    """What all three commands take. `skip` and `limit` are texts such as 1000ops."""

    source: Path
    output: Path | None
    elf: tuple[str, ...]
    skip: str | None
    limit: str | None
    anyway: bool
    force: bool


_OPTIONS = (
    click.argument("source", metavar="INPUT", type=click.Path(path_type=Path)),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The .spestream to write; further threads get a number. [default: INPUT's name]",
    ),
    click.option(
        "--elf",
        metavar="FILE[@BASE]",
        multiple=True,
        help="Take symbols from this program or library, loaded at BASE if it is position "
        "independent. May be repeated; the first names the stream.",
    ),
    click.option("--skip", metavar="OPS", help="Pass over so many ops per thread, e.g. 1000ops."),
    click.option(
        "--limit",
        metavar="OPS",
        help="Take at most so many ops per thread; reading ends when all threads seen have them.",
    ),
    click.option(
        "--anyway",
        is_flag=True,
        help="Import a trace that is refused because it makes no sense; the streams say so.",
    ),
    options.force_option,
)


def _common(function: Callable[..., None]) -> Callable[..., None]:
    """The argument and the options that all three commands have."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(epilog=table())
@_common
def drmemtrace(**options: Any) -> None:
    """Import a DynamoRIO drmemtrace folder, or one thread's file of it.

    Offline traces of AArch64 programs with encodings (DynamoRIO 10 or later), post-processed.
    """
    from sim.workload.importers import drmemtrace as reader

    _import(_Request(**options), reader.read, one_process=True)


@click.command(epilog=table())
@_common
@click.option(
    "--el",
    type=click.IntRange(0, 3),
    multiple=True,
    help="Take only ops of this exception level. May be repeated. [default: all]",
)
def tarmac(el: tuple[int, ...], **options: Any) -> None:
    """Import Tarmac text of Fast Models, FVPs, gem5 or (ES dialect) RTL; each CPU is a thread."""
    from sim.workload.importers import tarmac as reader

    _import(_Request(**options), partial(reader.read, levels=frozenset(el) or None))


@click.command(epilog=table())
@_common
def execlog(**options: Any) -> None:
    """Import the text of QEMU's execlog plugin; each vCPU is a thread."""
    from sim.workload.importers import execlog as reader

    _import(_Request(**options), reader.read)


def _import(
    request: _Request, read: Callable[[Path, Any], None], *, one_process: bool = False
) -> None:
    """Import, say how it went on stderr and print the files; threads of one process get a group."""
    from reports.store.files import check_writable
    from sim.workload.importers.blocks import TraceError
    from sim.workload.sharing.group import group_of

    out = request.output or Path(f"{_stem(request.source)}.spestream")
    _refuse_overwriting(out, request.force)
    check_writable(out)
    try:
        with _progress() as progress:
            done = _run(request, out, partial(read, request.source), progress)
    except MemoryError:
        raise TraceError(
            f"{request.source}: too large for this machine's memory; use --limit"
        ) from None
    say("\n".join(_ending(done, request)))
    group = group_of(out, done.files) if one_process else None
    put_paths(done.files if group is None else (*done.files, group))


def _run(request: _Request, out: Path, read: Reader, progress: Progress | None) -> Imported:
    from sim import units
    from sim.workload.importers.blocks import TraceError, Wanted
    from sim.workload.importers.threads import import_trace, program_of

    wanted = Wanted(
        0 if request.skip is None else units.parse_ops(request.skip),
        None if request.limit is None else units.parse_ops(request.limit),
    )
    if wanted.limit == 0:
        raise TraceError("--limit 0ops: give a positive number")
    program = program_of(request.elf, _stem(request.source))
    return import_trace(read, out, program, wanted, progress, anyway=request.anyway)


def _stem(source: Path) -> str:
    """INPUT's name without what says how it is packed."""
    name = source.name if source.name not in ("", "..") else source.resolve().name
    while (suffix := Path(name).suffix) in (
        ".zip",
        ".gz",
        ".zst",
        ".trace",
        ".tarmac",
        ".log",
        ".txt",
    ):
        name = name.removesuffix(suffix)
    return name.removesuffix(".dir")


def _refuse_overwriting(out: Path, force: bool) -> None:
    from sim.workload.importers.blocks import TraceError

    numbered = out.parent.glob(f"{out.name.removesuffix('.spestream')}.[0-9]*.spestream")
    there = [path for path in (out, *sorted(numbered)) if path.exists()]
    if there and not force:
        raise TraceError(f"{there[0]} exists; give --force to overwrite it")


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar of the bytes read, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def report(ops: int, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None, description=f"{ops:,} ops")

        yield report


def _ending(done: Imported, request: _Request) -> Iterator[str]:
    """What came of it, in words."""
    streams = f"{len(done.files)} stream{'s' if len(done.files) > 1 else ''}"
    yield f"{done.ops:,} ops in {streams}"
    yield from done.remarks
    if request.elf and not done.symbols:
        yield (
            "no symbol of --elf holds an executed pc: the file is stripped, is another one, or was "
            "loaded elsewhere; write FILE@BASE"
        )
