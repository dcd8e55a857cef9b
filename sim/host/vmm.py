"""The VMM: answers KVM_EXIT_RLIMIT from the bytes of kvm_run, and -ENOMEM at configuration.

Fidelity note. What it answers is the policies `vmm` and `vmm_raise` (`sim.policies.answers`).
Costs: the exit's round trip (`t_vmm_exit`) and the system call (`t_setrlimit`, estimate).
"""

from __future__ import annotations

from sim.host.uapi import KVM_EXIT_RLIMIT, RLIMIT_MEMLOCK, parse_kvm_run
from sim.policies.answers import Reply, Rlimit
from sim.policies.bundle import Bundle


def answer_exit(run: bytes, rlimit: Rlimit, policies: Bundle, entered_with: int) -> Reply:
    """Handle one exit to user space; the limit is read now and set after the system call.

    `entered_with` is the limit under which the vCPU ran into it, bytes.
    """
    reason, excess, rlimit_id = parse_kvm_run(run)
    if reason != KVM_EXIT_RLIMIT or rlimit_id != RLIMIT_MEMLOCK:
        raise AssertionError(f"the VMM cannot answer exit {reason}, limit {rlimit_id}")
    return policies.vmm.on_exit(excess, rlimit, entered_with, policies.vmm_raise)


def answer_enomem(excess: int, rlimit: Rlimit, policies: Bundle) -> Reply:
    """Handle -ENOMEM of the ioctl that sets a vCPU's maximum buffer size."""
    return policies.vmm.on_enomem(excess, rlimit, policies.vmm_raise)
