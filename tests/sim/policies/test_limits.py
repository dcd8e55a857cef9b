"""What is repeated after KVM_EXIT_RLIMIT."""

from __future__ import annotations

from tests.sim.policies.played import (
    CHARGE,
    COSTS,
    MAP,
    PIN,
    V6,
    VIEW,
    WALK,
    bundle,
    play,
)


def test_reexecute_walks_again_after_each_failed_charge() -> None:
    """6.5: the trapped write is executed again, so walk and charge are redone."""
    steps = play(V6.on_enable(COSTS, VIEW), (False, False, True))
    assert steps == [WALK, CHARGE, WALK, CHARGE, WALK, CHARGE, PIN, MAP]


def test_pending_on_entry_only_charges_again() -> None:
    """The pending write is completed at entry: the walk is not repeated."""
    pending = bundle("v6", retry="pending_on_entry")
    steps = play(pending.on_enable(COSTS, VIEW), (False, False, True))
    assert steps == [WALK, CHARGE, CHARGE, CHARGE, PIN, MAP]
