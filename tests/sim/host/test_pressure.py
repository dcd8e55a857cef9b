"""Pressure on memory, live migration, locks and a busy host: what each does to which design."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.engine import Engine
from sim.host.migration import Migration
from sim.host.pressure import Host, Touch
from sim.host.scheduler import share_cpus
from sim.kvm.locks import Locks, RwLock
from sim.ledger import TimeCause
from sim.linux.aux import Geometry
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.spec import PressureSpec, UnmapSpec
from sim.policies.stages import Lock
from sim.scenario.loader import load
from tests.rigs.small_machine import PAGE, WORK, faults_of, ran, spec, stopped

# --- pressure --------------------------------------------------------------------------------


def _often(touch: Touch, **changes: Any) -> dict[str, Any]:
    return {"pressures": (PressureSpec("often", touch, (WORK // 2000,), **changes),)}


@pytest.mark.parametrize("touch", [Touch.MOVE, Touch.SWAP_OUT])
def test_what_is_pinned_does_not_move(touch: Touch) -> None:
    """KSM, THP collapse, compaction and reclaim pass over a pinned window, whatever the notifiers;
    NUMA balancing's PROT_NONE does not."""
    assert faults_of(ran("v6", {"notifiers": "honour_all"}, **_often(touch))) == 0
    assert faults_of(ran("unpinned", **_often(touch))) > 0
    assert faults_of(ran("v6", {"notifiers": "honour_all"}, **_often(Touch.ZAP))) > 0


def test_guest_memfd_yields_to_nobody() -> None:
    """v7's memory is not mapped from anywhere that could be unmapped."""
    for touch in (Touch.ZAP, Touch.MOVE, Touch.SWAP_OUT):
        run = ran("v7-guest-memfd", memory=64 * PAGE, **_often(touch))
        assert (faults_of(run), run.zaps) == (0, 0)


def test_a_page_that_was_reclaimed_takes_time_to_read_back() -> None:
    """Each fault on one costs t_swap_in on top; a page that only moved does not."""
    moved, swapped = (ran("unpinned", **_often(t)) for t in (Touch.MOVE, Touch.SWAP_OUT))
    costs = spec("unpinned").vm.kvm
    assert stopped(moved, TimeCause.FAULT) == costs.fault * faults_of(moved)
    assert faults_of(swapped) > 0
    assert stopped(swapped, TimeCause.FAULT) == (costs.fault + costs.swap_in) * faults_of(swapped)


def test_pinning_brings_reclaimed_pages_back_first() -> None:
    """pin_user_pages waits for swapped pages; the same pressure without swap costs v6 no fault."""
    calm, swapped = (ran("v6", **_often(t)) for t in (Touch.MOVE, Touch.SWAP_OUT))
    swap_in = spec("v6").vm.kvm.swap_in
    assert stopped(calm, TimeCause.FAULT) == 0
    assert stopped(swapped, TimeCause.FAULT) > 0
    assert stopped(swapped, TimeCause.FAULT) % swap_in == 0


def test_a_huge_page_takes_its_span() -> None:
    """khugepaged unmaps 512 pages at once: here, aligned groups of eight."""
    run = ran("unpinned", warm=True, **_often(Touch.MOVE, span=8))
    single = ran("unpinned", warm=True, **_often(Touch.MOVE))
    assert run.zaps > 2 * single.zaps


def test_a_memslot_change_ends_every_pin() -> None:
    """A real unmap: v6 has fault blackouts until the next enable, and locks nothing meanwhile."""
    run = ran("v6", memslot_changes=WORK // 20)
    assert faults_of(run) > 0
    assert run.zaps > 0
    held = [value for _, what, value in run.vcpus[0].log if what == "PINNED_PAGES"]
    assert 0 in held
    assert faults_of(ran("v6")) == 0


# --- live migration --------------------------------------------------------------------------

MOVE = Migration(WORK // 8, 3, WORK // 8, 64_000, 640_000, post_copy=False)


def test_downtime_is_time_and_no_loss() -> None:
    """All vCPUs stand for the start of the log and for stop-and-copy; no op is lost to it."""
    run = ran("v7-guest-memfd", memory=64 * PAGE, migration=MOVE, vcpus=2)
    kick = spec("v6").vm.kvm.ordinary_exit
    for vcpu in run.vcpus:
        stood = vcpu.ledgers.time.stopped[TimeCause.DOWNTIME]
        assert 0 <= MOVE.log_start + MOVE.downtime - stood <= 2 * kick + 64_000
        assert vcpu.ordinary_exits == 2
        assert faults_of(run) == 0


@pytest.mark.parametrize("design", ["unpinned", "v6"])
def test_the_dirty_log_faults_pinned_pages_too(design: str) -> None:
    """Write protection asks no notifier: every page written in a round faults once."""
    run = ran(design, migration=MOVE)
    assert faults_of(run) >= MOVE.rounds
    assert faults_of(ran(design)) == 0


def test_the_first_error_of_a_migration_ends_the_event() -> None:
    """Where a fault is an error, the dirty log is enough to end profiling for good."""
    run = ran("unpinned-error", migration=MOVE)
    assert faults_of(run) == 1
    ops = run.vcpus[0].ledgers.ops
    assert ops.by_label["event_disabled"] > ops.executed // 2  # type: ignore[index]


def test_v7_exits_to_user_space_while_the_log_is_on() -> None:
    """Enabling the buffer under dirty logging costs a VMM exit each; before and after, none."""
    run = ran("v7-guest-memfd", memory=64 * PAGE, migration=MOVE)
    exits = stopped(run, TimeCause.VMM) / spec("v6").vm.kvm.vmm_exit
    assert 0 < exits < run.rlimit.enables
    assert exits == int(exits)
    assert stopped(ran("v7-guest-memfd", memory=64 * PAGE), TimeCause.VMM) == 0


def test_post_copy_fetches_pages_from_the_source() -> None:
    """One round, then every page costs t_remote once: as faults, or before v6 pins it."""
    post = replace(MOVE, post_copy=True)
    for design in ("unpinned", "v6"):
        before, after = ran(design, migration=MOVE), ran(design, migration=post)
        remote = spec(design).vm.kvm.remote
        assert stopped(after, TimeCause.FAULT) >= remote * 4
        assert stopped(before, TimeCause.FAULT) < remote * 4


def test_the_destination_pins_again() -> None:
    """v6 walks, pins and maps its window anew before the vCPU goes on; the same is locked there."""
    run, still = ran("v6", migration=MOVE), ran("v6")
    assert run.rlimit.enables == still.rlimit.enables + 1
    assert run.rlimit.pinned_pages > still.rlimit.pinned_pages
    assert len({p.locked_bytes for p in run.locked}) == 1


@pytest.mark.parametrize("scope", ["vcpu", "vm"])
def test_the_limit_is_met_again_on_the_destination(scope: str) -> None:
    """Another VMM process with the old limit: KVM_EXIT_RLIMIT comes a second time, and no third."""
    short: dict[str, Any] = {"memlock": PAGE, "max_buffer": 1 << 62}
    policies = {"accounting_scope": scope}
    still, moved = (ran("v6", policies, migration=m, **short) for m in (None, MOVE))
    assert (still.rlimit.exits, moved.rlimit.exits) == (1, 2)
    configured = {"memlock": PAGE, "max_buffer": 32 * PAGE}
    again = ran("v6", policies, migration=MOVE, **configured)
    assert (again.rlimit.exits, again.rlimit.config_enomem) == (0, 1)
    assert {p.locked_bytes for p in again.locked[1:]} == {32 * PAGE}


# --- fewer CPUs than vCPUs -------------------------------------------------------------------


class _Turns:
    """A vCPU that notes when it is kept from running."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.out = engine, list[tuple[int, int]]()

    def pause(self, cause: TimeCause, until: int) -> None:
        assert cause is TimeCause.STEAL
        self.out.append((self.engine.now, until))


@pytest.mark.parametrize(("vcpus", "physical"), [(2, 1), (3, 2), (4, 2), (5, 3), (7, 2)])
def test_vcpus_take_turns(vcpus: int, physical: int) -> None:
    """At any instant as many run as there are CPUs, and all get the same share."""
    engine = Engine()
    turns = [_Turns(engine) for _ in range(vcpus)]
    engine.process(share_cpus(engine, turns, physical, 100))
    engine.run(vcpus * 100 * 10 - 50)
    for middle in range(50, vcpus * 100 * 9, 100):
        out = sum(any(a <= middle < b for a, b in t.out) for t in turns)
        assert vcpus - out == physical
    shares = {sum(b - a for a, b in t.out if b <= vcpus * 900) for t in turns}
    assert max(shares) - min(shares) <= vcpus * 100


def test_stolen_time_loses_nothing() -> None:
    """Two vCPUs on one CPU: half of the wall time is stolen, and the same ops are sampled."""
    alone = ran("v6", vcpus=2, interval=4096, period=4096)
    shared = ran("v6", vcpus=2, interval=4096, period=4096, physical_cpus=1, host_slice=WORK // 40)
    for one, two in zip(alone.vcpus, shared.vcpus, strict=True):
        stolen = two.ledgers.time.stopped[TimeCause.STEAL]
        assert 0.8 * one.ledgers.time.wall < stolen < 1.2 * one.ledgers.time.wall
        assert two.ledgers.ops == one.ledgers.ops
        assert two.written[:, 0].tolist() == one.written[:, 0].tolist()
    assert stopped(alone, TimeCause.STEAL) == 0


# --- a task that moves between vCPUs ---------------------------------------------------------


@pytest.mark.parametrize(("scope", "marks"), [("vcpu", 3), ("vm", 1)])
def test_each_vcpu_that_a_task_visits_keeps_its_mark(scope: str, marks: int) -> None:
    """Per vCPU, VmLck grows to a window for each of the three; per VM one window is enough."""
    fixed: dict[str, Any] = {"max_buffer": 1 << 62, "memlock": 1 << 40, "switch_ticks": WORK // 12}
    still = ran("v6", {"accounting_scope": scope}, **fixed)
    moving = ran("v6", {"accounting_scope": scope}, visits=3, **fixed)
    assert moving.rlimit.locked_bytes_peak == marks * still.rlimit.locked_bytes_peak
    assert moving.vcpus[0].ledgers.ops == still.vcpus[0].ledgers.ops
    assert moving.vcpus[0].written.tolist() == still.vcpus[0].written.tolist()


def test_a_pin_that_is_kept_is_kept_on_each_vcpu() -> None:
    """Never unpinning: the first visit to each vCPU pins its window, a later one pins nothing."""
    fixed: dict[str, Any] = {
        "max_buffer": 1 << 62,
        "memlock": 1 << 40,
        "switch_ticks": WORK // 12,
        "aux": Geometry(2 * PAGE, PAGE, PAGE),
    }
    still = ran("v6", {"unpin": "never"}, **fixed)
    moving = ran("v6", {"unpin": "never"}, visits=3, **fixed)
    assert 2 * still.rlimit.pinned_pages < moving.rlimit.pinned_pages
    assert moving.rlimit.pinned_pages <= 3 * still.rlimit.pinned_pages
    assert moving.rlimit.enables == still.rlimit.enables


def test_a_page_that_another_vcpu_has_pinned_does_not_move() -> None:
    """A kept pin counts wherever the task is."""
    kept = {"unpin": "never", "notifiers": "honour_all"}
    fixed: dict[str, Any] = {"switch_ticks": WORK // 40, "visits": 2, **_often(Touch.MOVE)}
    fixed |= {"aux": Geometry(2 * PAGE, PAGE, PAGE), "memlock": 1 << 40}
    assert ran("v6", kept, **fixed).zaps < ran("v6", {"notifiers": "honour_all"}, **fixed).zaps


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


# --- in a scenario ---------------------------------------------------------------------------

TEXT = """
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 1000}]}
host:
  pressure: [{kind: ksm}, {kind: khugepaged}, {kind: compaction}, {kind: reclaim},
             {kind: numa_balancing}, {kind: memslot_change, every: 2ms},
             {kind: live_migration, start: 1ms, round: 2ms}]
arms: [{design: unpinned}]
"""


def test_published_paces_are_scaled(tmp_path: Any) -> None:
    """16 GiB of guest, 4 MiB of buffer: a sweep visits each page, a random hit has its share."""
    path = tmp_path / "s.yaml"
    path.write_text(TEXT)
    arm = load(path).arms[0]
    spec = machine_spec(arm, stream_of(arm.settings))
    second = 3_000_000_000 * 64
    made = {p.kind: p for p in spec.host.pressures}
    assert made["ksm"].sweeps
    assert made["ksm"].law == (839 * second,)
    assert {kind: p.touch for kind, p in made.items()} == {
        "ksm": Touch.MOVE,
        "khugepaged": Touch.MOVE,
        "compaction": Touch.MOVE,
        "reclaim": Touch.SWAP_OUT,
        "numa_balancing": Touch.ZAP,
    }

    def mean(kind: str) -> float:
        return sum(made[kind].law) / len(made[kind].law) / second

    assert mean("khugepaged") == pytest.approx(1.25 * 4096, rel=0.01)
    assert made["khugepaged"].span == 512
    assert mean("compaction") == pytest.approx(0.01 * 4096, rel=0.01)
    assert mean("reclaim") == pytest.approx(4096 / 140, rel=0.01)
    assert spec.host.memslot_changes == second // 500
    assert spec.host.migration is not None
    assert spec.host.migration.rounds == 3


def test_host_notes_what_went() -> None:
    """`zaps` counts pages of memslot changes like any other."""
    run = ran("unpinned", memslot_changes=WORK // 10, unmap=UnmapSpec("never"))
    assert Counter(what for _, what, _ in run.vcpus[0].log)["FAULT"] == faults_of(run) > 0
    assert run.zaps >= 32
    assert isinstance(Host(Engine(), False).targets, dict)
