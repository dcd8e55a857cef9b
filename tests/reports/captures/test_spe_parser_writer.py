"""Tables with spe-parser's columns: the records that were delivered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from reports import rerunning
from reports.captures import spe_parser_writer as writer
from tests.rigs.tiny import command
from tests.tools import captures

call = command("export")


def test_tables_hold_the_delivered_records(synthetic: Path, tmp_path: Path) -> None:
    """Rows of the three tables against records.parquet, column by column."""
    assert call("tables", synthetic, "--arm", "baremetal", "-o", tmp_path / "spe").exit_code == 0
    read = {name: pd.read_parquet(path) for name, path in writer.paths(tmp_path / "spe").items()}
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
    for name, path in writer.paths(tmp_path / "spe").items():
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
    row = writer.tables(found, records)["ldst"].to_pylist()[0]
    names = ("atomic", "excl", "ar", "sve_pred", "sve_sg")
    assert (row["op"], row["subclass"], row["sve_evl"]) == (op, subclass, evl)
    assert tuple(int(row[name]) for name in names) == flags
