"""`speskew import spe`: a real capture as a workload."""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import options
from reports.cli.output import put_paths, say
from reports.exitcodes import table
from reports.text import printable


@click.command("spe", epilog=table())
@click.argument("capture", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The profile to write. [default: CAPTURE.profile.json]",
)
@click.option("--cpu", type=click.IntRange(0), help="Records of this CPU only.")
@click.option("--tid", type=click.IntRange(0), help="Records of this thread only.")
@options.interval_option
@options.jitter_option
@options.timer_option
@click.option(
    "--symfs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with the files of the machine that was profiled, for symbols.",
)
@options.raw_option
@options.force_option
def spe(
    capture: Path,
    output: Path | None,
    cpu: int | None,
    tid: int | None,
    interval: str | None,
    jitter: bool,
    timer: str | None,
    symfs: Path | None,
    raw: bool,
    force: bool,
) -> None:
    """Make a workload profile of a real SPE CAPTURE.

    CAPTURE is a perf.data, a raw AUX buffer, or a Parquet table of Arm's spe-parser. The profile
    is a workload: `workload: {kind: profile, path: PROFILE}`.
    """
    from reports.captures import opening, profiled
    from reports.store.files import check_writable, replace
    from sim.workload.capture import profile as profiles
    from sim.workload.capture.profiling import Selection, profile
    from sim.workload.capture.source import CaptureError

    out = output or Path(f"{capture.name}.profile.json")
    if out.exists() and not force:
        raise CaptureError(f"{out}: exists; give --force to overwrite it")
    check_writable(out)
    with opening.progress(2) as progress:
        opened = opening.open_any(capture, raw=raw)
        names = opening.symbol_table(opened, symfs)
        made, seen = profile(
            opened,
            names,
            opening.sampling(interval, jitter, timer),
            printable(capture.name),
            Selection(cpu, tid),
            names.pid_of,
            progress,
        )
    made = profiled.with_remarks(made, seen)
    replace(out, profiles.dumps(made).encode())
    say("\n".join(profiled.ending(made, names.files()[1])))
    put_paths([out])
