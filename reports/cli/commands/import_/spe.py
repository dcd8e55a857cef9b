"""`speskew import spe`: a real capture as a workload."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.cli import options
from reports.cli.output import put_paths, say
from reports.exitcodes import table
from reports.text import printable

if TYPE_CHECKING:
    from sim.workload.capture.profile import Profile
    from sim.workload.capture.survey import Survey


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
    from reports.captures import opening
    from reports.store.files import replace
    from sim.workload.capture import profile as profiles
    from sim.workload.capture.profiling import Selection, profile
    from sim.workload.capture.source import CaptureError

    out = output or Path(f"{capture.name}.profile.json")
    if out.exists() and not force:
        raise CaptureError(f"{out}: exists; give --force to overwrite it")
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
    replace(out, profiles.dumps(made).encode())
    say("\n".join(_ending(made, seen, names.files()[1], profiles.LIMITS)))
    put_paths([out])


def _ending(
    made: Profile, seen: Survey, without_symbols: list[str], limits: Sequence[str]
) -> list[str]:
    """What was made, what is in doubt, what it cannot carry."""
    lines = [
        f"{made.records:,} records, {len(made.statics):,} addresses, {len(made.symbols):,} "
        f"symbols, {_count(len(made.phases), 'phase')}; they stand for {made.ops:,} ops"
    ]
    left_out = seen.records - made.records
    if left_out:
        lines.append(
            f"{left_out:,} records are damaged or have no PC: left out, see `speskew report spe`"
        )
    if any(phase.fs_per_op is None for phase in made.phases):
        lines.append(
            "no time per op (no timestamps, or --timer is missing): the core preset's "
            "throughput will be used"
        )
    if any(static.el for static in made.statics):
        lines.append(
            "kernel code was sampled: `spe: {exclude_kernel: false}` in the scenario has "
            "it sampled there too"
        )
    if seen.facts.filtered:
        lines.append("the event had a filter: shares are of what passed it")
    if without_symbols:
        shown = ", ".join(printable(path, 60) for path in without_symbols[:5])
        lines.append(
            f"no symbols from {_count(len(without_symbols), 'file')} ({shown}…): pages "
            "stand for them; --symfs names a folder that has them"
        )
    lines.append("What a profile cannot carry:")
    return lines + [f"  * {limit}" for limit in limits]


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
