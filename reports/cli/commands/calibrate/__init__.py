"""`speskew calibrate`: which ops a real core's SPE chooses, as a table for `spe.selection`."""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import options
from reports.cli.output import put, put_paths, remark, say
from reports.exitcodes import table


@click.command("calibrate", epilog=table())
@click.argument("capture", required=False, type=click.Path(path_type=Path))
@click.option(
    "--source",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the program in C into this folder, and say how to build and record it.",
)
@click.option(
    "--program",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The program that CAPTURE was recorded of, as it was built.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The table to write, for `spe.selection`.",
)
@options.raw_option
@options.force_option
def command(
    capture: Path | None,
    source: Path | None,
    program: Path | None,
    output: Path | None,
    raw: bool,
    force: bool,
) -> None:
    """Turn a CAPTURE of the calibration program into weights of the ops that SPE chooses.

    On the machine whose core it is: write the program with --source DIR, build and record it by the
    lines that this prints (a minute, no more rights than `perf record` needs). Then, anywhere:
    `speskew calibrate calibrate.data --program calibrate -o selection.yaml`. The table is by op
    class and distance from the last taken branch, with standard errors; `spe: {selection:
    selection.yaml}` makes a scenario's sampler choose like that core.
    """
    if source is not None:
        if capture is not None or program is not None or output is not None:
            raise click.UsageError("--source writes the program only; read a capture without it")
        _write_source(source, force)
    elif capture is None or program is None:
        raise click.UsageError(
            "needs --source DIR, which writes the program, or a CAPTURE with --program, which is "
            "read; see --help"
        )
    else:
        _read(capture, program, output, raw, force)


def _write_source(folder: Path, force: bool) -> None:
    from reports.captures import calibrating
    from reports.store import files

    target = folder / calibrating.SOURCE
    if folder.exists():
        files.check(target, force=force)
    else:
        files.check_writable(target)
    files.replace(target, calibrating.source_text())
    say("On the machine whose core is to be calibrated:")
    put("\n".join(calibrating.commands(target)) + "\n")


def _read(capture: Path, program: Path, output: Path | None, raw: bool, force: bool) -> None:
    from reports.captures import calibrating, loops, opening
    from reports.store import files

    if output is not None:
        files.check(output, force=force)
    found = loops.loops_of(program)
    with opening.progress(1) as progress:
        opened = opening.open_any(capture, raw=raw)
        made = calibrating.calibrate(opened, found, capture.name, progress)
    put(calibrating.shown(made))
    remark(made.remarks)
    if output is not None:
        files.replace(output, calibrating.table_text(made).encode())
        put_paths([output])
