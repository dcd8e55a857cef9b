"""The VMM: answers KVM_EXIT_RLIMIT from the bytes of kvm_run, and -ENOMEM at configuration.

Fidelity note. Modelled: `raise` (by the excess, by doubling, to the hard limit) as reading the
limit and, a system call later, setting it: two threads that read the same limit set the same one,
and one of them exits again. `refuse_kill` destroys the VM; `reenter` calls KVM_RUN again unchanged;
`run_unpinned` and `error_state` are answers that the 2022 thread proposed, for which no ABI exists.
The RFC says only that userspace decides. Costs: the exit's round trip (`t_vmm_exit`) and the system
call (`t_setrlimit`, estimate).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sim.host.uapi import KVM_EXIT_RLIMIT, RLIMIT_MEMLOCK, parse_kvm_run
from sim.scenario.designs import Policies
from sim.units import round_up

PAGE = 4096


class Rlimit(Protocol):
    """The VMM's own RLIMIT_MEMLOCK, bytes."""

    limit: int
    hard_limit: int


class Answer(Enum):
    """What the VMM does with the exit."""

    RETRY = "retry"
    KILL = "kill"
    RUN_UNPINNED = "run_unpinned"
    ERROR_STATE = "error_state"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer, and the soft limit that the VMM will have set by then (None: no setrlimit)."""

    answer: Answer
    limit: int | None = None


_UNCHANGED = {
    "refuse_kill": Reply(Answer.KILL),
    "reenter": Reply(Answer.RETRY),
    "run_unpinned": Reply(Answer.RUN_UNPINNED),
    "error_state": Reply(Answer.ERROR_STATE),
}


def answer_exit(run: bytes, rlimit: Rlimit, policies: Policies, entered_with: int) -> Reply:
    """Handle one exit to user space; the limit is read now and set after the system call.

    `entered_with` is the limit under which the vCPU ran into it: if it cannot be raised further but
    another thread has raised it meanwhile, entering again is worth a try.
    """
    reason, excess, rlimit_id = parse_kvm_run(run)
    if reason != KVM_EXIT_RLIMIT or rlimit_id != RLIMIT_MEMLOCK:
        raise AssertionError(f"the VMM cannot answer exit {reason}, limit {rlimit_id}")
    reply = _UNCHANGED.get(policies.vmm) or raise_limit(excess, rlimit, policies)
    raised_meanwhile = policies.vmm == "raise" and rlimit.limit > entered_with
    return Reply(Answer.RETRY) if reply.answer is Answer.KILL and raised_meanwhile else reply


def answer_enomem(excess: int, rlimit: Rlimit, policies: Policies) -> Reply:
    """-ENOMEM at configuration: only a VMM that raises tries again."""
    if policies.vmm != "raise":
        return Reply(Answer.KILL)
    return raise_limit(excess, rlimit, policies)


def raise_limit(excess: int, rlimit: Rlimit, policies: Policies) -> Reply:
    """How far the VMM lifts its soft limit; the hard limit caps it."""
    wanted = rlimit.limit + round_up(excess, PAGE)
    if policies.vmm_raise == "double":
        wanted = max(wanted, 2 * rlimit.limit)
    if policies.vmm_raise == "to_hard":
        wanted = rlimit.hard_limit
    wanted = min(wanted, rlimit.hard_limit)
    return Reply(Answer.RETRY, wanted) if wanted > rlimit.limit else Reply(Answer.KILL)
