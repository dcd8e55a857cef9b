"""Stage 2 faults and what causes them: `stage2_fault`, `fix_scope`, `injected`, `notifiers`.

Fidelity note. `fix_and_resume` is option 2 of the 2022 thread (walk stage 1, map, resume).
`inject_error` is v5's synthetic external abort (v5 33/38) or the IMPLEMENTATION DEFINED event of
Sep 2022. What v6 does on a hardware stage 2 fault is unknown; its preset fixes and resumes. A fix
goes by the fault's status, as KVM's own handler does (kvm_handle_guest_abort): an Access Flag fault
has the flag set (handle_access_fault, `t_access_flag`), a permission fault is a fault on a page
like a missing one (user_mem_abort, `t_fault`: what getting the page costs less is not published).
`fix_flags_or_pin` and `fix_flags_or_error` are no published idea: what a design can do that looks
at the status, since a pin says nothing about flags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.ledger import TimeCause
from sim.policies.backings import pin_window
from sim.policies.stages import Effect, Fault, KvmCosts, Lock, Stage, Stages, View
from sim.policies.values import Policy, Values

if TYPE_CHECKING:
    from sim.policies.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class Response(Policy):
    """What KVM does about a record's write that missed stage 2; as it is, it fixes what the status
    says and resumes."""

    spends: tuple[str, ...] = ("t_access_flag",)
    tells: bool = False
    """The guest gets an error: S = 1 is a disable edge, and PMBSR is injected."""
    pins: bool = False
    """A window is pinned, which takes a backing that has pins of windows."""
    alone: bool = False
    """A fault costs one page's fixing and asks nothing else, so that engines may serve it in
    their own loop (`sim.machine.rounds`)."""

    def tells_of(self, fault: Fault) -> bool:
        """Does the guest get an error for a fault of this status?"""
        return self.tells

    def on_stage2_fault(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The pages of the fault, as far as `fix_scope` goes, get their flag or are mapped."""
        if view.fault is Fault.ACCESS_FLAG:
            old = len(design.fix_scope.of(range(view.old_pages)))
            ticks = costs.access_flag * old
            yield Stage(TimeCause.FAULT, ticks, Effect.MARK_ACCESSED, Lock.MMU_READ)
            return
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

    spends: tuple[str, ...] = ()
    tells: bool = True

    def on_stage2_fault(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The virtual interrupt; what PMBSR says is `injected`."""
        ticks = design.exceptions.inject_ticks(costs)
        yield Stage(TimeCause.INJECT, ticks, Effect.INJECT_ERROR)


PIN_THEN_RESUME = PinThenResume("pin_then_resume", "pins the window and resumes")
INJECT_ERROR = InjectError("inject_error", "tells the guest")


@dataclass(frozen=True, kw_only=True)
class FixFlags(Response):
    """An entry that is there gets its access flag or its permission back, and its pin is left
    alone; a missing one is another response's."""

    otherwise: Response

    def tells_of(self, fault: Fault) -> bool:
        """Only of what is not fixed."""
        return fault is Fault.TRANSLATION and self.otherwise.tells

    def on_stage2_fault(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """By PMBSR's fault status."""
        if view.fault is Fault.TRANSLATION:
            return self.otherwise.on_stage2_fault(design, costs, view)
        return super().on_stage2_fault(design, costs, view)


RESPONSES = Values(
    "stage2_fault",
    "",
    Response("fix_and_resume", "KVM fixes what the status says and resumes", alone=True),
    PIN_THEN_RESUME,
    INJECT_ERROR,
    FixFlags(
        "fix_flags_or_pin",
        "sets the access flag or the permission of an entry that is there, and pins the window for "
        "a missing one",
        otherwise=PIN_THEN_RESUME,
        pins=True,
    ),
    FixFlags(
        "fix_flags_or_error",
        "does so, and tells the guest of a missing one",
        otherwise=INJECT_ERROR,
    ),
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
