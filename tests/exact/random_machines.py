"""Random streams and machines for the exactness suite: small, dense, full of ties.

Times are drawn from coarse grids so that external events, record writes and selections fall on the
same instants; intervals and buffers are tiny; every design, policy and host pressure appears.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim import laws
from sim.engine import FOREVER
from sim.host.migration import Migration
from sim.host.pressure import Touch
from sim.linux.aux import Geometry
from sim.linux.driver import DriverCosts, DriverRules
from sim.linux.reader import ReaderSpec
from sim.machine.spec import BalloonSpec, MachineSpec, PressureSpec, UnmapSpec
from sim.policies.stages import KvmCosts
from sim.results import RunResult
from sim.scenario.models.scenario import DESIGNS, Policies, SpeFilter
from sim.spe.buffer import PACKED, SLOT64
from sim.spe.collect import EV_MISPREDICTED, EV_NOT_TAKEN
from sim.spe.filter import build_filter
from sim.spe.select import Jitter
from sim.spe.selection import Weights, whole_weights
from sim.workload.a64 import OpClass
from sim.workload.arrays import LEVEL_STRIDE, Stream, count_pass
from sim.workload.build import (
    Blocks,
    FlatBody,
    IndexedBody,
    Segment,
    Statics,
    Timing,
    assemble,
    indexed_body,
)
from tests.rigs.machines import assembled, table, vary

PAGE = 4096
ROWS = 3


@dataclass(frozen=True, slots=True)
class Body:
    """One loop body: per op weight, slot, ticks, row, level."""

    weight: list[int]
    slots: list[int]
    ticks: list[int]
    row: list[int]
    level: list[int]


def latency_table(r: random.Random) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Laws [ROWS × 8, laws.STRIDE]: constants that tie, spreads, long tails."""
    return np.stack([_law(r) for _ in range(ROWS * LEVEL_STRIDE)])


def _law(r: random.Random) -> np.ndarray[Any, np.dtype[np.int64]]:
    match r.randrange(4):
        case 0:
            return laws.constant(r.choice([1, 16, 64, 640, 6400]))
        case 1:
            top = r.choice([20, 200, 4000])
            return laws.measured(np.array(sorted(r.randrange(1, top) for _ in range(256))))
        case 2:
            return laws.lognormal(r.choice([1, 500]), r.choice([64, 2000]), 64_000)
        case _:
            return laws.exponential(r.choice([100, 5000, 60000]))


def body(r: random.Random, dense: bool, weighted: bool) -> Body:
    """A random loop body."""
    n = r.choice([1, 2, 3, 7, 33, 100])
    slots = [int(r.random() < 0.4) for _ in range(n)]
    return Body(
        weight=[r.choice([1, 2, 3]) if weighted else 1 for _ in range(n)],
        slots=slots,
        ticks=[r.choice([16, 16, 32, 64]) if dense else r.randrange(1, 300) for _ in range(n)],
        row=[LEVEL_STRIDE * r.randrange(ROWS) for _ in range(n)],
        level=[r.randrange(1, 5) if slot else 0 for slot in slots],
    )


def _statics(bodies: list[Body]) -> Statics:
    def joined(name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([x for b in bodies for x in getattr(b, name)], np.int64)

    return Statics(joined("weight"), joined("slots"), joined("ticks"), joined("row"))


def stream(r: random.Random, dense: bool) -> Stream:
    """A random stream of flat bodies, sometimes with an indexed (recorded-like) one."""
    weighted = r.random() < 0.3
    bodies = [body(r, dense, weighted) for _ in range(r.randrange(1, 5))]
    statics = _statics(bodies)
    firsts = np.cumsum([0, *(len(b.weight) for b in bodies)])
    flats = [
        FlatBody(np.arange(firsts[k], firsts[k + 1]), np.array(b.level), np.array(b.ticks))
        for k, b in enumerate(bodies)
    ]
    total = r.choice([300, 1000]) if dense else r.choice([3000, 8000])
    row_ticks = np.array([r.choice([16, 32, 100]) for _ in range(ROWS * LEVEL_STRIDE)], np.int64)
    indexed, blocks = _indexed(r, bodies, statics, firsts, row_ticks, total)
    segments = _segments(r, bodies, total, indexed is not None)
    arrays = assemble(
        statics,
        flats,
        indexed,
        blocks,
        segments,
        Timing(row_ticks, latency_table(r).reshape(-1)),
        repeat=r.choice([1, 2, 3]),
        exclude_kernel=r.random() < 0.7,
    )
    n = int(firsts[-1])
    return Stream(
        arrays=arrays,
        static_pc=4 * np.arange(n, dtype=np.uint64),
        static_class=np.array([r.randrange(5) for _ in range(n)], np.uint8),
        static_payload=np.array([r.randrange(2) for _ in range(n)], np.uint8),
        static_symbol=np.zeros(n, np.int32),
        symbols=("code",),
        addresses=np.zeros(0, np.uint64),
        pass_counts=count_pass(arrays),
        name="random",
    )


def _segments(r: random.Random, bodies: list[Body], total: int, has_indexed: bool) -> list[Segment]:
    segments = []
    for _ in range(r.randrange(1, 7)):
        which = r.randrange(len(bodies) + int(has_indexed))
        length = len(bodies[which].weight) if which < len(bodies) else total
        turns = max(1, r.randrange(1, max(2, total // length // 3)))
        el, masked = int(r.random() < 0.25), r.random() < 0.25
        segments.append(Segment(which, turns, el=el, masked=masked))
    if all(s.el == 1 for s in segments):
        segments.append(Segment(0, 5))
    return segments


def _indexed(
    r: random.Random, bodies: list[Body], statics: Statics, firsts: Any, row_ticks: Any, total: int
) -> tuple[IndexedBody | None, Blocks | None]:
    """The loop bodies as static blocks, executed in random order."""
    if r.random() < 0.6:
        return None, None
    size = np.zeros((len(bodies), 4), np.int64)
    for k, b in enumerate(bodies):
        size[k] = (len(b.weight), sum(b.weight), 0, sum(b.slots))
    mean = max(1, int(size[:, 0].mean()))
    ids = np.array([r.randrange(len(bodies)) for _ in range(max(1, total // mean))], np.uint32)
    levels = [r.randrange(5) for k in ids for slot in bodies[k].slots if slot]
    made = Blocks(np.array(firsts[:-1], np.int64), size)
    return indexed_body(ids, np.array(levels, np.uint8), made, statics, row_ticks), made


def _policies(r: random.Random) -> Policies:
    design = r.choice(["baremetal", "v6", "unpinned"] * 3 + list(DESIGNS))
    changes: dict[str, object] = {"window_limit": "max_buffer"}  # none is what 1 << 62 does
    for chance, key, values in (
        (0.3, "interrupt", ("forced_exit", "next_exit")),
        (0.3, "notifiers", ("honour_all", "unmap_only")),
        (0.3, "fix_scope", ("page",)),
        (0.2, "charge", ("incremental",)),
        (0.3, "retry", ("pending_on_entry",)),
        (0.3, "vmm", ("refuse_kill", "reenter", "run_unpinned", "error_state")),
        (0.2, "vmm_raise", ("double", "to_hard")),
        (0.3, "unpin", ("never", "on_next_enable", "after:1us")),
        (0.2, "injected", ("imp_def",)),
        (0.2, "injected_dl", (True,)),
        (0.2, "copy_out", ("on_pmbptr_read",)),
        (0.2, "traps", ("none",)),
        (0.2, "unmap_on_unpin", (True,)),
        (0.2, "accounting_scope", ("vm",)),
        (0.1, "accounting", ("per_pin", "none")),
    ):
        if r.random() < chance:
            changes[key] = r.choice(values)
    return DESIGNS[design][0].model_copy(update=changes)


def _unmap(r: random.Random) -> UnmapSpec:
    kind = r.choice(["never", "per_window", "per_record", "poisson", "published"])
    if kind == "poisson":
        return UnmapSpec(kind, table([r.choice([64, 640, 5000, 100_000]) for _ in range(16)]))
    if kind == "published":
        period = (r.choice([50_000, 1_000_000]),)
        return UnmapSpec(kind, period, piece=r.choice([1, 1, 2, 16]), scans=r.choice([0, 1, 64]))
    return UnmapSpec(kind)


def _jitter(r: random.Random, interval: int) -> tuple[Jitter, int]:
    mask = min(255, (1 << (interval.bit_length() - 1)) - 1)
    return (r.choice(list(Jitter)), mask) if mask else (Jitter.OFF, 0)


def spec(r: random.Random, of: Stream, dense: bool) -> MachineSpec:
    """A random machine for a stream."""
    interval = r.choice([1, 2, 3, 8, 33, 100, 256]) if dense else r.choice([8, 33, 100, 256, 1024])
    jitter, mask = _jitter(r, interval)
    filters = build_filter(
        SpeFilter(
            load=r.random() < 0.2,
            branch=r.random() < 0.2,
            event_filter=r.choice([0] * 12 + [EV_NOT_TAKEN, EV_MISPREDICTED, EV_NOT_TAKEN | 2]),
        ),
        of.static_class,
        np.zeros(LEVEL_STRIDE, np.int64),
        np.zeros(LEVEL_STRIDE, np.int64),
    )
    if r.random() < 0.3:
        filters = replace(filters, min_latency=r.choice([16, 64, 1000]))
    aux = r.choice([2 * PAGE, 2 * PAGE, 4 * PAGE, 16 * PAGE])

    def grid(*values: int) -> int:
        return r.choice(values)

    policies = _policies(r)
    machine = assembled(
        policies=policies,
        vcpus=r.choice([1, 1, 2]),
        period=interval + r.choice([0, 0, 1, 7]),
        interval=interval,
        jitter=jitter,
        jitter_mask=mask,
        resync=jitter is not Jitter.OFF and r.random() < 0.3,
        in_flight=r.choice([1, 1, 2, 3]),
        filter=filters,
        aux=Geometry(aux, PAGE, aux // 2),
        aux_va=0xFFFF_8000_8000_0000 + PAGE * r.choice([0, 510, 511]),
        granule=PAGE,
        warm=r.random() < 0.7,
        max_buffer=r.choice([PAGE, aux, 1 << 62]),
        memory=r.choice([4, 16]) * PAGE,
        bounce=r.choice([PAGE, aux]),
        unpin_after=grid(64, 640, 5000) if policies.unpin.startswith("after") else FOREVER,
        memlock=r.choice([0, PAGE * 3, PAGE * 20, 1 << 40]),
        memlock_hard=r.choice([PAGE * 12, 1 << 62]),
        cap_ipc_lock=r.random() < 0.1,
        exits=None if r.random() < 0.4 else table([grid(64, 3000, 20_000) for _ in range(8)]),
        unmap=_unmap(r),
        irq_latency=table([grid(0, 16, 64, 640, 9000) for _ in range(r.choice([1, 4]))]),
        driver=DriverCosts(*(grid(0, 16, 64, 640) for _ in range(3))),
        kvm=KvmCosts(*(*(grid(0, 16, 64, 640, 3000) for _ in range(20)), 0)),
        switch_ticks=r.choice([0, 0, 160 if dense else 3000, 1600, 20_000]),
        away_ticks=grid(0, 16, 640),
        random_start=r.random() < 0.7,
    )
    return _flags(_records(vary(machine, **_guest(r, machine)), of), of)


def _costs(machine: MachineSpec) -> str:
    """Something to draw by that is known of every machine."""
    later = f", access_flag={machine.vm.kvm.access_flag}, drain={machine.vm.kvm.drain}"
    return repr(machine.vm.kvm).replace(later, "")


def _flags(machine: MachineSpec, of: Stream) -> MachineSpec:
    """Ageing, what the SPU updates, a dirty log by hardware, answers by status, profiling
    exceptions, pointers; drawn apart."""
    r = random.Random(f"flags {of.ops} {machine.spu.interval} {_costs(machine)}")
    made: dict[str, Any] = {
        "kvm": replace(
            machine.vm.kvm,
            access_flag=r.choice([0, 16, 64, 640, 3000]),
            drain=random.Random(_costs(machine)).choice([0, 0, 16, 640]),
        ),
        "flag_updates": r.random() < 0.4,
        "dirty_bit": r.random() < 0.4,
    }
    if r.random() < 0.25:
        law = table([r.choice([64, 640, 5000, 50_000]) for _ in range(4)])
        aged = PressureSpec("ageing", Touch.AGE, law, span=r.choice([1, 2]))
        made["pressures"] = (*machine.host.pressures, aged)
    if r.random() < 0.2:
        pins = machine.policies.bundle.backing.pins_windows
        answers = ["fix_flags_or_error", *["fix_flags_or_pin"] * pins]
        made["policies"] = machine.policies.model_copy(update={"stage2_fault": r.choice(answers)})
    machine = vary(machine, **made)
    chosen: dict[str, object] = {}
    if r.random() < 0.3:
        chosen["exceptions"] = r.choice(["profiling", "profiling_el0"])
    if r.random() < 0.15:
        chosen["pointers"] = "ipa"
    return vary(machine, policies=machine.policies.model_copy(update=chosen))


def _records(machine: MachineSpec, of: Stream) -> MachineSpec:
    """Layout of the records, data loss at faults, slipping samples, huge pages; drawn apart."""
    r = random.Random(f"{of.ops} {machine.spu.interval} {machine.vm.memlock} {_costs(machine)}")
    machine = _huge_pages(random.Random(f"{of.ops} {_costs(machine)}"), machine)
    chooser = random.Random(f"{of.ops} {_costs(machine)} {machine.spu.interval}")
    machine = vary(
        machine,
        data_loss_per_mille=r.choice([0, 0, 100, 500, 1000]),
        target_bias_per_mille=r.choice([0, 0, 0, 300, 1000]),
        target_bias_reach=r.choice([1, 4, 64]),
    )
    if chooser.random() < 0.2:
        machine = vary(machine, target_bias_per_mille=0, selection=_weights(chooser))
    if machine.event.snapshot or r.random() < 0.7:
        return machine
    aux = machine.event.aux._replace(record=PACKED.max_size, align=PACKED.align)
    return vary(machine, layout=PACKED, aux=aux)


def _weights(r: random.Random) -> Weights:
    """Weights of what is tracked: some ops never, some windows of ops that are all unlikely."""
    columns = r.choice([1, 2, 5, 40])
    levels = r.choice([[0, 2, 3], [1, 1, 3], [1, 6]])
    weights = [[float(r.choice(levels)) for _ in range(columns)] for _ in OpClass]
    weights[0][0] = 1.0  # one at least can be kept
    return Weights(r.choice([2, 3, 8, 24, 200]), whole_weights(weights))


def _huge_pages(r: random.Random, machine: MachineSpec) -> MachineSpec:
    """Blocks that go with a neighbour, and what becomes of lost pins."""
    policies = machine.policies.model_copy(
        update={
            "pin_maps": r.choice(["pages", "pages", "blocks"]),
            "lost_pin": r.choice(["as_fault", "as_fault", "inject_error"]),
        }
    )
    if r.random() < 0.8:
        return vary(machine, policies=policies)
    law = table([r.choice([640, 20_000, 200_000]) for _ in range(4)])
    balloon = BalloonSpec("ballooning", law, chunk=r.choice([1, 2]), block=512)
    return vary(machine, policies=policies, balloons=(balloon,))


def _guest(r: random.Random, machine: MachineSpec) -> dict[str, Any]:
    """Driver version, capture mode, reader, scheduler, idling and interrupt details."""
    made: dict[str, Any] = {"rules": DriverRules(stops_on_failure=r.random() < 0.5)}
    match r.choice(["full", "full", "reader", "reader", "reader", "snapshot", "discard"]):
        case "reader":
            times = (r.choice([0, 16, 640, 9000, 60_000, 400_000]) for _ in range(3))
            made["reader"] = ReaderSpec(r.random() < 0.5, *times)
        case "snapshot":
            made["snapshot"] = True
        case "discard":
            made["rules"] = replace(made["rules"], discard=True)
    made["wall_slices"] = r.random() < 0.4
    made["per_task"] = machine.task.switch_ticks > 0 or r.random() < 0.6
    if r.random() < 0.3:
        made |= {"halted": True, "wake_ticks": r.choice([0, 16, 640])}
    if r.random() < 0.3:
        made["irq_retract"] = r.choice([1, 64, 10_000])
    made |= _host(r, machine)
    if r.random() < 0.3:
        made["policies"] = machine.policies.model_copy(update={"pmbsr_sync": "irq_only"})
    return made


_KINDS = (("scan", Touch.ZAP), ("move", Touch.MOVE), ("reclaim", Touch.SWAP_OUT))


def _host(r: random.Random, machine: MachineSpec) -> dict[str, Any]:
    """More pressure on memory, a live migration, fewer CPUs than vCPUs."""
    made: dict[str, Any] = {"host_slice": r.choice([20_000, 50_000])}
    made["pressures"] = tuple(
        PressureSpec(
            kind,
            touch,
            table([r.choice([320, 3200, 50_000]) for _ in range(4)]),
            sweeps=r.random() < 0.3,
            span=r.choice([1, 2]),
        )
        for kind, touch in _KINDS
        if r.random() < 0.15
    )
    if r.random() < 0.15:
        made["memslot_changes"] = r.choice([20_000, 50_000])
    if r.random() < 0.2:
        times = (r.choice([0, 64, 3200, 20_000]) for _ in range(4))
        start, length, log, down = times
        made["migration"] = Migration(
            start, r.choice([1, 3]), max(64, length), log, down, post_copy=r.random() < 0.4
        )
    made["visits"] = r.choice([1, 1, 1, 2, 3])
    if machine.vcpus > 1 and r.random() < 0.4:
        made["physical_cpus"] = 1
    return made


CALM: dict[str, Any] = {
    "pressures": (),
    "balloons": (),
    "memslot_changes": 0,
    "migration": None,
    "visits": 1,
    "physical_cpus": 0,
    "data_loss_per_mille": 0,
    "selection": None,
    "layout": SLOT64,
}
"""A host that leaves the VM alone, and records of 64 bytes, for tests of something else."""


def round_after_round(r: random.Random, of: Stream, dense: bool) -> MachineSpec:
    """A random machine whose stops need no decision, most of the time: for `sim.machine.rounds`."""
    machine = spec(r, of, dense)
    design = r.choice(["baremetal", "baremetal", "unpinned", "v6"])
    policies = DESIGNS[design][0].model_copy(
        update={
            "notifiers": "honour_all",
            "fix_scope": r.choice(["page", "walk"]),
            "exceptions": machine.policies.exceptions,
            "pointers": machine.policies.pointers,
        }
    )
    size, page = r.choice([512, 2048, 8192]), PAGE
    window = r.choice([64, size // 4, size // 2])
    if design == "baremetal":
        page = r.choice([32, 256, 256])
    if page == 32:  # windows end in the middle of a record
        window = r.choice([96, 160])
    return vary(
        machine,
        policies=policies,
        vcpus=r.choice([1, 1, 1, 2]),
        aux=Geometry(size if design == "baremetal" else 8192, min(page, 256), window),
        granule=page,
        unmap=UnmapSpec(r.choice(["per_record", "per_window", "never"])),
        warm=r.random() < 0.5,
        max_buffer=1 << 62,
        memlock=1 << 40,
        irq_latency=table([r.choice([0, 16, 64, 640]) for _ in range(r.choice([1, 4]))]),
        exits=close_exits(machine) if r.random() < 0.6 else None,
        switch_ticks=r.choice([0, 0, 0, 3000, 20_000]),
        rules=replace(machine.event.rules, discard=False),
        reader=None,
        snapshot=False,
        layout=SLOT64,
        data_loss_per_mille=0,
    )


def close_exits(machine: MachineSpec) -> tuple[int, ...]:
    """Ordinary exits as close as stops are; drawn apart."""
    r = random.Random(f"exits {_costs(machine)}")
    return table([r.choice([64, 640, 3000, 20_000]) for _ in range(8)])


def everything(result: RunResult) -> dict[str, object]:
    """All that a run says about the model, comparable."""
    said: dict[str, object] = {
        "rlimit": result.rlimit,
        "locked": result.locked,
        "zaps": result.zaps,
        "wall": result.wall,
        "ended_because": result.ended_because,
    }
    for k, v in enumerate(result.vcpus):
        for name in (
            "ledgers",
            "blackouts",
            "ended_at_op",
            "stops",
            "traps",
            "ordinary_exits",
            "aux_counts",
            "log",
        ):
            said[f"{k}.{name}"] = getattr(v, name)
        for name in ("profile", "lost", "written", "aux"):
            said[f"{k}.{name}"] = getattr(v, name).tolist()
    return said
