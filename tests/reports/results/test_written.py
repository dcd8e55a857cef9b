"""A document's text: `json.dumps`'s of its dump, byte for byte, and as strict."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.intervals import Metric
from reports.results import shapes, written


class Word(StrEnum):
    """A text of its own class."""

    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One key."""

    share: float


@dataclass(frozen=True, slots=True)
class Bud:
    """One key, which may be absent."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """Keys out of order, some that may be absent, one that is never there."""

    name: str
    leaves: Mapping[str, Leaf]
    each: tuple[float, ...]
    inner: Tree | None
    loss: Metric
    note: str = ""
    also: Mapping[str, int] = field(default_factory=dict)
    seen: int = field(default=0, compare=False)


def by_json(document: object) -> str:
    """What a person would write."""
    return json.dumps(shapes.dump(document), sort_keys=True, indent=1, allow_nan=False) + "\n"


METRIC = Metric(0.5, (1e-7, 1e22), 3, "µs")
TREE = Tree('a "b"\n', {"z": Leaf(-0.0), "a": Leaf(5e-324)}, (), None, METRIC)


@pytest.mark.parametrize(
    "document",
    [
        TREE,
        Bud(),
        Bud("said"),
        Tree("ü", {}, (0.1, 1e16), TREE, Metric(None, None, 0, "ms"), "said", {"k": 2**70}),
        {"b": [], "a": {}, "c": [True, None, 1, "\u2028"]},
        {"word": Word.HOLD, "number": np.float64(0.1)},
        7,
    ],
)
def test_as_json_writes_it(document: object) -> None:
    """Objects, lists, texts and numbers at every depth."""
    assert written.text(document) == by_json(document)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_plain_document(document: object) -> None:
    """As `json` writes it."""
    assert written.text(document) == by_json(document)


def test_a_metric_is_told_at_its_depth() -> None:
    """The same object at two depths, and one where another one was."""
    assert written.text([METRIC, [METRIC]]) == by_json([METRIC, [METRIC]])
    for k in range(written.REMEMBERED // 64):
        found = [Metric(float(k), None, 1, str(each)) for each in range(128)]
        assert written.text(found) == by_json(found)


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64("-inf")])
def test_what_json_does_not_have_is_refused(value: float) -> None:
    """A number that is none, wherever it stands."""
    with pytest.raises(ValueError, match="JSON has no"):
        written.text({"a": [Leaf(value)]})


def test_an_object_that_is_no_document_is_refused() -> None:
    """As by `json`."""
    with pytest.raises(TypeError, match="JSON has no object"):
        written.text([object()])
