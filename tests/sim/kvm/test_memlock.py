"""Locked memory: both charges of RFC v6, the high-water mark, and when KVM_EXIT_RLIMIT fires."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.kvm.memlock import Account
from sim.kvm.tables import stage1_tables
from sim.ledger import OpLabel
from sim.linux.aux import Geometry
from sim.machine.spec import MachineSpec
from sim.scenario.models.quantities import UNLIMITED
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import machine_of, simulated

PAGE = 4096
MIB = 1 << 20
AUX_VA = 0xFFFF_8000_8000_0000
MARKS = [(True, False), (True, True)]  # high-water mark per vCPU, per VM


def _account(limit: int, **changes: Any) -> Account:
    usual: dict[str, Any] = {
        "hard_limit": 1 << 62,
        "cap_ipc_lock": False,
        "high_water": True,
        "per_vm": False,
        "enforced": True,
        "now": lambda: 0,
    }
    return Account(limit=limit, **(usual | changes))


# --- the account -----------------------------------------------------------------------------


def test_configuration_charges_the_maximum_buffer_and_fails_over_the_limit() -> None:
    """Two vCPUs of 4 MiB fit into 8 MiB; the third gets the excess and is not charged."""
    account = _account(8 * MIB)
    assert [account.configure(vcpu, 4 * MIB) for vcpu in range(3)] == [0, 0, 4 * MIB]
    assert account.locked == 8 * MIB
    account.set_limit(12 * MIB)
    assert account.configure(2, 4 * MIB) == 0
    assert account.locked == 12 * MIB


def test_configuring_again_replaces_the_charge() -> None:
    """The attribute may be set again: a vCPU's own earlier charge is not counted twice."""
    account = _account(8 * MIB)
    assert [account.configure(0, size * MIB) for size in (4, 8, 2)] == [0, 0, 0]
    assert account.locked == 8 * MIB  # never lowered


def test_what_is_charged_stays_charged_under_a_lower_limit() -> None:
    """Growth only is checked: equal windows pass even after the limit was lowered."""
    account = _account(10 * PAGE)
    assert account.pin(0, 10 * PAGE) == 0
    account.set_limit(5 * PAGE)
    assert account.pin(0, 10 * PAGE) == 0
    assert account.pin(0, 11 * PAGE) == 6 * PAGE


def test_a_vm_wide_mark_pools_what_configuration_reserved() -> None:
    """Scope vm: one vCPU may use what two reserved, once both are configured."""
    account = _account(2 * MIB, per_vm=True)
    assert [account.configure(vcpu, MIB) for vcpu in (0, 1)] == [0, 0]
    account.forget_configuration()
    assert account.pin(0, 2 * MIB) == 0
    assert account.locked == 2 * MIB


@pytest.mark.parametrize(("high_water", "per_vm"), MARKS)
def test_need_below_the_configured_size_costs_nothing_more(high_water: bool, per_vm: bool) -> None:
    """The first charge covers a window that fits into it, even at the limit."""
    account = _account(MIB, high_water=high_water, per_vm=per_vm)
    assert account.configure(0, MIB) == 0
    account.forget_configuration()
    assert account.pin(0, MIB) == 0
    assert account.locked == MIB


@pytest.mark.parametrize(("high_water", "per_vm"), MARKS)
def test_tables_on_top_of_a_full_window_exceed(high_water: bool, per_vm: bool) -> None:
    """AUX = 2 × max_buffer: the window uses all of the first charge, the tables come on top."""
    account = _account(MIB, high_water=high_water, per_vm=per_vm)
    assert account.configure(0, MIB) == 0
    account.forget_configuration()
    assert account.pin(0, MIB + 4 * PAGE) == 4 * PAGE
    account.set_limit(MIB + 4 * PAGE)
    assert account.pin(0, MIB + 4 * PAGE) == 0
    assert account.locked == MIB + 4 * PAGE


def test_marks_per_vcpu_add_up_and_marks_per_vm_share() -> None:
    """Two vCPUs that pin in turn: their maxima add up per vCPU, one mark suffices per VM."""
    for per_vm, locked in ((False, 20 * PAGE), (True, 10 * PAGE)):
        account = _account(MIB, per_vm=per_vm)
        for vcpu in (0, 1):
            assert account.pin(vcpu, 10 * PAGE) == 0
            account.hold(vcpu, 0)
        assert account.locked == locked


def test_per_pin_follows_what_is_pinned() -> None:
    """accounting: per_pin has no mark and no charge at configuration."""
    account = _account(10 * PAGE, high_water=False)
    assert account.configure(0, MIB) == 0
    assert account.locked == 0
    assert account.pin(0, 6 * PAGE) == 0
    assert account.pin(1, 6 * PAGE) == 2 * PAGE
    assert account.locked == 6 * PAGE
    account.hold(0, 0)
    assert account.pin(1, 6 * PAGE) == 0
    assert account.locked == 6 * PAGE
    assert account.counts.locked_bytes_peak == 6 * PAGE


@pytest.mark.parametrize("change", [{"cap_ipc_lock": True}, {"enforced": False}])
def test_cap_ipc_lock_and_no_accounting_pass_any_limit(change: dict[str, bool]) -> None:
    """Neither fails; with the capability memory is still counted, without accounting it is not."""
    account = _account(0, **change)
    assert account.configure(0, MIB) == 0
    assert account.pin(0, 2 * MIB) == 0
    assert account.locked == (2 * MIB if "cap_ipc_lock" in change else 0)


def test_set_limit_respects_the_hard_limit() -> None:
    """setrlimit above the hard limit gets the hard limit."""
    account = _account(PAGE, hard_limit=3 * PAGE)
    account.set_limit(9 * PAGE)
    assert account.limit == 3 * PAGE


Step = tuple[int, int]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=30),
    st.integers(0, 24),
    st.booleans(),
)
def test_high_water_mark_laws(steps: list[Step], limit: int, per_vm: bool) -> None:
    """Never decreases, never over the limit, and what was accepted once is accepted again."""
    account = _account(limit * PAGE, per_vm=per_vm)
    accepted: dict[int, int] = {}
    mark = 0
    for vcpu, pages in steps:
        need = pages * PAGE
        excess = account.pin(vcpu, need)
        assert mark <= account.locked <= account.limit
        mark = account.locked
        if not per_vm and need <= accepted.get(vcpu, 0):
            assert excess == 0
        if excess:
            assert excess > 0
            continue
        accepted[vcpu] = max(need, accepted.get(vcpu, 0))
        account.hold(vcpu, 0)
        assert account.locked == mark
    expected = max(accepted.values(), default=0) if per_vm else sum(accepted.values())
    assert account.locked == account.counts.locked_bytes_peak == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12)), max_size=20))
def test_raising_by_the_excess_always_suffices(steps: list[Step]) -> None:
    """`excess` is exactly what is missing: raised by it, the same charge passes."""
    account = _account(0)
    for vcpu, pages in steps:
        excess = account.pin(vcpu, pages * PAGE)
        if excess:
            account.set_limit(account.limit + excess)
            assert account.pin(vcpu, pages * PAGE) == 0
            assert account.locked == account.limit


def test_points_record_changes_only() -> None:
    """The history has one point per change of the charge or of the limit."""
    times = iter(range(100))
    account = _account(4 * PAGE, now=lambda: next(times))
    for need in (2 * PAGE, PAGE, 2 * PAGE, 4 * PAGE):
        account.pin(0, need)
        account.hold(0, 0)
    account.set_limit(8 * PAGE)
    history = [(p.locked_bytes // PAGE, p.limit_bytes // PAGE) for p in account.points]
    assert history == [(2, 4), (4, 4), (4, 8)]


# --- the theory's target ---------------------------------------------------------------------


def test_8_mib_hold_two_configured_vcpus_or_three_half_windows() -> None:
    """4 MiB AUX under 8 MiB: 2 vCPUs with the charge at configuration, 3 (not 4) without."""
    configured = _account(8 * MIB)
    assert [not configured.configure(v, 4 * MIB) for v in range(4)] == [True, True, False, False]

    tables = stage1_tables(AUX_VA, 4 * MIB, PAGE)
    window = tables.window(0, 512)
    need = window.pages.size * PAGE
    assert 516 <= window.pages.size <= 519
    enabled = _account(8 * MIB)
    assert [not enabled.pin(v, need) for v in range(4)] == [True, True, True, False]


# --- real runs -------------------------------------------------------------------------------

WORKLOAD = Synthetic(kind="synthetic", phases=(Phase(name="loop", length=100, iterations=2_000),))
STREAM = synthetic_stream(WORKLOAD, core="neoverse-n1", exclude_kernel=True, micro_ops=False)


def _spec(policies: dict[str, str] | None = None, **changes: Any) -> MachineSpec:
    """A v6 arm: 8 KiB AUX, windows of one page and 4 tables, 4 MiB AUX if `aux` says so."""
    small = {"aux": Geometry(2 * PAGE, PAGE, PAGE), "exits": None}
    settings = Settings(workload=WORKLOAD)
    return machine_of("v6", settings, STREAM, policies, **(small | changes))


FOUR_MIB = Geometry(4 * MIB, PAGE, 2 * MIB)


@pytest.mark.parametrize(("vcpus", "exits"), [(1, 0), (3, 0), (4, 1)])
def test_unlimited_buffers_fit_three_vcpus(vcpus: int, exits: int) -> None:
    """Without a configuration charge three 4 MiB rings run under 8 MiB; the fourth exits."""
    spec = _spec(aux=FOUR_MIB, vcpus=vcpus, max_buffer=UNLIMITED, memlock=8 * MIB)
    rlimit = simulated(spec, STREAM, seed=3).rlimit
    assert (rlimit.exits, rlimit.config_enomem) == (exits, 0)
    assert rlimit.locked_bytes_peak == vcpus * 516 * PAGE


@pytest.mark.parametrize(("vcpus", "enomem"), [(2, 0), (3, 1), (4, 2)])
def test_max_buffer_of_aux_size_fails_at_configuration_and_never_exits(
    vcpus: int, enomem: int
) -> None:
    """-ENOMEM for each vCPU beyond two; the VMM raises; no KVM_EXIT_RLIMIT at run time."""
    spec = _spec(aux=FOUR_MIB, vcpus=vcpus, max_buffer=4 * MIB, memlock=8 * MIB)
    run = simulated(spec, STREAM, seed=3)
    assert (run.rlimit.config_enomem, run.rlimit.exits) == (enomem, 0)
    assert run.rlimit.locked_bytes_peak == vcpus * 4 * MIB
    assert run.ended_because == ""


def test_refusal_at_configuration_leaves_a_vcpu_without_spe() -> None:
    """The third vCPU's population ops are `pin_refused`; the others are profiled."""
    spec = _spec({"vmm": "refuse_kill"}, aux=FOUR_MIB, vcpus=3, max_buffer=4 * MIB, memlock=8 * MIB)
    run = simulated(spec, STREAM, seed=3)
    labels = [vcpu.ledgers.ops.by_label for vcpu in run.vcpus]
    assert [ops[OpLabel.PIN_REFUSED] > 0 for ops in labels] == [False, False, True]
    assert [ops[OpLabel.PROFILED] > 0 for ops in labels] == [True, True, False]
    assert run.vcpus[2].traps == 0
    assert all(vcpu.ended_at_op == STREAM.ops for vcpu in run.vcpus)
    assert run.ended_because.startswith("-ENOMEM at configuration")


def test_tables_on_top_of_max_buffer_exit_once() -> None:
    """AUX = 2 × max_buffer, limit = max_buffer: one exit, of the tables' size, never again."""
    run = simulated(_spec(max_buffer=PAGE, memlock=PAGE), STREAM, seed=3)
    assert run.vcpus[0].stops >= 2  # many enables of equal windows
    assert run.rlimit.enables == run.vcpus[0].stops + 1
    assert (run.rlimit.exits, run.rlimit.excess_bytes_max) == (1, 4 * PAGE)
    assert run.rlimit.locked_bytes_peak == 5 * PAGE
    exits = [value for _, what, value in run.vcpus[0].log if what == "KVM_EXIT_RLIMIT"]
    assert exits == [4 * PAGE]


@pytest.mark.parametrize(
    ("policies", "exits", "limit"),
    [
        ({"charge": "whole"}, [5], 5),
        ({"charge": "incremental"}, [1, 1, 1, 1, 1], 5),
        ({"charge": "incremental", "vmm_raise": "double"}, [1, 1, 1, 1], 8),
    ],
)
def test_exits_of_an_empty_account(policies: dict[str, str], exits: list[int], limit: int) -> None:
    """From a limit of 0 a window of 5 pages exits once, page by page, or by doubling."""
    run = simulated(_spec(policies, max_buffer=UNLIMITED, memlock=0), STREAM, seed=3)
    seen = [value for _, what, value in run.vcpus[0].log if what == "KVM_EXIT_RLIMIT"]
    assert [value // PAGE for value in seen] == exits
    assert run.rlimit.exits == len(exits)
    assert run.locked[-1].limit_bytes == limit * PAGE
    assert run.locked[-1].locked_bytes == 5 * PAGE


def test_the_largest_excess_is_one_that_an_exit_reported() -> None:
    """rlimit.excess_bytes_max = the largest `excess` in any kvm_run."""
    run = simulated(
        _spec({"charge": "incremental"}, max_buffer=UNLIMITED, memlock=0), STREAM, seed=3
    )
    seen = [value for _, what, value in run.vcpus[0].log if what == "KVM_EXIT_RLIMIT"]
    assert run.rlimit.excess_bytes_max == max(seen) == PAGE


def test_refusing_vmm_ends_the_vm_at_the_enable() -> None:
    """refuse_kill: the arm ends where its event would have started, with a reason."""
    run = simulated(
        _spec({"vmm": "refuse_kill"}, max_buffer=UNLIMITED, memlock=PAGE), STREAM, seed=3
    )
    assert run.rlimit.exits == 1
    assert 0 < run.vcpus[0].ended_at_op <= 1025
    assert run.vcpus[0].ledgers.selections.selected == 0
    assert "refused" in run.ended_because


def test_hard_limit_ends_the_vm_after_a_partial_raise() -> None:
    """The VMM raises as far as it can, exits again, and gives up."""
    run = simulated(
        _spec(max_buffer=UNLIMITED, memlock=PAGE, memlock_hard=3 * PAGE), STREAM, seed=3
    )
    assert run.rlimit.exits == 2
    assert run.vcpus[0].ended_at_op < STREAM.ops
    assert run.locked[-1].limit_bytes == 3 * PAGE
    assert run.rlimit.locked_bytes_peak == 0


def test_per_pin_charges_return_to_zero_at_each_disable() -> None:
    """accounting: per_pin follows the pins of a real run; the mark does not."""
    per_pin = simulated(_spec({"accounting": "per_pin"}, max_buffer=UNLIMITED), STREAM, seed=3)
    charged = [point.locked_bytes // PAGE for point in per_pin.locked]
    assert charged[:4] == [5, 0, 5, 0]
    assert charged[-1] == 0
    mark = simulated(_spec(max_buffer=UNLIMITED), STREAM, seed=3)
    assert [point.locked_bytes // PAGE for point in mark.locked] == [5]


def test_unpin_never_charges_all_that_stays_pinned() -> None:
    """The second window comes on top of the first, which is still pinned."""
    run = simulated(_spec({"unpin": "never"}, max_buffer=UNLIMITED), STREAM, seed=3)
    assert [point.locked_bytes // PAGE for point in run.locked] == [5, 6]


def test_cap_ipc_lock_never_exits() -> None:
    """With CAP_IPC_LOCK no limit holds; the memory is still charged."""
    run = simulated(_spec(max_buffer=UNLIMITED, memlock=0, cap_ipc_lock=True), STREAM, seed=3)
    assert run.rlimit.exits == 0
    assert run.rlimit.locked_bytes_peak == 5 * PAGE


@pytest.mark.parametrize(("scope", "pages"), [("vcpu", 10), ("vm", 10)])
def test_two_vcpus_share_one_account(scope: str, pages: int) -> None:
    """Both windows are pinned at once, so either scope needs both; one limit serves both."""
    spec = _spec({"accounting_scope": scope}, vcpus=2, max_buffer=UNLIMITED, memlock=5 * PAGE)
    run = simulated(spec, STREAM, seed=3)
    assert run.rlimit.exits == 1
    assert run.rlimit.excess_bytes_max == 5 * PAGE
    assert run.rlimit.locked_bytes_peak == pages * PAGE
