"""`speskew export`: refusals, whole files, and what an export is made of."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import rerunning
from reports.captures import spetables
from reports.exitcodes import ExitCode
from reports.perf import export, packets, writer
from reports.store import files
from sim.ledger import LawBrokenError
from sim.results import RECORD_DT
from tests.rigs.tiny import command
from tests.tools import captures

call = command("export")

EXPORTS = ("perf", "tables")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of two loops."""
    return captures.run(tmp_path_factory.mktemp("synthetic"), captures.SYNTHETIC)


@pytest.mark.parametrize("kind", EXPORTS)
def test_nothing_is_overwritten_without_force(synthetic: Path, kind: str, tmp_path: Path) -> None:
    """A file in the way is left alone and named; --force replaces it."""
    target = tmp_path / ("x" if kind == "perf" else "x-br.parquet")
    target.write_text("mine")
    args = (kind, synthetic, "--arm", "baremetal", "-o", tmp_path / "x")
    refused = call(*args)
    assert refused.exit_code == ExitCode.USAGE
    assert f"{target} exists; give --force" in refused.stderr
    assert target.read_text() == "mine"
    assert call(*args, "--force").exit_code == ExitCode.OK
    assert target.stat().st_size > 1000


@pytest.mark.parametrize("kind", EXPORTS)
def test_equal_bytes_for_equal_input(synthetic: Path, kind: str, tmp_path: Path) -> None:
    """Two exports do not differ, whatever they are called."""
    for name in ("a", "b"):
        assert call(kind, synthetic, "--arm", "baremetal", "-o", tmp_path / name).exit_code == 0
    first, second = (sorted(tmp_path.glob(f"{name}*")) for name in ("a", "b"))
    assert len(first) == len(second) == (1 if kind == "perf" else 3)
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--arm", "v7"), "has no arm 'v7'; it has baremetal"),
        (("--arm", "baremetal", "--replication", "5"), "has replications 0 to 0, not 5"),
    ],
)
def test_what_the_run_does_not_have(
    synthetic: Path, change: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    """An unknown arm or replication: exit 2, what there is, no file."""
    done = call("perf", synthetic, *change, "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    """A folder without a run, and one with a broken result."""
    done = call("perf", tmp_path, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "is no run directory" in done.stderr
    (tmp_path / "result.json").write_text("[]")
    done = call("perf", tmp_path, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "result.json is no result of speskew" in done.stderr


def test_runs_without_their_scenario_or_of_another_version(synthetic: Path, tmp_path: Path) -> None:
    """What is missing is named; another version's result is exit code 5."""
    shutil.copy(synthetic / "result.json", tmp_path)
    done = call("perf", tmp_path, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "has no scenario.resolved.yaml; run the scenario again" in done.stderr
    (tmp_path / "result.json").write_text('{"result_version": 0}')
    done = call("perf", tmp_path, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.BASELINE


def test_a_run_that_comes_out_differently_is_refused(synthetic: Path, tmp_path: Path) -> None:
    """The ledgers of the run and of the re-run must agree: one op more is found."""
    folder = tmp_path / "run"
    shutil.copytree(synthetic, folder)
    stored = json.loads((folder / "result.json").read_text())
    stored["arms"]["baremetal"]["replications"][0]["ledger"]["ops"]["profiled"] += 1
    (folder / "result.json").write_text(json.dumps(stored))
    done = call("perf", folder, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "computes another result for baremetal; run it again" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_failed_write_leaves_nothing(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C and a full disk in the middle: no file, no part of one; an old file stays."""
    (tmp_path / "x").write_text("old")
    for error, code in ((KeyboardInterrupt, ExitCode.INTERRUPTED), (OSError, ExitCode.USAGE)):

        def encode(*args: object, raised: type[BaseException] = error) -> None:
            raise raised

        with monkeypatch.context() as patch:
            patch.setattr(packets, "encode", encode)
            done = call("perf", synthetic, "--arm", "baremetal", "-o", tmp_path / "x", "--force")
        assert done.exit_code == code
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x": "old"}


def test_targets_that_cannot_be_files(tmp_path: Path) -> None:
    """A folder, and a file in a folder that is not there."""
    with pytest.raises(files.ExportError, match="is a directory"):
        files.check(tmp_path, force=True)
    with pytest.raises(files.ExportError, match="is no directory; make it first"):
        files.check(tmp_path / "none" / "x", force=True)


def test_transactions_must_hold_what_was_delivered(synthetic: Path) -> None:
    """An AUX transaction too few is a broken law, not a smaller file."""
    found = rerunning.rerun(synthetic, "baremetal", 0)
    chunks = list(export.chunks(found, 0))
    assert sum(chunk.records for chunk in chunks) == found.total > 100
    assert [c.offset + c.size for c in chunks[:-1]] == [c.offset for c in chunks[1:]]
    found.run.vcpus[0].ledgers.delivery.delivered += 1
    with pytest.raises(LawBrokenError, match="delivered records"):
        list(export.chunks(found, 0))


@given(
    st.lists(st.integers(0, 1 << 58), min_size=1, max_size=20),
    st.sampled_from([64 * 3 * 10**9, 64 * 2_500_000_000, 64 * 2_333_333_333, 64 * 10**6]),
)
def test_nanoseconds_are_exact(ticks: list[int], per_second: int) -> None:
    """Floor of the exact quotient, at any clock, up to a century."""
    found = rerunning.nanoseconds(np.array(ticks, np.int64), per_second)
    assert found.tolist() == [Fraction(t * 10**9, per_second).__floor__() for t in ticks]


def test_packets_lie_where_published_records_have_them() -> None:
    """A store at EL1: every byte of its slot, written out by hand."""
    record = np.zeros(1, RECORD_DT)
    for name, value in (
        ("tid", 0x1234),
        ("el", 1),
        ("op_payload", 1),
        ("events", 0x16),
        ("issue", 5),
        ("total", 0x123),
        ("xlat", 2),
        ("va", 0xABCD),
        ("pa", 0x9000),
        ("level", 1),
    ):
        record[name] = value
    pc, time = np.array([0xFFFF_8000_1000_0040], np.uint64), np.array([77], np.uint64)
    slot = packets.encode(record, pc, np.array([2], np.uint8), time).tobytes()
    assert slot.hex(" ") == (
        "b0 40 00 00 10 00 80 ff a0 64 34 12 00 00 00 00 00 00 00 49 01 52 16 00 99 05 00 98 23 01"
        " b2 cd ab 00 00 00 00 00 00 9a 02 00 b3 00 90 00 00 00 00 00 80 00 00 00 00"
        " 71 4d 00 00 00 00 00 00 00"
    )


def test_absent_packets_are_padding() -> None:
    """A branch has a target and no data packets; an op that touches nothing has neither."""
    records = np.zeros(2, RECORD_DT)
    records["target"] = (0x400100, 0)
    pc, time = np.full(2, 0x400000, np.uint64), np.zeros(2, np.uint64)
    branch, other = packets.encode(records, pc, np.array([4, 0], np.uint8), time)
    assert (branch["op_h"], branch["va_h"], branch["va"]) == (0x4A, 0xB1, 0x8000_0000_0040_0100)
    for name in ("pa_h", "xlat_h", "source_h", "context2_h"):
        assert branch[name] == other[name] == 0
    assert (other["op_h"], other["va_h"], other["va"]) == (0x48, 0, 0)


def test_switches_come_from_the_log() -> None:
    """In when the stream runs, out at a switch; other interruptions are none."""
    log = [
        (0, "RUN", 0),
        (5, "PMBIRQ", 1),
        (6, "RUN", 1),
        (9, "SWITCH", 2),
        (12, "RUN", 2),
        (20, "END", 3),
    ]
    found = list(writer.switches(log, 1, 7, lambda t: 10 * t))
    assert found == [(0, 1, 7, True), (90, 1, 7, False), (120, 1, 7, True)]


def test_tables_hold_the_delivered_records(synthetic: Path, tmp_path: Path) -> None:
    """Rows of the three tables against records.parquet, column by column."""
    assert call("tables", synthetic, "--arm", "baremetal", "-o", tmp_path / "spe").exit_code == 0
    read = {name: pd.read_parquet(path) for name, path in spetables.paths(tmp_path / "spe").items()}
    kept = captures.kept(synthetic, "baremetal")
    pc, op_class, _ = captures.code_of(synthetic, "baremetal")
    classes = op_class[kept["insn"]]
    for name, chosen in (("ldst", (1, 2, 3)), ("br", (4,)), ("other", (0,))):
        rows, records = read[name], kept[np.isin(classes, chosen)]
        assert len(rows) == len(records) > 100
        assert [int(x, 16) for x in rows["pc"]] == pc[records["insn"]].tolist()
        assert rows["total_lat"].tolist() == records["total"].tolist()
        assert rows["issue_lat"].tolist() == records["issue"].tolist()
        assert set(rows["context"]) == {"0x3e8"}
        assert (rows["ts"].diff().dropna() >= 0).all()
    memory = kept[np.isin(classes, (1, 2, 3))]
    ldst = read["ldst"]
    assert [int(x, 16) for x in ldst["vaddr"]] == memory["va"].tolist()
    assert [int(x, 16) for x in ldst["paddr"]] == memory["pa"].tolist()
    assert ldst["xlat_lat"].tolist() == memory["xlat"].tolist()
    assert set(ldst["op"]) == {"LD", "ST"}
    assert set(ldst["data_source"][ldst["op"] == "ST"]) == {""}
    assert "L1D" in set(ldst["data_source"][ldst["op"] == "LD"])
    targets = kept["target"][classes == 4].tolist()
    assert [int(x, 16) for x in read["br"]["br_tgt"]] == targets
    assert "RETIRED:NOT-TAKEN" in set(read["br"]["event"])


def test_tables_have_spe_parsers_columns_and_types(synthetic: Path, tmp_path: Path) -> None:
    """Names, order and types, as spe-parser 0.6.0 writes them."""
    assert call("tables", synthetic, "--arm", "baremetal", "-o", tmp_path / "spe").exit_code == 0
    columns = {
        "ldst": "cpu op pc el atomic excl ar subclass sve_evl sve_pred sve_sg event issue_lat"
        " total_lat vaddr xlat_lat paddr data_source context ts",
        "br": "cpu op pc el condition indirect event issue_lat total_lat br_tgt br_tgt_lvl pbt"
        " pbt_lvl context ts",
        "other": "cpu op pc el subclass sve_evl sve_pred sve_fp condition event issue_lat total_lat"
        " context ts",
    }
    text = set(
        [
            "op",
            "pc",
            "subclass",
            "event",
            "vaddr",
            "paddr",
            "data_source",
            "context",
            "br_tgt",
            "pbt",
        ]
    )
    flags = {"atomic", "excl", "ar", "sve_pred", "sve_sg", "sve_fp", "condition", "indirect"}
    for name, path in spetables.paths(tmp_path / "spe").items():
        schema = pyarrow.parquet.read_schema(path)
        assert schema.names == columns[name].split()
        for field in schema:
            wanted = "large_string" if field.name in text else "int64"
            assert str(field.type) == ("bool" if field.name in flags else wanted), field.name


@pytest.mark.parametrize(
    ("payload", "op", "subclass", "flags", "evl"),
    [
        (0x00, "LD", "GP-REG", (0, 0, 0, 0, 0), 0),
        (0x05, "ST", "SIMD-FP", (0, 0, 0, 0, 0), 0),
        (0x06, "LD", "", (1, 0, 0, 0, 0), 0),
        (0x1B, "ST", "", (0, 1, 1, 0, 0), 0),
        (0x2C, "LD", "SVE", (0, 0, 0, 1, 0), 128),
        (0xAD, "ST", "SVE", (0, 0, 0, 1, 1), 128),
        (0x14, "LD", "MTE-TAG", (0, 0, 0, 0, 0), 0),
    ],
)
def test_load_store_payloads_are_named(
    synthetic: Path, payload: int, op: str, subclass: str, flags: tuple[int, ...], evl: int
) -> None:
    """Classes of load-store operation types, as spe-parser names them."""
    found = rerunning.rerun(synthetic, "baremetal", 0)
    records = found.records(0, range(200))
    records = records[np.isin(found.stream.static_class[records["insn"]], (1, 2))][:1]
    records["op_payload"] = payload
    row = spetables.tables(found, records)["ldst"].to_pylist()[0]
    names = ("atomic", "excl", "ar", "sve_pred", "sve_sg")
    assert (row["op"], row["subclass"], row["sve_evl"]) == (op, subclass, evl)
    assert tuple(int(row[name]) for name in names) == flags


def test_help_tells_the_exit_codes() -> None:
    """Every verb says what its exit codes mean and how to overwrite."""
    for verb in EXPORTS:
        text = call(verb, "--help").output
        assert "Exit codes:" in text
        assert "--force" in text
