"""`speskew.run` and `speskew.load`: a run in memory, or from its directory."""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.columns import TABLES
from reports import figures
from reports.checks import deciding
from reports.checks.formats import Report
from reports.figures.style import styled
from reports.pages import glance, summary
from reports.progress import Progress
from reports.results import result
from reports.results.result import Result
from reports.runs import rebuilding, running, simulating
from reports.runs.simulating import Description, How, Simulation
from reports.store import frames, parquet, read, rundir
from reports.store.csvdata import SHAPES, Table
from sim.scenario.files import loader
from speskew import _figures, _given, _html
from speskew._arm import Arm, Arms
from speskew._given import Engine, Scenario


def run(
    scenario: Scenario,
    *,
    set: Mapping[str, object] | None = None,
    replications: int | None = None,
    seed: int | None = None,
    jobs: int = 1,
    engine: Engine = "fast",
    keep_records: bool = False,
    band: bool = True,
    progress: bool | Progress = True,
) -> Run:
    """Simulate every arm of a scenario, as `speskew run` does; nothing is written.

    `scenario` is the name of a stock scenario, a path, YAML text or a mapping with what YAML would
    hold. `set` overrides its keys, dotted, as `--set` does, `arms.v6.host.unmap` those of one arm;
    what some arms do not heed is a warning, what no arm heeds a ScenarioError. `jobs` processes
    change the time it takes and nothing else. `progress` may be a function (done, total, text).

    Raises ScenarioError with every problem found, StreamError and ProfileError for what it reads,
    LawBrokenError if the model is wrong, SpeskewError if processes die. Ctrl-C raises
    KeyboardInterrupt and leaves no process.
    """
    _given.checked(jobs, engine)
    source = _given.source(scenario)
    remarks: list[loader.Unheeded] = []
    loaded = loader.load(source, _given.overrides(set), replications, seed, remarks)
    _given.warn(remarks)
    how = How(jobs, engine, keep_records, band)
    made = simulating.simulate(loaded, loader.raw(source), how, _given.display(progress))
    if made.cut is not None:
        raise made.cut
    return Run(_Fresh(made))


def load(path: str | os.PathLike[str]) -> Run:
    """The run that `speskew run -o PATH` or `Run.save` wrote; raises RunDirError."""
    return Run(_Stored(Path(path)))


class _Fresh:
    """A run that was just simulated."""

    def __init__(self, made: Simulation) -> None:
        self.made: Simulation = made
        self.said: Description = simulating.describe(made)
        self.folder: Path | None = None
        # as it would be read back: figures take the order of causes from it
        self.result: Result = result.parse(result.dumps(self.said.result))
        self.tables = self.said.tables
        self.resolved = made.resolved
        seed = made.scenario.seed if made.how.keep_records else None
        self._makers = parquet.makers(made.arms, records_of_seed=seed)

    def files(self) -> list[str]:
        """Parquet tables that there are."""
        return list(self._makers)

    def frame(self, file: str) -> pd.DataFrame:
        """A Parquet table."""
        return frames.of_made(self._makers[file]())

    def save(self, target: Path, *, report: bool, figures: bool) -> None:
        """As `speskew run`."""
        reported = running.save(
            self.made, target, sys.argv, report=report, figures=figures, described=self.said
        )
        if report and not reported:
            raise KeyboardInterrupt

    def decided(self, baseline: Path | None) -> Report:
        """Its checks."""
        return deciding.of_made(self.made, self.result, baseline)


class _Stored:
    """A run directory."""

    def __init__(self, folder: Path) -> None:
        source = read.read(folder)
        self.folder: Path | None = folder
        self._from = folder
        self.result, self.tables, self.resolved = source.result, source.tables, source.resolved

    def files(self) -> list[str]:
        """Parquet tables that there are."""
        return [name for name in TABLES if (self._from / name).is_file()]

    def frame(self, file: str) -> pd.DataFrame:
        """A Parquet table."""
        return frames.of_parquet(self._from / file)

    def save(self, target: Path, *, report: bool, figures: bool) -> None:
        """A copy; its report is built again if it is asked for."""
        with rundir.staged(target) as folder:
            shutil.copytree(self._from, folder, dirs_exist_ok=True)
            if report or figures:
                rebuilding.rebuild(folder, figures=figures)

    def decided(self, baseline: Path | None) -> Report:
        """Its checks."""
        return deciding.of_folder(self._from, baseline)


DECISIONS = (
    "arm",
    "kind",
    "samples",
    "regret",
    "bias",
    "sampling",
    "effective_samples",
    "answer",
)
"""Columns of `Run.decisions`."""


def decided(run: Run, baseline: Path | None) -> Report:
    """The checks of a run, decided."""
    return run._source.decided(baseline)


class Run:
    """A run: arms with their metrics, tables as frames, figures. All of it is predicted."""

    def __init__(self, source: _Fresh | _Stored) -> None:
        self._source = source

    @property
    def arms(self) -> Arms:
        """By name, in the scenario's order."""
        names = self.result.arm_order
        return Arms({name: Arm(name, self.result, self.called) for name in names})

    @property
    def result(self) -> Result:
        """What `result.json` holds, by its keys: `result.arms["v6"].loss.total.mean`."""
        return self._source.result

    @property
    def scenario(self) -> str:
        """The scenario with every setting, as YAML."""
        return self._source.resolved

    @property
    def folder(self) -> Path | None:
        """Where it is saved, if it is."""
        return self._source.folder

    @property
    def called(self) -> str:
        """What a comparison calls it: its folder, or its scenario."""
        return str(self.folder or self.result.scenario)

    # --- tables --------------------------------------------------------------------------------

    @property
    def tables(self) -> tuple[str, ...]:
        """Names for `table`: those of data/, then the Parquet files."""
        return (*SHAPES, *self._source.files())

    def table(self, name: str) -> pd.DataFrame:
        """A table by name, with the columns of docs/reference/columns.md; raises ValueError."""
        if name in SHAPES:
            return frames.of_table(self._data(name))
        if name in self._source.files():
            return self._source.frame(name)
        kept = "; run with keep_records=True" if name in ("records.parquet", "aux.parquet") else ""
        raise ValueError(f"no table {name!r}{kept}; tables: {', '.join(self.tables)}")

    def _data(self, name: str) -> Table:
        return self._source.tables[name]

    @property
    def ledgers(self) -> pd.DataFrame:
        """What became of each op, selection, record and tick, by arm."""
        return self.table("ledgers")

    @property
    def losses(self) -> pd.DataFrame:
        """Where the loss falls, by arm, view and group: loss.parquet."""
        return self.table("loss.parquet")

    @property
    def symbols(self) -> pd.DataFrame:
        """Shares of symbols: truth, loss, error."""
        return self.table("symbols")

    @property
    def profiles(self) -> pd.DataFrame:
        """Samples of every group in every view and replication: profile.parquet."""
        return self.table("profile.parquet")

    @property
    def distances(self) -> pd.DataFrame:
        """Every distance of a profile, by arm and view."""
        return self.table("distances")

    @property
    def blackouts(self) -> pd.DataFrame:
        """Lengths of blackouts, by arm and cause."""
        return self.table("blackouts")

    @property
    def timeline(self) -> pd.DataFrame:
        """A few milliseconds of each arm, state by state."""
        return self.table("timeline")

    @property
    def perturbation(self) -> pd.DataFrame:
        """Time added to baremetal's by cause, with its band."""
        return self.table("perturbation")

    @property
    def locked(self) -> pd.DataFrame:
        """Locked memory and its limit over the first replication's time."""
        return self.table("locked")

    @property
    def theory(self) -> pd.DataFrame:
        """Simulated points beside closed forms; rows without an arm are the curves."""
        return self.table("theory")

    @property
    def designs(self) -> pd.DataFrame:
        """Loss, memory and time of designs side by side, if there are several."""
        return self.table("designs")

    @property
    def limits(self) -> pd.DataFrame:
        """KVM_EXIT_RLIMIT at every limit, if there are several designs."""
        return self.table("limits")

    @property
    def decisions(self) -> pd.DataFrame:
        """Would one decide the same by each arm? A row per arm and kind, regrets as fractions.

        Empty where the scenario has no `decisions:`; `speskew decide` asks a saved run for others.
        """
        arms = self.result.arms
        return pd.DataFrame(
            [
                (
                    name,
                    kind,
                    one.samples.mean,
                    one.regret.mean,
                    one.bias.mean,
                    one.sampling.mean,
                    one.effective_samples.mean,
                    one.cell,
                )
                for name in self.result.arm_order
                for kind, one in arms[name].decisions.items()
            ],
            columns=list(DECISIONS),
        )

    @property
    def parameters(self) -> pd.DataFrame:
        """Every number that went in, with its source."""
        return self.table("parameters")

    @property
    def commands(self) -> pd.DataFrame:
        """The `perf record` that each arm stands for."""
        return self.table("commands")

    @property
    def records(self) -> pd.DataFrame:
        """Every written record; with keep_records only."""
        return self.table("records.parquet")

    # --- figures, files, words -----------------------------------------------------------------

    @property
    def figures(self) -> tuple[str, ...]:
        """Names for `figure`."""
        return tuple(self._drawings())

    def figure(self, name: str) -> Figure:
        """A figure of the report, whatever matplotlib's backend; raises ValueError."""
        drawings = self._drawings()
        if name not in drawings:
            raise ValueError(f"no figure {name!r}; figures: {', '.join(drawings)}")
        with styled(name):
            made = drawings[name]()
            if made is None:
                raise ValueError(f"figure {name!r}: this run has nothing to show in it")
            _figures.keep_style(made)
        _figures.shown_in_notebooks()
        return made

    def _drawings(self) -> dict[str, Callable[[], Figure | None]]:
        return {d.key: d.make for d in figures.drawings(self.result, self._source.tables)}

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        report: bool = True,
        figures: bool = False,
    ) -> Path:
        """Write the run directory that `speskew run -o PATH` writes; raises RunDirError.

        `force` replaces one that is there. The bytes are those of the command line's, but for
        `manifest.json` and `log.jsonl`, which say when and by what.
        """
        target = Path(path)
        try:
            rundir.check_target(target, force=force)
        except rundir.RunDirError as error:
            error.add_note("in Python: save(path, force=True) replaces it, or save elsewhere")
            raise
        self._source.save(target, report=report, figures=figures)
        self._source.folder = target
        return target

    def __str__(self) -> str:
        return summary.render(self.result)

    def __repr__(self) -> str:
        return (
            f"<Run {self.called}: prediction of {len(self.arms)} arms, "
            f"{self.result.replications} replications, seed {self.result.seed}>"
        )

    def _repr_html_(self) -> str:
        caption = f"{self.result.scenario}: prediction, {self.result.replications} "
        caption += f"replications, seed {self.result.seed}"
        return _html.table(glance.HEAD, glance.rows(self.result), caption)
