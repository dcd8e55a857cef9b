"""Event sequences: what KVM and the guest do on each path, in order, with its itemised cost.

A path has a number and a name; here it is a list of steps that a run's log must show between two
marks. Each cost has a value of its own, so a stage that
charges another one's parameter is seen. Stage 1 is always mapped here (the kernel vmap()s the AUX
area), so the missing translation of 6.2 step 3 has no path; a real unmap of host memory (6.7 step
3) is met as the fault that follows it, 6.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from sim.host.migration import Migration
from sim.host.pressure import Touch
from sim.ledger import TimeCause
from sim.linux.aux import Geometry
from sim.linux.driver import DriverCosts, DriverRules
from sim.linux.reader import ReaderSpec
from sim.machine.machine import ENGINES, simulate
from sim.machine.resolve import machine_spec
from sim.machine.run import Run
from sim.machine.spec import BalloonSpec, MachineSpec, PressureSpec, UnmapSpec
from sim.policies.bundle import VALUES
from sim.policies.stages import KvmCosts
from sim.results import VcpuResult
from sim.scenario.models.designs import DESIGNS, Policies
from sim.scenario.models.scenario import Arm, Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.arrays import Stream
from tests.rigs.machines import synthetic, vary

PAGE = 4096
OP = 64  # ticks
K = replace(
    KvmCosts(*(1_000_000 + 10_000 * n for n in range(len(KvmCosts.__dataclass_fields__)))),
    drain=0,  # test_drain.py
)
D = DriverCosts(3_000_000, 3_100_000, 3_200_000)
TABLES = 4  # of one page's walk
WINDOW = 1 + TABLES  # pages of an 8 KiB AUX area's window, with its tables

Step = tuple[str, int | None]


def _phase(ops: int, *, masked: bool = False) -> Phase:
    return Phase(name="loop", length=100, iterations=ops // 100, cpi_millis=1000, irq_masked=masked)


PLAIN = synthetic(_phase(300_000))
MASKED = synthetic(_phase(60_000), _phase(40_000, masked=True), repeat=3)

# --- steps -----------------------------------------------------------------------------------

TRAP: Step = ("trap", K.trap)
WALK: Step = ("walk", TABLES * K.walk_table)
CHARGE: Step = ("pin", K.charge)
START: Step = ("guest_kernel", D.start)
STOP: Step = ("guest_kernel", D.stop)
HANDLER: Step = ("handler", D.handler)
EXIT: Step = ("handler", K.exit + K.host_irq)
ENTRY: Step = ("handler", K.entry)
INJECT: Step = ("inject", K.inject)
EXIT_TO_VMM: Step = ("vmm", K.vmm_exit)
SETRLIMIT: Step = ("vmm", K.setrlimit)
AWAY: Step = ("task_off_cpu", 7_000_000)
RUN: Step = ("RUN", None)
VIRQ: Step = ("VIRQ", None)
PROFILED: Step = ("profiled", None)
DISABLED: Step = ("event_disabled", None)
CLEARED: Step = ("PMBIRQ_LINE", 0)
STARTS: Step = ("START", None)


def _pins(held: int) -> Step:
    return "PINNED_PAGES", held


def _rlimit(excess_pages: int) -> Step:
    return "KVM_EXIT_RLIMIT", excess_pages * PAGE


def _mapped(cold: int = 0) -> Step:
    return "map", cold * K.map_cold + (WINDOW - cold) * K.map_present


def _pinned(new: int = WINDOW, held: int = WINDOW, cold: int = 0) -> list[Step]:
    """The end of 6.2: pin what is not pinned, map."""
    paid = [("pin", new * K.pin)] if new else []
    return [*paid, _pins(held), _mapped(cold)]


def _unpinned(pages: int = WINDOW) -> list[Step]:
    return [("unpin", pages * K.unpin), _pins(0)]


def _stopped(what: str, pointer: int, label: str) -> list[Step]:
    """S = 1; the CPU runs on until PMBIRQ is taken."""
    at_core: list[Step] = [("PMBIRQ_AT_CORE", 0), ("PMBIRQ", None)]
    return [(what, pointer), (label, None), ("PMBIRQ_LINE", 1), *at_core]


def _full(pointer: int = PAGE) -> list[Step]:
    return _stopped("FULL", pointer, "irq_delivery_full")


def _fault(pointer: int) -> list[Step]:
    return _stopped("FAULT", pointer, "irq_delivery_fault")


FAULT = _fault(0)
BUFFER_FULL_IRQ: list[Step] = [VIRQ, HANDLER, *[TRAP] * 5]
FATAL_IRQ = [VIRQ, HANDLER, *[TRAP] * 4]
PIN = [WALK, CHARGE, *_pinned()]
FULL_AT_EL1: list[Step] = [
    *_full(), HANDLER, TRAP, *_unpinned(), *[TRAP] * 4, CLEARED, *PIN, RUN, PROFILED,
]  # KVM learns of the disable edge at the first trap  # fmt: skip
REAL_UNMAP = [_pins(0), *_fault(640), EXIT, CLEARED]
REFUSED = [STARTS, TRAP, TRAP, WALK, CHARGE, _rlimit(4), EXIT_TO_VMM]
SWITCH_OUT: list[Step] = [("SWITCH", None), STOP]
LIMIT_4_SHORT = {"memlock": PAGE}
SWITCHES = {"switch_ticks": OP * 50_000, "away_ticks": 7_000_000}
LATE = {"irq_latency": (OP * 2_000_000,), "switch_ticks": OP * 70_000, "away_ticks": 7_000_000}
COLD = {"warm": False}
TENTH = 21_300_000 + OP * 10_500
"""When ten records have been written since v6's first enable edge."""
BALLOON = {"balloons": (BalloonSpec("ballooning", (TENTH,), 1, 512),)}
UNMAPPED = {"memslot_changes": TENTH}
AGED = {"pressures": (PressureSpec("ageing", Touch.AGE, (TENTH,)),), "flag_updates": False}
LOGGED = {"migration": Migration(TENTH, 1, OP * 1_000_000, 0, 0, post_copy=False)}


@dataclass(frozen=True)
class Path:
    """A numbered list: in which machine, from which mark on, which steps."""

    section: str
    design: str
    steps: list[Step]
    policies: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    nth: int = 0
    stream: Stream = PLAIN

    @property
    def chosen(self) -> Policies:
        """The design's policies with the path's."""
        return DESIGNS[self.design].policies.model_copy(update=self.policies)


PATHS = [
    # 6.1 bare metal
    Path("6.1 buffer full", "baremetal", [*_full(), HANDLER, CLEARED, RUN, PROFILED]),
    Path(
        "6.1 step 4, no room: TRUNCATED, disabled, enabled by perf", "baremetal",
        [
            *_full(), HANDLER, CLEARED, STOP, RUN, DISABLED, ("ENABLE", None), START, RUN, PROFILED,
        ],
        machine={"reader": ReaderSpec(False, OP * 30_000, OP * 20_000, OP * 1000)}, nth=1,
    ),
    # 6.2 pin at enable
    Path("6.2 start", "v6", [STARTS, TRAP, TRAP, *PIN, START, RUN, PROFILED]),
    Path(
        "6.2 start, cold", "v6",
        [STARTS, TRAP, TRAP, WALK, CHARGE, *_pinned(cold=WINDOW), START, RUN, PROFILED],
        machine=COLD,
    ),
    Path(
        "6.2 start, intermediate physical pointers", "spe-nvm",
        [STARTS, TRAP, TRAP, CHARGE, ("pin", K.pin), _pins(1), ("map", K.map_present), START, RUN,
         PROFILED],
        {"pointers": "ipa"},
    ),
    Path(
        "6.2 step 2, larger than MaxBuffSize", "v6",
        [STARTS, TRAP, TRAP, INJECT, START, *FATAL_IRQ, RUN, DISABLED],
        machine={"max_buffer": PAGE - 1},
    ),
    Path(
        "6.2 discard mode writes nothing: no window", "v6",
        [STARTS, TRAP, START, RUN, PROFILED], machine={"rules": DriverRules(discard=True)},
    ),
    # 6.3 buffer full in a VM
    Path(
        "6.3 buffer full", "v6",
        [*_full(), EXIT, CLEARED, *_unpinned(), INJECT, ENTRY, *BUFFER_FULL_IRQ, *PIN, RUN,
         PROFILED],
    ),
    Path(
        "6.3 step 5, guest interrupts masked", "v6",
        [*_full(), EXIT, CLEARED, *_unpinned(), INJECT, ENTRY, RUN, ("virq_delivery", None),
         *BUFFER_FULL_IRQ, *PIN, RUN, PROFILED],
        stream=MASKED,
    ),
    Path(
        "6.3 unpin on the next enable", "v6-lazy-unpin",
        [*_full(), EXIT, CLEARED, INJECT, ENTRY, *BUFFER_FULL_IRQ, WALK, CHARGE,
         *_pinned(new=1, held=WINDOW + 1), ("unpin", K.unpin), _pins(WINDOW), RUN, PROFILED],
    ),
    Path(
        "6.3 never unpin, both windows pinned", "v6",
        [*_full(2 * PAGE), EXIT, CLEARED, INJECT, ENTRY, *BUFFER_FULL_IRQ, WALK, CHARGE,
         *_pinned(new=0, held=WINDOW + 1), RUN, PROFILED],
        {"unpin": "never"}, nth=1,
    ),
    Path(
        "6.3 unpinning unmaps", "v6",
        [*_full(2 * PAGE), EXIT, CLEARED, *_unpinned(), ("unpin", WINDOW * K.unmap), INJECT, ENTRY,
         *BUFFER_FULL_IRQ, WALK, CHARGE, *_pinned(cold=WINDOW), RUN, PROFILED],
        {"unmap_on_unpin": True}, nth=1,
    ),
    Path("6.3 buffer full, a profiling exception", "spe-exc", FULL_AT_EL1),
    Path(
        "6.3 step 5, no interrupt mask holds a profiling exception", "spe-exc", FULL_AT_EL1,
        stream=MASKED,
    ),
    Path(
        "6.3 buffer full, KE = 0 but at EL0", "spe-exc", FULL_AT_EL1,
        {"exceptions": "profiling_el0"},
    ),
    # 6.4 stage 2 fault
    Path(
        "6.4a fix the walk", "unpinned",
        [*FAULT, EXIT, CLEARED, ("fault", WINDOW * K.fault), ENTRY, RUN, PROFILED],
        {"fix_scope": "walk"}, COLD,
    ),
    Path(
        "6.4a fix one page", "unpinned",
        [*FAULT, EXIT, CLEARED, ("fault", K.fault), ENTRY, RUN, PROFILED],
        {"fix_scope": "page"}, COLD,
    ),
    Path(
        "6.4a DL = 1: discard, then fix", "unpinned",
        [("FAULT", PAGE), *FAULT[1:], EXIT, CLEARED, ("VOIDED", 64), ("fault", K.fault), ENTRY, RUN,
         PROFILED],
        {},
        {"aux": Geometry(4 * PAGE, PAGE, 2 * PAGE), "unmap": UnmapSpec("per_window"),
         "data_loss_per_mille": 1000},
        nth=1,
    ),
    Path(
        "6.4b pin on the first fault", "first-fault",
        [*FAULT, EXIT, CLEARED, WALK, CHARGE, *_pinned(cold=WINDOW), ENTRY, RUN, PROFILED],
        machine=COLD,
    ),
    Path(
        "6.4c external abort: FATAL", "unpinned-error",
        [*FAULT, EXIT, CLEARED, INJECT, ENTRY, *FATAL_IRQ, RUN, DISABLED], machine=COLD,
    ),
    Path(
        "6.4c IMP DEF event with DL: truncated, disabled, enabled by perf", "unpinned-error",
        [*FAULT, EXIT, CLEARED, INJECT, ENTRY, VIRQ, HANDLER, TRAP, TRAP, STOP, TRAP, TRAP, TRAP,
         ("ENABLE", None), TRAP, TRAP, START, RUN, PROFILED],
        {"injected": "imp_def", "injected_dl": True}, COLD,
    ),
    Path(
        "6.4a fix, by EL2's profiling exception", "spe-exc",
        [*FAULT, ("handler", K.exit), CLEARED, ("fault", K.fault), ENTRY, RUN, PROFILED],
        {"notifiers": "honour_all"}, {"unmap": UnmapSpec("per_window")},
    ),
    Path(
        "6.4c an error in PMBSR_EL1: FATAL, nothing injected", "spe-exc",
        [*FAULT, ("handler", K.exit), CLEARED, *_unpinned(), ENTRY, *FATAL_IRQ, RUN, DISABLED],
        {"notifiers": "honour_all", "stage2_fault": "inject_error"},
        {"unmap": UnmapSpec("per_window")},
    ),
    # 6.5 over the limit, the VMM raises it
    Path(
        "6.5 the write is executed again", "v6",
        [*REFUSED, SETRLIMIT, *PIN, START, RUN, PROFILED], {"retry": "reexecute"}, LIMIT_4_SHORT,
    ),
    Path(
        "6.5 the write is pending on entry", "v6",
        [*REFUSED, SETRLIMIT, CHARGE, *_pinned(), START, RUN, PROFILED],
        {"retry": "pending_on_entry"}, LIMIT_4_SHORT,
    ),
    Path(
        "6.5 charged page by page", "v6",
        [STARTS, TRAP, TRAP, *[WALK, CHARGE, _rlimit(1), EXIT_TO_VMM, SETRLIMIT] * 2, *PIN, START,
         RUN, PROFILED],
        {"charge": "incremental"}, {"memlock": 3 * PAGE},
    ),
    Path(
        "6.5 doubling needs two calls", "v6",
        [STARTS, TRAP, TRAP, WALK, CHARGE, _rlimit(3), EXIT_TO_VMM, SETRLIMIT, *PIN, START, RUN,
         PROFILED],
        {"vmm_raise": "double"}, {"memlock": 2 * PAGE},
    ),
    Path(
        "6.5 to the hard limit", "v6",
        [*REFUSED, SETRLIMIT, *PIN, START, RUN, PROFILED], {"vmm_raise": "to_hard"}, LIMIT_4_SHORT,
    ),
    Path(
        "6.5 charged per pin", "v6", [*REFUSED, SETRLIMIT, *PIN, START, RUN, PROFILED],
        {"accounting": "per_pin"}, LIMIT_4_SHORT,
    ),
    Path(
        "6.5 one mark for the VM", "v6", [*REFUSED, SETRLIMIT, *PIN, START, RUN, PROFILED],
        {"accounting_scope": "vm"}, LIMIT_4_SHORT,
    ),
    Path(
        "6.5 nothing is accounted", "v6",
        [STARTS, TRAP, TRAP, WALK, *_pinned(), START, RUN, PROFILED],
        {"accounting": "none"}, {"memlock": 0},
    ),
    # 6.6 over the limit, the VMM refuses
    Path(
        "6.6a enter again: live-lock", "v6",
        [*REFUSED, *[WALK, CHARGE, _rlimit(4), EXIT_TO_VMM] * 4],
        {"vmm": "reenter"}, LIMIT_4_SHORT,
    ),
    Path("6.6b the VM is destroyed", "v6", REFUSED, {"vmm": "refuse_kill"}, LIMIT_4_SHORT),
    Path(
        "6.6c keep the pieces", "v6", [*REFUSED, START, RUN, PROFILED], {"vmm": "run_unpinned"},
        LIMIT_4_SHORT,
    ),
    Path(
        "6.6d error state", "v6", [*REFUSED, INJECT, START, *FATAL_IRQ, RUN, DISABLED],
        {"vmm": "error_state"}, LIMIT_4_SHORT,
    ),
    # 6.7 a notifier while the buffer is enabled
    Path(
        "6.7 step 2, ignored for a pinned page", "v6",
        [STARTS, TRAP, TRAP, *PIN, START, RUN, PROFILED, ("FULL", PAGE)],
        {"notifiers": "unmap_only"}, {"unmap": UnmapSpec("per_window")},
    ),
    Path(
        "6.7 step 2, not ignored for one that is not pinned", "unpinned",
        [STARTS, TRAP, TRAP, START, RUN, PROFILED, *FAULT, EXIT, CLEARED, ("fault", K.fault), ENTRY,
         RUN, PROFILED, ("FULL", PAGE)],
        {"notifiers": "unmap_only"}, {"unmap": UnmapSpec("per_window")},
    ),
    Path(
        "6.7 step 4, every event unmaps", "v6",
        [STARTS, TRAP, TRAP, *PIN, START, RUN, PROFILED, *FAULT, EXIT, CLEARED, ("fault", K.fault),
         ENTRY, RUN, PROFILED, ("FULL", PAGE)],
        {"notifiers": "honour_all"}, {"unmap": UnmapSpec("per_window")},
    ),
    Path(
        "6.7 guest_memfd ignores them, pinned or not", "v7-guest-memfd",
        [STARTS, TRAP, TRAP, START, RUN, PROFILED, ("FULL", PAGE)],
        machine={"unmap": UnmapSpec("per_window")},
    ),
    # 6.7 an entry that is there and faults: no notifier's doing, and no pin's
    Path(
        "6.7 a pinned page is aged", "v6",
        [*FAULT[1:], EXIT, CLEARED, ("fault", K.access_flag), ENTRY, RUN, PROFILED],
        machine=AGED,
    ),
    Path(
        "6.7 a page is aged, and pinned for it", "first-fault",
        [*FAULT[1:], EXIT, CLEARED, WALK, CHARGE, *_pinned(cold=1), ENTRY, RUN, PROFILED],
        machine=AGED,
    ),
    Path(
        "6.7 a page is aged, and not pinned for it", "first-fault",
        [*FAULT[1:], EXIT, CLEARED, ("fault", K.access_flag), ENTRY, RUN, PROFILED],
        {"stage2_fault": "fix_flags_or_pin"}, AGED,
    ),
    Path(
        "6.7 a page is aged, a missing one would be an error", "v6",
        [*FAULT[1:], EXIT, CLEARED, ("fault", K.access_flag), ENTRY, RUN, PROFILED],
        {"stage2_fault": "fix_flags_or_error"}, AGED,
    ),
    Path(
        "6.7 the dirty log has taken a pinned page's permission", "v6",
        [*FAULT[1:], EXIT, CLEARED, ("fault", K.fault), ENTRY, RUN, PROFILED],
        {"stage2_fault": "fix_flags_or_error"}, LOGGED,
    ),
    # 6.8 context switch of the profiled task
    Path("6.8 bare metal", "baremetal", [*SWITCH_OUT, AWAY, START, RUN, PROFILED],
         machine=SWITCHES),
    Path(
        "6.8 out and in", "v6",
        [*SWITCH_OUT, TRAP, *_unpinned(), TRAP, TRAP, AWAY, TRAP, TRAP, *PIN, START, RUN, PROFILED],
        {"unpin": "on_disable"}, SWITCHES,
    ),
    Path(
        "6.8 the same window is still pinned", "v6-lazy-unpin",
        [*SWITCH_OUT, TRAP, TRAP, TRAP, AWAY, TRAP, TRAP, WALK, CHARGE, *_pinned(new=0), START, RUN,
         PROFILED],
        {"unpin": "on_next_enable"}, SWITCHES,
    ),
    Path(
        "6.8 a timer has unpinned in between", "v6",
        [*SWITCH_OUT, TRAP, TRAP, TRAP, AWAY, _pins(0), TRAP, TRAP, *PIN, START, RUN, PROFILED],
        {"unpin": "after:1us"}, {**SWITCHES, "unpin_after": 3_000_000}, nth=1,
    ),
    Path(
        "6.8 a full buffer is found at the switch", "v6",
        [*SWITCH_OUT, TRAP, CLEARED, *_unpinned(), INJECT, *[TRAP] * 3, AWAY, TRAP, TRAP, *PIN,
         START, RUN, PROFILED],
        {"pmbsr_sync": "every_exit"}, LATE,
    ),
    Path(
        "6.8 a full buffer is overtaken by the switch", "v6",
        [*SWITCH_OUT, TRAP, *_unpinned(), TRAP, TRAP, AWAY, TRAP, TRAP, *PIN, START, RUN,
         ("irq_delivery_full", None)],
        {"pmbsr_sync": "irq_only"}, LATE,
    ),
    Path(
        "6.7 step 3, a real unmap: the page is mapped again, unpinned", "v6",
        [*REAL_UNMAP, ("fault", WINDOW * K.fault), ENTRY, RUN, PROFILED],
        {"lost_pin": "as_fault"}, UNMAPPED, nth=1,
    ),
    Path(
        "6.7 step 3, a real unmap is an error", "v6",
        [*REAL_UNMAP, INJECT, ENTRY, *FATAL_IRQ, RUN, DISABLED],
        {"lost_pin": "inject_error"}, UNMAPPED, nth=1,
    ),
    Path(
        "6.7 a neighbour in the huge page goes, the pin has mapped pages", "v6",
        [STARTS, TRAP, TRAP, *PIN, START, RUN, PROFILED, ("FULL", PAGE)],
        {"pin_maps": "pages"}, BALLOON,
    ),
    Path(
        "6.7 a neighbour in the huge page goes, the pin has mapped a block", "v6",
        [STARTS, TRAP, TRAP, *PIN, START, RUN, PROFILED, *_fault(640), EXIT, CLEARED,
         ("fault", WINDOW * K.fault), ENTRY, RUN, PROFILED],
        {"pin_maps": "blocks"}, BALLOON,
    ),
    # 6.9 further arms
    *(
        Path(
            f"6.9 whole memory, {name}", name,
            [("prefault", 4 * K.prefault), RUN, ("before_start", None), STARTS, TRAP, TRAP, START,
             RUN, PROFILED],
        )
        for name in ("v3-mlock", "v5-memslot-lock", "v7-guest-memfd")
    ),
    Path(
        "6.9 whole memory, nothing traps", "v7-guest-memfd-untrapped",
        [*_full(), EXIT, CLEARED, INJECT, ENTRY, VIRQ, HANDLER, RUN, PROFILED],
        {"traps": "none"},
    ),
    Path(
        "6.9 bounce buffer, copied when full", "bounce-buffer",
        [*_full(), EXIT, CLEARED, WALK, ("copy", 4 * K.copy), INJECT, ENTRY, *BUFFER_FULL_IRQ, RUN,
         PROFILED],
        {"copy_out": "on_full"},
    ),
    Path(
        "6.9 bounce buffer, guest pages cold", "bounce-buffer",
        [*_full(), EXIT, CLEARED, WALK, ("fault", WINDOW * K.fault), ("copy", 4 * K.copy), INJECT,
         ENTRY, *BUFFER_FULL_IRQ, RUN, PROFILED],
        machine=COLD,
    ),
    Path(
        "6.9 bounce buffer, copied on PMBPTR read", "bounce-buffer",
        [*_full(), EXIT, CLEARED, INJECT, ENTRY, VIRQ, HANDLER, TRAP, TRAP, WALK,
         ("copy", 4 * K.copy), TRAP, TRAP, TRAP, RUN, PROFILED],
        {"copy_out": "on_pmbptr_read"},
    ),
    Path(
        "6.9 bounce buffer, refilled before the guest's is full", "bounce-buffer",
        [*_full(2048), EXIT, CLEARED, WALK, ("copy", 2 * K.copy), ENTRY, RUN, PROFILED],
        machine={"bounce": 2048},
    ),
    Path(
        "6.9 the next exit notices PMBIRQ", "v6",
        [*_full()[:4], ("irq_wait_for_exit", None), ("ORDINARY_EXIT", None),
         ("ordinary_exit", K.ordinary_exit), CLEARED, *_unpinned(), INJECT, *BUFFER_FULL_IRQ, *PIN,
         RUN, PROFILED],
        {"interrupt": "next_exit"}, {"exits": (OP * 5000,)},
    ),
]  # steps in a row  # fmt: skip

_TIMES = frozenset(cause.value for cause in TimeCause)
_VALUES = _TIMES | {
    "FULL", "FAULT", "PMBIRQ_LINE", "PMBIRQ_AT_CORE", "PINNED_PAGES", "KVM_EXIT_RLIMIT", "VOIDED",
}  # steps in a row  # fmt: skip


def _spec(path: Path) -> MachineSpec:
    arm = Arm(
        name="arm", design=path.design, policies=path.chosen,
        settings=Settings(workload=Synthetic(kind="synthetic", phases=(_phase(100),))),
    )  # steps in a row  # fmt: skip
    usual: dict[str, Any] = {
        "aux": Geometry(2 * PAGE, PAGE, PAGE), "exits": None, "irq_latency": (100 * OP,),
        "memory": 4 * PAGE, "memlock": 1 << 40, "max_buffer": 1 << 62, "kvm": K, "driver": D,
        "random_start": False,
    }  # steps in a row  # fmt: skip
    return vary(machine_spec(arm, path.stream), **(usual | path.machine))


def _logged(path: Path, engine: str) -> VcpuResult:
    run = Run("arm", 7, 0, keep_log=True)
    return simulate(_spec(path), (path.stream,), run, engine).vcpus[0]


def _steps(path: Path, log: tuple[tuple[int, str, int], ...]) -> list[tuple[int, str, int]]:
    """As many entries as the path has, from its mark on."""
    marks = [n for n, (_, what, _) in enumerate(log) if what == path.steps[0][0]]
    return list(log[marks[path.nth] :][: len(path.steps)])


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.section)
def test_the_trace_is_the_numbered_list(path: Path, engine: str) -> None:
    """The log's entries are the path's steps, in order, each with its cost."""
    found = _steps(path, _logged(path, engine).log)
    shown = [(what, value if what in _VALUES else None) for _, what, value in found]
    assert shown == path.steps


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.section)
def test_each_stage_takes_its_time(path: Path) -> None:
    """A stage's ticks pass before anything else that the CPU does; nothing else takes wall time
    but running the stream."""
    found = _steps(path, _logged(path, "fast").log)
    for (t, what, ticks), (after, then, _) in pairwise(found):
        if what in _TIMES and then != "PINNED_PAGES":
            assert after == t + ticks, (what, then)
        elif what not in _TIMES and not _runs(what):
            assert after == t or then in ("PMBIRQ_AT_CORE", "ENABLE"), (what, then)


def _runs(what: str) -> bool:
    """Ops may execute, or a stage may still last, after this entry."""
    return what in ("PMBIRQ_LINE", "PMBIRQ_AT_CORE", "PINNED_PAGES") or what.islower()


def test_sections_and_policies_have_their_paths() -> None:
    """Each section of the list, each preset but the aliases, and each value of each policy."""
    assert {path.section[:3] for path in PATHS} == {f"6.{n}" for n in range(1, 10)}
    assert {path.design for path in PATHS} == set(DESIGNS)
    seen = {(key, value) for path in PATHS for key, value in path.chosen.model_dump().items()}
    for key in Policies.model_fields:
        values = {value for name, value in seen if name == key}
        wanted = set(VALUES[key].words) if key in VALUES else {True, False}
        if key == "unpin":
            values = {re.sub(":.*", ":TIME", value) for value in values}
        assert values == wanted, key


def test_a_wrong_cost_is_seen() -> None:
    """The control: a stage that charged a neighbour's parameter would differ."""
    costs = [*_costs_of(K), *_costs_of(D)]
    assert len(set(costs)) == len(costs)
    path = PATHS[2]
    other = replace(path, machine={"kvm": replace(K, charge=K.charge + 1)})
    assert _steps(other, _logged(other, "fast").log) != _steps(path, _logged(path, "fast").log)


def _costs_of(costs: KvmCosts | DriverCosts) -> list[int]:
    """All costs of a table."""
    return [getattr(costs, name) for name in type(costs).__dataclass_fields__]
