"""Perturbation, paired differences, and arms compared on a common prefix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis import paired
from analysis.cost import perturbation
from analysis.fidelity import profiles
from analysis.fidelity.claims import same_shares
from analysis.fidelity.distances import distances
from analysis.statistics.verdicts import Status
from sim.ledger import TimeCause
from sim.runs import batch
from sim.runs.batch import ArmResult, Prefix
from sim.scenario.files import loader
from tests.rigs.fakes import OPS, SHARES, Plan, arm, cells

TEXT = """\
name: compared
replications: 4
workload:
  kind: synthetic
  phases:
    - {name: a, length: 100, iterations: 30000}
    - {name: b, length: 37, iterations: 50000, cpi_millis: 2000}
spe: {jitter: on, restart: resync}
driver: {aux: 16KiB}
switch: {every: 500us, away: 10us}
vm: {max_buffer: unlimited, exits: 0/s}
arms:
  - design: baremetal
  - {design: v6, overrides: {host.memlock: 16KiB}}
  - {name: cold, design: unpinned, overrides: {host.unmap: per_window}}
"""


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> tuple[ArmResult, ...]:
    """baremetal, v6, cold under resync, with twins and bands."""
    path = tmp_path_factory.mktemp("compared") / "compared.yaml"
    path.write_text(TEXT)
    return batch.run(loader.load(path), band=True)


def test_time_added_is_the_sum_of_its_causes(arms: tuple[ArmResult, ...]) -> None:
    """At each end of the band, and as the scenario has it: causes add up to the total."""
    for found in (perturbation.added(a, arms[0]) for a in arms[1:]):
        causes = [x for cause, x in found.items() if cause != perturbation.TOTAL]
        total = found[perturbation.TOTAL]
        for end in ("here_ms", "low_ms", "high_ms"):
            assert sum(getattr(x, end) for x in causes) == pytest.approx(getattr(total, end))
        assert total.low_ms is not None
        assert total.high_ms is not None
        assert total.low_ms < total.here_ms < total.high_ms


def test_band_is_counts_times_costs_where_it_is_linear(arms: tuple[ArmResult, ...]) -> None:
    """Walk time is tables × t_walk_table: 0.1 and 10 times of 100 ns; pin times are known."""
    found = perturbation.added(arms[1], arms[0])
    walk, pin = found["walk"], found["pin"]
    assert walk.low_ms == pytest.approx(walk.here_ms / 10)
    assert walk.high_ms == pytest.approx(walk.here_ms * 10)
    assert pin.low_ms == pytest.approx(pin.here_ms) == pin.high_ms
    unpin = found["unpin"]
    assert unpin.unmapping_ms is not None
    assert unpin.high_ms is not None
    assert unpin.unmapping_ms == pytest.approx(unpin.here_ms * (15 + 1900) / 15)


def test_perturbation_of_fakes_is_what_was_put_in() -> None:
    """10⁶ ticks of pinning in each replication, and no band without the runs for it."""
    v6 = arm(Plan(name="v6", design="v6", pin_ticks=10**6))
    found = perturbation.added(v6, arm(Plan()))
    assert set(found) == {TimeCause.PIN.value, perturbation.TOTAL}
    assert found["pin"].here_ms == pytest.approx(1e6 / 64 / 3e9 * 1e3)
    assert found["total"].low_ms is None
    assert perturbation.added(arm(Plan()), None) == {}
    frame = perturbation.df_perturbation([v6], arm(Plan()))
    assert list(frame["cause"]) == ["pin", "total"]


def test_hold_and_resync_stand_side_by_side(arms: tuple[ArmResult, ...]) -> None:
    """Both are there for a resync arm; hold only for a hold arm."""
    sides = paired.differences(arms[2], arms[0])["loss"]
    assert sides["hold"].mean is not None
    assert sides["resync"].mean is not None
    assert sides["hold"].n == sides["resync"].n == 4
    assert arms[2].hold is not None
    hold = paired.differences(arms[2].hold, arms[0].hold)["loss"]
    assert hold["hold"] == sides["hold"]
    assert hold["resync"].mean is None
    frame = paired.df_paired(arms[1:], arms[0])
    assert set(frame["restart"]) == {"hold", "resync"}
    assert len(frame) == 2 * 4 * 2


def test_differences_are_paired_by_replication() -> None:
    """An arm with the same samples and no more loss differs by exactly nothing."""
    same = paired.differences(arm(Plan(name="x")), arm(Plan()))
    for name in paired.QUANTITIES:
        assert (same[name]["hold"].mean, same[name]["hold"].ci95) == (0, "exact")
    lossy = paired.differences(arm(Plan(name="x", lost=500)), arm(Plan()))
    assert lossy["loss"]["hold"].mean == pytest.approx(500 / OPS)


def early(shares: tuple[float, ...] = SHARES, seed: int = 1) -> ArmResult:
    """An arm that ended at a tenth, its prefix with another truth than the whole."""
    at = OPS // 10
    plan = Plan(name="x", design="v6", shares=shares, seed=seed, ended_at=at)
    bare = [arm(Plan(seed=100 + k, ended_at=at)).runs for k in range(2)]
    truth = np.tile(cells(SHARES, at), (plan.replications, 1))
    return replace(arm(plan), prefix=Prefix(truth, bare[0], bare[1]))


def test_an_early_end_is_compared_on_the_prefix() -> None:
    """Same shares: no excess and PASS; the sentence says what was compared."""
    bare = arm(Plan(truth=(0.1, 0.2, 0.3, 0.4)))
    found = early()
    assert profiles.basis(found, bare) == "prefix"
    assert distances(found, bare, "symbol")["tvd_excess"].mean is not None
    verdict = same_shares(found, bare, margin=3.0)
    assert verdict.status is Status.PASS
    assert "common prefix" in verdict.sentence
    assert "100,000 ops" in verdict.sentence
    assert distances(found, bare, "symbol")["tvd_vs_truth"].mean < 0.05  # type: ignore[operator]


def test_a_bias_on_the_prefix_is_found() -> None:
    """Control: 20 points moved."""
    bare = arm(Plan())
    biased = early((0.3, 0.5, 0.15, 0.05))
    assert same_shares(biased, bare, margin=3.0).status is Status.FAIL
    ci = distances(biased, bare, "symbol")["tvd_excess"].ci95
    assert isinstance(ci, tuple)
    assert ci[0] > 0.1


def test_prefix_verdicts_are_seldom_wrong() -> None:
    """No bias: the interval of the excess lies above 0 in at most 2.5 % of 200 runs, plus 4 SE."""
    bare = arm(Plan())
    hits = 0
    for k in range(200):
        found = early(seed=1000 + k)
        assert found.prefix is not None
        fresh = [arm(Plan(seed=5000 + 2 * k + j, ended_at=OPS // 10)).runs for j in range(2)]
        found = replace(found, prefix=Prefix(found.prefix.truth, fresh[0], fresh[1]))
        ci = distances(found, bare, "symbol")["tvd_excess"].ci95
        hits += isinstance(ci, tuple) and ci[0] > 0
    assert hits / 200 <= 0.025 + 4 * (0.025 * 0.975 / 200) ** 0.5


def test_prefix_of_a_real_run(tmp_path: Path) -> None:
    """A VMM that kills when the second vCPU's pin exceeds the limit: compared, and identical."""
    text = TEXT.replace("exits: 0/s", "exits: 0/s, vcpus: 2").replace(", restart: resync", "")
    text += "  - {name: refused, design: v6, policies: {vmm: refuse_kill}, "
    text += "overrides: {host.memlock: 20KiB}}\n"
    path = tmp_path / "x.yaml"
    path.write_text(text)
    found = {a.arm.name: a for a in batch.run(loader.load(path))}
    refused, bare = found["refused"], found["baremetal"]
    assert profiles.basis(refused, bare) == "prefix"
    assert perturbation.time_added(refused, bare).mean is not None
    assert perturbation.added(refused, bare)["vmm"].here_ms > 0
