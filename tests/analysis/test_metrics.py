"""The dictionary against what is written: every column, every number, both ways."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from analysis import frames, metrics, paired
from analysis.agreement import curves
from analysis.columns import COLUMNS, TABLES
from analysis.cost import perturbation, rlimit
from analysis.fidelity import errors, losses
from analysis.metrics import METRICS
from analysis.tables import Table
from reports.results import shapes
from reports.results.build import build
from reports.store import parquet
from sim.ledger import OpLabel
from sim.runs import batch
from sim.scenario.files import loader
from tests.rigs.fakes import Plan, arm
from tests.rigs.samples import PLANS, plain
from tests.rigs.samples import scenario as made_up

SMALL = """\
name: small
replications: 3
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 20000}]}
spe: {jitter: on, restart: resync}
driver: {aux: 8KiB}
switch: {every: 100us, away: 10us}
decisions: {kinds: [hot-functions, sharing]}
arms:
  - design: baremetal
  - {design: v6, overrides: {host.memlock: 4KiB, spe.interval: 1009ops, vm.max_buffer: unlimited}}
  - {name: cold, design: unpinned, overrides: {host.unmap: per_window}}
"""
MODULES = (curves, errors, frames, losses, paired, perturbation, rlimit)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A real run with everything kept: (scenario, arms)."""
    path = tmp_path_factory.mktemp("small") / "small.yaml"
    path.write_text(SMALL)
    scenario = loader.load(path)
    return scenario, batch.run(scenario, keep_records=True, band=True)


def leaves(arm: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(path, value) of every number of an arm; list items have one path, metrics are one value."""
    yield from _leaves("", arm)


def _leaves(at: str, value: Any) -> Iterator[tuple[str, Any]]:
    if at == "hold":  # the twin: an arm of its own
        yield at, value
    elif isinstance(value, dict) and set(value) != {"mean", "ci95", "n", "unit"}:
        for key, inner in value.items():
            yield from _leaves(f"{at}.{key}" if at else key, inner)
    elif isinstance(value, list) and not at.endswith("interval"):
        for inner in value:
            yield from _leaves(f"{at}[]", inner)
    else:
        yield at, value


def test_every_number_is_in_the_dictionary(ran: tuple[Any, Any]) -> None:
    """Each leaf of result.json is one metric, each metric is a leaf of some result."""
    scenario, arms = ran
    doubted = replace(arms[0].stream, remarks=("1 timestamps are 0",))
    arms = (replace(arms[0], stream=doubted), *arms[1:])
    dead = arm(Plan())
    dead.runs[0].vcpus[0].ledgers.ops.by_label[OpLabel.EVENT_DISABLED] = 5
    built = (
        build(made_up([dead]), [dead], interrupted=False),
        build(scenario, arms, interrupted=False),
    )
    whole = [plain(), *map(shapes.dump, built)]
    found = [(path, value) for r in whole for a in r["arms"].values() for path, value in leaves(a)]
    unknown = {path for path, _ in found if metrics.find(path) is None}
    assert unknown == set()
    assert {c.name for path, _ in found if (c := metrics.find(path))} == set(METRICS)


def test_an_unknown_number_is_noticed() -> None:
    """Control: a number that nobody has explained has no entry."""
    a = plain(PLANS[:1])["arms"]["baremetal"]
    a["rlimit"]["surprise"] = 1
    assert [p for p, _ in leaves(a) if metrics.find(p) is None] == ["rlimit.surprise"]


def test_units_of_metrics_are_the_dictionary_s(ran: tuple[Any, Any]) -> None:
    """`unit` beside a mean is the unit of its entry, and only metrics have one."""
    built = shapes.dump(build(ran[0], ran[1], interrupted=False))
    for a in built["arms"].values():
        for path, value in leaves(a):
            column = metrics.find(path)
            assert column is not None
            assert isinstance(value, dict) == (column.dtype in ("metric", "arm")) or value is None
            if column.dtype == "metric":
                assert value["unit"] == column.unit, path


def test_allowed_values_are_all_that_occur(ran: tuple[Any, Any]) -> None:
    """A number with listed values has one of them, or none."""
    built = shapes.dump(build(ran[0], ran[1], interrupted=False))
    for a in built["arms"].values():
        for path, value in leaves(a):
            column = metrics.find(path)
            assert column is not None
            assert not column.values or value is None or value in column.values, path


def test_files_have_the_columns_of_the_dictionary(ran: tuple[Any, Any], tmp_path: Path) -> None:
    """Names, order, types, units and meanings of every Parquet file."""
    scenario, arms = ran
    names = parquet.write(tmp_path, arms, records_of_seed=scenario.seed)
    assert set(names) == set(TABLES)
    for name in names:
        schema = pyarrow.parquet.read_schema(tmp_path / name)
        assert tuple(schema.names) == TABLES[name]
        for field in schema:
            column = COLUMNS[field.name]
            assert str(field.type) == str(pyarrow.type_for_alias(column.dtype))
            assert field.metadata[b"meaning"].decode() == column.meaning
            assert field.metadata.get(b"unit", b"").decode() == column.unit
        frame = pyarrow.parquet.read_table(tmp_path / name).to_pandas()
        assert len(frame), name
        for column in (COLUMNS[c] for c in frame.columns):
            assert not column.values or set(frame[column.name].astype(str)) <= set(column.values)


def table_functions() -> list[Callable[..., Table]]:
    """Every *_table that takes arms."""
    found = [f for m in MODULES for n, f in vars(m).items() if n.endswith("_table")]
    return [f for f in found if next(iter(inspect.signature(f).parameters)) == "arms"]


@pytest.mark.parametrize("table", table_functions(), ids=lambda f: f.__name__)
def test_every_table_has_known_columns(table: Callable[..., Table]) -> None:
    """Columns of each table are in the dictionary, also of a table without rows."""
    arms = [arm(Plan(lost=5)), arm(Plan(name="v6", design="v6", pin_ticks=9))]
    extra = (arms[0],) if "reference" in inspect.signature(table).parameters else ()
    full, empty = table(arms, *extra), table([], *extra)
    assert len(full)
    assert not len(empty)
    assert list(full.columns) == list(empty.columns)
    assert set(full.columns) <= set(COLUMNS)
    for name in full.columns:
        assert not COLUMNS[name].values or set(full.columns[name]) <= set(COLUMNS[name].values)
