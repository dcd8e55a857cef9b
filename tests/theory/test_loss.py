"""Rows 5, 6 and 12 of the theory page: live fractions, and what loss does to a profile.

Rows 5 and 12 against the simulator, 40 replications; row 6 against an alternating renewal process
made here, since no part of the model starts blackouts by a Poisson clock. z = 4 standard errors.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from analysis import theory
from analysis.agreement import curves, forms
from analysis.fidelity import losses, profiles
from analysis.statistics.intervals import F64
from sim.ledger import OpLabel
from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.files import loader

Z = 4
REPLICATIONS = 40
DELIVERY = 1500
"""500 ns at 3 GHz and one op a cycle."""
TEXT = """\
name: loss
replications: 40
workload:
  kind: synthetic
  repeat: {repeat}
  phases: {phases}
spe: {{jitter: {jitter}}}
driver: {{aux: {aux}KiB, mode: cpu}}
vm: {{exits: 0/s}}
arms: [{{design: baremetal}}]
"""
FULL = OpLabel.IRQ_DELIVERY_FULL
LATENCY = "latency: {kind: constant, value: 16cycles}"
LOOP = f"[{{name: loop, length: 20, iterations: 600000, cpi_millis: 1000, {LATENCY}}}]"
TWO = (
    f"[{{name: fast, length: 20, iterations: 20000, cpi_millis: 250, {LATENCY}}},"
    f" {{name: slow, length: 20, iterations: 20000, cpi_millis: 3000, {LATENCY}}}]"
)


def ran(folder: Path, phases: str, *, aux: int, jitter: str = "on", repeat: int = 1) -> ArmResult:
    """Baremetal with small windows."""
    path = folder / "loss.yaml"
    path.write_text(TEXT.format(phases=phases, aux=aux, jitter=jitter, repeat=repeat))
    return batch.run(loader.load(path))[0]


def error(values: F64) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1)) / math.sqrt(values.size)


@pytest.mark.parametrize("aux", [8, 16, 64])
def test_live_fraction_of_full_buffers(aux: int, tmp_path: Path) -> None:
    """Row 5: loss D/(U + D), U = (B/2)/64 B × 1,152.5 ops; one cycle of end effect besides."""
    arm = ran(tmp_path, LOOP, aux=aux)
    up = theory.buffer_up_ops(aux << 9, 64, 1152.5)
    expected = 1 - theory.live_fraction(up, DELIVERY)
    found = np.array([losses.lost_ops(r, FULL) / losses.population_ops(r) for r in arm.runs])
    cycles = 12e6 / (up + DELIVERY)
    assert abs(float(found.mean()) - expected) < Z * error(found) + expected / cycles
    if aux == 8:  # control: many cycles tell a window that is a tenth larger
        wrong = 1 - theory.live_fraction(up * 1.1, DELIVERY)
        assert abs(float(found.mean()) - wrong) > Z * error(found) + expected / cycles


def test_curves_run_through_the_simulated_points(tmp_path: Path) -> None:
    """theory_table: each form that applies lies within Z standard errors of its own curve."""
    arm = ran(tmp_path, LOOP, aux=16)
    frame = curves.theory_table([arm]).frame()
    assert frame["row"].tolist() == ["7", "7", "4", "5", "5b", "12"]
    assert frame["condition"].astype(bool).tolist() == [r in ("5b", "12") for r in frame["row"]]
    points = frame[frame["condition"] == ""]
    assert (points["z"].abs() < Z).all()
    assert points["n"].tolist() == [REPLICATIONS] * 4
    for form in forms.FORMS:
        mine = points[(points["row"] == form.row) & (points["quantity"] == form.quantity)]
        assert [form.curve(x) for x in mine["x"]] == pytest.approx(mine["theory"].tolist())


@pytest.mark.parametrize(("wrong", "flagged"), [(1.0, False), (1.05, True)])
def test_cold_pages_and_collisions_lie_on_their_curves(
    wrong: float, flagged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows 4 and 5b of an always-cold arm, 40 replications; controls: forms 5 % off."""
    slow = LOOP.replace("{kind: constant, value: 16cycles}", "{kind: exponential, mean: 600cycles}")
    text = TEXT.format(phases=slow, aux=64, jitter="on", repeat=1)
    text = text.replace("design: baremetal", "design: unpinned") + "host: {unmap: per_window}\n"
    (tmp_path / "cold.yaml").write_text(text)
    for name in ("renewals_exponential", "cold_page_up_ops"):
        right = getattr(theory, name)
        monkeypatch.setattr(theory, name, lambda *a, _right=right, **k: wrong * _right(*a, **k))
    frame = curves.theory_table(batch.run(loader.load(tmp_path / "cold.yaml"))).frame()
    found = frame[frame["row"].isin(["4", "5b"])]
    assert found["condition"].tolist() == ["", ""]
    assert (found["simulated"] > 0.01).all()
    assert (found["z"].abs() > Z).tolist() == [flagged] * 2


def test_a_wrong_gap_lies_off_the_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: with the reload op forgotten, the mean gap is many standard errors off."""
    arm = ran(tmp_path, LOOP, aux=16)
    right = forms.mean_gap
    monkeypatch.setattr(forms, "mean_gap", lambda a: right(a) - 1)
    frame = curves.theory_table([arm]).frame()
    assert abs(float(frame[frame["quantity"] == "gap_beyond_ops"]["z"].iloc[0])) > Z


def loss_is_skew(arm: ArmResult) -> tuple[F64, float, float]:
    """(share of the slow symbol [R], its truth, its truth with the bias of row 12)."""
    row = next(s for s in losses.loss_by_symbol(arm) if s.label == "slow")
    index = profiles.names(arm, "symbol").index("slow")
    share = profiles.shares(profiles.sampled(arm, "symbol"))[:, index]
    return share, row.share, row.share + row.bias


def test_loss_correlated_with_phases_biases_as_predicted(tmp_path: Path) -> None:
    """Row 12: a blackout of equal time loses 12 times the ops in the phase of CPI 0.25.

    The shares are off by exactly that bias; that they are the truth is refuted (control).
    """
    arm = ran(tmp_path, TWO, aux=8, repeat=20)
    share, truth, biased = loss_is_skew(arm)
    assert biased - truth > 0.01
    assert abs(float(share.mean()) - biased) < Z * error(share)
    assert abs(float(share.mean()) - truth) > Z * error(share)


@pytest.mark.parametrize("shape", ["constant", "exponential"])
def test_several_causes(shape: str) -> None:
    """Row 6: three Poisson causes that start only while live; 40 runs of 2,000 blackouts."""
    rates, downs = (1e-4, 5e-5, 2e-4), (300.0, 4000.0, 50.0)
    rng = np.random.default_rng(6)
    live = []
    for _ in range(40):
        up = rng.exponential(1 / sum(rates), 2000)
        which = rng.choice(3, 2000, p=np.array(rates) / sum(rates))
        down = np.array(downs)[which]
        if shape == "exponential":
            down = rng.exponential(down)
        live.append(float(up.sum() / (up.sum() + down.sum())))
    found = np.array(live)
    assert abs(found.mean() - theory.live_fraction_of_causes(rates, downs)) < Z * error(found)
    alone = theory.live_fraction_of_causes(rates[:2], downs[:2])
    assert abs(found.mean() - alone) > Z * error(found)
    one = theory.live_fraction_of_causes([0.1], [3.0])
    assert one == pytest.approx(theory.live_fraction(10.0, 3.0))


@pytest.mark.parametrize("dead", [50.0, 100.0, 400.0])
def test_dead_time_that_every_trigger_restarts(dead: float) -> None:
    """Row 2: n e^(-nτ); a trigger counts if τ has passed since the last one; 40 × 20,000."""
    rate = 1e-2
    rng = np.random.default_rng(2)
    gaps = rng.exponential(1 / rate, (40, 20_000))
    found = (gaps > dead).sum(axis=1) / gaps.sum(axis=1)
    assert abs(float(found.mean()) - theory.paralyzable_rate(rate, dead)) < Z * error(found)
    assert abs(float(found.mean()) - theory.observed_rate(rate, dead)) > Z * error(found)
    assert theory.paralyzable_rate(1 / dead, dead) == pytest.approx(1 / (math.e * dead))


def test_forms_that_do_not_apply_say_why(tmp_path: Path) -> None:
    """No number outside the conditions: switches and resync."""
    path = tmp_path / "loss.yaml"
    text = TEXT.format(phases=LOOP, aux=16, jitter="on, restart: resync", repeat=1)
    text = text.replace("mode: cpu", "mode: task").replace("replications: 40", "replications: 2")
    path.write_text(text + "switch: {every: 1ms, away: 10us}\n")
    frame = curves.theory_table(batch.run(loader.load(path))).frame()
    assert (frame["condition"] != "").all()
    assert frame["theory"].isna().all()
    assert (frame["n"] == 0).all()
