"""Replications, as many as a scenario asks for: a fixed number, or until an interval is narrow.

`until` is looked at after the first `replications` and then after each batch of fixed size, so
that neither the number of jobs nor the order in which they finish changes where it stops. What is
finished is kept, so a further look costs the further replications only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.statistics import amounts
from analysis.statistics.distributions import Histogram, histogram
from reports.results import lookup
from reports.results.build import build
from reports.results.metric import Metric
from sim.runs import batch, warming
from sim.runs.pool import Pool
from sim.scenario.files.document import Mark, ScenarioError, problem

if TYPE_CHECKING:
    from reports.results.result import Result
    from sim.results import RunResult
    from sim.runs.batch import ArmResult, Progress, Unit
    from sim.scenario.models.checks import Until
    from sim.scenario.models.scenario import Scenario

Sampled = dict[str, Histogram]
"""Histograms of one replication, all vCPUs together, by what they are of."""


@dataclass(slots=True)
class Memo:
    """Runs units in a pool, each once; of the arms in `watched` it keeps gaps and latencies."""

    pool: Pool
    watched: frozenset[str] = frozenset()
    meanwhile: Callable[[bool], None] | None = None
    """What to compile before the first units (`sim.runs.warming`)."""
    done: dict[str, RunResult] = field(default_factory=dict)
    sampled: dict[str, dict[int, Sampled]] = field(default_factory=lambda: defaultdict(dict))

    def __call__(self, units: Sequence[Unit]) -> Iterator[tuple[int, RunResult]]:
        """As `sim.runs.batch.Execute`: what is known first."""
        if self.meanwhile is not None:
            self.meanwhile(any(unit.sightings for unit in units))
        keys = [unit.key for unit in units]
        missing = [index for index, key in enumerate(keys) if key not in self.done]
        yield from ((i, self.done[key]) for i, key in enumerate(keys) if key in self.done)
        plain = [i for i in missing if not self._watches(units[i])]
        for at, made in self.pool.apply(batch.run_unit, [units[i] for i in plain]):
            self.done[keys[plain[at]]] = made
            yield plain[at], made
        seen = [i for i in missing if self._watches(units[i])]
        for at, (made, found) in self.pool.apply(observe, [units[i] for i in seen]):
            self.done[keys[seen[at]]] = made
            self.sampled[units[seen[at]].arm.name][made.replication] = found
            yield seen[at], made

    def _watches(self, unit: Unit) -> bool:
        """True for an arm's own runs; those that stop early stand for another arm."""
        return unit.arm.name in self.watched and not unit.stop_at

    def histograms(self, arm: str, of: str) -> list[Histogram]:
        """Of each replication, in order."""
        found = self.sampled[arm]
        return [found[replication][of] for replication in sorted(found)]


@contextmanager
def memo(jobs: int, engine: str = "fast", watched: frozenset[str] = frozenset()) -> Iterator[Memo]:
    """A memo with its pool; what `engine` has to compile first is begun."""
    with warming.ahead(engine) as meanwhile, Pool(jobs) as pool:
        yield Memo(pool, watched, meanwhile)


def observe(unit: Unit) -> tuple[RunResult, Sampled]:
    """A unit's result and its histograms; records are dropped where they were made."""
    result = batch.run_unit(replace(unit, keep_records=True))
    rows = batch.records(unit.arm, unit.seed, result)
    found = sampled([r["op"] for r in rows], [r["total"] for r in rows])
    return result if unit.keep_records else batch.without_records(result), found


_NONE = np.empty(0, np.int64)


def sampled(ops: Sequence[Any], totals: Sequence[Any]) -> Sampled:
    """Histograms from records per vCPU: op indices in order of writing, and total latencies."""
    gaps = [np.diff(np.asarray(row, np.int64)) for row in ops]
    latencies = [np.asarray(row, np.int64) for row in totals]
    return {
        "gaps": histogram(np.concatenate([_NONE, *gaps])),
        "latencies": histogram(np.concatenate([_NONE, *latencies])),
    }


def further(scenario: Scenario, result: Result) -> Scenario | None:
    """The scenario with the next batch of replications; None if that is enough.

    Raises ScenarioError if the rule does not fit the result.
    """
    until, n = scenario.until, scenario.replications
    if until is None or n >= until.max:
        return None
    try:
        if reached(until, result):
            return None
    except (lookup.UnknownMetricError, amounts.AmountError) as error:
        raise ScenarioError(problem(Mark(f"{scenario.name}: until"), str(error))) from error
    return scenario.model_copy(update={"replications": min(until.max, n + until.batch)})


def reached(until: Until, result: Result) -> bool:
    """True if the metric's interval is narrow enough, or there is none to narrow."""
    node = lookup.find(result, until.metric)
    if not isinstance(node, Metric):
        raise lookup.UnknownMetricError(f"{until.metric} is no metric with an interval")
    if node.exact or node.mean is None:
        return True
    return node.half_width is not None and node.half_width <= _asked(until, node)


def _asked(until: Until, node: Metric) -> float:
    value, unit = amounts.split(until.half_width)
    if unit == "%" and node.unit != "fraction":
        return value / 100 * abs(node.value)
    return amounts.convert(until.half_width, node.unit)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A scenario with the replications that it took, its arms and its result."""

    scenario: Scenario
    arms: tuple[ArmResult, ...]
    result: Result
    histograms: Callable[[str, str], list[Histogram]]


def simulate(
    scenario: Scenario,
    *,
    engine: str,
    jobs: int,
    band: bool,
    watched: frozenset[str],
    progress: Progress,
) -> Simulated:
    """Run a scenario, with further batches as long as `until` asks for them."""

    with memo(jobs, engine, watched) as execute:
        while True:
            arms = batch.run(scenario, engine=engine, band=band, progress=progress, execute=execute)
            described = build(scenario, arms, interrupted=False)
            more = further(scenario, described)
            if more is None:
                return Simulated(scenario, arms, described, execute.histograms)
            scenario = more
