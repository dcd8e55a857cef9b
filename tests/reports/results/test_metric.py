"""The one place that decodes `ci95`."""

from __future__ import annotations

import pytest

from reports.results.damage import DamagedError
from reports.results.metric import Metric, as_json, from_json

NODE = {"mean": 0.25, "ci95": [0.0, 0.75], "n": 3, "unit": "fraction"}


@pytest.mark.parametrize("ci95", [[0.0, 0.75], "exact", None])
def test_metric_is_written_as_it_was_read(ci95: object) -> None:
    """Each form of an interval survives the way there and back."""
    node = NODE | {"ci95": ci95}
    assert as_json(from_json(node)) == node


def test_values_of_replications_are_not_written() -> None:
    """What one replication has is not part of the document."""
    assert as_json(Metric(1.0, "exact", 2, "ms", (1.0, 1.0))).keys() == NODE.keys()


def test_ends_and_half_width() -> None:
    """A cut interval has its wider side, exact has ends, without an interval there are none."""
    cut = from_json(NODE)
    assert (cut.low, cut.high, cut.half_width) == (0.0, 0.75, 0.5)
    exact = from_json(NODE | {"ci95": "exact"})
    assert (exact.low, exact.high, exact.half_width) == (0.25, 0.25, 0.0)
    alone = from_json(NODE | {"ci95": None, "n": 1})
    assert (alone.low, alone.high, alone.half_width) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": "x"}, "mean: must be a number"),
        ({"mean": None}, "has an interval but no mean"),
        ({"ci95": [1.0, 0.0]}, "the interval's low end is above its high end"),
        ({"ci95": "exactly"}, "ci95: must be exact"),
        ({"n": -1}, "n: must be a whole number"),
        ({"values": []}, "values: is not a key"),
    ],
)
def test_what_no_replications_have_is_refused(change: dict[str, object], said: str) -> None:
    """Wrong types, and parts that do not go together."""
    with pytest.raises(DamagedError, match=said):
        from_json(NODE | change)
