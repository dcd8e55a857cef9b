"""Live migration and changes of memslots: what is faulted, fetched, pinned and charged again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim.host.migration import Migration
from sim.host.pressure import Touch
from sim.ledger import TimeCause
from sim.machine.machine import ENGINES
from tests.rigs.small_machine import PAGE, WORK, faults_of, ran, spec, stopped
from tests.sim.host.corner import TABLES, after, faults_at, machine_of, names_of, roomy, time_of


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


@pytest.mark.parametrize("sync", ["every_exit", "irq_only"])
def test_downtime_does_not_leave_a_stop_in_the_hardware(sync: str) -> None:
    """A thread that leaves its CPU takes the SPU's state along: the event is the guest's on the
    destination, no interrupt of the source's SPU is."""
    slow: dict[str, Any] = {"irq_latency": (1_000_000,)}
    still = after(machine_of("v7-guest-memfd", {"pmbsr_sync": sync}, **slow))
    full = next(t for t, what, _ in still.vcpus[0].log if what == "FULL")
    begun = time_of(still, TimeCause.PREFAULT)
    move = Migration(full - begun, 1, 100, 0, 10_000_000, post_copy=False)
    moved = after(machine_of("v7-guest-memfd", {"pmbsr_sync": sync}, migration=move, **slow))
    names = names_of(moved)
    first, paused = names.index("FULL"), names.index("downtime")
    assert names.index("inject") in range(first, paused)
    assert "PMBIRQ_AT_CORE" not in names[first:paused]
    assert names.index("VIRQ") > paused


# --- in the middle of a pin ------------------------------------------------------------------


def test_a_pin_that_a_migration_meets_is_made_again_from_the_source() -> None:
    """Post-copy arrives while v6 pins: the vCPU finishes on the source, and on the destination the
    window and its tables are fetched before they are pinned."""
    kvm = replace(roomy("v6").vm.kvm, pin=1_000_000)
    move = Migration(0, 1, 3_000_000, 0, 64_000_000, post_copy=True)
    machine = after(machine_of("v6", migration=move, kvm=kvm))
    names = names_of(machine)
    assert names.index("PINNED_PAGES") < names.index("downtime") < names.index("RUN", 5)
    fetched = [value for _, what, value in machine.vcpus[0].log if what == "fault"]
    assert fetched[0] == (2 + TABLES) * kvm.remote


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("at", [1, 2, 3, 5, 8])
def test_what_is_pinned_is_charged_whenever_a_memslot_goes(at: int, engine: str) -> None:
    """Between charge, pin and map: per pin, VmLck is what is pinned."""
    kvm = replace(roomy("v6").vm.kvm, charge=1_000_000, pin=1_000_000, map_present=1_000_000)
    machine = machine_of(
        "v6", {"accounting": "per_pin", "unpin": "never"}, engine, kvm=kvm, max_buffer=1 << 62
    )
    vcpu, done = machine.vcpus[0], machine.start()
    machine.engine.run(at * 1_000_000)
    assert vcpu.hypervisor is not None
    assert vcpu.stage2 is not None
    vcpu.hypervisor.drop_stage2()
    machine.engine.run(done)
    pinned = int(np.count_nonzero(vcpu.stage2.pins))
    assert pinned > 0
    assert machine.account.locked == pinned * PAGE
    machine.finish()


def test_swapped_pages_arrive_with_the_rest() -> None:
    """Pre-copy reads them back and sends them: on the destination no fault waits for swap."""
    late = Migration(WORK // 20, 1, 64_000, 0, 64_000, post_copy=False)
    machine = machine_of("unpinned", migration=late)
    stage2, done = machine.vcpus[0].stage2, machine.start()
    assert stage2 is not None
    for page in range(8):
        machine.host.targets[0].touch(page, Touch.SWAP_OUT)
    machine.engine.run(done)
    kvm = machine.spec.vm.kvm
    assert stage2.absent == {}
    waited = time_of(machine, TimeCause.FAULT) - kvm.swap_in  # for the page in use before
    assert waited > 0
    assert waited % kvm.fault == 0
    machine.finish()


def test_locked_memory_is_whole_on_the_destination() -> None:
    """v5 populates it before the VM runs there; pages that the dirty log had write-protected are
    mapped like the others, and still pinned."""
    policies = {"stage2_fault": "fix_and_resume"}
    move = Migration(WORK // 8, 2, WORK // 8, 0, 64_000, post_copy=False)
    machine = machine_of("v5-memslot-lock", policies, migration=move)
    stage2, done = machine.vcpus[0].stage2, machine.start()
    machine.engine.run(done)
    assert stage2 is not None
    assert stage2.mapped.all()
    assert stage2.pins.all()
    machine.finish()
    assert faults_at(machine) > 0
