"""The VMM's answers to KVM_EXIT_RLIMIT and to -ENOMEM at configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.host.uapi import kvm_run_rlimit
from sim.host.vmm import answer_enomem, answer_exit
from sim.policies.answers import PAGE, Answer, Reply
from sim.policies.bundle import Bundle
from sim.scenario.models.scenario import Policies


@dataclass
class _Limit:
    """RLIMIT_MEMLOCK of a process."""

    limit: int
    hard_limit: int = 1 << 62


def _policies(**update: Any) -> Bundle:
    return Policies.model_validate(update).bundle


RAISE, DOUBLE = _policies(), _policies(vmm_raise="double")


@pytest.mark.parametrize(("excess", "limit"), [(1, 9), (PAGE, 9), (PAGE + 1, 10), (5 * PAGE, 13)])
def test_by_excess_raises_by_whole_pages(excess: int, limit: int) -> None:
    """The soft limit grows by the excess read from kvm_run, rounded up to pages."""
    reply = answer_exit(kvm_run_rlimit(excess), _Limit(8 * PAGE), RAISE, 8 * PAGE)
    assert reply == Reply(Answer.RETRY, limit * PAGE)


@pytest.mark.parametrize(("excess", "limit"), [(PAGE, 16), (8 * PAGE, 16), (9 * PAGE, 17)])
def test_double_raises_at_least_by_the_excess(excess: int, limit: int) -> None:
    """Doubling that would not suffice gives way to the excess."""
    reply = answer_exit(kvm_run_rlimit(excess), _Limit(8 * PAGE), DOUBLE, 8 * PAGE)
    assert reply == Reply(Answer.RETRY, limit * PAGE)


def test_double_of_nothing_still_raises() -> None:
    """A limit of 0 cannot be doubled; the excess decides."""
    assert answer_enomem(1, _Limit(0), DOUBLE) == Reply(Answer.RETRY, PAGE)


def test_to_hard_goes_all_the_way_at_once() -> None:
    """The hard limit, whatever the excess; at the hard limit there is nothing left to raise."""
    policies = _policies(vmm_raise="to_hard")
    assert answer_enomem(1, _Limit(8 * PAGE, 99 * PAGE), policies).limit == 99 * PAGE
    assert answer_enomem(1, _Limit(99 * PAGE, 99 * PAGE), policies) == Reply(Answer.KILL)


def test_the_hard_limit_caps_and_then_kills() -> None:
    """A partial raise is retried; when nothing more can be raised the VM ends."""
    assert answer_enomem(5 * PAGE, _Limit(8 * PAGE, 10 * PAGE), RAISE).limit == 10 * PAGE
    assert answer_enomem(3 * PAGE, _Limit(10 * PAGE, 10 * PAGE), RAISE) == Reply(Answer.KILL)


@pytest.mark.parametrize(
    ("vmm", "answer"),
    [
        ("refuse_kill", Answer.KILL),
        ("reenter", Answer.RETRY),
        ("run_unpinned", Answer.RUN_UNPINNED),
        ("error_state", Answer.ERROR_STATE),
    ],
)
def test_refusing_answers_do_not_touch_the_limit(vmm: str, answer: Answer) -> None:
    """No setrlimit, neither at an exit nor for -ENOMEM; the latter has no second try."""
    policies = _policies(vmm=vmm)
    assert answer_exit(kvm_run_rlimit(PAGE), _Limit(8 * PAGE), policies, 8 * PAGE) == Reply(answer)
    assert answer_enomem(PAGE, _Limit(8 * PAGE), policies) == Reply(Answer.KILL)


@pytest.mark.parametrize(("at", "value"), [(8, 40), (40, 6)])
def test_any_other_exit_is_a_defect(at: int, value: int) -> None:
    """Another exit reason or another resource limit cannot come from this model."""
    run = bytearray(kvm_run_rlimit(PAGE))
    run[at] = value
    with pytest.raises(AssertionError, match="cannot answer"):
        answer_exit(bytes(run), _Limit(0), RAISE, 0)


@settings(deadline=None)
@given(st.integers(1, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.booleans())
def test_retries_end(excess: int, soft: int, room: int, double: bool) -> None:
    """Each retry raises the limit, so a need is met or the VM ends; the hard limit always holds."""
    need, limit, reply = soft + excess, soft, Reply(Answer.KILL)
    policies = DOUBLE if double else RAISE
    for _ in range(3):
        reply = answer_enomem(need - limit, _Limit(limit, soft + room), policies)
        assert (reply.answer is Answer.RETRY) == (reply.limit is not None)
        if reply.limit is None:
            break
        assert limit < reply.limit <= soft + room
        limit = reply.limit
        if limit >= need:
            break
    assert limit >= need or (reply.answer is Answer.KILL and soft + room < need)


def test_a_limit_that_another_thread_raised_is_worth_a_try() -> None:
    """Raising to the hard limit: the second thread finds it there, and enters again once; if the
    limit has not moved since its own exit, there is nothing left to do.
    """
    policies = _policies(vmm_raise="to_hard")
    limit = _Limit(64 * PAGE, 64 * PAGE)
    assert answer_exit(kvm_run_rlimit(PAGE), limit, policies, 8 * PAGE) == Reply(Answer.RETRY)
    assert answer_exit(kvm_run_rlimit(PAGE), limit, policies, 64 * PAGE) == Reply(Answer.KILL)
    refusing = _policies(vmm="refuse_kill")
    assert answer_exit(kvm_run_rlimit(PAGE), limit, refusing, 8 * PAGE) == Reply(Answer.KILL)
