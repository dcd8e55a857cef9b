"""The VMM: answers KVM_EXIT_RLIMIT from the bytes of kvm_run, and -ENOMEM at configuration.

Fidelity note. Modelled: `raise` (by the excess, or by doubling; up to the hard limit) as a
setrlimit of the soft limit and a retry of KVM_RUN; `refuse_kill` (the VM is destroyed). The RFC
says only that userspace decides; refusal behaviour is unknown. Costs: the exit's round trip
(`t_vmm_exit`) and the system call (`t_setrlimit`, estimate).
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from sim.scenario.model import Policies
from sim.uapi import KVM_EXIT_RLIMIT, RLIMIT_MEMLOCK, parse_kvm_run
from sim.units import round_up

PAGE = 4096


class Rlimit(Protocol):
    """The VMM's own RLIMIT_MEMLOCK, bytes."""

    @property
    def limit(self) -> int:
        """Soft limit."""

    def set_limit(self, limit: int) -> None:
        """setrlimit(2); the hard limit caps it."""


class Answer(Enum):
    """What the VMM does with the exit."""

    RETRY = "retry"
    KILL = "kill"


def answer_exit(run: bytes, rlimit: Rlimit, policies: Policies) -> Answer:
    """Handle one exit to user space; may raise the soft limit."""
    reason, excess, rlimit_id = parse_kvm_run(run)
    if reason != KVM_EXIT_RLIMIT or rlimit_id != RLIMIT_MEMLOCK:
        raise AssertionError(f"the VMM cannot answer exit {reason}, limit {rlimit_id}")
    return raise_limit(excess, rlimit, policies)


def raise_limit(excess: int, rlimit: Rlimit, policies: Policies) -> Answer:
    """Raise RLIMIT_MEMLOCK by what is missing, if the policy and the hard limit allow it."""
    if policies.vmm == "refuse_kill":
        return Answer.KILL
    wanted = rlimit.limit + round_up(excess, PAGE)
    if policies.vmm_raise == "double":
        wanted = max(wanted, 2 * rlimit.limit)
    before = rlimit.limit
    rlimit.set_limit(wanted)
    return Answer.RETRY if rlimit.limit > before else Answer.KILL
