"""From a scenario's `checks:` and a result to findings and an exit code.

Nothing here knows a metric: `reports.results.lookup` finds it by name. Which test is which question
is below; what the answer is, `analysis.statistics.families` decides for all of them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.statistics import amounts
from analysis.statistics.distributions import Histogram, excess
from analysis.statistics.families import (
    Estimate,
    Finding,
    Question,
    Region,
    amount,
    decide,
    difference,
)
from analysis.statistics.families import estimate as estimate_of
from analysis.statistics.verdicts import Status, Verdict
from reports.checks import baselines
from reports.checks.baselines import Baseline
from reports.exitcodes import ExitCode
from reports.results import lookup
from sim.errors import SpeskewError
from sim.runs import counterparts
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.checks import Bound, Check, Distribution, Equivalence, Exact, NoWorseThan

if TYPE_CHECKING:
    from reports.results.result import Result
    from sim.scenario.models.scenario import Scenario

_NOTHING = Estimate(None, None, 0, 0, "")
_NONE = Region(0.0, 0.0)
"""Of a check that was decided without one."""
Histograms = Callable[[str, str], list[Histogram] | None]
"""(arm, gaps or latencies) → one per replication; None if there are none."""


class CheckError(SpeskewError, ValueError):
    """A check cannot be asked of this result: exit code 2."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What checks are decided from."""

    result: Result
    baseline: Baseline | None
    histograms: Histograms


def needs_baseline(check: Check) -> bool:
    """True if a check compares with a baseline."""
    return isinstance(check, NoWorseThan) or (isinstance(check, Exact) and not _said(check))


def _said(check: Exact) -> bool:
    return any(x is not None for x in (check.equals, check.at_most, check.at_least))


def watched(scenario: Scenario) -> frozenset[str]:
    """Arms whose gaps and latencies checks want."""
    found = set()
    for check in scenario.checks:
        if isinstance(check, Distribution):
            found |= {check.arm, check.against or _baremetal(scenario)}
    return frozenset(found)


def _baremetal(scenario: Scenario) -> str:

    base = counterparts.reference_arm(scenario.arms)
    if base is None:
        raise CheckError("checks: no baremetal arm to compare distributions with; give against:")
    return base.name


def findings(scenario: Scenario, evidence: Evidence) -> list[Finding]:
    """A verdict for every check; raises CheckError, BaselineError."""
    return decide(list(_questions(scenario, evidence, scenario.checks)))


def _questions(
    scenario: Scenario, evidence: Evidence, checks: Sequence[Check]
) -> Iterator[Question]:
    for number, check in enumerate(checks):
        try:
            yield _question(check, scenario, evidence)
        except (lookup.UnknownMetricError, amounts.AmountError) as error:
            raise CheckError(f"checks.{number} ({title(check)}): {error}") from error


IN_CELLS = (
    "compares with the baseline, which is of the scenario without its cells: `speskew check "
    "SCENARIO`"
)


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """A cell of a sweep: its result, or why it has none."""

    id: str
    result: Result | None
    why: str = ""


def findings_of_cells(scenario: Scenario, cells: Sequence[CellEvidence]) -> list[Finding]:
    """A verdict for every check in every cell, all of them one family; raises CheckError.

    What compares with a baseline is skipped, once; so is each cell without a result.
    """
    own = [check for check in scenario.checks if not needs_baseline(check)]
    asked = [
        _open(check, getattr(check, "metric", ""), title(check), _NOTHING, IN_CELLS)
        for check in scenario.checks
        if needs_baseline(check)
    ]
    for cell in cells:
        if cell.result is None:
            why = f"has no result: {cell.why}"
            asked.append(Question(cell.id, "", "", "the cell", _NONE, _NOTHING, reason=why))
            continue
        evidence = Evidence(cell.result, None, lambda arm, of: None)
        found = _questions(scenario, evidence, own)
        asked += [replace(q, name=f"{cell.id}: {q.name}") for q in found]
    return decide(asked)


def title(check: Check) -> str:
    """What a check is called: its name, or its test and what it is about."""
    if check.name:
        return check.name
    if isinstance(check, Distribution):
        return f"{check.test} {check.of} {check.arm}"
    return f"{check.test} {check.metric}"


def _question(check: Check, scenario: Scenario, evidence: Evidence) -> Question:
    if isinstance(check, Distribution):
        return _distribution(check, scenario, evidence)
    if isinstance(check, Exact):
        return _stated(check, evidence) if _said(check) else _counters(check, evidence)
    found = lookup.metric(evidence.result, check.metric)
    if isinstance(check, NoWorseThan):
        return _no_worse(check, found, evidence)
    zero = isinstance(check, Equivalence)
    region = _equivalence(check, found) if isinstance(check, Equivalence) else _bound(check, found)
    return Question(title(check), check.test, check.metric, check.metric, region, found, zero)


def _equivalence(check: Equivalence, found: Estimate) -> Region:
    margin = _positive(check.within, found.unit)
    centre = amounts.convert(check.around, found.unit)
    return Region(centre - margin, centre + margin)


def _bound(check: Bound, found: Estimate) -> Region:
    if check.at_most is not None:
        return Region(-math.inf, amounts.convert(check.at_most, found.unit))
    assert check.at_least is not None
    return Region(amounts.convert(check.at_least, found.unit), math.inf)


def _positive(text: str, unit: str) -> float:
    margin = amounts.convert(text, unit)
    if margin <= 0:
        raise amounts.AmountError(f"a margin of {text} holds nothing; give one above 0")
    return margin


# --- against a baseline ----------------------------------------------------------------------


def _baseline(evidence: Evidence) -> Baseline:
    assert evidence.baseline is not None, "a baseline is read if a check needs one"
    return evidence.baseline


def _no_worse(check: NoWorseThan, found: Estimate, evidence: Evidence) -> Question:
    base = _baseline(evidence)
    then = base.metrics.get(check.metric)
    what = f"{check.metric} against the baseline"
    if then is None:
        why = f"{base.path} does not hold it; `speskew baseline update` would"
        return _open(check, check.metric, what, found, why)
    before = lookup.estimate(then)
    if then.unit != found.unit:
        why = f"is in {found.unit} here and in {then.unit} in the baseline"
        return _open(check, check.metric, what, found, why)
    if before.mean is None:
        return _open(check, check.metric, what, found, "the baseline has no value of it")
    margin = _margin(check, found.unit, before.mean)
    sign = 1 if check.worse == "higher" else -1
    region = Region(-math.inf, margin) if sign > 0 else Region(-margin, math.inf)
    change = difference(found, before)
    question = Question(title(check), check.test, check.metric, what, region, change, True)
    verdict = _without_spread(question, base.tolerance["metrics"], found, before)
    if verdict is None:
        return question
    return Question(title(check), check.test, check.metric, what, region, change, verdict=verdict)


def _margin(check: NoWorseThan, unit: str, before: float) -> float:
    if check.within is not None:
        return _positive(check.within, unit)
    assert check.relative is not None
    return _positive(check.relative, "fraction") * abs(before)


def _without_spread(
    q: Question, tolerance: float, found: Estimate, before: Estimate
) -> Verdict | None:
    """The verdict where there is nothing random: the same numbers, or two that have no spread."""
    e = q.estimate
    if e.mean is None or found.mean is None or before.mean is None:
        return None
    scale = tolerance * max(1.0, abs(found.mean), abs(before.mean))
    same = abs(e.mean) <= scale and found.n == before.n and _near(found.se, before.se, scale)
    if not same and e.se != 0:
        return None
    held = same or q.region.holds(e.mean)
    said = "the baseline's own" if same else f"{amount(e.mean, e.unit)} away, without spread"
    rest = "" if same else f": {'' if held else 'not '}{q.region.text(e.unit)}"
    sentence = f"{q.what}: in {e.n} replications {said}{rest}"
    status = Status.PASS if held else Status.FAIL
    return Verdict(status, e.mean, "exact", q.region.margin, e.n, e.unit, sentence)


def _near(a: float | None, b: float | None, scale: float) -> bool:
    return a == b if a is None or b is None else abs(a - b) <= scale


def _counters(check: Exact, evidence: Evidence) -> Question:
    """Every counter of the replications that run and baseline both have."""
    base = _baseline(evidence)
    result = evidence.result
    ours = baselines.below(lookup.counters(result), check.metric)
    theirs = baselines.below(base.counters, check.metric)
    what = f"counters of {check.metric}"
    if not ours:
        lookup.find(result, check.metric)
        raise lookup.UnknownMetricError(
            f"{check.metric} is not counted per replication; give equals, at_most or at_least"
        )
    if result.seed != base.seed:
        why = f"the baseline has seed {base.seed}, this run {result.seed}"
        return _open(check, check.metric, what, _NOTHING, why)
    both = min(base.replications, max(len(row) for row in ours.values()))
    found = baselines.changes(theirs, ours, both)
    names = {change.name for change in found}
    total = len(ours.keys() | theirs.keys())
    if not found:
        sentence = f"{what}: all {total} are the baseline's in {both} replications"
    else:
        listed = "; ".join(str(change) for change in found[: baselines.LISTED])
        more = "" if len(found) <= baselines.LISTED else f"; and {len(found) - baselines.LISTED}"
        sentence = (
            f"{what}: {len(names)} of {total} differ from the baseline: {listed}"
            f"{more + ' further values' if more else ''}. If that is meant: `speskew baseline "
            "update`, and say so in the changelog"
        )
    status = Status.FAIL if found else Status.PASS
    verdict = Verdict(status, float(len(names)), "exact", 0.0, both, "counters", sentence)
    return Question(title(check), check.test, check.metric, what, _NONE, _NOTHING, verdict=verdict)


# --- without statistics, or with distributions -----------------------------------------------


def _stated(check: Exact, evidence: Evidence) -> Question:
    """A number of the result as it is: total, or mean of a metric."""
    value, unit = lookup.number(evidence.result, check.metric)
    if value is None:
        return _open(check, check.metric, check.metric, _NOTHING, "does not exist in this result")
    asked = [
        (words, amounts.convert(text, unit), holds)
        for words, text, holds in (
            ("exactly", check.equals, lambda x: math.isclose(value, x, rel_tol=1e-12)),
            ("at most", check.at_most, lambda x: value <= x),
            ("at least", check.at_least, lambda x: value >= x),
        )
        if text is not None
    ]
    broken = [(words, x) for words, x, holds in asked if not holds(x)]
    words, bound = broken[0] if broken else asked[0][:2]
    n = evidence.result.replications
    sentence = (
        f"{check.metric}: {amount(value, unit)} over {n} replications, "
        f"{'not ' if broken else ''}{words} {amount(bound, unit)}"
    )
    status = Status.FAIL if broken else Status.PASS
    verdict = Verdict(status, float(value), "exact", float(bound), n, unit, sentence)
    return Question(
        title(check), check.test, check.metric, check.metric, _NONE, _NOTHING, verdict=verdict
    )


def _distribution(check: Distribution, scenario: Scenario, evidence: Evidence) -> Question:
    other = check.against or _baremetal(scenario)
    unit = "fraction" if check.distance == "ks" else "ops" if check.of == "gaps" else "cycles"
    metric = f"arms.{check.arm}.{check.of}"
    what = f"{check.distance} distance of {check.of}, {check.arm} from {other}, in excess of noise"
    region = Region(-math.inf, _positive(check.within, unit))
    ours, theirs = (evidence.histograms(arm, check.of) for arm in (check.arm, other))
    if ours is None or theirs is None:
        why = "the run directory holds no records of both arms; run with --keep-records"
        return _open(check, metric, what, _NOTHING, why)
    if check.arm == other:
        return _open(check, metric, what, _NOTHING, "an arm is distributed like itself")
    for arm, found in ((check.arm, ours), (other, theirs)):
        if not all(found):
            why = f"{arm} has {'a replication with' if any(found) else ''} no {check.of}"
            return _open(check, metric, what, _NOTHING, " ".join(why.split()))
    values = excess(ours, theirs, check.distance)
    if not values:
        return _open(check, metric, what, _NOTHING, "run 2 or more replications")
    return Question(title(check), check.test, metric, what, region, estimate_of(values, unit), True)


def _open(check: Check, metric: str, what: str, found: Estimate, why: str) -> Question:
    return Question(title(check), check.test, metric, what, _NONE, found, reason=why)


# --- the end ---------------------------------------------------------------------------------


def exit_code(found: Sequence[Finding]) -> ExitCode:
    """FAILED if anything failed, UNDECIDED if nothing passed."""
    statuses = {finding.verdict.status for finding in found}
    if Status.FAIL in statuses:
        return ExitCode.FAILED
    return ExitCode.OK if Status.PASS in statuses else ExitCode.UNDECIDED


def baseline_path(scenario: Scenario, *folders: Path) -> Path:
    """Where the baseline is looked for: in these folders, in ./scenarios, in the stock."""
    stock = [stock_folder(), stock_folder() / "sweeps"]
    return baselines.path_for(scenario.name, [*folders, Path("scenarios"), *stock])
