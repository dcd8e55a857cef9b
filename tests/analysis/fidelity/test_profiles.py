"""Profiles: groups, what is compared with what."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.fidelity import profiles
from sim.runs import truth
from tests.rigs.fakes import OPS, SHARES, Plan, arm, cells, stream


def test_groups_keep_every_count() -> None:
    """All four static views of a histogram add up to the same total, and name each group."""
    table = stream()
    counts = cells(SHARES, OPS)
    for by in profiles.STATIC_VIEWS:
        grouped = profiles.group(counts, table, by)
        assert grouped.sum() == counts.sum()
        assert len(profiles.labels(table, by)) == grouped.size


def test_symbol_view_has_the_shares() -> None:
    """The fake stream's symbols have the shares they were given, and no op is outside."""
    grouped = profiles.group(cells(SHARES, OPS), stream(), "symbol")
    assert list(grouped / OPS) == pytest.approx([*SHARES, 0])


def test_ops_outside_symbols_are_counted() -> None:
    """Static ops with symbol -1 go to the last group."""
    table = stream()
    table.static_symbol[:5] = -1
    grouped = profiles.group(cells(SHARES, OPS), table, "symbol")
    assert grouped[-1] == OPS * SHARES[0]


def test_baseline_is_the_arm_called_baremetal() -> None:
    """By name first, then the first without a hypervisor, else none."""
    bare, other, virtual = (
        arm(Plan()),
        arm(Plan(name="fast-irq")),
        arm(Plan(name="v6", design="v6")),
    )
    assert profiles.reference_arm([virtual, other, bare]) is bare
    assert profiles.reference_arm([virtual, other]) is other
    assert profiles.reference_arm([virtual]) is None


def test_the_latency_view_is_no_histogram_of_static_ops() -> None:
    """Asking for it there is an error, not a wrong answer."""
    with pytest.raises(ValueError, match="latency"):
        profiles.group(cells(SHARES, OPS), stream(), "latency")
    with pytest.raises(ValueError, match="latency"):
        profiles.labels(stream(), "latency")


@pytest.mark.parametrize("by", ["symbol", "op_class"])
def test_sums_are_exact_beyond_what_floats_hold(by: profiles.By) -> None:
    """Counts whose sum is above 2^53, and odd."""
    counts = cells(SHARES, OPS)
    counts[0] += (1 << 60) + 1
    assert sum(profiles.group(counts, stream(), by).tolist()) == sum(counts.tolist())


def test_without_kept_records_there_is_no_latency_view() -> None:
    """No groups, no samples, and a plain no."""
    found = arm(Plan())
    assert not profiles.has(found, "latency")
    assert profiles.sampled(found, "latency").shape == (10, 0)
    assert profiles.names(found, "latency") == ()


def test_latency_buckets_are_powers_of_two() -> None:
    """Each label holds exactly the cycles that its bucket holds."""
    labels = profiles.latency_labels(13)
    assert labels[:4] == ("0", "1", "2-3", "4-7")
    for cycles in range(4096):
        low, _, high = labels[int(truth.bucket(np.array([cycles]))[0])].partition("-")
        assert int(low) <= cycles <= int(high or low)
