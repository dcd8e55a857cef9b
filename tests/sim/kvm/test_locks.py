"""Locks of KVM: who waits for whom, and that charging vCPUs meet at mmap_lock."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sim.kvm.locks import Locks, RwLock
from sim.ledger import TimeCause
from sim.policies.stages import Lock
from tests.rigs.small_machine import ran, spec, stopped

# --- locks -----------------------------------------------------------------------------------


def test_a_writer_waits_for_all_and_a_reader_for_writers() -> None:
    """In the order of asking."""
    lock = RwLock()
    assert [lock.read(0, 10), lock.read(2, 10)] == [0, 0]
    assert lock.write(5, 100) == 7
    assert lock.read(6, 1) == 106
    assert lock.write(6, 1) == 107
    assert lock.read(1000, 5) == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30), st.booleans()), max_size=30))
def test_nobody_holds_it_with_a_writer(asked: list[tuple[int, int, bool]]) -> None:
    """Whoever asks whenever: a writer's time overlaps nobody's."""
    lock, now, held = RwLock(), 0, list[tuple[int, int, bool]]()
    for gap, ticks, writes in asked:
        now += gap
        begin = now + (lock.write if writes else lock.read)(now, ticks)
        assert begin >= now
        for a, b, other in held:
            if writes or other:
                assert begin + ticks <= a or b <= begin or ticks == 0 or a == b
        held.append((begin, begin + ticks, writes))


def test_each_lock_is_its_own() -> None:
    """mmap_lock and mmu_lock do not meet."""
    locks = Locks()
    assert locks.wait(Lock.MMAP_WRITE, 0, 50) == 0
    assert locks.wait(Lock.MMU_WRITE, 0, 70) == 0
    assert locks.wait(Lock.MMAP_READ, 10, 1) == 40
    assert locks.wait(Lock.MMU_READ, 10, 1) == 60
    assert locks.wait(Lock.NONE, 10, 1) == 0


def test_vcpus_that_charge_at_once_wait_for_mmap_lock() -> None:
    """account_locked_vm writes mmap_lock: the k-th of n vCPUs that enable together waits for k
    charges; one vCPU waits for nobody.
    """
    fixed: dict[str, Any] = {"random_start": False, "max_buffer": 1 << 62, "memlock": 1 << 40}
    runs = {n: ran("v6", vcpus=n, **fixed) for n in (1, 2, 8)}
    charge = spec("v6").vm.kvm.charge
    first = [next(value for _, what, value in vcpu.log if what == "pin") for vcpu in runs[8].vcpus]
    assert first == [charge * (k + 1) for k in range(8)]
    one = next(value for _, what, value in runs[1].vcpus[0].log if what == "pin")
    assert one == charge
    assert stopped(runs[8], TimeCause.PIN, 7) > stopped(runs[2], TimeCause.PIN, 1)
