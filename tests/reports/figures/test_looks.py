"""A cause looks the same in every figure, and like no other that can stand beside it."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from reports.figures import ledgers, perturbation, timelines
from reports.figures.looks import LOOKS, OPS, REST, TIMES, Look
from reports.figures.style import styled
from sim.ledger import OpLabel, TimeCause
from tests.rigs.samples import described, tables


@pytest.mark.parametrize(("looks", "kinds"), [(OPS, OpLabel), (TIMES, TimeCause)])
def test_everything_has_a_look_of_its_own(
    looks: dict[str, Look], kinds: type[OpLabel] | type[TimeCause]
) -> None:
    """Ops among themselves, times among themselves, and what is left among both."""
    assert set(looks) == set(kinds)
    seen = [*looks.values(), LOOKS[REST]]
    assert len(set(seen)) == len(seen)


def _bars(figure: Figure) -> dict[str, set[tuple[str, str]]]:
    """Colour and hatch of every bar, by its label."""
    found: dict[str, set[tuple[str, str]]] = {}
    for ax in figure.axes:
        for bars in (c for c in ax.containers if isinstance(c, BarContainer)):
            looks = {(to_hex(p.get_facecolor()), p.get_hatch() or "") for p in bars.patches}
            found.setdefault(str(bars.get_label()), set()).update(looks)
    return found


def test_figures_use_them() -> None:
    """Every bar that stands for a cause, in the figures that have some."""
    seen: set[str] = set()
    for make in (ledgers.figure, perturbation.figure):
        with styled("test"):
            figure = make(described(), tables())
        assert figure is not None
        for cause, looks in _bars(figure).items():
            wanted = LOOKS[cause]
            assert looks == {(wanted.colour.lower(), wanted.hatch)}, cause
            seen.add(cause)
    assert {"handler", "pin", "irq_delivery_full"} <= seen


def test_lanes_use_them() -> None:
    """What the SPU and KVM do is a cause or a label."""
    for lane in ("SPU", "KVM", "VMM"):
        assert all(LOOKS[state] == look for state, look in timelines.STATES[lane].items())
