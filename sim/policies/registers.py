"""What KVM does about the buffer's registers and its interrupt: `interrupt`, `pmbsr_sync`, `traps`;
and when records leave a bounce buffer, `copy_out`.

Fidelity note: see `sim.kvm.hypervisor`, whose process asks these.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.policies.values import Policy, Values


@dataclass(frozen=True, kw_only=True)
class Interrupt(Policy):
    """Who notices PMBIRQ."""

    forces_exit: bool
    """It makes the vCPU exit; else the next ordinary exit finds it."""


INTERRUPTS = Values(
    "interrupt",
    "who notices PMBIRQ",
    Interrupt("forced_exit", "an exit of its own", forces_exit=True),
    Interrupt("next_exit", "the next ordinary one", forces_exit=False),
)


@dataclass(frozen=True, kw_only=True)
class PmbsrSync(Policy):
    """When KVM takes the hardware's PMBSR."""

    at_every_exit: bool

    def looks(self, *, interrupted: bool) -> bool:
        """Does this exit look at it? `interrupted`: PMBIRQ has reached the CPU."""
        return self.at_every_exit or interrupted


PMBSR_SYNCS = Values(
    "pmbsr_sync",
    "when KVM takes the hardware's PMBSR",
    PmbsrSync("every_exit", "at every exit", at_every_exit=True),
    PmbsrSync(
        "irq_only",
        "when PMBIRQ makes it exit; with irq_only a trap can read a stale PMBSR",
        at_every_exit=False,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Traps(Policy):
    """What the guest's accesses to the buffer's registers cost."""

    each: int
    """Traps by access."""


TRAPS = Values(
    "traps",
    "what the guest's accesses to PMBPTR, PMBLIMITR and PMBSR cost",
    Traps("buffer_registers", "a trap each", each=1),
    Traps("none", "nothing", each=0),
)


@dataclass(frozen=True, kw_only=True)
class CopyOut(Policy):
    """When a bounce buffer is copied to the guest; reading PMBPTR is the last moment for all."""

    at_disable: bool


COPY_OUTS = Values(
    "copy_out",
    "when a bounce buffer is copied to the guest",
    CopyOut("on_full", "full or disabled", at_disable=True),
    CopyOut("on_pmbptr_read", "when the guest reads PMBPTR", at_disable=False),
)
