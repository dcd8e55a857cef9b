"""`speskew decide`: decisions by the profiles of a run directory, simulated once more.

A run directory keeps no records, and need not have been asked for decisions. Equal input gives
equal output, so its arms run again, and their ledgers are held against `result.json`.
"""

from __future__ import annotations

from pathlib import Path

from analysis.decisions.regret import decisions
from analysis.fidelity.profiles import reference_arm
from reports.progress import Display
from reports.results.build import ledger
from reports.results.decision import Decision, of_decision
from reports.results.result import Result
from reports.runs import replicating
from reports.store.files import ExportError
from reports.store.read import read_result
from sim.runs import batch
from sim.scenario.files import loader
from sim.scenario.models.decisions import KINDS, Decisions
from sim.scenario.models.scenario import Scenario

By = dict[str, dict[str, Decision]]


def decide(
    folder: Path,
    names: tuple[str, ...],
    top: str | None,
    margin: float | None,
    jobs: int,
    show: Display,
) -> tuple[str, By]:
    """Scenario and decisions by arm and kind; what is not given is as the run was asked, if it was:
    without names all kinds, without top each kind's own, without a margin 1 %.

    What the run has been asked for already is read, everything else simulated. Raises RunDirError
    for what is no run, ExportError if this version of speskew computes another result.
    """
    stored = read_result(folder)
    path = folder / "scenario.resolved.yaml"
    if not path.is_file():
        raise ExportError(f"{folder} has no scenario.resolved.yaml; run the scenario again")
    scenario = loader.load(path)
    own = scenario.decisions or Decisions(kinds=tuple(KINDS))
    asked = Decisions(
        kinds=names or own.kinds,
        top=own.top if top is None else top,
        margin=own.margin if margin is None else margin,
    )
    if _is_there(stored, scenario, asked):
        return stored.scenario, {
            name: {kind: stored.arms[name].decisions[kind] for kind in asked.kinds}
            for name in stored.arm_order
        }
    return stored.scenario, _simulated(folder, stored, scenario, asked, jobs, show)


def _is_there(stored: Result, scenario: Scenario, asked: Decisions) -> bool:
    made = scenario.decisions
    if made is None or (made.top, made.margin) != (asked.top, asked.margin):
        return False
    arms = stored.arms.values()
    return all(kind in arm.decisions for kind in asked.kinds for arm in arms)


def _simulated(
    folder: Path,
    stored: Result,
    scenario: Scenario,
    asked: Decisions,
    jobs: int,
    show: Display,
) -> By:
    scenario = scenario.model_copy(
        update={"decisions": asked, "replications": stored.replications, "until": None}
    )
    with replicating.memo(jobs) as memo, show.shown(len(scenario.arms), "fast") as progress:
        arms = batch.run(scenario, execute=memo, progress=progress)
    for arm in arms:
        name = arm.arm.name
        if name in stored.arms and ledger(arm.runs) != stored.arms[name].ledger:
            raise ExportError(
                f"{folder}: this version of speskew computes another result for {name}; run it "
                "again"
            )
    reference = reference_arm(arms)
    return {
        arm.arm.name: {d.kind: of_decision(d) for d in decisions(arm, reference, asked)}
        for arm in arms
    }
