"""Locked memory: `accounting`, `accounting_scope`, `window_limit`, `charge`, `retry`.

Fidelity note: what is charged is `sim.kvm.memlock`; the order of charging and pinning is the path
of a pin in `sim.policies.backings`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.policies.values import Policy, Values


@dataclass(frozen=True, kw_only=True)
class Accounting(Policy):
    """How locked memory is charged."""

    charges: bool = True
    """It is charged at all."""
    high_water: bool = False
    """A mark that is never lowered before the VM is destroyed; configuration sets it."""


ACCOUNTINGS = Values(
    "accounting",
    "how locked memory is charged",
    Accounting("high_water_mark", high_water=True),
    Accounting("per_pin"),
    Accounting("none", charges=False),
)


@dataclass(frozen=True, kw_only=True)
class AccountingScope(Policy):
    """Whose high-water mark it is."""

    per_vm: bool


ACCOUNTING_SCOPES = Values(
    "accounting_scope",
    "whose high-water mark it is",
    AccountingScope("vm", per_vm=True),
    AccountingScope("vcpu", per_vm=False),
)


@dataclass(frozen=True, kw_only=True)
class WindowLimit(Policy):
    """Is there a largest window?"""

    limits: bool


WINDOW_LIMITS = Values(
    "window_limit",
    "is there a largest window",
    WindowLimit(
        "max_buffer",
        "vm.max_buffer, charged at configuration and enforced with a buffer size event (v6)",
        limits=True,
    ),
    WindowLimit("none", "none", limits=False),
)


@dataclass(frozen=True, kw_only=True)
class Charge(Policy):
    """How much is charged at once."""

    by_page: bool

    def told(self, excess: int, page: int) -> int:
        """The excess that KVM_EXIT_RLIMIT reports, bytes."""
        return min(excess, page) if self.by_page else excess


CHARGES = Values(
    "charge",
    "",
    Charge("whole", "all that is needed at once", by_page=False),
    Charge("incremental", "page by page until the limit", by_page=True),
)


@dataclass(frozen=True, kw_only=True)
class Retry(Policy):
    """Where the vCPU goes on after KVM_EXIT_RLIMIT."""

    walks_again: bool
    """The trapped write is executed again, and with it the walk."""


RETRIES = Values(
    "retry",
    "after KVM_EXIT_RLIMIT",
    Retry("reexecute", "the trapped write again", walks_again=True),
    Retry("pending_on_entry", "KVM on entry", walks_again=False),
)
