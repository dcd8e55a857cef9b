"""What an enable edge costs: parts from counts and times, of made-up arms and of simulated ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.cost import edges, perturbation, rlimit
from analysis.cost.edges import ALL, CHARGE, Edge
from analysis.cost.perturbation import Added
from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.files import loader
from tests.rigs.fakes import Plan, arm

TEXT = """\
name: edges
replications: 2
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 60000}]}
driver: {aux: 64KiB}
switch: {every: 200us, away: 600us}
host: {memlock: unlimited}
vm: {vcpus: 1, max_buffer: unlimited, memory: 1GiB}
arms:
  - design: baremetal
  - {name: v6, design: v6}
  - {name: per-pin, design: v6, policies: {accounting: per_pin}}
  - {name: never, design: v6, policies: {accounting: per_pin, unpin: never}}
  - {name: free, design: v6, policies: {accounting: none}}
  - {name: set, design: v6, overrides: {parameters.t_charge: 500ns}}
  - {design: unpinned}
"""


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ArmResult]:
    """One vCPU, a task that is away three quarters of the time; with bands."""
    path: Path = tmp_path_factory.mktemp("edges") / "edges.yaml"
    path.write_text(TEXT)
    return {found.arm.name: found for found in batch.run(loader.load(path), band=True)}


def parts(arms: dict[str, ArmResult], name: str) -> dict[str, Edge]:
    """Of an arm beside baremetal."""
    base = arms["baremetal"]
    return edges.per_enable(arms[name], perturbation.added(arms[name], base))


def test_parts_are_counts_times_times(arms: dict[str, ArmResult]) -> None:
    """t_pin for each page that is pinned, t_unpin for each unpinned, t_charge once; µs per edge."""
    found = parts(arms, "v6")
    counts = [run.rlimit for run in arms["v6"].runs]
    pages = sum(c.pinned_pages for c in counts) / sum(c.enables for c in counts)
    assert found["pin"].here_us == pytest.approx(0.062 * pages, rel=1e-3)
    assert found["unpin"].here_us == pytest.approx(0.015 * pages, rel=0.1)
    assert found[CHARGE] == Edge(0.3, 0.1, 1.0)
    assert list(found) == [*edges.PARTS, ALL]
    for end in ("here_us", "low_us", "high_us"):
        whole = sum(getattr(found[part], end) for part in edges.PARTS)
        assert getattr(found[ALL], end) == pytest.approx(whole)


def test_the_band_ends_with_unmapping(arms: dict[str, ArmResult]) -> None:
    """t_unmap for each page on top of unpinning, where that is open; not where pins are kept."""
    unpin = parts(arms, "v6")["unpin"]
    assert unpin.high_us is not None
    assert unpin.high_us > 50 * unpin.here_us
    never = parts(arms, "never")
    assert "unpin" not in never
    assert never[ALL].here_us < parts(arms, "v6")[ALL].here_us


def test_what_is_not_charged_has_no_part_of_it(arms: dict[str, ArmResult]) -> None:
    """All of it is pinning; a time that the scenario sets has no band."""
    assert CHARGE not in parts(arms, "free")
    assert parts(arms, "set")[CHARGE] == Edge(0.5, 0.5, 0.5)
    assert parts(arms, "unpinned") == parts(arms, "baremetal") == {}


def test_memory_times_time_is_what_accounting_says(arms: dict[str, ArmResult]) -> None:
    """A mark that is never lowered is locked while the task is away, as pins that are kept are."""

    def locked(name: str) -> float:
        found = rlimit.metrics(arms[name])["locked_per_enable"]
        assert found.mean is not None
        assert found.unit == "MiB*ms"
        return found.mean

    assert locked("per-pin") < locked("v6") / 2 < locked("never") / 2


def test_of_made_up_arms() -> None:
    """10⁶ ticks of pinning in ten enables: 0.521 µs each, 0.3 of it charge; no band, no ends."""
    made = arm(Plan(name="v6", design="v6", pin_ticks=10**6))
    here = 1e6 / (64 * 3e9) * 1e3
    found = edges.per_enable(made, {"pin": Added(here, None, None, None)})
    assert found[ALL].here_us == pytest.approx(1e6 / (64 * 3000) / 10)
    assert found[CHARGE] == Edge(0.3, None, None)
    assert found["pin"].here_us == pytest.approx(found[ALL].here_us - 0.3)
    banded = edges.per_enable(made, {"pin": Added(here, here / 2, 2 * here, 20 * here)})
    assert banded[ALL].low_us == pytest.approx(found[ALL].here_us / 2)
    assert banded[ALL].high_us == pytest.approx(found[ALL].here_us * 20)
    assert edges.per_enable(made, {}) == {}
    less = edges.per_enable(made, {"pin": Added(here / 10, None, None, None)})
    assert CHARGE not in less, "it cannot be more than all of pinning"
