"""Every preset does what it is for: what is lost, what is locked, what it costs, differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from analysis.metrics import METRICS
from sim.kvm.hypervisor import LIVELOCK_EXITS
from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import Geometry
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.results import RunResult, VcpuResult
from sim.scenario.models.designs import DESIGNS, Policies
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.arrays import Stream
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import agreed, machine_of

PAGE = 4096
MEMORY = 64 * PAGE
UNLIMITED = 1 << 62
COLD = UnmapSpec("per_window")
LOOP = Synthetic(
    kind="synthetic",
    phases=(Phase(name="loop", length=100, iterations=8_000, cpi_millis=1000),),
)


def _stream() -> Stream:
    return synthetic_stream(LOOP, core="neoverse-n1", exclude_kernel=True, micro_ops=False)


STREAM = _stream()


def _spec(design: str, policies: dict[str, Any] | None = None, **changes: Any) -> MachineSpec:
    """A 16 KiB AUX area with windows of two pages, in a guest of 64 pages."""
    usual: dict[str, Any] = {
        "aux": Geometry(4 * PAGE, PAGE, 2 * PAGE),
        "exits": None,
        "irq_latency": (6400,),
        "memory": MEMORY,
        "memlock": MEMORY,
        "max_buffer": UNLIMITED,
        "unmap": COLD,
    }
    settings = Settings(workload=LOOP)
    return machine_of(design, settings, STREAM, policies, **(usual | changes))


def _run(design: str, policies: dict[str, Any] | None = None, **changes: Any) -> RunResult:
    return agreed(_spec(design, policies, **changes), STREAM)


def _time(vcpu: VcpuResult, cause: TimeCause) -> int:
    return vcpu.ledgers.time.stopped[cause]


def _lost(vcpu: VcpuResult, label: OpLabel) -> int:
    return vcpu.ledgers.ops.by_label[label]


def test_every_preset_has_its_words() -> None:
    """What it is and who says so; a virtual design whose text leaves gaps lists them."""
    assert all(design.what and design.source for design in DESIGNS.values())
    for name in ("v6", "v6-lazy-unpin", "v7-guest-memfd", "bounce-buffer", "first-fault"):
        assert DESIGNS[name].questions, name


def test_the_dictionary_knows_every_backing() -> None:
    """`setup.backing` of result.json says all that a policy can be."""
    words = Policies.model_json_schema()["properties"]["backing"]["enum"]
    assert list(METRICS["setup.backing"].values) == words


def test_no_two_presets_are_the_same_machine() -> None:
    """Ledgers, locked memory and exits tell every pair apart, but for v3 and v5, whose difference
    is who locks."""
    seen: dict[str, str] = {}
    for name in DESIGNS:
        run = _run(name)
        ledgers = run.vcpus[0].ledgers.as_dict()
        print_of = repr((ledgers, run.rlimit.locked_bytes_peak, run.vcpus[0].traps))
        twin = seen.setdefault(print_of, name)
        assert twin == name or {twin, name} == {"v3-mlock", "v5-memslot-lock"}


def test_every_preset_has_an_effect_where_it_should() -> None:
    """What each is for, over all of them, on one stream under one pressure: who locks memory, who
    copies, who populates, who unpins, whose event is disabled, whose records a fault costs."""
    runs = {name: _run(name) for name in DESIGNS}
    one = {name: run.vcpus[0] for name, run in runs.items()}

    def those(holds: Callable[[str], object]) -> set[str]:
        return {name for name in DESIGNS if holds(name)}

    whole, v7 = {"v3-mlock", "v5-memslot-lock"}, {"v7-guest-memfd", "v7-guest-memfd-untrapped"}
    pins = {"v6", "v6-lazy-unpin", "first-fault", "spe-exc", "spe-nvm"}
    tells, metal = {"unpinned-error"} | whole, {"baremetal"}
    copies, untrapped = {"bounce-buffer"}, {"v7-guest-memfd-untrapped"}
    assert those(lambda n: runs[n].rlimit.locked_bytes_peak) == whole | pins
    assert those(lambda n: runs[n].rlimit.locked_bytes_peak == MEMORY) == whole
    assert those(lambda n: _time(one[n], TimeCause.COPY)) == copies
    assert those(lambda n: _time(one[n], TimeCause.PREFAULT)) == whole | v7
    assert those(lambda n: _time(one[n], TimeCause.PIN)) == pins
    assert those(lambda n: _time(one[n], TimeCause.UNPIN)) == pins
    assert those(lambda n: _time(one[n], TimeCause.TRAP)) == set(DESIGNS) - metal - untrapped
    walks = copies | pins - {"spe-nvm"}
    assert those(lambda n: _time(one[n], TimeCause.WALK)) == walks
    assert those(lambda n: _time(one[n], TimeCause.INJECT)) == set(DESIGNS) - metal - {"spe-exc"}
    assert those(lambda n: _lost(one[n], OpLabel.EVENT_DISABLED)) == tells
    faults = tells | {"unpinned", "first-fault"}
    assert those(lambda n: one[n].ledgers.selections.lost_at_fault) == faults
    assert those(lambda n: _lost(one[n], OpLabel.IRQ_DELIVERY_FAULT)) == faults
    eager, lazy = (runs[name].rlimit.pinned_pages for name in ("v6", "v6-lazy-unpin"))
    assert lazy < eager


# --- whole memory ----------------------------------------------------------------------------


@pytest.mark.parametrize("design", ["v3-mlock", "v5-memslot-lock"])
def test_whole_vm_locks_all_memory_before_the_first_op(design: str) -> None:
    """One charge of guest memory, no exit ever; populating it costs time before anything runs."""
    run = _run(design, unmap=UnmapSpec("never"))
    vcpu = run.vcpus[0]
    assert run.rlimit.locked_bytes_peak == MEMORY
    assert (run.rlimit.exits, run.rlimit.config_enomem) == (0, 0)
    assert _time(vcpu, TimeCause.PREFAULT) == 64 * _spec(design).vm.kvm.prefault
    assert next(t for t, what, _ in vcpu.log if what == "RUN") == _time(vcpu, TimeCause.PREFAULT)
    assert _time(vcpu, TimeCause.PIN) == _time(vcpu, TimeCause.MAP) == 0
    assert _lost(vcpu, OpLabel.EVENT_DISABLED) == 0


def test_whole_vm_does_not_keep_stage_2_mapped() -> None:
    """Notifiers are not filtered: one zap, one injected abort, and the event is off for good."""
    vcpu = _run("v5-memslot-lock").vcpus[0]
    assert vcpu.stops == 1
    assert _lost(vcpu, OpLabel.EVENT_DISABLED) > 0.9 * STREAM.ops


def test_whole_vm_over_the_limit_is_enomem_and_no_spe() -> None:
    """-ENOMEM from the ioctl: a VMM that refuses has a VM without SPE, one that raises has it."""
    refused = _run("v5-memslot-lock", {"vmm": "refuse_kill"}, memlock=MEMORY - 1)
    assert _lost(refused.vcpus[0], OpLabel.PIN_REFUSED) > 0.9 * STREAM.ops
    assert refused.rlimit.locked_bytes_peak == 0
    assert _time(refused.vcpus[0], TimeCause.PREFAULT) == 0
    raised = _run("v5-memslot-lock", memlock=MEMORY - 1, unmap=UnmapSpec("never"))
    assert (raised.rlimit.config_enomem, raised.rlimit.exits) == (1, 0)
    assert raised.rlimit.locked_bytes_peak == MEMORY


def test_guest_memfd_ignores_notifiers_and_charges_nothing() -> None:
    """v7: nothing faults even if the host tries, nothing is locked, an enable costs traps only."""
    run = _run("v7-guest-memfd")
    vcpu = run.vcpus[0]
    assert run.zaps == 0
    assert run.rlimit.locked_bytes_peak == 0
    assert vcpu.ledgers.selections.lost_at_fault == 0
    assert _time(vcpu, TimeCause.PREFAULT) > 0 == _time(vcpu, TimeCause.WALK)
    assert vcpu.traps > 0
    free = _run("v7-guest-memfd-untrapped").vcpus[0]
    assert (free.traps, _time(free, TimeCause.TRAP)) == (0, 0)
    assert [row[0] for row in free.written] == [row[0] for row in vcpu.written]


# --- pins ------------------------------------------------------------------------------------


def test_first_fault_pins_once_the_first_record_has_missed() -> None:
    """A warm buffer is never pinned; a cold one faults once a window, then holds."""
    warm = _run("first-fault", unmap=UnmapSpec("never"))
    assert (warm.rlimit.pinned_pages, warm.rlimit.locked_bytes_peak) == (0, 0)
    cold = _run("first-fault")
    faults = cold.vcpus[0].ledgers.selections.lost_at_fault
    assert 1 <= faults <= cold.rlimit.enables
    assert cold.rlimit.pinned_pages >= 2
    unpinned = _run("unpinned").vcpus[0].ledgers.selections.lost_at_fault
    assert faults < unpinned


@pytest.mark.parametrize("unpin", ["on_disable", "on_next_enable", "never", "after:1us"])
def test_unpin_decides_how_often_a_page_is_pinned(unpin: str) -> None:
    """The later the unpin, the fewer pins; none loses a sample that another keeps."""
    after = 64 * 300_000 if unpin.startswith("after") else UNLIMITED
    run = _run("v6", {"unpin": unpin}, unpin_after=after)
    eager = _run("v6")
    assert run.vcpus[0].ledgers.selections == eager.vcpus[0].ledgers.selections
    if unpin == "on_disable":
        assert run.rlimit.pinned_pages == eager.rlimit.pinned_pages
    else:
        assert run.rlimit.pinned_pages < eager.rlimit.pinned_pages


def test_a_timer_that_fires_between_two_slices_unpins() -> None:
    """`unpin: after` a time shorter than the task's absence: pinned anew at each switch-in, at no
    vCPU's cost; longer than that: as if never."""
    away = 64 * 100_000
    changes: dict[str, Any] = {"switch_ticks": 64 * 40_000, "away_ticks": away}
    never = _run("v6", {"unpin": "never"}, **changes)
    short = _run("v6", {"unpin": "after:1us"}, unpin_after=away // 2, **changes)
    long = _run("v6", {"unpin": "after:1us"}, unpin_after=2 * away, **changes)
    assert short.rlimit.pinned_pages > long.rlimit.pinned_pages == never.rlimit.pinned_pages
    assert _time(short.vcpus[0], TimeCause.UNPIN) == 0


# --- bounce buffer ---------------------------------------------------------------------------


def test_bounce_buffer_never_faults_and_copies_every_record() -> None:
    """Cold guest pages cost the copy a fault, never the SPU a sample."""
    spec = _spec("bounce-buffer", bounce=4 * PAGE)
    vcpu = _run("bounce-buffer", bounce=4 * PAGE).vcpus[0]
    assert vcpu.ledgers.selections.lost_at_fault == 0
    assert set(vcpu.blackouts) == {"full"}
    written = vcpu.ledgers.selections.written
    assert _time(vcpu, TimeCause.COPY) == pytest.approx(
        spec.vm.kvm.copy * written * 64 / 1024, rel=0.01
    )
    assert _time(vcpu, TimeCause.FAULT) > 0
    bare = _run("baremetal").vcpus[0]
    assert [row[0] for row in vcpu.written] == [row[0] for row in bare.written]


def test_a_small_bounce_buffer_has_blackouts_of_its_own() -> None:
    """Full before the guest's window is: copied, refilled, and counted apart."""
    vcpu = _run("bounce-buffer", bounce=PAGE).vcpus[0]
    own, guest = vcpu.blackouts["bounce_full"], vcpu.blackouts["full"]
    assert own.count >= guest.count > 0
    assert own.ops > 0
    assert vcpu.stops == own.count + guest.count


def test_copying_on_pmbptr_read_is_the_same_copy_later() -> None:
    """The guest always reads PMBPTR before it uses the records, so as many bytes move."""
    full = _run("bounce-buffer", bounce=4 * PAGE).vcpus[0]
    lazy = _run("bounce-buffer", {"copy_out": "on_pmbptr_read"}, bounce=4 * PAGE).vcpus[0]
    assert _time(lazy, TimeCause.COPY) == _time(full, TimeCause.COPY) > 0


# --- injected errors -------------------------------------------------------------------------


@pytest.mark.parametrize("injected", ["external_abort", "imp_def"])
@pytest.mark.parametrize("data_loss", [False, True])
def test_an_injected_event_is_fatal_and_dl_truncates(injected: str, data_loss: bool) -> None:
    """Any event but FULL is FATAL: off until the next start, on a busy CPU for ever. DL = 1 marks
    the AUX record TRUNCATED | PARTIAL, and its reader enables the event again."""
    policies = {"injected": injected, "injected_dl": data_loss}
    vcpu = _run("unpinned-error", policies).vcpus[0]
    assert any(row["flags"] == 1 | 4 for row in vcpu.aux) == data_loss
    if data_loss:
        assert vcpu.stops > 10
    else:
        assert vcpu.stops == 1
        assert _lost(vcpu, OpLabel.EVENT_DISABLED) > 0.9 * STREAM.ops


# --- the VMM ---------------------------------------------------------------------------------


def test_entering_again_unchanged_is_a_live_lock() -> None:
    """The guard ends the VM with a reason that says why."""
    run = _run("v6", {"vmm": "reenter"}, memlock=PAGE)
    assert run.rlimit.exits == LIVELOCK_EXITS
    assert run.ended_because.startswith("live-lock")
    assert run.vcpus[0].ended_at_op < STREAM.ops


def test_running_unpinned_keeps_the_pieces() -> None:
    """The pin is given up at each enable; the buffer then faults like an unpinned one."""
    run = _run("v6", {"vmm": "run_unpinned", "notifiers": "honour_all"}, memlock=PAGE)
    assert run.rlimit.exits == run.rlimit.enables > 3
    assert run.rlimit.pinned_pages == 0
    assert run.vcpus[0].ledgers.selections.lost_at_fault > 3
    assert run.vcpus[0].ended_at_op == STREAM.ops


def test_error_state_fails_the_session() -> None:
    """One exit, one injected event, nothing profiled, the guest runs on."""
    run = _run("v6", {"vmm": "error_state"}, memlock=PAGE)
    vcpu = run.vcpus[0]
    assert run.rlimit.exits == 1
    assert _lost(vcpu, OpLabel.PROFILED) == 0
    assert vcpu.ended_at_op == STREAM.ops


def test_two_threads_that_read_the_same_limit_exit_again() -> None:
    """Both saw it short by as much, both set the same limit: one of them has to come back."""
    run = _run("v6", vcpus=2, memlock=0, random_start=False)
    assert run.rlimit.exits > 2
    alone = _run("v6", memlock=0, random_start=False)
    assert alone.rlimit.exits == 1
