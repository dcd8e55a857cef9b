"""How software hears of the SPU's events, and what its pointers are: `exceptions`, `pointers`.

Fidelity note. FEAT_SPE_EXC from the Arm ARM's pseudocode (J1.1.1.50, .95, .100). Modelled: the
exception is asynchronous like PMBIRQ, so the CPU runs on after S = 1; PMBIRQ is off. What EL1 takes
is masked by PSTATE.PM and PMSCR_EL1.KE, never by PSTATE.I and never at EL0: with KE = 1 nothing
holds it but the handlers themselves (PM is taken to be set there only), with KE = 0 all of EL1
does. With PMSCR_EL2.EE = 0b1x a stage 2 fault is EL2's, which nothing in the guest masks, and its
syndrome is in PMBSR_EL2; everything else stays in PMBSR_EL1 and, with PMSCR_EL1.EE = 0b11, is taken
at EL1: no exit and no injection for a full buffer, and no guest write clears a fault. Profiling is
stopped while either says S = 1. A bounce buffer is EL2's own, so all its events are. KVM sees a
full buffer when the guest's handler first traps, and what it reports itself it writes to PMBSR_EL1,
at no cost but the path's. FEAT_SPE_nVM: PMBPTR and PMBLIMITR hold intermediate physical addresses;
stage 1 is not walked, so no table is pinned, charged or missed, and the buffer is one piece of
guest memory. No series and no driver uses either feature: that the guest's handler does the same
work, and that a driver gets contiguous memory of any size, are assumptions. `t_profiling_exception`
has no source. Not modelled: EL3, PSTATE.PM elsewhere, PMBSR_EL1 written by a guest to make an
exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sim.policies.stages import KvmCosts
from sim.policies.values import Policy, Values


class Masking(Enum):
    """What holds back an event that has reached the core."""

    NOTHING = "nothing"
    INTERRUPTS = "PSTATE.I or priority"
    KERNEL = "all code at EL1"


@dataclass(frozen=True, kw_only=True)
class Exceptions(Policy):
    """What S = 1 brings about; as it is, PMBIRQ."""

    spends: tuple[str, ...] = ("t_irq_latency",)
    latency: str = "t_irq_latency"
    """The parameter that says how long after S = 1."""
    masking: Masking = Masking.INTERRUPTS
    """Of what EL1 takes."""
    profiling: bool = False
    """An exception of its own: no interrupt controller, and stage 2 faults are told apart."""

    def exit_ticks(self, costs: KvmCosts) -> int:
        """The exit that it makes where EL2 takes it; an interrupt is the host's to handle first."""
        return costs.exit + (0 if self.profiling else costs.host_irq)

    def inject_ticks(self, costs: KvmCosts) -> int:
        """KVM tells the guest: by a virtual interrupt, or in PMBSR_EL1 itself."""
        return 0 if self.profiling else costs.inject


EXCEPTIONS = Values(
    "exceptions",
    "how software hears of S = 1, on bare metal too",
    Exceptions("pmbirq", "PMBIRQ, an interrupt"),
    Exceptions(
        "profiling",
        "FEAT_SPE_EXC's profiling exception, a stage 2 fault at EL2 and all else at EL1, also in "
        "its kernel (PMSCR_EL1.KE = 1)",
        spends=("t_profiling_exception",),
        latency="t_profiling_exception",
        masking=Masking.NOTHING,
        profiling=True,
    ),
    Exceptions(
        "profiling_el0",
        "the same, but EL1 takes it from EL0 only (KE = 0)",
        spends=("t_profiling_exception",),
        latency="t_profiling_exception",
        masking=Masking.KERNEL,
        profiling=True,
    ),
    between="; ",
)


@dataclass(frozen=True, kw_only=True)
class Pointers(Policy):
    """What PMBPTR and PMBLIMITR hold."""

    virtual: bool
    """Virtual addresses: stage 1 is walked, by the SPU and by KVM."""


POINTERS = Values(
    "pointers",
    "what PMBPTR and PMBLIMITR hold",
    Pointers("va", "virtual addresses", virtual=True),
    Pointers(
        "ipa", "FEAT_SPE_nVM's intermediate physical ones, which need no stage 1", virtual=False
    ),
)
