"""What each cause of loss or time looks like: the same colour and hatch wherever it is drawn.

There are more causes than colours that everybody can tell apart, so some are hatched; of what can
stand beside each other in one figure, ops or times, no two look the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from reports.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
)
from reports.traces.timeline import EXIT_ENTRY
from sim.ledger import OpLabel, TimeCause

REST = "other causes"
MOST = 7
"""Causes that a figure tells apart; what is left is REST."""


class Area(TypedDict):
    """As matplotlib's patches take it."""

    facecolor: str
    edgecolor: str
    linewidth: float
    hatch: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """A colour, and what lies over it."""

    colour: str
    hatch: str = ""

    def area(self, edge: float = 0) -> Area:
        """Keywords of a patch; `edge` is the width of its edge, which shows hairlines."""
        if self.hatch:
            return {
                "facecolor": self.colour,
                "edgecolor": INK,
                "linewidth": 0,
                "hatch": self.hatch,
            }
        return {
            "facecolor": self.colour,
            "edgecolor": self.colour,
            "linewidth": edge,
            "hatch": None,
        }


OPS = {
    OpLabel.PROFILED: Look(GREEN),
    OpLabel.NOT_IN_POPULATION: Look(GREY, "///"),
    OpLabel.BEFORE_START: Look(GREY),
    OpLabel.EVENT_DISABLED: Look(BLUE),
    OpLabel.PIN_REFUSED: Look(BLUE, "///"),
    OpLabel.IRQ_MASKED: Look(PURPLE),
    OpLabel.IRQ_WAIT_FOR_EXIT: Look(YELLOW),
    OpLabel.IRQ_DELIVERY_FULL: Look(ORANGE),
    OpLabel.IRQ_DELIVERY_FAULT: Look(VERMILION),
    OpLabel.VIRQ_DELIVERY: Look(SKY),
}
TIMES = {
    TimeCause.HANDLER: Look(ORANGE),
    TimeCause.ORDINARY_EXIT: Look(YELLOW),
    TimeCause.TRAP: Look(SKY),
    TimeCause.FAULT: Look(VERMILION),
    TimeCause.WALK: Look(PURPLE),
    TimeCause.PIN: Look(BLUE),
    TimeCause.MAP: Look(GREEN),
    TimeCause.UNPIN: Look(BLUE, "///"),
    TimeCause.COPY: Look(GREEN, "///"),
    TimeCause.PREFAULT: Look(GREEN, "|||"),
    TimeCause.INJECT: Look(PURPLE, "///"),
    TimeCause.VMM: Look(VERMILION, "///"),
    TimeCause.TASK_OFF_CPU: Look(GREY),
    TimeCause.GUEST_KERNEL: Look(SKY, "///"),
    TimeCause.READER: Look(ORANGE, "///"),
    TimeCause.STEAL: Look(GREY, "///"),
    TimeCause.DOWNTIME: Look(GREY, "|||"),
    TimeCause.IDLE: Look(GREY, "xxx"),
}
OTHERS = {REST: Look(YELLOW, "///"), EXIT_ENTRY: Look(YELLOW, "|||")}
LOOKS: dict[str, Look] = {
    **{label.value: look for label, look in OPS.items()},
    **{cause.value: look for cause, look in TIMES.items()},
    **OTHERS,
}
