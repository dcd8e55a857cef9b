"""The store of unit results: kept whole, and what is damaged is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim import scratch
from sim.runs import batch
from sim.runs.store import Store
from sim.scenario.models.scenario import Scenario
from tests.sim.runs.made_results import same
from tests.sim.runs.scenarios import unit

# --- store


@pytest.fixture
def said() -> list[str]:
    """What a store said of units that it could not read."""
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> Store:
    """A store that is not there yet."""
    return Store(tmp_path / "units", lambda path, why: said.append(f"{path.name}: {why}"))


def test_store_keeps_results_whole(scenario: Scenario, store: Store, tmp_path: Path) -> None:
    """What comes back is what was put: ledgers, histograms, arrays, records."""
    result = batch.run_unit(replace(unit(scenario), keep_records=True))
    assert store.get("k") is None
    store.put({"k": result})
    found = store.get("k")
    assert found is not None
    assert found.vcpus[0].ledgers == result.vcpus[0].ledgers
    assert np.array_equal(found.vcpus[0].written, result.vcpus[0].written)
    assert same(found, result)
    assert "k" in store
    assert [p.name for p in (tmp_path / "units").iterdir()] == ["k.unit"]


def test_what_is_damaged_is_said_and_absent(
    scenario: Scenario, store: Store, said: list[str], tmp_path: Path
) -> None:
    """Cut anywhere, one bit changed, or empty: absent with its reason, never half a result."""
    store.put({"k": batch.run_unit(unit(scenario))})
    path = tmp_path / "units" / "k.unit"
    whole = path.read_bytes()
    damaged = [whole[:length] for length in (*range(0, 60), len(whole) // 2, len(whole) - 1)]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for place in (0, 20, 50, len(whole) // 2, len(whole) - 1)
    ]
    for data in damaged:
        path.write_bytes(data)
        assert store.get("k") is None
    assert len(said) == len(damaged)
    assert {line.partition(", ")[0] for line in said} == {
        "k.unit: it does not begin as a unit of this version does",
        "k.unit: its checksum does not match: it was cut or changed",
    }
    path.write_bytes(whole)
    assert store.get("k") is not None
    assert len(said) == len(damaged)


def test_a_unit_that_may_not_be_read_is_said(store: Store, said: list[str], tmp_path: Path) -> None:
    """The system's reason, too; a unit that is not there is none to speak of."""
    assert store.get("k") is None
    assert said == []
    (tmp_path / "units" / "k.unit").mkdir(parents=True)
    assert "k" not in store
    assert said == ["k.unit: Is a directory"]


def test_leftovers_of_a_kill_are_swept_up(tmp_path: Path) -> None:
    """Temporary files go, results stay."""
    (tmp_path / f"{scratch.PREFIX}part-123").write_bytes(b"half")  # nobody's lock is on it
    (tmp_path / "k.unit").write_bytes(b"")
    Store(tmp_path, lambda path, why: None).sweep_up()
    assert [p.name for p in tmp_path.iterdir()] == ["k.unit"]
