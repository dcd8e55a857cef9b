"""The VMM's answers to KVM_EXIT_RLIMIT and to -ENOMEM at configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.scenario.model import Policies
from sim.uapi import kvm_run_rlimit
from sim.vmm import PAGE, Answer, answer_exit, raise_limit


@dataclass
class _Limit:
    """RLIMIT_MEMLOCK of a process; counts setrlimit calls."""

    limit: int
    hard: int = 1 << 62
    calls: int = 0

    def set_limit(self, limit: int) -> None:
        self.calls += 1
        self.limit = min(limit, self.hard)


def _policies(**update: Any) -> Policies:
    return Policies.model_validate(update)


RAISE, DOUBLE, REFUSE = _policies(), _policies(vmm_raise="double"), _policies(vmm="refuse_kill")


@pytest.mark.parametrize(("excess", "limit"), [(1, 9), (PAGE, 9), (PAGE + 1, 10), (5 * PAGE, 13)])
def test_by_excess_raises_by_whole_pages(excess: int, limit: int) -> None:
    """The soft limit grows by the excess read from kvm_run, rounded up to pages."""
    rlimit = _Limit(8 * PAGE)
    assert answer_exit(kvm_run_rlimit(excess), rlimit, RAISE) is Answer.RETRY
    assert rlimit.limit == limit * PAGE


@pytest.mark.parametrize(("excess", "limit"), [(PAGE, 16), (8 * PAGE, 16), (9 * PAGE, 17)])
def test_double_raises_at_least_by_the_excess(excess: int, limit: int) -> None:
    """Doubling that would not suffice gives way to the excess."""
    rlimit = _Limit(8 * PAGE)
    assert answer_exit(kvm_run_rlimit(excess), rlimit, DOUBLE) is Answer.RETRY
    assert rlimit.limit == limit * PAGE


def test_double_of_nothing_still_raises() -> None:
    """A limit of 0 cannot be doubled; the excess decides."""
    rlimit = _Limit(0)
    assert raise_limit(1, rlimit, DOUBLE) is Answer.RETRY
    assert rlimit.limit == PAGE


def test_the_hard_limit_caps_and_then_kills() -> None:
    """A partial raise is retried; when nothing more can be raised the VM ends."""
    rlimit = _Limit(8 * PAGE, hard=10 * PAGE)
    assert raise_limit(5 * PAGE, rlimit, RAISE) is Answer.RETRY
    assert rlimit.limit == 10 * PAGE
    assert raise_limit(3 * PAGE, rlimit, RAISE) is Answer.KILL
    assert rlimit.limit == 10 * PAGE


def test_refuse_kill_does_not_touch_the_limit() -> None:
    """The refusing VMM calls no setrlimit and destroys the VM."""
    rlimit = _Limit(8 * PAGE)
    assert answer_exit(kvm_run_rlimit(PAGE), rlimit, REFUSE) is Answer.KILL
    assert (rlimit.limit, rlimit.calls) == (8 * PAGE, 0)


@pytest.mark.parametrize(("at", "value"), [(8, 40), (40, 6)])
def test_any_other_exit_is_a_defect(at: int, value: int) -> None:
    """Another exit reason or another resource limit cannot come from this model."""
    run = bytearray(kvm_run_rlimit(PAGE))
    run[at] = value
    with pytest.raises(AssertionError, match="cannot answer"):
        answer_exit(bytes(run), _Limit(0), RAISE)


@settings(deadline=None)
@given(st.integers(1, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.booleans())
def test_retries_end(excess: int, soft: int, room: int, double: bool) -> None:
    """Each retry raises the limit, so a need is met or the VM ends; the hard limit always holds."""
    rlimit = _Limit(soft, hard=soft + room)
    need = soft + excess
    policies = DOUBLE if double else RAISE
    for _ in range(3):
        before = rlimit.limit
        answer = raise_limit(need - before, rlimit, policies)
        assert before <= rlimit.limit <= soft + room
        assert (answer is Answer.RETRY) == (rlimit.limit > before)
        if answer is Answer.KILL or rlimit.limit >= need:
            break
    assert rlimit.limit >= need or (answer is Answer.KILL and soft + room < need)
