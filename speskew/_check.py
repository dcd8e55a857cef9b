"""`speskew.check`: the checks of a scenario, decided."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.statistics.families import Finding
from reports.checks import checking, deciding, formats
from reports.exitcodes import ExitCode
from reports.progress import Progress
from sim.scenario.files import loader
from speskew import _given, _html
from speskew._given import Engine, Scenario
from speskew._run import Run, decided

AS_BASELINE = "baseline"
COLUMNS = ("check", "test", "metric", "verdict", "effect", "low", "high", "margin", "n", "unit")


def check(
    target: Scenario | Run,
    *,
    baseline: str | os.PathLike[str] | None = None,
    set: Mapping[str, object] | None = None,
    replications: int | str | None = None,
    seed: int | None = None,
    jobs: int = 1,
    engine: Engine = "fast",
    progress: bool | Progress = True,
) -> Checks:
    """Decide the checks of a scenario: run it, or take a run, its directory or a sweep's.

    `replications` may be the word "baseline": as many as it has. Raises CheckError if a check
    cannot be asked, BaselineError if one is needed that is not there, and what `run` raises.
    """
    _given.checked(jobs, engine)
    file = None if baseline is None else Path(baseline)
    given = bool(set) or replications is not None or seed is not None
    report = _of_what_is_there(target, file)
    if report is not None:
        if given:
            raise TypeError("set, replications and seed are for a scenario")
        return Checks(report)
    assert not isinstance(target, Run)
    if isinstance(replications, str) and replications != AS_BASELINE:
        raise ValueError(f"replications must be a count or the word {AS_BASELINE!r}")
    asked = deciding.Asked(
        overrides=_given.overrides(set),
        replications=replications if isinstance(replications, int) else None,
        as_baseline=replications == AS_BASELINE,
        seed=seed,
        jobs=jobs,
        engine=engine,
        display=_given.display(progress),
    )
    source = _given.source(target)
    remarks: list[loader.Unheeded] = []
    scenario = deciding.load(source, asked, remarks)
    _given.warn(remarks)
    if deciding.has_cells(scenario):
        warnings.warn(deciding.WITHOUT_CELLS, stacklevel=2)
    return Checks(deciding.of_scenario(scenario, source, file, asked))


def _of_what_is_there(target: Scenario | Run, file: Path | None) -> formats.Report | None:
    if isinstance(target, Run):
        return decided(target, file)
    if isinstance(target, Mapping) or "\n" in os.fspath(target):
        return None
    there = deciding.is_folder(os.fspath(target))
    return deciding.of_folder(Path(target), file) if there else None


class Checks:
    """Findings, each PASS, FAIL, UNDECIDED or SKIP. `print` shows what `speskew check` prints."""

    def __init__(self, report: formats.Report) -> None:
        self._report = report

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One per check: its name, its verdict with effect, interval, margin and sentence."""
        return self._report.findings

    @property
    def passed(self) -> bool:
        """True if nothing failed and something passed: exit code 0 of `speskew check`."""
        return checking.exit_code(self.findings) is ExitCode.OK

    @property
    def frame(self) -> pd.DataFrame:
        """A row per check; `low` and `high` are the 90 % interval that it was decided by."""
        return pd.DataFrame([_row(f) for f in self.findings], columns=list(COLUMNS))

    def __str__(self) -> str:
        return formats.as_table(self._report)

    def __repr__(self) -> str:
        return f"<Checks of {self._report.scenario}: {self._report.summary()}>"

    def _repr_html_(self) -> str:
        rows = [(f.name, f.verdict.status.value, f.verdict.sentence) for f in self.findings]
        caption = f"{self._report.scenario}: predictions, {self._report.summary()}"
        return _html.table(("check", "verdict", "why"), rows, caption)


def _row(finding: Finding) -> tuple[object, ...]:
    v = finding.verdict
    ends = v.interval if isinstance(v.interval, tuple) else (None, None)
    low, high = (v.effect, v.effect) if v.interval == "exact" else ends
    return (
        finding.name,
        finding.test,
        finding.metric,
        v.status.value,
        v.effect,
        low,
        high,
        v.margin,
        v.n,
        v.unit,
    )
