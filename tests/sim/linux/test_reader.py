"""`perf record` as a process: wake-up, copy, re-enable, on another CPU and on the task's own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sim.cpu.ports import PreemptingReader
from sim.engine import Engine
from sim.ledger import DeliveryLedger, OpLabel, TimeCause
from sim.linux.aux import AuxFlag, AuxRing, Geometry
from sim.linux.driver import DriverRules
from sim.linux.reader import Reader, ReaderSpec
from sim.machine.machine import ENGINES
from sim.machine.spec import MachineSpec
from sim.results import VcpuResult
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import machine_of, simulated, vary

PAGE = 4096
WORKLOAD = Synthetic(
    kind="synthetic",
    phases=(Phase(name="loop", length=100, iterations=10_000, cpi_millis=1000),),
)
STREAM = synthetic_stream(WORKLOAD, core="neoverse-n1", exclude_kernel=True, micro_ops=False)
PASS = 64 * 1025 * 64
"""Work ticks that fill a page."""


def _spec(
    design: str = "baremetal", settings: Settings | None = None, **changes: Any
) -> MachineSpec:
    settings = settings or Settings(workload=WORKLOAD)
    fixed = {"exits": None, "irq_latency": (64,), "aux": Geometry(4 * PAGE, PAGE, 2 * PAGE)}
    return machine_of(design, settings, STREAM, **(fixed | changes))


def _reader(
    copy: int, *, same_cpu: bool = False, wakeup: int = 640, enable: int = 640
) -> ReaderSpec:
    return ReaderSpec(same_cpu, wakeup, copy, enable)


QUICK, SLOW = _reader(1000), _reader(2 * PASS)


# --- another CPU -----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_quick_reader_loses_nothing_but_a_page_of_the_window(engine: str) -> None:
    """The handler begins the next window before the reader can have moved the tail.

    One byte of the ring stays free, so the window after half a ring is a page short of the other
    half. A reader that keeps up is an ideal that has copied by then.
    """
    quick, ideal = (
        simulated(_spec(reader=QUICK), STREAM, engine=engine).vcpus[0],
        simulated(_spec(), STREAM, engine=engine).vcpus[0],
    )
    assert ideal.aux["size"][:3].tolist() == [2 * PAGE, 2 * PAGE, 2 * PAGE]
    assert quick.aux["size"][:3].tolist() == [2 * PAGE, PAGE, PAGE]
    assert quick.ledgers.ops.by_label[OpLabel.EVENT_DISABLED] == 0
    assert quick.ledgers.delivery.delivered == len(quick.written)
    lost = quick.ledgers.ops.by_label[OpLabel.IRQ_DELIVERY_FULL]
    assert lost == quick.stops  # 64 ticks of latency: one op each
    assert abs(len(quick.written) - len(ideal.written)) <= 1


@pytest.mark.parametrize("design", ["baremetal", "v6", "unpinned"])
def test_a_slow_reader_loses_ops_and_no_written_record(design: str) -> None:
    """perf_aux_output_begin fails, the event is off until the reader enables it: loss in ops."""
    vcpu = simulated(_spec(design, reader=SLOW), STREAM).vcpus[0]
    ledgers, log = vcpu.ledgers, Counter(what for _, what, _ in vcpu.log)
    assert ledgers.ops.by_label[OpLabel.EVENT_DISABLED] > vcpu.ended_at_op // 4
    assert ledgers.delivery.delivered == ledgers.selections.written == len(vcpu.written)
    assert log["ENABLE"] > 2
    truncated = int((vcpu.aux["flags"] & AuxFlag.TRUNCATED > 0).sum())
    assert log["ENABLE"] <= truncated <= log["ENABLE"] + 1
    assert vcpu.blackouts["disabled"].count == truncated


def test_loss_grows_with_the_copy_time() -> None:
    """No loss below the time of half a ring; then more and more."""
    lost = [
        simulated(_spec(reader=_reader(copy)), STREAM)
        .vcpus[0]
        .ledgers.ops.by_label[OpLabel.EVENT_DISABLED]
        for copy in (1000, PASS // 4, PASS, 2 * PASS, 4 * PASS)
    ]
    assert lost[0] == lost[1] == 0
    assert 0 < lost[2] < lost[3] < lost[4]


@pytest.mark.parametrize("ring", [4, 8])
def test_the_slowest_reader_loses_one_aux_record_in_three(ring: int) -> None:
    """A half that fills, the other half less a page, and a record of no bytes that is TRUNCATED.

    So perf's "AUX data lost N times out of M" says how often, not how much.
    """
    reader = _reader(0, wakeup=4 * ring * PASS)
    vcpu = simulated(
        _spec(reader=reader, aux=Geometry(ring * PAGE, PAGE, ring * PAGE // 2)), STREAM
    )
    rows = vcpu.vcpus[0].aux
    lost = (rows["flags"] & AuxFlag.TRUNCATED > 0).tolist()
    whole = len(lost) // 3 * 3
    assert whole >= 3
    assert lost[:whole] == [False, False, True] * (whole // 3)
    written = (rows["size"] - rows["pad"])[:whole].reshape(-1, 3)
    assert written.tolist() == [[ring * PAGE // 2, ring * PAGE // 2 - PAGE, 0]] * (whole // 3)


def test_truncated_windows_pad_the_stream() -> None:
    """Padding is in the AUX stream: rows stay contiguous, sizes without pads are the records."""
    vcpu = simulated(_spec(reader=SLOW), STREAM).vcpus[0]
    rows = vcpu.aux
    assert rows["pad"].sum() > 0
    assert (rows["size"] - rows["pad"]).sum() == 64 * len(vcpu.written)
    assert ((rows["offset"] + rows["size"])[:-1] == rows["offset"][1:]).all()


def test_the_copy_takes_the_same_time_for_every_granule() -> None:
    """`t_reader_copy` is the time of 4 KiB, also in a ring of 64 KiB pages."""
    engine = Engine()
    ring = AuxRing(Geometry(4 << 16, 1 << 16, 2 << 16), DeliveryLedger(), 0, keeps_up=False)
    reader = Reader(engine, 0, ring, _Nobody(), _reader(100))
    ring.begin()
    ring.end(3 * PAGE + 64, 0, 1, 1)
    assert reader.take() == 400


class _Nobody:
    """A CPU that nobody may disturb."""

    def enable_event(self) -> None:
        raise AssertionError

    def run_reader(self, reader: PreemptingReader) -> None:
        raise AssertionError


def test_the_reader_loops_until_nothing_is_new() -> None:
    """A wake-up during a copy is not lost, and one wake-up may serve several transactions."""
    engine = Engine()
    ring = AuxRing(Geometry(8 * PAGE, PAGE, 4 * PAGE), DeliveryLedger(), 0, keeps_up=False)
    asked: list[int] = []

    class Cpu(_Nobody):
        def enable_event(self) -> None:
            asked.append(engine.now)

    reader = Reader(engine, 0, ring, Cpu(), _reader(100, wakeup=10, enable=5))

    def write(size: int) -> None:
        assert ring.begin() is not None
        ring.end(size, 0, 1, engine.now)
        if ring.wake_due:
            ring.wake_due = False
            reader.wake()

    write(4 * PAGE)  # crosses the watermark: woken, copies 4 pages until 410
    engine.run(200)
    write(2 * PAGE)  # wakes nobody; copied in the second turn, until 615
    engine.run(500)
    assert asked == [415]
    write(2 * PAGE - PAGE)  # after the second look at head
    engine.run(1000)
    assert asked == [415, 620, 725]
    assert ring.tail == ring.head == 7 * PAGE


def test_the_last_pass_reads_everything() -> None:
    """A run that ends before the first wake-up: perf record's last pass delivers all."""
    vcpu = simulated(_spec(reader=SLOW, aux=Geometry(64 * PAGE, PAGE, 32 * PAGE)), STREAM).vcpus[0]
    assert vcpu.stops == 0
    assert vcpu.ledgers.delivery.delivered == len(vcpu.written) > 0


def test_a_destroyed_vm_is_not_read() -> None:
    """Records that a slow reader had not copied when the VMM gave up are unread."""
    spec = _spec(
        "v6",
        policies={"vmm": "refuse_kill"},
        vcpus=2,
        max_buffer=1 << 62,
        memlock=9 * PAGE,
        memlock_hard=9 * PAGE,
        reader=SLOW,
        aux=Geometry(4 * PAGE, PAGE, PAGE),
        random_start=True,
    )
    result = simulated(spec, STREAM)
    assert "destroyed" in result.ended_because


# --- the task's own CPU ----------------------------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_reader_on_the_same_cpu_preempts_the_task(engine: str) -> None:
    """Its time is the task's; the event is stopped and started around it; no op is lost to it."""
    reader = _reader(5000, same_cpu=True, enable=300)
    vcpu = simulated(_spec(reader=reader, irq_latency=(0,)), STREAM, engine=engine).vcpus[0]
    turns = sum(what == "READER" for _, what, _ in vcpu.log)
    assert turns >= 3
    pages = sum(-(-row // PAGE) for row in _taken(vcpu))
    assert vcpu.ledgers.time.stopped[TimeCause.READER] == 5000 * pages + 300 * turns
    assert vcpu.ledgers.ops.by_label[OpLabel.EVENT_DISABLED] == 0
    costs = _spec().event.driver
    assert vcpu.ledgers.time.stopped[TimeCause.GUEST_KERNEL] == (1 + turns) * (
        costs.start + costs.stop
    )


def _taken(vcpu: VcpuResult) -> list[int]:
    """Bytes of the AUX stream that each turn of the reader copies."""
    turns = [t for t, what, _ in vcpu.log if what == "READER"]
    ends = [int(sum(row["size"] for row in vcpu.aux if row["t"] <= _after(vcpu, t))) for t in turns]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _after(vcpu: VcpuResult, t: int) -> int:
    """When the stream goes on after `t`."""
    return next(at for at, what, _ in vcpu.log if what == "RUN" and at > t)


def test_in_v6_the_reader_costs_a_pin_and_an_unpin() -> None:
    """Same CPU, per-task event: each turn is a disable and an enable edge more."""
    result = simulated(_spec("v6", reader=_reader(1000, same_cpu=True)), STREAM)
    vcpu = result.vcpus[0]
    turns = sum(what == "READER" for _, what, _ in vcpu.log)
    assert turns >= 3
    assert result.rlimit.enables == 1 + vcpu.stops + turns
    assert vcpu.traps == 2 + 5 * vcpu.stops + (3 + 2) * turns + 3


def test_an_event_of_the_cpu_is_not_stopped_for_the_reader() -> None:
    """mode: cpu: the reader takes its time, but no stop, start, pin or unpin."""
    reader = _reader(1000, same_cpu=True)
    other = simulated(_spec("v6", reader=_reader(1000), per_task=False), STREAM)
    same = simulated(_spec("v6", reader=reader, per_task=False), STREAM)
    assert same.rlimit.enables == other.rlimit.enables
    assert same.vcpus[0].ledgers.time.stopped[TimeCause.READER] > 0


def test_a_reader_on_the_same_cpu_never_falls_behind() -> None:
    """The task cannot fill the ring while it does not run, however slow the copy is."""
    vcpu = simulated(_spec(reader=_reader(4 * PASS, same_cpu=True)), STREAM).vcpus[0]
    assert vcpu.ledgers.ops.by_label[OpLabel.EVENT_DISABLED] == 0
    vcpu = simulated(_spec(reader=_reader(100, same_cpu=True, wakeup=6 * PASS)), STREAM).vcpus[0]
    assert vcpu.ledgers.ops.by_label[OpLabel.EVENT_DISABLED] > 0  # but a late wake-up can


@pytest.mark.parametrize("version", [False, True])
@pytest.mark.parametrize("same_cpu", [False, True])
def test_versions_agree_as_long_as_the_ring_is_not_full(version: bool, same_cpu: bool) -> None:
    """TRUNCATED is handled alike but for the cost of one stop()."""
    reader = _reader(2 * PASS, same_cpu=same_cpu, wakeup=6 * PASS if same_cpu else 640)
    spec = _spec(reader=reader, rules=DriverRules(stops_on_failure=version))
    reference = simulated(vary(spec, rules=DriverRules()), STREAM).vcpus[0]
    vcpu = simulated(spec, STREAM).vcpus[0]
    assert (vcpu.aux["flags"] == reference.aux["flags"]).all()
    assert len(vcpu.written) == len(reference.written)


# --- capture modes ---------------------------------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("design", ["baremetal", "v6"])
def test_snapshot_mode_delivers_the_last_ring_full(design: str, engine: str) -> None:
    """Every record is written, all but the newest ring full are overwritten."""
    spec = _spec(design, snapshot=True)
    vcpu = simulated(spec, STREAM, engine=engine).vcpus[0]
    capacity = spec.event.aux.size // 64
    delivery = vcpu.ledgers.delivery
    assert delivery.delivered == capacity
    assert delivery.overwritten == len(vcpu.written) - capacity > capacity
    assert (vcpu.aux["flags"] == AuxFlag.OVERWRITE).all()


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("design", ["baremetal", "v6", "unpinned"])
def test_discard_mode_makes_records_and_throws_them_away(design: str, engine: str) -> None:
    """Selections are those of an endless buffer; nothing is written, pinned or interrupted."""
    vcpu = simulated(_spec(design, rules=DriverRules(discard=True)), STREAM, engine=engine).vcpus[0]
    endless = simulated(_spec(aux=Geometry(1 << 20, PAGE, 1 << 19)), STREAM, engine=engine).vcpus[0]
    assert vcpu.ledgers.selections.discarded_by_mode == len(endless.written) > 900
    assert vcpu.ledgers.selections.selected == endless.ledgers.selections.selected
    assert len(vcpu.written) == vcpu.stops == vcpu.ledgers.selections.written == 0
    assert vcpu.profile.sum() == 0
    assert vcpu.aux.size == 0
    assert vcpu.ledgers.time.stopped[TimeCause.PIN] == 0
