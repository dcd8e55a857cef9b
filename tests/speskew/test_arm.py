"""An arm as an object: its tables and metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import speskew
from analysis.columns import COLUMNS, DATA_TABLES, TABLES
from reports.results import result
from reports.store.csvdata import SHAPES
from tests.rigs.tiny import TINY


def test_tables_have_the_dictionarys_columns_and_types(folder: Path, made: speskew.Run) -> None:
    """Of every table there is; what is loaded is what was in memory."""
    loaded = speskew.load(folder / "cli")
    assert made.tables == loaded.tables == (*SHAPES, *TABLES)
    columns = {
        name.removeprefix("data/").removesuffix(".csv"): c for name, c in DATA_TABLES.items()
    }
    for name in made.tables:
        frame = made.table(name)
        assert tuple(frame.columns) == (columns | TABLES)[name]
        for column, dtype in frame.dtypes.items():
            asked = COLUMNS[str(column)].dtype
            assert str(dtype).lower() == {"string": "str", "double": "float64"}.get(asked, asked)
        pd.testing.assert_frame_equal(frame, loaded.table(name), obj=name)
    assert len(made.records) == sum(arm.records for arm in made.arms.values())


def test_tables_are_attributes(made: speskew.Run) -> None:
    """Each table of data/ by its name; missing limits are missing, not a number."""
    for name in set(SHAPES) - {"decisions"}:  # the attribute has fractions, and every number
        pd.testing.assert_frame_equal(getattr(made, name), made.table(name))
    pd.testing.assert_frame_equal(made.losses, made.table("loss.parquet"))
    pd.testing.assert_frame_equal(made.profiles, made.table("profile.parquet"))
    assert made.timeline["bytes"].isna().any()
    with pytest.raises(ValueError, match="no table 'loss'; tables: ledgers, symbols, "):
        made.table("loss")


def test_arms_have_their_metrics(made: speskew.Run) -> None:
    """By property, by dotted name; a wrong name names the nearest."""
    arms, written = made.arms, made.result.arms
    assert list(arms) == ["baremetal", "v6", "cold"]
    for name, arm in arms.items():
        total = json.loads(result.dumps(made.result))["arms"][name]["loss"]["total"]
        assert (arm.loss.mean, arm.loss.n, arm.loss.unit) == (total["mean"], 3, "fraction")
        assert arm.loss.ci95 == tuple(total["ci95"])
        assert arm.loss is written[name].loss.total
        assert arm.locked == written[name].rlimit.locked_bytes_peak
        assert arm["ledger.ops.profiled"] == written[name].ledger.ops["profiled"]
    assert arms["v6"].time_added.ci95 == arms["v6"].wall.ci95 == "exact"
    assert arms["v6"].skew == arms["v6"][f"skew.truth.{arms['v6']['skew.level']}"]
    assert arms["v6"].verdict.startswith(("too short to tell", "cannot tell", "by "))
    assert (arms["cold"].design, arms["cold"].exits) == ("unpinned", 0)
    with pytest.raises(speskew.UnknownMetricError, match=r"did you mean arms\.v6\.loss\.total"):
        _ = arms["v6"]["loss.totl"]
    with pytest.raises(KeyError, match="no arm 'v7'; arms: baremetal, v6, cold"):
        _ = arms["v7"]


def test_one_replication_has_no_interval() -> None:
    """None, as the field says."""
    run = speskew.run(TINY, replications=1, band=False)
    assert (run.arms["cold"].loss.ci95, run.arms["cold"].loss.n) == (None, 1)
    assert [t for t in run.tables if t.startswith(("rec", "aux"))] == []
    with pytest.raises(ValueError, match="run with keep_records=True"):
        _ = run.records
