"""`speskew export`: what a run is worth to other people's tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from reports.cli import completing, options
from reports.cli.output import say
from reports.exitcodes import table

_F = TypeVar("_F", bound=Callable[..., Any])
_FORMATS = ("6.1", "6.12", "7.x")


@click.group("export", epilog=table())
def command() -> None:
    """Write a run for other tools: perf, Perfetto, BOLT, AutoFDO, spe-parser's readers.

    An arm is run again for its records; an export never differs from the run it is taken from.
    """


def _shared(function: _F) -> _F:
    """Options of every export."""
    for option in (
        options.force_option,
        click.option(
            "--replication",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Which replication of the arm.",
        ),
        click.argument("run_dir", type=click.Path(path_type=Path), shell_complete=completing.runs),
    ):
        function = option(function)
    return function


def _output(default: str, what: str) -> Callable[[_F], _F]:
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        default=default,
        show_default=True,
        help=what,
    )


_arm_option = click.option(
    "--arm", required=True, help="Which arm of the run.", shell_complete=completing.arms
)


@command.command(epilog=table())
@_arm_option
@_output("perf.data", "The file to write.")
@click.option(
    "--perf-format",
    type=click.Choice(_FORMATS),
    default="6.1",
    show_default=True,
    help="Whose metadata: 6.1 and 6.12 are read by every perf, 7.x by 7 and newer only.",
)
@click.option(
    "--program",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The recorded program, if it does not lie beside its stream: gives data symbols.",
)
@_shared
def perf(
    run_dir: Path,
    arm: str,
    replication: int,
    output: Path,
    perf_format: str,
    program: Path | None,
    force: bool,
) -> None:
    """Write an arm's delivered records as perf.data with Arm SPE data."""
    from reports import progress
    from reports.perf.export import write
    from reports.rerunning import rerun
    from reports.store import files

    files.check(output, force=force)
    found = rerun(run_dir, arm, replication)
    with files.whole(output) as file, progress.counted(found.total, "records") as written:
        write(file, found, perf_format=perf_format, program=program, written=written)
    say(f"{found.total:,} records of {arm}, replication {replication}\n{output}")


@command.command(epilog=table())
@_arm_option
@_output("spe", "Where to: PREFIX-ldst.parquet, PREFIX-br.parquet, PREFIX-other.parquet.")
@_shared
def tables(run_dir: Path, arm: str, replication: int, output: Path, force: bool) -> None:
    """Write an arm's delivered records as spe-parser's three Parquet tables."""
    from reports import progress
    from reports.captures import spe_parser_writer
    from reports.rerunning import rerun
    from reports.store import files

    for path in spe_parser_writer.paths(output).values():
        files.check(path, force=force)
    found = rerun(run_dir, arm, replication)
    with progress.counted(found.total, "records") as written:
        rows = spe_parser_writer.write(output, found, written)
    for name, path in spe_parser_writer.paths(output).items():
        say(f"{path}: {rows[name]:,} records")


@command.command(epilog=table())
@_arm_option
@click.option(
    "--binary",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The recorded program or one of equal code, if it does not lie beside its stream.",
)
@click.option(
    "--truth",
    is_flag=True,
    help="All that the program executes, instead of the arm's samples.",
)
@_output("profile.prof", "The file to write.")
@_shared
def autofdo(
    run_dir: Path,
    arm: str,
    replication: int,
    binary: Path | None,
    truth: bool,
    output: Path,
    force: bool,
) -> None:
    """Write an arm's samples by source line for AutoFDO: clang -fprofile-sample-use=FILE.

    LLVM's text sample profile, which llvm-profdata --sample reads too. The program needs line
    tables: clang -g -fdebug-info-for-profiling.
    """
    from reports import progress
    from reports.perf.autofdo import profile, write
    from reports.rerunning import rerun
    from reports.store import files

    files.check(output, force=force)
    found = rerun(run_dir, arm, replication)
    with progress.counted(found.total, "records") as written:
        placed = profile(found, binary, truth=truth, written=written)
    with files.whole(output) as file:
        write(file, placed.functions)
    what = "all executed" if truth else f"samples of {arm}"
    total = sum(function.total for function in placed.functions.values())
    rest = f", {placed.unplaced:,} in no function of the program" if placed.unplaced else ""
    say(
        f"{what}: {total:,} in {len(placed.functions)} functions{rest}, replication {replication}\n"
        f"{output}"
    )


@command.command(epilog=table())
@_arm_option
@click.option(
    "--truth",
    is_flag=True,
    help="Every branch that the program executes, instead of the arm's samples.",
)
@_output("profile.preagg", "The file to write.")
@_shared
def bolt(run_dir: Path, arm: str, replication: int, truth: bool, output: Path, force: bool) -> None:
    """Write an arm's branches for BOLT: perf2bolt -pa -p FILE -o PROFILE PROGRAM.

    PROGRAM is the recorded one, linked with -Wl,-q and at a fixed address; its build id stands in
    every line. With LLVM 21 or newer `export perf` and perf2bolt --spe do too.
    """
    from reports import progress
    from reports.perf import bolt as profile
    from reports.rerunning import rerun
    from reports.store import files

    files.check(output, force=force)
    found = rerun(run_dir, arm, replication)
    build_id = profile.build_id_of(found)
    with progress.counted(found.total, "records") as written:
        branches = profile.executed(found) if truth else profile.sampled(found, written)
    with files.whole(output) as file:
        taken, fallen = profile.write(file, branches, build_id)
    what = "every branch" if truth else arm
    say(f"{what}: {taken:,} taken, {fallen:,} not taken, replication {replication}\n{output}")


def _duration(_: click.Context, __: click.Parameter, value: str | None) -> int:
    """``10ms`` → nanoseconds; 0 without one."""
    from sim.units import UnitError, parse_time

    if value is None:
        return 0
    try:
        found = parse_time(value) // 1000
    except UnitError as error:
        raise click.BadParameter(str(error)) from None
    if found < 1:
        raise click.BadParameter(f"{value!r} is no window: at least 1ns")
    return found


_PAGES = {"4KiB": 1 << 12, "16KiB": 1 << 14, "64KiB": 1 << 16, "2MiB": 1 << 21}


@command.command(epilog=table())
@click.option("--arm", "arms", multiple=True, help="Which arm; may be repeated. [default: all]")
@click.option(
    "--page",
    type=click.Choice(list(_PAGES)),
    default="4KiB",
    show_default=True,
    help="Size of a page.",
)
@click.option(
    "--window", metavar="TIME", callback=_duration, help="A row per page and such a stretch, 10ms."
)
@_output("pages.parquet", "The file to write; CSV if its name ends in .csv.")
@_shared
def pages(
    run_dir: Path,
    arms: tuple[str, ...],
    replication: int,
    output: Path,
    page: str,
    window: int,
    force: bool,
) -> None:
    """Write which pages each arm's records touch, and when: what tiering daemons decide from.

    Columns: arm, window_ns, page, loads, stores, first_ns, last_ns.
    """
    from reports import progress
    from reports.rerunning import arms_of, rerun
    from reports.store import files
    from reports.traces import pages as traced

    files.check(output, force=force)
    found = [rerun(run_dir, arm, replication) for arm in arms or arms_of(run_dir)]
    rows: list[traced.Row] = []
    with progress.counted(sum(one.total for one in found), "records") as written:
        for one in found:
            size = _PAGES[page]
            rows += traced.rows(one, page_bytes=size, window_ns=window, written=written)
    with files.whole(output) as file:
        traced.write(file, output.name, rows)
    say(f"{len(rows):,} rows, {len(found)} arms, replication {replication}\n{output}")


@command.command(epilog=table())
@click.option("--arm", "arms", multiple=True, help="Which arm; may be repeated. [default: all]")
@_output("trace.pftrace", "The file to write.")
@_shared
def perfetto(
    run_dir: Path, arms: tuple[str, ...], replication: int, output: Path, force: bool
) -> None:
    """Write a replication as a Perfetto trace: open it at https://ui.perfetto.dev.

    Tracks of each vCPU: what the CPU does, what the SPU samples, blackouts by cause, the interrupt
    line, KVM's and the VMM's work, pinned memory; of the VM: locked memory and its limit.
    """
    from reports import progress
    from reports.rerunning import arms_of, rerun
    from reports.store import files
    from reports.traces.perfetto import Trace

    files.check(output, force=force)
    found = [rerun(run_dir, arm, replication) for arm in arms or arms_of(run_dir)]
    total = sum(len(vcpu.log) for one in found for vcpu in one.run.vcpus)
    with files.whole(output) as file, progress.counted(total, "events") as written:
        trace = Trace(file)
        for one in found:
            trace.add(one, written)
    say(f"{len(found)} arms, replication {replication}\n{output}")
