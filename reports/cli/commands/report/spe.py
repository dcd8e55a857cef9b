"""`speskew report spe`: how good a real SPE capture is."""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import options
from reports.cli.output import put
from reports.exitcodes import table
from reports.text import printable


@click.command("spe", epilog=table())
@click.argument("capture", type=click.Path(path_type=Path))
@options.form_option("text", "json")
@options.interval_option
@options.jitter_option
@options.timer_option
@options.raw_option
@click.option(
    "--decisions",
    is_flag=True,
    help="Also say how stable choices by it are: by one half in the other, and thinned.",
)
def spe(
    capture: Path,
    form: str,
    interval: str | None,
    jitter: bool,
    timer: str | None,
    raw: bool,
    decisions: bool,
) -> None:
    """Collisions, truncations, gaps, effective interval and sanity of a real SPE CAPTURE.

    CAPTURE is a perf.data, a raw AUX buffer, or a Parquet table of Arm's spe-parser. One without
    records is an error (exit code 2), as there is nothing to report on.
    """
    from reports.captures import opening, stable, survey
    from sim.workload.capture.source import CaptureError
    from sim.workload.capture.survey import survey as surveyed

    with opening.progress(2 if decisions else 1) as progress:
        given = opening.sampling(interval, jitter, timer)
        seen = surveyed(opening.open_any(capture, raw=raw), progress)
        if seen.records == 0:
            raise CaptureError(
                f"{capture}: no records: the event gave no data; was the program shorter than the "
                "period, or did no operation pass a filter?"
            )
        described = survey.describe(seen, given)
        found = stable.decide(opening.open_any(capture, raw=raw), progress) if decisions else None
    if form == "json":
        put(described.as_json(found))
    else:
        put(survey.render(described, printable(capture.name)))
        put(
            "".join(f"{line}\n" for line in ("", *stable.lines(found))) if found is not None else ""
        )
