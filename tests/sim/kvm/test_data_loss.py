"""PMBSR.DL: a fault finds a record half written; what KVM must void and what the guest sees."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.ledger import OpLabel
from sim.linux.aux import AuxFlag, Geometry
from sim.linux.reader import ReaderSpec
from sim.machine.machine import simulate
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.results import RecordSink, VcpuResult
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.spe.buffer import DataLoss
from sim.spe.record import located
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import LEVEL_STRIDE, PLACE_MASK, Stream
from tests.rigs.machines import agreed, machine_of, synthetic

PAGE = 4096
UNLIMITED = 1 << 62


def _phase(ops: int, el: Literal[0, 1] = 0) -> Phase:
    return Phase(name="loop", length=100, iterations=ops // 100, cpi_millis=1000, el=el)


LOOP = Synthetic(kind="synthetic", phases=(_phase(800_000),))
STREAM = synthetic(*LOOP.phases)
NEVER_LEFT = STREAM.ops // 2


def _spec(
    design: str,
    per_mille: int,
    policies: dict[str, Any] | None = None,
    stream: Stream = STREAM,
    **changes: Any,
) -> MachineSpec:
    """A 16 KiB AUX area with windows of two pages, cold whenever one is enabled."""
    settings = Settings.model_validate(
        {"workload": LOOP, "spe": {"data_loss_per_mille": per_mille}}
    )
    usual: dict[str, Any] = {
        "aux": Geometry(4 * PAGE, PAGE, 2 * PAGE),
        "exits": None,
        "irq_latency": (6400,),
        "max_buffer": UNLIMITED,
        "unmap": UnmapSpec("per_window"),
    }
    return machine_of(design, settings, stream, policies, **(usual | changes))


def _voided(vcpu: VcpuResult) -> list[int]:
    return [count for _, what, count in vcpu.log if what == "VOIDED"]


def test_the_law_is_a_share_of_faults() -> None:
    """Drawn per stop, in proportion; 0 never, 1000 always."""
    seen = sum(DataLoss(9, 250).at(stop) for stop in range(20_000))
    assert seen == pytest.approx(5_000, rel=0.05)
    assert not any(DataLoss(9, 0).at(stop) for stop in range(100))
    assert all(DataLoss(9, 1000).at(stop) for stop in range(100))


def test_a_fix_voids_what_the_guest_has_not_read() -> None:
    """The second page of each window is cold too: its fault voids the first page, 64 records; a
    fault on a window's first write voids none and costs a delay only."""
    vcpu = agreed(_spec("unpinned", 1000), STREAM).vcpus[0]
    assert set(_voided(vcpu)) == {0, PAGE // 64}
    assert sum(_voided(vcpu)) == vcpu.ledgers.delivery.voided_by_DL > 200
    faults = sum(what == "FAULT" for _, what, _ in vcpu.log)
    assert len(_voided(vcpu)) == faults


def test_voided_records_are_in_no_aggregate() -> None:
    """recorded = written - voided: profile, kept records and AUX bytes hold the rest."""
    vcpu = agreed(_spec("unpinned", 500), STREAM).vcpus[0]
    recorded = vcpu.ledgers.selections.written - vcpu.ledgers.delivery.voided_by_DL
    assert vcpu.ledgers.delivery.delivered == recorded == len(vcpu.written)
    assert int(vcpu.profile.sum()) == recorded < vcpu.ledgers.selections.written
    assert int(vcpu.aux["size"].sum()) == 64 * recorded
    written = vcpu.written[:, 2].tolist()
    assert written == sorted(written)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("per_mille", [0, 500])
def test_who_watches_is_told_of_what_stays(per_mille: int, engine: str) -> None:
    """The op of each record and its place in the order of writing, and of none that is voided."""
    spec = _spec("unpinned", per_mille)
    told: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def watch(ops: NDArray[np.int64], places: NDArray[np.int64] | None) -> None:
        assert places is not None
        told.append((ops.copy(), places.copy()))

    watched = simulate(spec, (STREAM,), Run("arm", 7, 0, watch=lambda vcpu: watch), engine).vcpus[0]
    (kept,) = simulate(spec, (STREAM,), Run("arm", 7, 0, keep_records=True), engine).vcpus
    ops, places = (np.concatenate(column) for column in zip(*told, strict=True))
    assert np.array_equal(ops, kept.written[:, 0])
    static, level = (places & PLACE_MASK) >> 8, places & 255
    assert np.array_equal(np.stack([static, level], axis=1), located(STREAM, ops)[:, :2])
    cells = np.bincount(static * LEVEL_STRIDE + level, minlength=kept.profile.size)
    assert np.array_equal(cells, kept.profile)
    assert watched.written.shape == (0, 3)
    assert (watched.ledgers.delivery.voided_by_DL > 0) == (per_mille > 0)


def test_without_data_loss_nothing_is_voided() -> None:
    """The control: the same faults with DL = 0 cost one record each."""
    lossless, voiding = (agreed(_spec("unpinned", share), STREAM).vcpus[0] for share in (0, 1000))
    assert lossless.ledgers.selections.lost_at_fault > 10
    assert lossless.ledgers.delivery.voided_by_DL == 0
    assert voiding.ledgers.delivery.delivered < lossless.ledgers.delivery.delivered


def test_pinning_on_a_fault_has_to_rewind_too() -> None:
    """pin_then_resume meets DL on its one fault a window, the first write: nothing to void."""
    vcpu = agreed(_spec("first-fault", 1000), STREAM).vcpus[0]
    assert len(_voided(vcpu)) > 3
    assert vcpu.ledgers.delivery.voided_by_DL == sum(_voided(vcpu)) == 0
    late = UnmapSpec("poisson", (TICKS_PER_CYCLE * 40_000,))
    assert sum(_voided(agreed(_spec("first-fault", 1000, unmap=late), STREAM).vcpus[0])) > 0


@pytest.mark.parametrize("design", ["baremetal", "v6", "bounce-buffer", "v7-guest-memfd"])
def test_designs_that_never_fault_never_void(design: str) -> None:
    """DL comes with a fault: none, no loss."""
    vcpu = agreed(_spec(design, 1000), STREAM).vcpus[0]
    assert _voided(vcpu) == []
    assert vcpu.ledgers.selections.lost_at_fault == 0


def test_an_error_with_dl_is_truncated_and_partial_until_the_reader_enables() -> None:
    """The guest keeps its records: TRUNCATED | PARTIAL, off until PERF_EVENT_IOC_ENABLE."""
    reader = ReaderSpec(False, TICKS_PER_CYCLE * 3000, 64, 64)
    pressure = UnmapSpec("poisson", (TICKS_PER_CYCLE * 20_000,))
    vcpu = agreed(_spec("unpinned-error", 1000, unmap=pressure, reader=reader), STREAM).vcpus[0]
    flags = set(vcpu.aux["flags"].tolist())
    assert int(AuxFlag.TRUNCATED | AuxFlag.PARTIAL) in flags
    assert _voided(vcpu) == []
    assert vcpu.stops > 1
    assert vcpu.ledgers.ops.by_label[OpLabel.EVENT_DISABLED] > 3000


def test_perf_enables_nothing_if_the_error_left_it_nothing_to_copy() -> None:
    """A fault on the first write: an empty transaction, the reader sees no new data, and the event
    stays disabled although the record says TRUNCATED."""
    reader = ReaderSpec(False, TICKS_PER_CYCLE * 3000, 64, 64)
    vcpu = agreed(
        _spec("unpinned-error", 1000, warm=False, unmap=UnmapSpec("never"), reader=reader), STREAM
    ).vcpus[0]
    assert vcpu.aux["flags"].tolist() == [int(AuxFlag.TRUNCATED | AuxFlag.PARTIAL)]
    assert vcpu.aux["size"].tolist() == [0]
    assert vcpu.ledgers.ops.by_label[OpLabel.EVENT_DISABLED] > NEVER_LEFT


def test_an_error_without_dl_is_for_ever_on_a_busy_cpu() -> None:
    """DL = 0: no flag, nobody enables; only the next start would bring the buffer back."""
    vcpu = agreed(_spec("unpinned-error", 0, warm=False, unmap=UnmapSpec("never")), STREAM).vcpus[0]
    assert set(vcpu.aux["flags"].tolist()) <= {0}
    assert vcpu.stops == 1
    assert vcpu.ledgers.ops.by_label[OpLabel.EVENT_DISABLED] > NEVER_LEFT
    again = agreed(
        _spec("unpinned-error", 0, switch_ticks=TICKS_PER_CYCLE * 50_000, away_ticks=64), STREAM
    ).vcpus[0]
    switches = sum(what == "SWITCH" for _, what, _ in again.log)
    assert switches <= again.stops <= switches + 1
    assert again.stops > 5


def test_a_destroyed_vm_leaves_no_voided_record_unread() -> None:
    """vCPU 1's refused enable ends vCPU 0 with records voided in its open window."""
    late = synthetic(_phase(300_000, el=1), _phase(100_000))
    policies = {"vmm": "refuse_kill", "notifiers": "honour_all"}
    spec = _spec(
        "v6",
        1000,
        policies,
        late,
        vcpus=2,
        memlock=37 * PAGE,
        memlock_hard=37 * PAGE,
        aux=Geometry(64 * PAGE, PAGE, 32 * PAGE),
        unmap=UnmapSpec("poisson", (TICKS_PER_CYCLE * 10_000,)),
    )
    run = simulate(
        spec, (synthetic(_phase(100), _phase(400_000)), late), Run("arm", 7, 0, True, True)
    )
    ended = run.vcpus[0]
    assert "destroyed" in run.ended_because
    assert ended.ledgers.delivery.voided_by_DL > 0
    assert ended.ledgers.delivery.unread_at_end == len(ended.written) > 0


def test_a_sink_forgets_its_last_rows_wherever_they_are() -> None:
    """In memory and in its file."""
    rows = np.arange(3 * 3_000_000).reshape(-1, 3)
    sink = RecordSink(keep=True)
    for part in np.array_split(rows, 5):
        sink.add(part, part[:, 0])
    sink.add(rows[:7], rows[:7, 0])
    sink.drop(3)
    assert sink.written()[-4:].tolist() == rows[:4].tolist()
    sink.drop(4 + 2_000_000)
    assert (sink.written() == rows[:1_000_000]).all()
    sink.add(rows[:2], rows[:2, 0])
    assert sink.written().shape == (1_000_002, 3)
    sink.drop(1_000_002)
    assert sink.written().shape[0] == 0
