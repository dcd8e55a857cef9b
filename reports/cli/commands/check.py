"""`speskew check` and `speskew baseline`: options, files, exit codes."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.exitcodes import ExitCode, table

if TYPE_CHECKING:
    from reports.checks.baselines import Baseline
    from reports.checks.checking import Evidence
    from reports.checks.formats import Report
    from reports.runs.replicating import Simulated
    from sim.scenario.model import Scenario

FORMAT_NAMES = ("table", "json", "ktap", "junit", "md")
"""Keys of reports.checks.formats.FORMATS, which is not imported for --help."""
AS_BASELINE = "baseline"


def _replications(context: click.Context, option: click.Parameter, text: str | None) -> Any:
    """A count of 1 or more, or the word `baseline`."""
    if text is None or text == AS_BASELINE:
        return text
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise click.BadParameter(f"{text!r} is no count of 1 or more, nor the word {AS_BASELINE}")


set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a scenario key, e.g. --set host.memlock=64KiB. May be repeated.",
)
jobs_option = click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True)
baseline_option = click.option(
    "--baseline",
    "baseline_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compare with this file. [default: baselines/NAME.json beside the scenario (of a run: in "
    ".), in ./scenarios or in the stock]",
)
BISECT_HELP = "\n\n\b\nWith --bisect, for `git bisect run`:\n  0, 1, 130  as above\n  2 to 5     125: this commit cannot be tested"  # noqa: E501


@contextmanager
def _errors() -> Iterator[None]:
    """As for every command; and a crash is a model error, never a FAIL."""
    from reports.checks.baselines import BaselineError
    from reports.checks.checking import CheckError
    from reports.cli import main

    try:
        with main.exits(), main.stream_errors():
            yield
    except CheckError as error:
        main.fail(ExitCode.USAGE, str(error))
    except BaselineError as error:
        main.fail(ExitCode.BASELINE, str(error))
    except click.ClickException:
        raise
    except Exception:
        traceback.print_exc()
        main.fail(ExitCode.MODEL, "internal error: this is a defect of speskew")


@contextmanager
def _bisecting(bisect: bool) -> Iterator[None]:
    from reports.checks.checking import bisect_code

    try:
        yield
    except SystemExit as leaving:
        if bisect and isinstance(leaving.code, int):
            raise SystemExit(bisect_code(ExitCode(leaving.code))) from leaving
        raise


@click.command(epilog=table() + BISECT_HELP)
@click.argument("target", metavar="SCENARIO|RUN_DIR|SWEEP_DIR")
@baseline_option
@set_option
@click.option(
    "--format", "form", type=click.Choice(FORMAT_NAMES), default="table", show_default=True
)
@click.option("--bisect", is_flag=True, help="Exit codes for `git bisect run`.")
@click.option(
    "--replications",
    metavar="N|baseline",
    callback=_replications,
    help=f"So many, or the word {AS_BASELINE}: as many as the baseline has.",
)
@click.option("--seed", type=click.IntRange(0))
@jobs_option
@click.option("--engine", type=click.Choice(["fast", "reference"]), default="fast")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def check(
    target: str,
    baseline_file: Path | None,
    overrides: tuple[str, ...],
    form: str,
    bisect: bool,
    replications: int | str | None,
    seed: int | None,
    jobs: int,
    engine: str,
    quiet: bool,
) -> None:
    """Decide the checks of a scenario: run it, or read a run or sweep that is there.

    Of a scenario with cells the scenario itself is run, without them; of a sweep's folder every
    check is decided in every cell.

    Every check is PASS, FAIL, UNDECIDED (the data cannot tell) or SKIP (it makes no sense here),
    with a sentence that says why. Results do not depend on -j.
    """
    given = bool(overrides) or replications is not None or seed is not None
    with _bisecting(bisect), _errors():
        from reports.checks import formats
        from reports.sweeps import sweeping

        swept = (Path(target) / sweeping.MANIFEST).is_file()
        if swept or (Path(target) / "result.json").is_file():
            if given:
                raise click.UsageError("--set, --replications and --seed are for a scenario")
            report = _of_sweep(Path(target)) if swept else _of_run(Path(target), baseline_file)
        else:
            report = _of_scenario(
                target,
                baseline_file,
                overrides,
                replications,
                seed,
                lambda scenario: _simulate(scenario, jobs, engine, quiet),
            )
        click.echo(formats.FORMATS[form](report), nl=False)
        click.echo(report.summary(), err=True)
        sys.exit(report.code)


Simulate = Callable[["Scenario"], "Simulated"]


def _simulate(scenario: Scenario, jobs: int, engine: str, quiet: bool) -> Simulated:
    from reports import progress
    from reports.checks import checking
    from reports.runs import replicating

    names = [getattr(check, "metric", "") for check in scenario.checks]
    with progress.shown(len(scenario.arms), quiet=quiet) as callback:
        return replicating.simulate(
            scenario,
            engine=engine,
            jobs=jobs,
            progress=callback,
            band=any("time_band" in name for name in names),
            watched=checking.watched(scenario),
        )


def _of_scenario(
    source: str,
    baseline_file: Path | None,
    overrides: tuple[str, ...],
    replications: int | str | None,
    seed: int | None,
    simulate: Simulate,
) -> Report:
    from reports.checks import checking
    from sim.scenario import loader

    count = replications if isinstance(replications, int) else None
    scenario = loader.load(source, overrides, replications=count, seed=seed)
    path = baseline_file or checking.baseline_path(scenario, loader.find(source).parent)
    baseline = _baseline(scenario, path, needed=replications == AS_BASELINE)
    if replications == AS_BASELINE:
        assert baseline is not None
        scenario = scenario.model_copy(
            update={"replications": baseline.replications, "until": None}
        )
    if scenario.matrix or scenario.cases or scenario.samples is not None:
        click.echo(
            "speskew: the scenario without its cells; for those, `speskew sweep` and then `speskew "
            "check SWEEP_DIR`",
            err=True,
        )
    done = simulate(scenario)
    evidence = checking.Evidence(done.result, baseline, done.histograms)
    return _report(done.scenario, evidence, path)


def _baseline(scenario: Scenario, path: Path, *, needed: bool) -> Baseline | None:
    """The baseline, before anything is simulated; None if no check wants one."""
    from reports.checks import baselines, checking

    if not needed and not any(map(checking.needs_baseline, scenario.checks)):
        return None
    found = baselines.read(path)
    if found.scenario != scenario.name:
        raise baselines.BaselineError(
            f"{path} is the baseline of {found.scenario!r}, not of {scenario.name!r}"
        )
    return found


def _of_run(folder: Path, baseline_file: Path | None) -> Report:
    from reports.checks import checking
    from reports.runs import rebuilding
    from reports.store.rundir import RunDirError
    from sim.scenario import loader

    result = rebuilding.read_result(folder)
    if result["interrupted"]:
        raise RunDirError(f"{folder} was interrupted, so that arms are missing; run it again")
    scenario = loader.load(folder / "scenario.resolved.yaml")
    path = baseline_file or checking.baseline_path(scenario, folder, Path())
    baseline = _baseline(scenario, path, needed=False)
    evidence = checking.Evidence(result, baseline, _stored_histograms(folder))
    return _report(scenario, evidence, path)


def _of_sweep(folder: Path) -> Report:
    from reports.checks import checking, formats
    from reports.runs import rebuilding
    from reports.sweeps import sweeping
    from sim.scenario import loader

    result = sweeping.read_result(folder)
    scenario = loader.load(folder / "scenario.resolved.yaml")
    cells = []
    for row in result["cells"]:
        whole = row["status"] == "finished"
        found = rebuilding.read_result(folder / sweeping.CELLS / row["id"]) if whole else None
        cells.append(checking.CellEvidence(row["id"], found, row.get("why", "")))
    findings = checking.findings_of_cells(scenario, cells)
    return formats.Report(
        scenario=result["scenario"],
        seed=result["seed"],
        replications=scenario.replications,
        baseline="",
        findings=tuple(findings),
        code=checking.exit_code(findings),
        cells=len(cells),
    )


def _stored_histograms(folder: Path) -> Any:
    def histograms(arm: str, of: str) -> Any:
        from reports.runs import replicating

        path = folder / "records.parquet"
        if not path.is_file():
            return None
        import pandas as pd

        columns = ["replication", "vcpu", "op", "total"]
        frame = pd.read_parquet(path, columns=columns, filters=[("arm", "==", arm)])
        if frame.empty:
            return None
        return [
            replicating.sampled(
                [part["op"].to_numpy() for _, part in rows.groupby("vcpu", sort=True)],
                [part["total"].to_numpy() for _, part in rows.groupby("vcpu", sort=True)],
            )[of]
            for _, rows in frame.groupby("replication", sort=True)
        ]

    return histograms


def _report(scenario: Scenario, evidence: Evidence, path: Path) -> Report:
    from reports.checks import checking, formats

    found = checking.findings(scenario, evidence)
    result = evidence.result
    return formats.Report(
        scenario=result["scenario"],
        seed=result["seed"],
        replications=result["replications"],
        baseline="" if evidence.baseline is None else str(path),
        findings=tuple(found),
        code=checking.exit_code(found),
    )


# --- baseline --------------------------------------------------------------------------------


@click.group(epilog=table())
def baseline() -> None:
    """Keep the numbers of a scenario, to be compared by `speskew check`."""


@baseline.command(epilog=table())
@click.argument("scenario")
@click.option(
    "--baseline",
    "baseline_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write this file. [default: baselines/NAME.json beside the scenario]",
)
@click.option("--replications", type=click.IntRange(1), help="[default: as many as it has]")
@set_option
@jobs_option
@click.option("-n", "--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def update(
    scenario: str,
    baseline_file: Path | None,
    replications: int | None,
    overrides: tuple[str, ...],
    jobs: int,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Run SCENARIO and write its baseline; prints old → new, and touches nothing if equal."""
    with _errors():
        from reports.checks import baselines
        from reports.store import rundir
        from sim.scenario import loader

        loaded = loader.load(scenario, overrides, replications=replications)
        path = baseline_file or baselines.beside(loaded.name, loader.find(scenario).parent)
        old = baselines.read(path) if path.exists() else None
        if old is not None and replications is None:
            loaded = loaded.model_copy(update={"replications": old.replications})
        loaded = loaded.model_copy(update={"until": None})
        done = _simulate(loaded, jobs, "fast", quiet)
        command = f"speskew baseline update {scenario} --replications {loaded.replications}"
        command += "".join(f" --set {text}" for text in overrides)
        digest = rundir.scenario_hash(loader.dump(loaded))
        new = baselines.make(path, done.result, digest, command)
        lines = baselines.difference(old, new)
        for line in lines:
            click.echo(line)
        if not lines:
            click.echo(f"{path}: nothing changed", err=True)
        elif dry_run:
            click.echo(f"{path}: not written (--dry-run)", err=True)
        else:
            baselines.write(new)
            click.echo(str(path), err=True)


def _path_of(target: str) -> Path:
    """A baseline file, or a scenario's."""
    from reports.checks import checking
    from sim.scenario import loader

    if target.endswith(".json"):
        return Path(target)
    return checking.baseline_path(loader.load(target), loader.find(target).parent)


@baseline.command(epilog=table())
@click.argument("target", metavar="SCENARIO|FILE")
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
def show(target: str, form: str) -> None:
    """Print a baseline: where it comes from and what it holds."""
    with _errors():
        from reports.checks import baselines

        found = baselines.read(_path_of(target))
        if form == "json":
            click.echo(json.dumps(found.as_dict(), indent=1, sort_keys=True))
            return
        click.echo(baselines.as_table(found), nl=False)


@baseline.command(epilog=table())
@click.argument("target", metavar="SCENARIO|FILE")
def migrate(target: str) -> None:
    """Rewrite a baseline of an older schema version as one of the present."""
    with _errors():
        from reports.checks import baselines

        path = _path_of(target)
        version = baselines.version_of(baselines.read_document(path))
        new = baselines.migrate(path)
        if version == baselines.BASELINE_VERSION:
            click.echo(f"{path}: has baseline_version {version} already", err=True)
            return
        baselines.write(new)
        click.echo(f"{path}: baseline_version {version} → {baselines.BASELINE_VERSION}")
