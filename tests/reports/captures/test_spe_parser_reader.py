"""Tables of spe-parser as a capture: the same records, and hostile files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.captures.spe_parser_reader import EVENT_BITS, SOURCES, ParquetCapture
from sim.workload.capture.packets import decode
from sim.workload.capture.records import code_address
from sim.workload.capture.source import CaptureError, Reading
from tests.rigs.clean_capture import good, reported
from tests.rigs.spe_bytes import load, variable
from tests.rigs.tiny import call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with a capture in it."""
    Path("perf.data").write_bytes(good(flags=0))


# --- spe-parser's tables -----------------------------------------------------------------------

NAMES = {v: k for k, v in SOURCES.items()}


def event_names(events: int) -> str:
    """Events as spe-parser writes them."""
    return ":".join(name for name, bit in EVENT_BITS.items() if events >> bit & 1)


def ldst_row(record: Any, cpu: int) -> dict[str, Any]:
    """A load or store of GP registers as a row of the table ldst."""
    return {
        "cpu": cpu,
        "op": "ST" if record["op_payload"] & 1 else "LD",
        "pc": f"0x{int(record['pc']) & (1 << 56) - 1:x}",
        "el": int(record["pc"]) >> 61 & 3,
        "atomic": False,
        "excl": False,
        "ar": False,
        "subclass": "GP-REG",
        "sve_evl": 0,
        "sve_pred": False,
        "sve_sg": False,
        "event": event_names(int(record["events"])),
        "issue_lat": int(record["issue"]),
        "total_lat": int(record["total"]),
        "vaddr": f"0x{int(record['va']):x}",
        "xlat_lat": int(record["xlat"]),
        "paddr": "",
        "data_source": NAMES[int(record["source"])],
        "context": f"0x{int(record['context_el1']):x}",
        "ts": int(record["ts"]),
    }


BRANCH_ROW = {
    "cpu": 0,
    "op": "B",
    "pc": "0x400200",
    "el": 0,
    "condition": True,
    "indirect": False,
    "event": "RETIRED:MISPRED",
    "issue_lat": 3,
    "total_lat": 5,
    "br_tgt": "0x400300",
    "br_tgt_lvl": 0,
    "pbt": "",
    "pbt_lvl": 0,
    "context": "",
    "ts": 150,
}
OTHER_ROW = {
    "cpu": 0,
    "op": "OTHER",
    "pc": "0xffff800000001000",
    "el": 1,
    "subclass": "OTHER",
    "sve_evl": 0,
    "sve_pred": False,
    "sve_fp": False,
    "condition": False,
    "event": "RETIRED",
    "issue_lat": 1,
    "total_lat": 2,
    "context": "",
    "ts": 120,
}


def write_tables(rows: dict[str, list[dict[str, Any]]]) -> Path:
    """Tables T-….parquet; the path of the first."""
    for kind, table in rows.items():
        pq.write_table(pa.Table.from_pylist(table), f"T-{kind}.parquet")
    return Path(f"T-{next(iter(rows))}.parquet")


def from_tables(path: Path) -> np.ndarray[Any, Any]:
    """All records of a set of tables."""
    return np.concatenate([b.records for b in ParquetCapture.open(path).batches(Reading())])


def test_tables_hold_the_same_records() -> None:
    """Loads through spe-parser's columns come back as they were, by CPU and time."""
    made = b"".join(variable(load(0x400100 + 4 * k, 100 + 10 * k, source=8)) for k in range(20))
    records, _ = decode(made)
    rows = [ldst_row(record, 0) for record in records][::-1]
    found = from_tables(write_tables({"ldst": rows, "br": [BRANCH_ROW], "other": [OTHER_ROW]}))
    loads = found[found["op_class"] == 1]
    for name in ("pc", "va", "events", "total", "issue", "xlat", "source", "ts", "context_el1"):
        assert loads[name].tolist() == records[name].tolist(), name
    assert loads["present"].tolist() == records["present"].tolist()
    assert found["ts"].tolist() == sorted(found["ts"].tolist())
    branch, other = found[found["op_class"] == 2][0], found[found["op_class"] == 0][0]
    assert (branch["events"], branch["op_payload"]) == (0x82, 1)
    assert hex(branch["target"]) == hex(1 << 63 | 0x400300)
    assert hex(code_address(other["pc"][None])[0] & 0xFFFF) == "0x1000"


def test_tables_in_integers_and_report() -> None:
    """Exports with integer columns read alike; the report and the import take the tables."""
    rows = [
        BRANCH_ROW
        | {"pc": 0x400200 + 4 * (k % 2), "br_tgt": 0x400300, "event": 0x82, "ts": 100 + 300 * k}
        for k in range(50)
    ]
    path = write_tables(
        {"br": rows, "ldst": [], "other": [OTHER_ROW]}
        | {"ldst": [ldst_row(decode(variable(load(0x400100, 50)))[0][0], 0)]}
    )
    found = reported(str(path))
    assert (found["records"], found["by_class"]["branch"]) == (52, 50)
    result = call("import", "spe", str(path), "--interval", "1024ops", "-o", "p.json")
    assert result.exit_code == 0, result.output


def test_tables_that_are_none() -> None:
    """Wrong names, columns, values and bytes are refused with the column or a reason."""
    path = write_tables({"br": [BRANCH_ROW]})
    for change, message in (
        ({"el": 7}, "column 'el'.*7 is not in 0 to 3"),
        ({"pc": "zz"}, "column 'pc'"),
        ({"event": "NONSENSE"}, "column 'event'"),
        ({"total_lat": -1}, "total_lat"),
        ({"pc": 2.5}, "2.5 is no integer"),
        ({"ts": -5}, "ts"),
    ):
        write_tables({"br": [BRANCH_ROW | change]})
        with pytest.raises(CaptureError, match=message):
            from_tables(path)
    write_tables({"br": [{"cpu": 0}]})
    with pytest.raises(CaptureError, match="no column 'el'"):
        from_tables(path)
    Path("noname.parquet").write_bytes(path.read_bytes())
    with pytest.raises(CaptureError, match="NAME-ldst"):
        ParquetCapture.open(Path("noname.parquet"))


def test_value_beyond_the_dictionary() -> None:
    """A column's values are places in its dictionary; pyarrow takes those that are not in it."""
    path = Path("T-br.parquet")
    pq.write_table(pa.Table.from_pylist([BRANCH_ROW] * 2), path, compression="none")
    group = pq.ParquetFile(path).metadata.row_group(0)
    column = group.column(list(BRANCH_ROW).index("event"))
    end = column.dictionary_page_offset + column.total_compressed_size
    raw = bytearray(path.read_bytes())
    assert raw[end - 3 : end] == b"\x01\x04\x00"  # of one bit each: two times the first value
    for place in (1, 16, 255):
        raw[end - 1] = place
        path.write_bytes(bytes(raw))
        with pytest.raises(CaptureError, match=r"column 'event'.* out of bounds"):
            from_tables(path)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(BRANCH_ROW)),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=4),
        st.lists(st.integers(0, 3), max_size=2),
    ),
)
def test_hostile_tables(tmp_path_factory: pytest.TempPathFactory, column: str, value: Any) -> None:
    """Any value of any type in any column: an error that names the file, or a record."""
    path = tmp_path_factory.mktemp("t") / "T-br.parquet"
    pq.write_table(pa.Table.from_pylist([BRANCH_ROW | {column: value}]), path)
    try:
        found = from_tables(path).size
    except CaptureError as error:
        found = str(error).startswith(str(path))
    assert found == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_hostile_parquet_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut or changed Parquet files: an error that names the file, or records."""
    path = tmp_path_factory.mktemp("t") / "T-br.parquet"
    pq.write_table(pa.Table.from_pylist([BRANCH_ROW]), path)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(4, len(raw) - 1))
    raw = (
        raw[:at] if data.draw(st.booleans()) else raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :]
    )
    path.write_bytes(bytes(raw))
    try:
        found = from_tables(path).size
    except CaptureError as error:
        found = str(error).startswith(str(path))
    assert found == 1
