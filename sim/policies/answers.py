"""What the VMM does about KVM_EXIT_RLIMIT and -ENOMEM: `vmm`, `vmm_raise`.

Fidelity note. Modelled: `raise` (by the excess, by doubling, to the hard limit) as reading the
limit and, a system call later, setting it: two threads that read the same limit set the same one,
and one of them exits again. `refuse_kill` destroys the VM; `reenter` calls KVM_RUN again unchanged;
`run_unpinned` and `error_state` are answers that the 2022 thread proposed, for which no ABI exists.
The RFC says only that userspace decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sim.policies.values import Policy, Values
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


@dataclass(frozen=True, kw_only=True)
class Raise(Policy):
    """How far the VMM lifts its soft limit; as it is, by what is missing, in whole pages."""

    def wanted(self, excess: int, rlimit: Rlimit) -> int:
        """The limit that it would like, bytes."""
        return rlimit.limit + round_up(excess, PAGE)

    def reply(self, excess: int, rlimit: Rlimit) -> Reply:
        """The hard limit caps it; what cannot be raised is refused."""
        wanted = min(self.wanted(excess, rlimit), rlimit.hard_limit)
        return Reply(Answer.RETRY, wanted) if wanted > rlimit.limit else Reply(Answer.KILL)


@dataclass(frozen=True, kw_only=True)
class Double(Raise):
    """Twice the limit, or more if that does not suffice."""

    def wanted(self, excess: int, rlimit: Rlimit) -> int:
        """A limit of 0 cannot be doubled."""
        return max(super().wanted(excess, rlimit), 2 * rlimit.limit)


@dataclass(frozen=True, kw_only=True)
class ToHard(Raise):
    """All the way at once."""

    def wanted(self, excess: int, rlimit: Rlimit) -> int:
        """Whatever the excess."""
        return rlimit.hard_limit


RAISES = Values(
    "vmm_raise",
    "how far it lifts the limit",
    Raise("by_excess", "by what KVM asks for"),
    Double("double", "to twice the limit, or by the excess if that is more (fewer exits)"),
    ToHard("to_hard", "to the hard limit at once"),
    between="; ",
)


@dataclass(frozen=True, kw_only=True)
class Vmm(Policy):
    """A VMM that leaves its limit alone, and answers an exit always alike."""

    answer: Answer = Answer.KILL

    def on_exit(self, excess: int, rlimit: Rlimit, entered_with: int, how: Raise) -> Reply:
        """KVM_EXIT_RLIMIT; `entered_with` is the limit under which the vCPU ran into it, bytes."""
        return Reply(self.answer)

    def on_enomem(self, excess: int, rlimit: Rlimit, how: Raise) -> Reply:
        """-ENOMEM at configuration: only a VMM that raises tries again."""
        return Reply(Answer.KILL)


@dataclass(frozen=True, kw_only=True)
class Raising(Vmm):
    """A VMM that lifts its limit, and gives up where it cannot."""

    spends: tuple[str, ...] = ("t_setrlimit",)

    def on_exit(self, excess: int, rlimit: Rlimit, entered_with: int, how: Raise) -> Reply:
        """If the limit cannot be raised further but another thread has raised it meanwhile,
        entering again is worth a try."""
        reply = how.reply(excess, rlimit)
        raised_meanwhile = rlimit.limit > entered_with
        return Reply(Answer.RETRY) if reply.answer is Answer.KILL and raised_meanwhile else reply

    def on_enomem(self, excess: int, rlimit: Rlimit, how: Raise) -> Reply:
        """Try the ioctl again."""
        return how.reply(excess, rlimit)


VMMS = Values(
    "vmm",
    "the VMM's answer to KVM_EXIT_RLIMIT",
    Raising("raise", "raise the limit"),
    Vmm("refuse_kill", "destroy the VM"),
    Vmm("reenter", "enter again unchanged", answer=Answer.RETRY),
    Vmm("run_unpinned", "go on without a pin", answer=Answer.RUN_UNPINNED),
    Vmm("error_state", "let the guest's session fail", answer=Answer.ERROR_STATE),
)
