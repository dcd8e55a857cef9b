"""A design as its policies' objects, and the hooks that the hypervisor runs.

A hook is answered by the policy that owns it, which looks at the others of the bundle where its
path has a choice that is theirs: how a pin ends, whether it is charged, how much a fix maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.policies.answers import RAISES, VMMS, Raise, Vmm
from sim.policies.backings import BACKINGS, Backing
from sim.policies.exceptions import EXCEPTIONS, POINTERS, Exceptions, Pointers
from sim.policies.faults import (
    FIX_SCOPES,
    INJECT_ERROR,
    INJECTED,
    NOTIFIERS,
    RESPONSES,
    FixScope,
    Injected,
    Notifiers,
    Response,
)
from sim.policies.limits import (
    ACCOUNTING_SCOPES,
    ACCOUNTINGS,
    CHARGES,
    RETRIES,
    WINDOW_LIMITS,
    Accounting,
    AccountingScope,
    Charge,
    Retry,
    WindowLimit,
)
from sim.policies.pins import LOST_PINS, PIN_MAPS, UNPINS, LostPin, PinMaps, Unpin
from sim.policies.registers import (
    COPY_OUTS,
    INTERRUPTS,
    PMBSR_SYNCS,
    TRAPS,
    CopyOut,
    Interrupt,
    PmbsrSync,
    Traps,
)
from sim.policies.stages import Fault, Hook, KvmCosts, Stages, View
from sim.policies.values import Policy, Values

VALUES: Mapping[str, Values[Any]] = {
    values.name: values
    for values in (
        BACKINGS,
        UNPINS,
        RESPONSES,
        INJECTED,
        FIX_SCOPES,
        NOTIFIERS,
        LOST_PINS,
        PIN_MAPS,
        EXCEPTIONS,
        POINTERS,
        INTERRUPTS,
        PMBSR_SYNCS,
        TRAPS,
        COPY_OUTS,
        ACCOUNTINGS,
        ACCOUNTING_SCOPES,
        WINDOW_LIMITS,
        CHARGES,
        RETRIES,
        VMMS,
        RAISES,
    )
}
"""Policy → its values; what is yes or no has none."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a design is made of. `virtual: false` is baremetal, of which only `exceptions` says
    anything."""

    virtual: bool
    backing: Backing
    unpin: Unpin
    stage2_fault: Response
    injected: Injected
    injected_dl: bool
    fix_scope: FixScope
    notifiers: Notifiers
    lost_pin: LostPin
    pin_maps: PinMaps
    unmap_on_unpin: bool
    exceptions: Exceptions
    pointers: Pointers
    interrupt: Interrupt
    pmbsr_sync: PmbsrSync
    traps: Traps
    copy_out: CopyOut
    accounting: Accounting
    accounting_scope: AccountingScope
    window_limit: WindowLimit
    charge: Charge
    retry: Retry
    vmm: Vmm
    vmm_raise: Raise

    @staticmethod
    def of(words: Mapping[str, str | bool]) -> Bundle:
        """From a scenario's words; raises KeyError for one that no value has."""
        values: Any = {k: VALUES[k][str(w)] if k in VALUES else w for k, w in words.items()}
        return Bundle(**values)

    # --- hooks ---------------------------------------------------------------------------

    def on_configure(self, costs: KvmCosts, view: View) -> Stages:
        """Before a vCPU first runs."""
        return self.backing.on_configure(self, costs, view)

    def on_enable(self, costs: KvmCosts, view: View) -> Stages:
        """The guest enables the buffer: PMBLIMITR.E with S = 0, or S cleared with E = 1."""
        return self.backing.on_enable(self, costs, view)

    def on_disable(self, costs: KvmCosts, view: View) -> Stages:
        """The guest disables the buffer, or S becomes 1."""
        return self.backing.on_disable(self, costs, view)

    def on_stage2_fault(self, costs: KvmCosts, view: View) -> Stages:
        """A record's write missed stage 2."""
        told = self.tells(pins_lost=view.pins_lost, fault=view.fault)
        response = INJECT_ERROR if told and not self.stage2_fault.tells else self.stage2_fault
        return response.on_stage2_fault(self, costs, view)

    def on_pmbptr_read(self, costs: KvmCosts, view: View) -> Stages:
        """The guest looks how far the SPU has come."""
        return self.backing.on_pmbptr_read(self, costs, view)

    def on_bounce_full(self, costs: KvmCosts, view: View) -> Stages:
        """KVM's own buffer is full and the guest's is not."""
        return self.backing.on_bounce_full(self, costs, view)

    def on_invalidate(self, *, pinned: bool) -> bool:
        """Does an MMU notifier other than a real unmap take a page's stage 2 entry away?"""
        return self.notifiers.take(pinned=pinned)

    @property
    def idle_hooks(self) -> frozenset[Hook]:
        """Hooks at which this design does nothing, whatever there is to see."""
        hooks = ("on_configure", "on_enable", "on_disable", "on_pmbptr_read", "on_bounce_full")
        return frozenset(getattr(self, hook) for hook in hooks if self.backing.idles_at(hook))

    # --- what several policies decide together --------------------------------------------

    def tells(self, *, pins_lost: bool, fault: Fault = Fault.TRANSLATION) -> bool:
        """Does the guest get an error for a stage 2 fault?"""
        return self.stage2_fault.tells_of(fault) or (pins_lost and self.lost_pin.tells)

    def goes_with_block(self, *, pinned: bool) -> bool:
        """Does a page go when a neighbour in its huge page is discarded?"""
        return self.on_invalidate(pinned=pinned and not self.pin_maps.blocks)

    @property
    def keeps_entries(self) -> bool:
        """Does no MMU notifier but a real unmap take the stage 2 entry of a page in an enabled
        window? What is kept can fault all the same: ageing clears its access flag and the dirty
        log its permission, and no notifier of this kind is called for either.
        """
        kept = self.backing.holds and not self.on_invalidate(pinned=True)
        return self.backing.bounces or kept

    @property
    def splits(self) -> bool:
        """Has a stage 2 fault a syndrome of its own, and the guest all the others? A buffer that is
        EL2's own has one syndrome, EL2's."""
        return self.virtual and self.exceptions.profiling and not self.backing.bounces

    @property
    def waits_for_exit(self) -> bool:
        """Does what EL2 takes wait for the next exit? An exception is one."""
        return not (self.interrupt.forces_exit or self.exceptions.profiling)

    @property
    def fixes_alone(self) -> bool:
        """Is a fault fixed at its own exit, without a look at anything else?"""
        exits = self.stage2_fault.alone and not self.waits_for_exit
        return self.virtual and exits and not (self.backing.bounces or self.splits)

    @property
    def may_unmap(self) -> bool:
        """Do all pins end at a disable edge with stage 2 left as it is, which nobody has published
        either way?"""
        pins = self.backing.pins_at_enable and self.unpin.at_disable
        return self.virtual and pins and not self.unmap_on_unpin

    def spends(self, time: str) -> bool:
        """Can this time of parameters.toml be spent? True for those that no policy has as its own;
        of the others, baremetal spends those of `exceptions`."""
        if not any(time in value.spends for values in VALUES.values() for value in values):
            return True
        chosen = self._values() if self.virtual else [self.exceptions]
        return any(time in value.spends for value in chosen)

    def _values(self) -> list[Policy]:
        return [getattr(self, name) for name in VALUES]
