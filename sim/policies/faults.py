"""Stage 2 faults and what causes them: `stage2_fault`, `fix_scope`, `injected`, `notifiers`.

Fidelity note. `fix_and_resume` is option 2 of the 2022 thread (walk stage 1, map, resume).
`inject_error` is v5's synthetic external abort (v5 33/38) or the IMPLEMENTATION DEFINED event of
Sep 2022. What v6 does on a hardware stage 2 fault is unknown; its preset fixes and resumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.ledger import TimeCause
from sim.policies.backings import pin_window
from sim.policies.stages import Effect, KvmCosts, Lock, Stage, Stages, View
from sim.policies.values import Policy, Values

if TYPE_CHECKING:
    from sim.policies.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class Response(Policy):
    """What KVM does about a record's write that missed stage 2; as it is, it maps and resumes."""

    tells: bool = False
    """The guest gets an error: S = 1 is a disable edge, and PMBSR is injected."""
    pins: bool = False
    """A window is pinned, which takes a backing that has pins of windows."""
    alone: bool = False
    """A fault costs one page's fixing and asks nothing else, so that engines may serve it in
    their own loop (`sim.machine.rounds`)."""

    def on_stage2_fault(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The pages of the fault, as far as `fix_scope` goes, are mapped."""
        pages = len(design.fix_scope.of(range(view.missing_pages)))
        ticks = costs.fault * pages + view.fault_wait
        yield Stage(TimeCause.FAULT, ticks, Effect.MAP_FAULTING, Lock.MMU_READ)


@dataclass(frozen=True, kw_only=True)
class PinThenResume(Response):
    """Pin the window; if that is given up, do what the others do."""

    pins: bool = True

    def on_stage2_fault(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """2022 option 4."""
        if not (yield from pin_window(design, costs, view)):
            yield from super().on_stage2_fault(design, costs, view)


@dataclass(frozen=True, kw_only=True)
class InjectError(Response):
    """Nothing is mapped."""

    tells: bool = True

    def on_stage2_fault(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The virtual interrupt; what PMBSR says is `injected`."""
        yield Stage(TimeCause.INJECT, costs.inject, Effect.INJECT_ERROR)


INJECT_ERROR = InjectError("inject_error", "tells the guest")
RESPONSES = Values(
    "stage2_fault",
    "",
    Response("fix_and_resume", "KVM maps and resumes", alone=True),
    PinThenResume("pin_then_resume", "pins the window and resumes"),
    INJECT_ERROR,
)


@dataclass(frozen=True, kw_only=True)
class FixScope(Policy):
    """How much a fix maps of what is missing on the way to a page, tables first."""

    most: int | None = None
    """Pages; None for all."""

    def of(self, missing: Sequence[int]) -> Sequence[int]:
        """Those of the missing pages that a fix maps."""
        return missing[: self.most]


FIX_SCOPES = Values(
    "fix_scope",
    "what a fix maps",
    FixScope("page", "the page alone", most=1),
    FixScope("walk", "its table pages too"),
)


@dataclass(frozen=True, kw_only=True)
class Injected(Policy):
    """What PMBSR_EL1 says of an error that KVM injects: EC, MSS and EA (Arm ARM D24.7)."""

    ec: int
    mss: int = 0
    ea: bool = False


INJECTED = Values(
    "injected",
    "what inject_error reports",
    Injected("external_abort", "a stage 1 external abort (v5)", ec=0x24, mss=0x10, ea=True),
    Injected("imp_def", "an IMPLEMENTATION DEFINED buffer event (2022)", ec=0x1F),
)


@dataclass(frozen=True, kw_only=True)
class Notifiers(Policy):
    """Which MMU notifiers, other than a real unmap, take a page's stage 2 entry away."""

    of_unpinned: bool = True
    of_pinned: bool = True

    def take(self, *, pinned: bool) -> bool:
        """Does one take this page's?"""
        return self.of_pinned if pinned else self.of_unpinned


NOTIFIERS = Values(
    "notifiers",
    "MMU notifiers that take a pinned page's stage 2 entry",
    Notifiers("honour_all", "all"),
    Notifiers("unmap_only", "only a real unmap", of_pinned=False),
    Notifiers("ignore", "(guest_memfd) none, pinned or not", of_unpinned=False, of_pinned=False),
)
