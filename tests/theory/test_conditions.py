"""What records are like and how samples are lost decides which closed forms hold for an arm.

Each form that is switched off would be wrong there: its point, taken all the same, lies many
standard errors from its curve (positive control). What still holds has a point on its curve.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis import theory
from analysis.agreement import curves, forms
from analysis.fidelity import losses, profiles
from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.files import loader

Z = 4
TEXT = """\
name: conditions
replications: 12
seed: 5
workload:
  kind: synthetic
  repeat: {repeat}
  phases: {phases}
spe: {{jitter: on, {spe}}}
driver: {{aux: 32KiB, mode: cpu}}
vm: {{exits: 0/s, max_buffer: unlimited}}
host: {{unmap: {unmap}}}
cpu: {{core: {core}}}
arms: [{{design: {design}}}]
"""
SHORT = "latency: {kind: constant, value: 16cycles}"
LOOP = f"[{{name: loop, length: 97, iterations: 60000, cpi_millis: 1000, {SHORT}}}]"
LONG = LOOP.replace("value: 16", "value: 1500")
TWO = (
    f"[{{name: fast, length: 20, iterations: 20000, cpi_millis: 250, {SHORT}}},"
    f" {{name: slow, length: 20, iterations: 20000, cpi_millis: 3000, {SHORT}}}]"
)
SHADOWED = TWO[:-2].replace("cpi_millis: 250, " + SHORT, "cpi_millis: 250", 1) + "}]"
COLD = {"design": "unpinned", "unmap": "per_window"}


def ran(folder: Path, phases: str, **changes: str) -> ArmResult:
    """One arm; baremetal with 64-byte slots and nothing unmapped unless told otherwise."""
    usual = {
        "spe": "interval: 1024ops",
        "design": "baremetal",
        "unmap": "never",
        "repeat": "1",
        "core": "neoverse-n1",
    }
    (folder / "s.yaml").write_text(TEXT.format(phases=phases, **(usual | changes)))
    return batch.run(loader.load(folder / "s.yaml"))[0]


def row(frame: pd.DataFrame, name: str, quantity: str = "") -> pd.Series:
    """The only row of a form, or that with a quantity."""
    mine = frame[frame["row"] == name]
    return mine[mine["quantity"] == quantity].iloc[0] if quantity else mine.iloc[0]


def taken_all_the_same(arm: ArmResult, name: str) -> float:
    """z of the point that an arm would have on a form whose condition it breaks."""
    (form,) = (f for f in forms.FORMS if f.row == name)
    return abs(curves.mean_z(form.points(arm)))


def holds(frame: pd.DataFrame, name: str, quantity: str = "") -> bool:
    """True if a form applies and its point lies on it."""
    found = row(frame, name, quantity)
    return found["condition"] == "" and abs(float(found["z"])) < Z


@pytest.mark.parametrize(("form", "changes"), [("5", {}), ("5b", COLD)])
def test_packed_records_fill_no_slots(form: str, changes: dict[str, str], tmp_path: Path) -> None:
    """Rows 5 and 5b count records of 64 bytes: off for Kunpeng's two lengths, on for its slots."""
    packed = ran(tmp_path, LOOP, core="kunpeng-920", **changes)
    frame = curves.theory_table([packed]).frame()
    assert row(frame, form)["condition"] == "packed records have two lengths"
    assert taken_all_the_same(packed, form) > Z
    assert holds(frame, "7", "gap_beyond_ops")
    assert holds(frame, "4")
    slots = ran(
        tmp_path, LOOP, core="kunpeng-920", spe="interval: 1024ops, record: slot64", **changes
    )
    assert holds(curves.theory_table([slots]).frame(), form)


def test_voided_records_end_the_cycle_of_a_cold_page(tmp_path: Path) -> None:
    """PMBSR.DL: KVM rewinds what was voided, so a page holds fewer; gaps and counts stay."""
    spe = "interval: 1024ops, data_loss_per_mille: 500"
    arm = ran(tmp_path, LOOP, spe=spe, **COLD)
    assert arm.runs[0].vcpus[0].ledgers.delivery.voided_by_DL > 0
    frame = curves.theory_table([arm]).frame()
    assert row(frame, "5b")["condition"] == "some faults lose more than one record"
    assert taken_all_the_same(arm, "5b") > Z
    assert holds(frame, "7", "gap_beyond_ops")
    assert holds(frame, "7", "count_dispersion")
    assert holds(curves.theory_table([ran(tmp_path, LOOP, **COLD)]).frame(), "5b")


def test_the_erratum_biases_the_sampler_itself(tmp_path: Path) -> None:
    """1694299: which op is sampled changes, so row 12 is off; when one is selected does not."""
    spe = "interval: 1024ops, target_bias_per_mille: 1000"
    biased, plain = (ran(tmp_path, TWO, spe=s, repeat="4") for s in (spe, "interval: 1024ops"))
    frame = curves.theory_table([biased]).frame()
    assert row(frame, "12")["condition"] == "the sampler itself is biased (erratum 1694299)"
    assert holds(frame, "7", "gap_beyond_ops")
    assert holds(curves.theory_table([plain]).frame(), "12")
    assert (biased.runs[0].vcpus[0].profile != plain.runs[0].vcpus[0].profile).any()


def test_a_second_slot_lets_fewer_selections_collide(tmp_path: Path) -> None:
    """Row 4 is about one slot: off with two, where it would promise a collision for each sample."""
    two = ran(tmp_path, LONG, spe="interval: 1024ops, in_flight: 2")
    assert (
        row(curves.theory_table([two]).frame(), "4")["condition"]
        == "more than one operation may be in flight"
    )
    assert taken_all_the_same(two, "4") > Z
    assert holds(curves.theory_table([ran(tmp_path, LONG)]).frame(), "4")


def test_collisions_bias_where_the_loss_does_not(tmp_path: Path) -> None:
    """Row 12 counts blackouts only: off where samples in flight hide a phase from the sampler."""
    spe = "interval: 256ops, min_interval: 256ops"
    arm = ran(tmp_path, SHADOWED, spe=spe, repeat="4")
    selections = arm.runs[0].vcpus[0].ledgers.selections
    assert selections.collided > 0.01 * selections.selected
    assert "lose single records" in row(curves.theory_table([arm]).frame(), "12")["condition"]
    assert holds(curves.theory_table([ran(tmp_path, TWO, spe=spe, repeat="4")]).frame(), "12")


def test_replications_that_lose_more_are_biased_more(tmp_path: Path) -> None:
    """Row 12 where chance says when the event is disabled for good: each replication has a bias of
    its own, and their mean is found; that of the pooled loss, where who keeps most weighs most, is
    refuted (control)."""
    longer = TWO.replace("iterations: 20000", "iterations: 60000")
    arm = ran(tmp_path, longer, design="unpinned-error", unmap="{poisson: 300/s}", repeat="20")
    assert holds(curves.theory_table([arm]).frame(), "12")
    whole, lost = (f(arm, "symbol").sum(axis=0)[:2] for f in (profiles.truths, profiles.lost))
    pooled = theory.loss_bias(whole / whole.sum(), lost / whole)[0]
    found = (profiles.shares(profiles.sampled(arm, "symbol"))[:, 0] - whole[0] / whole.sum()).mean()
    assert found == pytest.approx(losses.biases(arm, "symbol")[:, 0].mean(), abs=0.001)
    assert abs(found - pooled) > 0.01
