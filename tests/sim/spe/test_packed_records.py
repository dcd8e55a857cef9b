"""Kunpeng's packed records of 44 and 32 bytes: the space they take, faults in their middle, and
that exports and our own decoder take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from sim.linux.aux import AuxFlag, Geometry
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.results import VcpuResult
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import OpMix, Phase, Synthetic
from sim.spe.buffer import LAYOUTS, PACKED, SLOT64
from sim.workload.capture import container
from sim.workload.capture.source import Reading
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import agreed, machine_of
from tests.rigs.tiny import call

PAGE = 4096
MIXED = Synthetic(
    kind="synthetic",
    phases=(Phase(name="loop", length=97, iterations=8_000, cpi_millis=1000),),
)
SCENARIO = """\
schema_version: 1
name: packed
seed: 6
replications: 1
workload:
  kind: synthetic
  phases: [{name: hot, length: 97, iterations: 20000, mix: {store: 3, atomic: 1}}]
cpu: {core: kunpeng-920, clock: 2600MHz}
spe: {interval: 1024ops, jitter: on}
driver: {aux: 16KiB}
arms:
  - baremetal
  - {name: errors, design: unpinned-error, overrides: {host.unmap: {poisson: 65000/s}}}
"""


def _spec(design: str, workload: Synthetic = MIXED, **changes: Any) -> MachineSpec:
    chosen = Settings.model_validate({"workload": workload, "cpu": {"core": "kunpeng-920"}})
    usual: dict[str, Any] = {
        "aux": Geometry(4 * PAGE, PAGE, 2 * PAGE, PACKED.max_size, PACKED.align),
        "exits": None,
        "irq_latency": (6400,),
        "max_buffer": 1 << 62,
    }
    return machine_of(design, chosen, _stream(workload), **(usual | changes))


def _stream(workload: Synthetic) -> Any:
    return synthetic_stream(workload, core="kunpeng-920", exclude_kernel=True, micro_ops=False)


def _run(spec: MachineSpec, workload: Synthetic = MIXED, seed: int = 7) -> VcpuResult:
    return agreed(spec, _stream(workload), seed=seed).vcpus[0]


def test_layouts_are_those_of_the_published_records() -> None:
    """64-byte slots; 44 bytes with an address, 32 without, aligned to 4, at most 128."""
    assert (SLOT64.fixed, SLOT64.longest, SLOT64.max_size, SLOT64.align) == (True, 64, 64, 64)
    assert (PACKED.fixed, PACKED.longest, PACKED.max_size, PACKED.align) == (False, 44, 128, 4)
    kinds = np.arange(5, dtype=np.uint8)
    assert PACKED.sizes(kinds)[::8].tolist() == [32, 44, 44, 44, 44]


def test_the_core_decides_unless_the_scenario_does() -> None:
    """Kunpeng packs; Neoverse fills slots; `spe.record` overrides."""

    def layout(core: str, record: str = "core") -> str:
        keys = {"workload": MIXED, "cpu": {"core": core}, "spe": {"record": record}}
        return Settings.model_validate(keys).records

    assert (layout("kunpeng-920"), layout("neoverse-n1")) == ("packed", "slot64")
    assert layout("kunpeng-920", "slot64") == "slot64"
    assert layout("neoverse-v2", "packed") == "packed"
    assert set(LAYOUTS) == {"slot64", "packed"}


@pytest.mark.parametrize(("mix", "size"), [("other", 32), ("branch", 44), ("store", 44)])
def test_space_is_that_of_the_kind(mix: str, size: int) -> None:
    """A loop of one kind: the buffer is full when less than 128 bytes are left."""
    only = OpMix.model_validate(dict.fromkeys(OpMix.model_fields, 0) | {mix: 1})
    phase = Phase(name="loop", length=97, iterations=8_000, cpi_millis=1000, mix=only)
    workload = Synthetic(kind="synthetic", phases=(phase,))
    vcpu = _run(_spec("baremetal", workload), workload)
    whole = vcpu.aux["records"][:-1]
    window = 2 * PAGE
    fits = -(-(window - PACKED.max_size + 1) // size)
    assert whole.size > 1
    assert (vcpu.aux["size"] - vcpu.aux["pad"] == size * vcpu.aux["records"]).all()
    assert whole[0] == fits
    assert set(whole.tolist()) <= {fits, fits - 1, fits - 2}


def test_records_straddle_pages_and_a_pin_hides_it() -> None:
    """On mapped pages nothing is cut: pinned and bare metal record the same ops."""
    metal, pinned = _run(_spec("baremetal")), _run(_spec("v6", unmap=UnmapSpec("per_window")))
    assert metal.written[:, 0].tolist() == pinned.written[:, 0].tolist()
    assert pinned.ledgers.delivery.voided_by_DL == 0
    assert metal.aux["size"][0] % PAGE


def test_a_fault_in_mid_record_voids_the_window() -> None:
    """Page 0 is filled up to a record that needs page 1: DL = 1, back to where the guest began."""
    vcpu = _run(_spec("unpinned", unmap=UnmapSpec("per_window")))
    seen = [(what, value) for _, what, value in vcpu.log if what in ("FAULT", "VOIDED", "FULL")]
    assert seen[:4] == [("FAULT", 0), ("FAULT", PAGE), ("VOIDED", seen[2][1]), seen[3]]
    assert PAGE // 44 - 1 <= seen[2][1] <= PAGE // 32
    voided = sum(value for what, value in seen if what == "VOIDED")
    assert vcpu.ledgers.delivery.voided_by_DL == voided > 100
    assert int(vcpu.profile.sum()) == len(vcpu.written)


def test_slots_of_the_same_run_are_never_cut() -> None:
    """The control: the same pressure on 64-byte slots voids nothing."""
    aux, cold = Geometry(4 * PAGE, PAGE, 2 * PAGE), UnmapSpec("per_window")
    vcpu = _run(_spec("unpinned", unmap=cold, layout=SLOT64, aux=aux))
    assert vcpu.ledgers.selections.lost_at_fault > 5
    assert vcpu.ledgers.delivery.voided_by_DL == 0


def test_an_error_in_mid_record_leaves_a_partial_one() -> None:
    """The guest sees DL: the AUX record says PARTIAL and holds more bytes than its records."""
    spec = _spec("unpinned-error", unmap=UnmapSpec("poisson", (64 * 40_000,)))
    aux = np.concatenate([_run(spec, seed=seed).aux for seed in range(12)])
    partial = aux[(aux["flags"] & AuxFlag.PARTIAL) > 0]
    assert partial.size > 0
    assert ((partial["offset"] + partial["size"]) % PAGE == 0).all()


# --- exports ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of SCENARIO with its records."""
    at = tmp_path_factory.mktemp("packed")
    (at / "packed.yaml").write_text(SCENARIO)
    _call("run", at / "packed.yaml", "-o", at / "run", "--keep-records", "--no-report", "--no-band")
    return at / "run"


def _call(*args: str | Path) -> None:
    done = call(*args)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("arm", ["baremetal", "errors"])
def test_our_decoder_reads_what_we_export(folder: Path, tmp_path: Path, arm: str) -> None:
    """Every delivered record, no bad packet, 44 or 32 bytes by kind; cut ones are padding."""
    _call("export", "perf", folder, "--arm", arm, "-o", tmp_path / "x.data")
    capture = container.open_capture(tmp_path / "x.data")
    kept = pyarrow.parquet.read_table(folder / "records.parquet").to_pandas()
    kept = kept[kept["arm"] == arm]
    reading = Reading()
    found = np.concatenate([batch.records for batch in capture.batches(reading)])
    assert sum(counts.bad + counts.unknown for counts in reading.counts.values()) == 0
    assert len(found) == len(kept) > 20
    assert found["total"].tolist() == kept["total"].tolist()
    aux = pyarrow.parquet.read_table(folder / "aux.parquet").to_pandas()
    aux = aux[aux["arm"] == arm]
    assert aux["records"].sum() == len(kept)
    assert (aux["flags"].to_numpy() & int(AuxFlag.PARTIAL)).any() == (arm == "errors")


def test_tables_have_no_packets_that_the_records_lack(folder: Path, tmp_path: Path) -> None:
    """No physical address, no data source, no context."""
    _call("export", "tables", folder, "--arm", "baremetal", "-o", tmp_path / "t")
    table = pyarrow.parquet.read_table(tmp_path / "t-ldst.parquet").to_pandas()
    assert len(table) > 100
    for name in ("paddr", "data_source", "context"):
        assert set(table[name]) == {""}
    assert (table["vaddr"] != "").all()


def test_snapshots_need_slots(tmp_path: Path) -> None:
    """What a snapshot overwrites is counted in slots: refused with the way out."""
    text = SCENARIO.replace("driver: {aux: 16KiB}", "driver: {aux: 16KiB, capture: snapshot}")
    (tmp_path / "s.yaml").write_text(text)
    done = call("validate", tmp_path / "s.yaml")
    assert done.exit_code == 2
    assert "use record: slot64" in done.output
