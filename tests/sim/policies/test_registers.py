"""Policies of the buffer's registers: what each word means where it is asked."""

from __future__ import annotations

import pytest

from sim.policies.registers import COPY_OUTS, INTERRUPTS, PMBSR_SYNCS, TRAPS


@pytest.mark.parametrize(
    ("word", "interrupted", "looks"),
    [
        ("every_exit", False, True),
        ("every_exit", True, True),
        ("irq_only", False, False),
        ("irq_only", True, True),
    ],
)
def test_when_pmbsr_is_taken(word: str, interrupted: bool, looks: bool) -> None:
    """v5 looks in every exit, v6 only in one that PMBIRQ has made."""
    assert PMBSR_SYNCS[word].looks(interrupted=interrupted) is looks


def test_words_and_what_they_do() -> None:
    """Each value under its word, and the one fact that others ask of it."""
    assert {v.word: v.forces_exit for v in INTERRUPTS} == {
        "forced_exit": True,
        "next_exit": False,
    }
    assert {v.word: v.each for v in TRAPS} == {"buffer_registers": 1, "none": 0}
    assert {v.word: v.at_disable for v in COPY_OUTS} == {
        "on_full": True,
        "on_pmbptr_read": False,
    }
