"""Frames: shapes, totals, order."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis import frames
from sim.results import log_linear_bin, log_linear_edge
from tests.rigs.fakes import OPS, SHARES, Plan, arm

ARMS = [arm(Plan(lost=500, vcpus=2)), arm(Plan(name="v6", design="v6", lost=700, pin_ticks=9))]


def entries(ledger: str) -> pd.DataFrame:
    """A ledger of each (arm, replication, vCPU): a column an entry."""
    frame = frames.ledger_table(ARMS).frame()
    mine = frame[frame["ledger"] == ledger]
    key = ["arm", "replication", "vcpu"]
    return mine.pivot_table(index=key, columns="entry", values="amount")


def test_ledger_frame_holds_all_four_parts() -> None:
    """One long table of every entry."""
    frame = frames.ledger_table(ARMS).frame()
    assert set(frame["ledger"]) == {"ops", "selections", "delivery", "time"}
    assert {"selected", "collided", "written"} <= set(entries("selections"))
    assert "delivered" in set(entries("delivery"))


def test_ledger_frame_keeps_the_laws() -> None:
    """Labels add up to the executed ops, causes of time to the wall."""
    ops, time = entries("ops"), entries("time")
    assert len(ops) == 10 * 2 + 10
    assert (ops["executed"] == OPS).all()
    assert (ops.drop(columns="executed").sum(axis=1) == OPS).all()
    assert (time.drop(columns="wall").sum(axis=1) == time["wall"]).all()


def test_profile_frame_has_the_truth_beside_it() -> None:
    """Shares of a replication add up to one; truth shares are the plan's."""
    frame = frames.profile_table(ARMS, "symbol").frame()
    sums = frame.groupby(["arm", "replication"])[["share", "truth_share"]].sum()
    assert sums.to_numpy() == pytest.approx(1)
    first = frame[(frame["arm"] == "v6") & (frame["replication"] == 0)]
    assert list(first["truth_share"]) == pytest.approx(SHARES)
    assert list(first["group"]) == ["alpha", "beta", "gamma", "delta"]


def test_profile_of_two_vcpus_is_added_up() -> None:
    """Samples of both vCPUs are in one row."""
    frame = frames.profile_table(ARMS[:1], "op_class").frame()
    assert frame.groupby("replication")["samples"].sum().tolist() == [2000] * 10


def test_blackout_frame_counts_each_once() -> None:
    """One row a bin; counts add up to the blackouts."""
    frame = frames.blackouts_table(ARMS).frame()
    ops = frame[(frame["arm"] == "v6") & (frame["axis"] == "ops")]
    assert ops["count"].sum() == 10
    assert set(ops["length"]) == {log_linear_edge(log_linear_bin(700))}


def test_merged_blackouts_are_totals() -> None:
    """All replications and vCPUs of a cause together."""
    found = frames.merged_blackouts(ARMS[0])["irq_delivery_full"]
    assert (found.count, found.ops, found.ops_max) == (20, 10_000, 500)
    assert sum(found.ops_hist.values()) == 20


@pytest.mark.parametrize(("p", "edge"), [(0.5, 3), (0.75, 3), (0.99, 10)])
def test_quantiles_of_a_histogram(p: float, edge: int) -> None:
    """Lower edge of the bin that holds the quantile."""
    assert frames.hist_quantile({3: 3, 10: 1}, p) == edge
    assert frames.hist_quantile({}, p) == 0


def test_no_arms_give_empty_frames() -> None:
    """Nothing in, a frame with columns out."""
    for frame in (frames.ledger_table([]).frame(), frames.profile_table([]).frame()):
        assert isinstance(frame, pd.DataFrame)
        assert frame.empty


def test_blackouts_have_their_longest_time() -> None:
    """ops_max and ticks_max of all replications; fakes last 1000 + 10 r ticks."""
    found = frames.merged_blackouts(ARMS[1])["irq_delivery_full"]
    assert (found.ops_max, found.ticks_max) == (700, 1090)
