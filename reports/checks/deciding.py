"""What `speskew check` asks: a scenario that is run, a run or a sweep that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from analysis.statistics.distributions import Histogram
from reports.checks import baselines, blaming, checking, formats
from reports.checks.baselines import Baseline
from reports.checks.checking import Evidence, Histograms
from reports.checks.formats import Report
from reports.progress import Display, Terminal
from reports.results.result import Result
from reports.runs import replicating
from reports.runs.replicating import Simulated
from reports.runs.simulating import Simulation
from reports.store import files
from reports.store.read import read_manifest, read_result
from reports.store.rundir import RunDirError
from reports.sweeps import sweeping
from reports.sweeps.filling import CELLS
from sim.runs import batch, contents
from sim.scenario.files import loader
from sim.scenario.files.given import Given
from sim.scenario.files.loader import Source
from sim.scenario.models.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Asked:
    """How a scenario is to be run for its checks."""

    overrides: tuple[str, ...] = ()
    replications: int | None = None
    as_baseline: bool = False
    """As many replications as the baseline has; then there must be one."""
    seed: int | None = None
    jobs: int = 1
    engine: str = "fast"
    display: Display = field(default_factory=Terminal)


def is_folder(target: str) -> bool:
    """Is that a run or a sweep which is there, not a scenario?"""
    folder = Path(target)
    return (folder / sweeping.MANIFEST).is_file() or (folder / "result.json").is_file()


def of_folder(folder: Path, baseline_file: Path | None) -> Report:
    """Decide the checks of a run, or every check in every cell of a sweep; nothing is simulated."""
    if (folder / sweeping.MANIFEST).is_file():
        return _of_sweep(folder)
    return _of_run(folder, baseline_file)


def load(source: Source, asked: Asked, remarks: list[loader.Unheeded] | None = None) -> Scenario:
    """The scenario that is asked for; one with cells is run without them, see `has_cells`."""
    return loader.load(source, asked.overrides, asked.replications, asked.seed, remarks)


WITHOUT_CELLS = (
    "the scenario without its cells; for those, `speskew sweep` and then `speskew check SWEEP_DIR`"
)
"""What a reader of `of_scenario` may not expect of a scenario that `has_cells`."""


def has_cells(scenario: Scenario) -> bool:
    """Does a scenario have cells, which `of_scenario` leaves out?"""
    return bool(scenario.matrix or scenario.cases or scenario.samples is not None)


def of_scenario(
    scenario: Scenario, source: Source, baseline_file: Path | None, asked: Asked
) -> Report:
    """Run a loaded scenario, without its cells, and decide its checks."""
    beside = Path() if isinstance(source, Given) else loader.find(source).parent
    path = baseline_file or checking.baseline_path(scenario, beside)
    baseline = _baseline(scenario, path, needed=asked.as_baseline or baseline_file is not None)
    if asked.as_baseline:
        assert baseline is not None
        scenario = scenario.model_copy(
            update={"replications": baseline.replications, "until": None}
        )
    done = simulate(scenario, asked)
    evidence = checking.Evidence(done.result, baseline, done.histograms)
    return _report(done.scenario, evidence, path, contents.of(done.scenario))


def simulate(scenario: Scenario, asked: Asked) -> Simulated:
    """Every arm, with what the scenario's checks look at and no more."""
    names = [getattr(check, "metric", "") for check in scenario.checks]
    with asked.display.shown(len(scenario.arms), asked.engine) as callback:
        return replicating.simulate(
            scenario,
            engine=asked.engine,
            jobs=asked.jobs,
            progress=callback,
            band=any("time_band" in name for name in names),
            watched=checking.watched(scenario),
        )


def _baseline(scenario: Scenario, path: Path, *, needed: bool) -> Baseline | None:
    """The baseline, before anything is simulated.

    One that neither user nor check asks for is read where it is there, for what it says of a check
    that fails.
    """
    needed = needed or any(map(checking.needs_baseline, scenario.checks))
    if not needed and not path.is_file():
        return None
    found = baselines.read(path)
    if found.scenario != scenario.name:
        if not needed:
            return None
        raise baselines.BaselineError(
            f"{path} is the baseline of {found.scenario!r}, not of {scenario.name!r}"
        )
    return found


def _of_run(folder: Path, baseline_file: Path | None) -> Report:
    result = read_result(folder)
    if result.interrupted:
        raise RunDirError(f"{folder} was interrupted, so that arms are missing; run it again")
    scenario = loader.load(folder / "scenario.resolved.yaml")
    path = baseline_file or checking.baseline_path(scenario, folder, Path())
    baseline = _baseline(scenario, path, needed=baseline_file is not None)
    evidence = checking.Evidence(result, baseline, _stored_histograms(folder, result.replications))
    return _report(scenario, evidence, path, read_manifest(folder / "manifest.json").contents)


def of_made(made: Simulation, result: Result, baseline_file: Path | None) -> Report:
    """Decide the checks of a simulation that is in no directory; `result` is what came of it."""
    scenario = made.scenario
    path = baseline_file or checking.baseline_path(scenario, Path())
    baseline = _baseline(scenario, path, needed=baseline_file is not None)
    evidence = checking.Evidence(result, baseline, kept_histograms(made))
    return _report(scenario, evidence, path, contents.of(scenario))


def kept_histograms(made: Simulation) -> Histograms:
    """Of a simulation in memory; none if it kept no records."""
    arms = {arm.arm.name: arm for arm in made.arms}

    def histograms(name: str, of: str) -> list[Histogram] | None:
        if not made.how.keep_records or name not in arms:
            return None
        each = (batch.records(arms[name].arm, made.scenario.seed, run) for run in arms[name].runs)
        return [
            replicating.sampled([r["op"] for r in rows], [r["total"] for r in rows])[of]
            for rows in each
        ]

    return histograms


def _of_sweep(folder: Path) -> Report:
    result = sweeping.read_result(folder)
    scenario = loader.load(folder / "scenario.resolved.yaml")
    cells = []
    for row in result.cells:
        found = None if row.failed else read_result(folder / CELLS / row.id)
        cells.append(checking.CellEvidence(row.id, found, row.why))
    findings = checking.findings_of_cells(scenario, cells)
    return formats.Report(
        scenario=result.scenario,
        seed=result.seed,
        replications=scenario.replications,
        baseline="",
        findings=tuple(findings),
        code=checking.exit_code(findings),
        cells=len(cells),
    )


def _stored_histograms(folder: Path, replications: int) -> Histograms:
    def histograms(arm: str, of: str) -> list[Histogram] | None:
        path = folder / "records.parquet"
        if not path.is_file():
            return None
        columns = ["replication", "vcpu", "op", "total"]
        with path.open("rb") as file:
            frame = pd.read_parquet(file, columns=columns, filters=[("arm", "==", arm)])
        return [
            replicating.sampled(
                [part["op"].to_numpy() for _, part in rows.groupby("vcpu", sort=True)],
                [part["total"].to_numpy() for _, part in rows.groupby("vcpu", sort=True)],
            )[of]
            for rows in (frame[frame["replication"] == r] for r in range(replications))
        ]

    return histograms


def _report(scenario: Scenario, evidence: Evidence, path: Path, held: Mapping[str, str]) -> Report:
    """`held` is what the scenario's files held when it ran; empty if nobody knows."""
    found = checking.findings(scenario, evidence)
    result, base = evidence.result, evidence.baseline
    changed = () if base is None else _changed(base, scenario, held)
    if base is not None:
        found = [blaming.explained(f, result, base, changed) for f in found]
    return formats.Report(
        scenario=result.scenario,
        seed=result.seed,
        replications=result.replications,
        baseline="" if base is None else str(path),
        findings=tuple(found),
        code=checking.exit_code(found),
        changed=tuple(changed),
    )


def _simulated(scenario: Scenario, held: Mapping[str, str]) -> dict[str, str]:
    """Settings, and what the files hold that they name."""
    return loader.settings(scenario) | contents.named(held)


def _changed(base: Baseline, scenario: Scenario, held: Mapping[str, str]) -> list[str]:
    found = baselines.changed_settings(base, _simulated(scenario, held))
    return found if held else [line for line in found if not line.startswith(contents.PREFIX)]


def updated(
    source: str, baseline_file: Path | None, replications: int | None, asked: Asked
) -> tuple[Baseline | None, Baseline]:
    """A scenario's baseline as it is (None: there is none) and as it would be; runs the scenario.

    With `replications` None as many as the old one has.
    """
    loaded = loader.load(source, asked.overrides, replications=replications)
    path = baseline_file or baselines.beside(loaded.name, loader.find(source).parent)
    old = baselines.read(path) if path.exists() else None
    if old is not None and replications is None:
        loaded = loaded.model_copy(update={"replications": old.replications})
    loaded = loaded.model_copy(update={"until": None})
    files.check_writable(path)
    done = simulate(loaded, asked)
    command = f"speskew baseline update {source} --replications {loaded.replications}"
    command += "".join(f" --set {text}" for text in asked.overrides)
    return old, baselines.make(path, done.result, _simulated(loaded, contents.of(loaded)), command)


def path_of(target: str) -> Path:
    """A baseline file, or a scenario's."""
    if target.endswith(".json"):
        return Path(target)
    return checking.baseline_path(loader.load(target), loader.find(target).parent)
