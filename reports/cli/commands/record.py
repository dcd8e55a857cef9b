"""`speskew record`: a program of yours as a stream."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from reports.cli import options
from reports.cli.errors import leave
from reports.cli.output import put_paths, say
from reports.exitcodes import ExitCode, table


@click.command("record", epilog=table(), context_settings={"ignore_unknown_options": True})
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The .spestream to write; several threads get a number each, and a .threads.json that "
    "names them as one workload. [default: PROGRAM.spestream]",
)
@click.option(
    "--limit", metavar="OPS", help="Stop after so many ops per thread, e.g. 100000000ops."
)
@click.option("--skip", metavar="OPS", help="Pass over so many ops per thread.")
@click.option(
    "--cpu", default="neoverse-n1", show_default=True, help="Processor, as QEMU calls it."
)
@click.option(
    "--sysroot",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where QEMU finds the program's libraries.",
)
@options.force_option
def command(
    program: tuple[str, ...],
    output: Path | None,
    limit: str | None,
    skip: str | None,
    cpu: str,
    sysroot: Path | None,
    force: bool,
) -> None:
    """Record PROGRAM (AArch64 Linux, with its arguments after --) under qemu-user."""
    from reports.runs import recording

    out = output or Path(f"{Path(program[0]).name}.spestream")
    try:
        done = recording.record(
            program, out, limit=limit, skip=skip, cpu=cpu, sysroot=sysroot, force=force
        )
    except KeyboardInterrupt:
        leave(ExitCode.INTERRUPTED, "interrupted; nothing recorded")
    say(recording.ending(done))
    put_paths(done if done.group is None else [*done, done.group])
    if done.interrupted:
        sys.exit(ExitCode.INTERRUPTED)
