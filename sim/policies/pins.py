"""Pins: when they end (`unpin`), what they map (`pin_maps`), what a lost one means (`lost_pin`).

Fidelity note. v6's moment of unpinning has indirect evidence only (`on_disable`); the others are
ideas of the review of January 2026 and of 2022 (`on_next_enable`). The timer of `after:TIME` is the
host's work, on no vCPU's time (`sim.kvm.hypervisor`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from sim import units
from sim.ledger import TimeCause
from sim.policies.stages import Effect, KvmCosts, Lock, Stage, Stages, View, nothing
from sim.policies.values import Policy, Values

if TYPE_CHECKING:
    from sim.policies.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class Unpin(Policy):
    """When a pin of a window ends; as it is, never before the VM does."""

    at_disable: bool = False
    """No pin outlives a disable edge."""
    after: int | None = None
    """Picoseconds after a disable edge, unless the buffer has been enabled again by then."""

    def on_disable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The guest disables the buffer, or S becomes 1."""
        return nothing()

    def on_pinned(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """A window has just been pinned."""
        return nothing()


@dataclass(frozen=True, kw_only=True)
class UnpinOnDisable(Unpin):
    """All that is pinned goes."""

    at_disable: bool = True

    def on_disable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """Free if nothing is pinned."""
        if view.pinned_pages:
            yield from unpin(design, costs, view.pinned_pages, Effect.UNPIN)


@dataclass(frozen=True, kw_only=True)
class UnpinOnNextEnable(Unpin):
    """What is not of the new window goes."""

    def on_pinned(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """Free if the window has not moved."""
        if view.stale_pages:
            yield from unpin(design, costs, view.stale_pages, Effect.UNPIN_STALE)


@dataclass(frozen=True, kw_only=True)
class UnpinAfter(Unpin):
    """`after:TIME`."""

    @property
    def pattern(self) -> str:
        """A time is the parser's to judge."""
        return f"{self._start}.+"

    @property
    def _start(self) -> str:
        return self.word.partition(":")[0] + ":"

    def read(self, word: str) -> Self | None:
        """This rule with its time; raises ValueError if it is none."""
        if not word.startswith(self._start):
            return None
        return replace(self, word=word, after=units.parse_time(word.removeprefix(self._start)))


def unpin(design: Bundle, costs: KvmCosts, pages: int, effect: Effect) -> Stages:
    """Unpin, and remove the stage 2 entries too if the design does."""
    yield Stage(TimeCause.UNPIN, costs.unpin * pages, effect)
    if design.unmap_on_unpin:
        yield Stage(TimeCause.UNPIN, costs.unmap * pages, Effect.UNMAP, Lock.MMU_WRITE)


UNPINS = Values(
    "unpin",
    "when a pin ends",
    UnpinOnDisable("on_disable", "on_disable"),
    UnpinOnNextEnable("on_next_enable", "on_next_enable"),
    Unpin("never", "never"),
    UnpinAfter("after:TIME", "after:TIME disabled"),
)


@dataclass(frozen=True, kw_only=True)
class PinMaps(Policy):
    """What the stage 2 entries of what is pinned are."""

    blocks: bool
    """A page goes with a neighbour in its huge page: KVM unmaps a block whole."""


PIN_MAPS = Values(
    "pin_maps",
    "stage 2 entries of what is pinned",
    PinMaps("pages", "pages, as v5 made them", blocks=False),
    PinMaps(
        "blocks",
        "the blocks that huge pages allow, which go as a whole if a neighbour goes (vm.huge_pages)",
        blocks=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class LostPin(Policy):
    """What a fault gets once a real unmap has taken the window's pins away."""

    tells: bool
    """An error for the guest; else what any fault gets."""


LOST_PINS = Values(
    "lost_pin",
    "what a fault gets once a real unmap (a memslot change) has taken the pins away",
    LostPin("as_fault", "what any fault gets (stage2_fault)", tells=False),
    LostPin("inject_error", "an error for the guest (2022)", tells=True),
)
