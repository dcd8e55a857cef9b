"""What is built from a real run."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from reports.store.csvdata import SHAPES, loads
from reports.store.rows import PerturbationRow, read
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_real_result_holds_the_laws() -> None:
    """Numbers of a real run: population equal in all arms, loss only where it must be."""
    call("run", "tiny.yaml", "-o", "out", "--no-report")
    arms = json.loads(Path("out/result.json").read_text())["arms"]
    executed = {a["ledger"]["ops"]["executed"] for a in arms.values()}
    assert executed == {3 * 40 * (100 * 500 + 37 * 300)}
    assert arms["cold"]["ledger"]["ops"]["irq_delivery_fault"] > 0
    assert arms["baremetal"]["ledger"]["ops"]["irq_delivery_fault"] == 0
    for arm in arms.values():
        s, d = arm["ledger"]["selections"], arm["ledger"]["delivery"]
        assert s["written"] == sum(d.values())
    table = pyarrow.parquet.read_table("out/profile.parquet").to_pandas()
    delivered = table[(table["by"] == "symbol") & (table["arm"] == "v6")]["samples"].sum()
    assert delivered == arms["v6"]["ledger"]["delivery"]["delivered"]


def test_time_added_lies_in_its_band() -> None:
    """The table of a real run has the band that the run was given ends for."""
    call("run", "tiny.yaml", "-o", "out", "--no-report")
    text = Path("out/data/perturbation.csv").read_text()
    table = loads("perturbation", SHAPES["perturbation"], text)
    rows = read(PerturbationRow, {"perturbation": table})
    whole = [r for r in rows if r.cause == "all"]
    assert [r.arm for r in whole] == ["v6", "cold"]
    for low, here, high in (r.shares() for r in whole):
        assert low < here < high
