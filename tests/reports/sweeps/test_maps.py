"""Maps over two settings: honest scales, and what further axes become."""

from __future__ import annotations

import numpy as np
import pytest

from reports.store import grid
from reports.sweeps import maps


@pytest.mark.parametrize(
    ("values", "kind", "least", "most"),
    [
        ([0.0, 1.0, 3.0], "from 0", 0, 3),
        ([1e-5, 0.0, 3.0], "logarithmic; 0 is grey", 1e-5, 3),
        ([-1.0, 0.0, 3.0], "around 0", -3, 3),
        ([2.0, 2.1, np.nan], "from 0", 0, 2.1),
        ([0.0, 0.0], "from 0", 0, 1),
    ],
)
def test_scales_are_honest(values: list[float], kind: str, least: float, most: float) -> None:
    """A scale begins at 0, is even about 0, or says that it is logarithmic; never cut."""
    norm, words = maps._norm(np.array(values))
    assert words == kind
    assert (norm.vmin, norm.vmax) == (least, most)


def test_further_axes_are_panels_or_held_at_their_middle() -> None:
    """Few combinations get a row each; many are held, and the text says at what."""
    few = [grid.Axis(name, ("a", "b", "c"), None) for name in ("x.p", "q", "r")]
    assert [s.text(few) for s in maps.slices(few, (0, 1))] == ["r = a", "r = b", "r = c"]
    many = [*few, grid.Axis("s", ("1", "2"), None)]
    assert [s.text(many) for s in maps.slices(many, (1, 2))] == ["p = b\ns = 2"]
    values = np.arange(27.0).reshape(3, 3, 3)
    assert maps.slices(few, (0, 1))[1].of(values).tolist() == values[:, :, 1].tolist()


@pytest.mark.parametrize(("count", "labelled"), [(1, 1), (40, 40), (41, 21), (2000, 40)])
def test_no_more_labels_than_can_be_read(count: int, labelled: int) -> None:
    """All levels as long as there is room, then evenly many; a label stands where its level is."""
    at, labels = maps._legible(range(count), [str(k) for k in range(count)])
    assert len(at) == labelled
    assert [str(k) for k in at] == list(labels)
