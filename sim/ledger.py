"""Three ledgers that assert themselves: ops, selections, time.

Each entry is incremented where the thing happens, by its own counter; none is computed as the
remainder of others, so that a forgotten increment breaks a law. `close()` asserts the laws and is
called at the end of every run of every engine. A loss that is not attributed is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum

from sim.errors import Kind, SpeskewError


class LawBrokenError(SpeskewError, AssertionError):
    """A conservation law does not hold: a defect of the model, never of the scenario."""

    kind = Kind.LAW


class OpLabel(StrEnum):
    """What became of an executed op; decided when it executes, first match in this order."""

    NOT_IN_POPULATION = "not_in_population"
    BEFORE_START = "before_start"
    EVENT_DISABLED = "event_disabled"
    PIN_REFUSED = "pin_refused"
    IRQ_MASKED = "irq_masked"
    IRQ_WAIT_FOR_EXIT = "irq_wait_for_exit"
    IRQ_DELIVERY_FULL = "irq_delivery_full"
    IRQ_DELIVERY_FAULT = "irq_delivery_fault"
    VIRQ_DELIVERY = "virq_delivery"
    PROFILED = "profiled"


BLACKOUT_LABELS = (
    OpLabel.IRQ_MASKED,
    OpLabel.IRQ_WAIT_FOR_EXIT,
    OpLabel.IRQ_DELIVERY_FULL,
    OpLabel.IRQ_DELIVERY_FAULT,
    OpLabel.VIRQ_DELIVERY,
)
"""Labels of ops that executed while PMBSR.S was set."""

LOSS_LABELS = (OpLabel.EVENT_DISABLED, OpLabel.PIN_REFUSED, *BLACKOUT_LABELS)
"""Labels of population ops that were lost to the profile."""


class TimeCause(StrEnum):
    """Why a vCPU did not execute its stream; nested intervals go to the innermost cause."""

    HANDLER = "handler"
    ORDINARY_EXIT = "ordinary_exit"
    TRAP = "trap"
    FAULT = "fault"
    WALK = "walk"
    PIN = "pin"
    MAP = "map"
    UNPIN = "unpin"
    COPY = "copy"
    PREFAULT = "prefault"
    INJECT = "inject"
    VMM = "vmm"
    TASK_OFF_CPU = "task_off_cpu"
    GUEST_KERNEL = "guest_kernel"
    READER = "reader"
    STEAL = "steal"
    DOWNTIME = "downtime"
    IDLE = "idle"


@dataclass(slots=True)
class OpsLedger:
    """Executed ops by label."""

    executed: int = 0
    by_label: dict[OpLabel, int] = field(default_factory=lambda: dict.fromkeys(OpLabel, 0))

    def close(self) -> None:
        """executed = Σ labels."""
        _law("ops", "executed", self.executed, "sum of labels", sum(self.by_label.values()))

    def as_dict(self) -> dict[str, int]:
        """Contract names (`ledger.ops`)."""
        return {"executed": self.executed} | {k.value: v for k, v in self.by_label.items()}


@dataclass(slots=True)
class SelectionsLedger:
    """What became of every selected op.

    `completed` is SAMPLE_FEED, `passed` is SAMPLE_FILTRATE, `collided` is SAMPLE_COLLISION.
    Each completed sample that passes the filters is written, faults, or is discarded by mode: while
    the buffer is not enabled profiling is not either (Arm ARM D17), so that none completes.
    `skipped` counts points passed over by `restart: resync`: they were never selected.
    """

    selected: int = 0
    collided: int = 0
    discarded_in_flight: int = 0
    in_flight_at_end: int = 0
    completed: int = 0
    filtered: int = 0
    passed: int = 0
    lost_at_fault: int = 0
    discarded_by_mode: int = 0
    written: int = 0
    skipped: int = 0

    def close(self) -> None:
        """The first three selection laws."""
        _law(
            "selections",
            "selected",
            self.selected,
            "collided + in flight + completed",
            self.collided + self.discarded_in_flight + self.in_flight_at_end + self.completed,
        )
        _law(
            "selections",
            "completed",
            self.completed,
            "filtered + passed",
            self.filtered + self.passed,
        )
        _law(
            "selections",
            "passed",
            self.passed,
            "lost_at_fault + discarded_by_mode + written",
            self.lost_at_fault + self.discarded_by_mode + self.written,
        )

    def as_dict(self) -> dict[str, int]:
        """Contract names (`ledger.selections`)."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(slots=True)
class DeliveryLedger:
    """What became of every written record on its way to `perf record`.

    A bounce buffer has no term: its copy faults in what the guest's buffer lacks and leaves nothing
    behind.
    """

    voided_by_DL: int = 0
    overwritten: int = 0
    unread_at_end: int = 0
    delivered: int = 0

    def close(self, written: int) -> None:
        """written = voided_by_DL + overwritten + unread_at_end + delivered."""
        _law("delivery", "written", written, "sum of delivery terms", sum(self.as_dict().values()))

    def as_dict(self) -> dict[str, int]:
        """Contract names (`ledger.delivery`)."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(slots=True)
class TimeLedger:
    """Where a vCPU's wall time went, ticks."""

    wall: int = 0
    running: int = 0
    stopped: dict[TimeCause, int] = field(default_factory=lambda: dict.fromkeys(TimeCause, 0))

    def close(self) -> None:
        """wall = running + Σ stopped."""
        _law(
            "time",
            "wall",
            self.wall,
            "running + stopped",
            self.running + sum(self.stopped.values()),
        )

    def as_dict(self) -> dict[str, int]:
        """Contract names (`ledger.time`)."""
        return {"wall": self.wall, "running": self.running} | {
            k.value: v for k, v in self.stopped.items()
        }


@dataclass(slots=True)
class Ledgers:
    """The three ledgers of one vCPU, with the delivery terms of the second."""

    ops: OpsLedger = field(default_factory=OpsLedger)
    selections: SelectionsLedger = field(default_factory=SelectionsLedger)
    delivery: DeliveryLedger = field(default_factory=DeliveryLedger)
    time: TimeLedger = field(default_factory=TimeLedger)

    def close(self) -> None:
        """Assert every law; raises LawBrokenError with both sides."""
        self.ops.close()
        self.selections.close()
        self.delivery.close(self.selections.written)
        self.time.close()

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Contract names (`ledger`)."""
        return {
            "ops": self.ops.as_dict(),
            "selections": self.selections.as_dict(),
            "delivery": self.delivery.as_dict(),
            "time": self.time.as_dict(),
        }


def _law(ledger: str, left: str, a: int, right: str, b: int) -> None:
    if a != b:
        raise LawBrokenError(f"{ledger} ledger: {left} = {a:,} but {right} = {b:,} ({a - b:+,})")
