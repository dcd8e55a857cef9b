"""The command line: data on stdout, everything else on stderr, exit codes of `ExitCode`.

Every heavy import is inside a command, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from reports.captures.survey import report_spe
from reports.cli.commands.check import baseline, check
from reports.cli.commands.export import export
from reports.cli.commands.import_ import import_
from reports.cli.commands.memlock import memlock
from reports.cli.commands.sweep import sweep
from reports.exitcodes import ExitCode, table

if TYPE_CHECKING:
    from sim.scenario.loader import ScenarioError
    from sim.scenario.model import Scenario

JSON_OR_TABLE = click.Choice(["table", "json"])
set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a scenario key, e.g. --set host.memlock=64KiB. May be repeated.",
)
format_option = click.option(
    "--format", "form", type=JSON_OR_TABLE, default="table", show_default=True
)
figures_option = click.option(
    "--figures", is_flag=True, help="Also write figures/*.png and *.svg, for papers."
)


@click.group(epilog=table(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="speskew")
def main() -> None:
    """Predict how much Arm SPE profiles differ between baremetal and KVM guests, and why.

    No number this program prints is a measurement.
    """


for command in (memlock, check, baseline, sweep, import_, export):
    main.add_command(command)


def fail(code: ExitCode, message: str) -> NoReturn:
    """One message on stderr, then out."""
    click.echo(f"speskew: {message}", err=True)
    sys.exit(code)


@contextmanager
def exits() -> Iterator[None]:
    """Turn the program's own errors into messages and exit codes."""
    from reports.runs.rebuilding import VersionError
    from reports.store.rundir import RunDirError
    from sim.ledger import LawBrokenError
    from sim.scenario.loader import ScenarioError

    try:
        yield
    except ScenarioError as error:
        say_problems(error)
        sys.exit(ExitCode.USAGE)
    except VersionError as error:
        fail(ExitCode.BASELINE, str(error))
    except RunDirError as error:
        fail(ExitCode.USAGE, str(error))
    except LawBrokenError as error:
        fail(ExitCode.MODEL, f"a law of the model is broken: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else "cannot write: "
        fail(ExitCode.USAGE, f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        fail(ExitCode.INTERRUPTED, "interrupted; nothing was written")


def say_problems(error: ScenarioError) -> None:
    """Each problem of a scenario on a line of its own: file:line:column: message."""
    for problem in error.problems:
        click.echo(str(problem), err=True)


@contextmanager
def stream_errors() -> Iterator[None]:
    """A stream or profile that cannot be read is the user's error."""
    from sim.workload.capture.profile import ProfileError
    from sim.workload.spestream import StreamError

    try:
        yield
    except (StreamError, ProfileError) as error:
        fail(ExitCode.USAGE, str(error))


def _load(
    source: str,
    overrides: tuple[str, ...],
    replications: int | None = None,
    seed: int | None = None,
) -> Scenario:
    from sim.scenario import loader

    return loader.load(source, overrides, replications=replications, seed=seed)


@main.command(epilog=table())
@click.argument("scenario")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Run directory.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--engine", type=click.Choice(["fast", "reference"]), default="fast")
@click.option("--replications", type=click.IntRange(1))
@click.option("--seed", type=click.IntRange(0))
@set_option
@format_option
@click.option("--force", is_flag=True, help="Replace an existing run directory.")
@click.option(
    "--keep-records",
    is_flag=True,
    help="Write records.parquet and aux.parquet, and count the latency view.",
)
@click.option("--no-report", is_flag=True, help="Write no report.html and no report.md.")
@click.option(
    "--no-band",
    is_flag=True,
    help="Do not run replication 0 again at the ends of the UNVERIFIED times.",
)
@figures_option
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def run(
    scenario: str,
    output: Path | None,
    jobs: int,
    engine: str,
    replications: int | None,
    seed: int | None,
    overrides: tuple[str, ...],
    form: str,
    force: bool,
    keep_records: bool,
    no_report: bool,
    no_band: bool,
    figures: bool,
    quiet: bool,
) -> None:
    """Run SCENARIO (a YAML file or a stock name) and print a summary.

    Writes a run directory with results, tables and report.html. Results do not depend on -j.
    """
    if figures and no_report:
        raise click.UsageError("--figures needs the report; drop --no-report")
    with exits(), stream_errors():
        from reports.runs import running
        from reports.store import result
        from sim.scenario import loader

        loaded = _load(scenario, overrides, replications=replications, seed=seed)
        options = running.Options(
            source=scenario,
            out=output,
            jobs=jobs,
            engine=engine,
            force=force,
            keep_records=keep_records,
            report=not no_report,
            band=not no_band,
            figures=figures,
            quiet=quiet,
            argv=tuple(sys.argv[1:]),
        )
        outcome = running.run(loaded, loader.dump(loaded), options)
        text = outcome.summary if form == "table" else result.dumps(outcome.result)
        click.echo(text, nl=False)
        running.say_written(outcome)
    if outcome.result["interrupted"]:
        fail(ExitCode.INTERRUPTED, "interrupted; finished arms are kept and marked")
    if not (no_report or outcome.reported):
        again = f"speskew report run {shlex.quote(str(outcome.target))}"
        fail(ExitCode.INTERRUPTED, f"interrupted; the result is whole, for the report: {again}")


@main.command(epilog=table())
@click.argument("scenarios", nargs=-1, required=True)
@set_option
def validate(scenarios: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Check SCENARIOS as a whole; every problem with its file, line and column on stderr."""
    from sim.scenario.loader import ScenarioError

    bad = False
    for source in scenarios:
        try:
            loaded = _load(source, overrides)
        except ScenarioError as error:
            say_problems(error)
            bad = True
            continue
        click.echo(f"{source}: ok, {len(loaded.arms)} arms, {loaded.replications} replications")
    sys.exit(ExitCode.USAGE if bad else ExitCode.OK)


@main.command(epilog=table())
@click.argument("target")
@click.argument("name", required=False)
@set_option
@click.option(
    "--format", "form", type=JSON_OR_TABLE, default="table", show_default=True, help="Of a run."
)
def show(target: str, name: str | None, overrides: tuple[str, ...], form: str) -> None:
    """Print TARGET: the summary of a run directory, or a scenario as it resolves.

    `show design NAME` prints a design: its policies, its source and its open questions.
    """
    if target == "design" and name is not None:
        from reports.reference import listing

        with exits():
            click.echo(listing.design(name, form), nl=False)
        return
    if name is not None:
        raise click.UsageError(f"only `show design` takes a second name, not {target!r}")
    if (Path(target) / "result.json").is_file():
        _show_run(Path(target), form)
        return
    with exits():
        from sim.scenario import loader

        click.echo(loader.dump(_load(target, overrides)), nl=False)


def _show_run(folder: Path, form: str) -> None:
    from reports.pages.summary import render
    from reports.runs.rebuilding import read_result
    from reports.store.result import dumps

    with exits():
        result = read_result(folder)
        click.echo(dumps(result) if form == "json" else render(result), nl=False)


class _RunDirUnlessNamed(click.Group):
    """`report X` is `report run X` unless X is a sub-command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@main.group(cls=_RunDirUnlessNamed, epilog=table())
def report() -> None:
    """Report on a run directory (report RUN_DIR) or on a capture of metal (report spe CAPTURE)."""


report.add_command(report_spe)


@report.command("run", epilog=table())
@click.argument("run_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@figures_option
def report_run(run_dir: Path, figures: bool) -> None:
    """Build the report of RUN_DIR again, from what the run or sweep left there."""
    with exits():
        from reports.runs import rebuilding
        from reports.sweeps import sweeping

        sweep = (run_dir / sweeping.MANIFEST).is_file()
        rebuild = sweeping.rebuild if sweep else rebuilding.rebuild
        for path in rebuild(run_dir, figures=figures):
            click.echo(path)


@report.command("index", epilog=table())
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default="runs"
)
def report_index(folder: Path) -> None:
    """Write FOLDER/index.html: every run and sweep below FOLDER, with its numbers and a link."""
    with exits():
        from reports.runs import index, rebuilding

        rebuilding.replace(folder / index.INDEX, index.page(folder).encode())
        click.echo(folder / index.INDEX)


@main.command(epilog=table())
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "md"]),
    default="table",
    show_default=True,
)
@click.option("-v", "--verbose", is_flag=True, help="Every entry of the ledgers too.")
def compare(a: str, b: str, form: str, verbose: bool) -> None:
    """Say what B has more of than A: loss, skew, time, memory, exits, records.

    A and B are run directories, or arms of them: RUN_DIR:arm. Of two directories every arm that
    both have is compared.
    """
    with exits():
        from reports.runs import comparing

        found = comparing.compare(a, b, everything=verbose)
        formats = {
            "table": comparing.as_table,
            "json": comparing.as_json,
            "md": comparing.as_markdown,
        }
        click.echo(formats[form](found), nl=False)


@main.command("list", epilog=table())
@click.argument("what", type=click.Choice(["scenarios", "designs", "presets", "streams"]))
@format_option
def list_(what: str, form: str) -> None:
    """List what there is to use."""
    from reports.reference import listing

    rows = listing.rows(what)
    if form == "json":
        click.echo(json.dumps(rows, indent=1, sort_keys=True))
        return
    click.echo(listing.as_table(rows), nl=False)


@main.command(epilog=table())
@click.argument("name", required=False)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def explain(name: str | None, form: str) -> None:
    """Say what NAME means: a metric, column, ledger label, parameter, scenario key, design….

    Without NAME, list every name there is.
    """
    from reports.reference import explaining

    found = explaining.find(name) if name else list(explaining.entries())
    if name and not found:
        fail(ExitCode.USAGE, explaining.problem_with(name))
    if form == "json":
        click.echo(json.dumps([e.as_dict() for e in found], indent=1, sort_keys=True))
        return
    text = explaining.as_text(found) if name else explaining.as_list(tuple(found))
    click.echo(text, nl=False)


@main.command(epilog=table())
def schema() -> None:
    """Print the JSON Schema of scenarios, for editors."""
    from sim.scenario.schema import schema as scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=2))


@main.command(epilog=table(), context_settings={"ignore_unknown_options": True})
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The .spestream to write; further threads get a number. [default: PROGRAM.spestream]",
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
@click.option("--force", is_flag=True, help="Overwrite.")
def record(
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
    except recording.RecordingError as error:
        fail(ExitCode.USAGE, str(error))
    except KeyboardInterrupt:
        fail(ExitCode.INTERRUPTED, "interrupted; nothing recorded")
    click.echo(recording.ending(done), err=True)
    for path in done:
        click.echo(path)
    if done.interrupted:
        sys.exit(ExitCode.INTERRUPTED)
