"""A cell put together by itself: what it wants, what it keeps, what comes back of it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from reports.results import written
from reports.store import sweep_texts
from reports.sweeps import filling, sweeping, words
from reports.sweeps.filling import Common, Order
from sim.runs.backends import Here
from sim.runs.store import Store
from tests.rigs.swept import MATRIX, results
from tests.rigs.tiny import TINY, call

FOLDER = Path("out")


@pytest.fixture
def order(own_folder: Path) -> Order:
    """A cell of a sweep whose folder is there; nothing has been run."""
    Path("s.yaml").write_text(TINY + MATRIX)
    FOLDER.mkdir()
    _, cells = sweeping.plan(sweeping.Asked("s.yaml", (), None, None, "fast"))
    axes = tuple(sweeping.axes(cells))
    common = Common(FOLDER, axes, "fast", band=False, each=True, shown=frozenset({"loss.total"}))
    scenario = cells[0].scenario
    assert scenario is not None
    return Order(common, cells[0].cell, cells[0].reproduce, scenario, scenario.replications)


def filled(order: Order) -> filling.Filled:
    """What comes of an order whose units are run when it wants them."""
    store = Store(FOLDER / filling.UNITS, lambda path, why: None)
    while (made := filling.fill(order)).filled is None:
        assert all(failure is None for _, failure in Here().run(made.wanted, store))
    return made.filled


def test_what_is_missing_is_wanted_not_run(order: Order) -> None:
    """Every replication of every arm, a task each; nothing is written."""
    made = filling.fill(order)
    assert made.filled is None
    assert made.replications == order.replications
    assert [unit.replication for one in made.wanted for unit in one.units] == [0, 1, 2] * 3
    assert not list(FOLDER.iterdir())


def test_rows_have_what_is_shown_and_texts_have_all(order: Order) -> None:
    """And with no names given, rows have all too; nothing else differs."""
    some = filled(order)
    every = filled(replace(order, common=replace(order.common, shown=None)))
    assert {tuple(numbers) for numbers in some.row.arms.values()} == {("loss.total",)}
    assert written.inner(every.row, 2) in written.text([[every.row]])
    assert some.texts == every.texts == sweep_texts.of(every.row, order.common.axes)
    assert replace(some.row, arms=every.row.arms) == every.row
    assert some.row.each


def test_an_order_goes_to_another_process_and_its_cell_comes_back_small(order: Order) -> None:
    """Equal after pickling, and a tenth of its numbers as text."""
    assert pickle.loads(pickle.dumps(order)) == order
    found = filled(order)
    assert pickle.loads(pickle.dumps(found)) == found
    everything = filled(replace(order, common=replace(order.common, shown=None)))
    assert len(pickle.dumps(found)) < len(written.text(everything.row)) / 3


def test_a_damaged_unit_is_told_and_wanted(order: Order) -> None:
    """That one only."""
    filled(order)
    damaged = sorted((FOLDER / filling.UNITS).iterdir())[0]
    damaged.write_bytes(b"")
    made = filling.fill(order)
    assert [key for one in made.wanted for key in one.keys] == [damaged.stem]
    assert [path for path, _ in made.unreadable] == [damaged]


def test_what_is_shown_is_made_of_what_rows_keep(own_folder: Path) -> None:
    """Page and table are those of the whole result, with a band and without."""
    Path("s.yaml").write_text(TINY + MATRIX)
    for options in ((), ("--band",)):
        done = call("sweep", "s.yaml", "-o", "out", "-q", "--resume", *options)
        assert done.exit_code == 0, done.output
        before = results()
        table = words.as_table(sweeping.read_result(FOLDER))  # its arms are by name
        assert sorted(done.stdout.splitlines()) == sorted(table.splitlines())
        assert call("report", "out").exit_code == 0
        assert results() == before
    assert (
        call("sweep", "s.yaml", "-o", "out", "-q", "--resume", "--format", "csv").stdout
        == (FOLDER / "cells.csv").read_text()
    )
