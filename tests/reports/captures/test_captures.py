"""`import spe` and `report spe`, as a user runs them, and spe-parser's tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.captures.spe_parquet import EVENT_BITS, SOURCES, ParquetCapture
from sim.workload.capture.packets import decode
from sim.workload.capture.records import Packet, data_address
from sim.workload.capture.source import CaptureError, Reading
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import Made, load, variable
from tests.rigs.tiny import call

HEAD = [pf.time_conv(), pf.INFO_V2, pf.comm(42, b"x")]


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with a capture in it."""
    Path("perf.data").write_bytes(good(flags=0))


def good(*, flags: int, config: int = 1 | 1 << 16, period: int = 1024, hole: int = 0) -> bytes:
    """A clean capture of 400 records; `hole` ns are added in the middle."""
    stream = b"".join(
        variable(load(0x400100 + 4 * (k % 3), 1000 + 300 * k + hole * (k >= 200), source=0))
        for k in range(400)
    )
    records = [*HEAD, pf.aux(0, len(stream), flags), pf.auxtrace(stream, 0)]
    return pf.perf_data(records, config=config, period=period, command=[b"perf", b"record"])


def reported(name: str = "perf.data", *options: str) -> dict[str, Any]:
    """The JSON form of a report."""
    result = call("report", "spe", name, "--format", "json", *options)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_clean_capture_has_nothing_wrong() -> None:
    """The control of all findings: a clean file gives none."""
    result = call("report", "spe", "perf.data")
    assert result.exit_code == 0, result.output
    assert "perf.data: 400 records in perf.data" in result.stdout
    assert result.stdout.endswith("Nothing is wrong with the records.\n")
    found = reported()
    assert found["by_class"] == {"other": 0, "load": 400, "store": 0, "atomic": 0, "branch": 0}
    assert found["interval"]["effective_ops_at_most"] == 1024 + 128
    assert (found["gaps"]["unit"], found["gaps"]["median"], found["gaps"]["holes"]) == (
        "ns",
        300,
        0,
    )
    assert set(found["sanity"].values()) == {0}


FLAGS = {1: "are TRUNCATED", 5: "are PARTIAL", 8: "saw a COLLISION", 2: "are of a snapshot"}


@pytest.mark.parametrize("flags", FLAGS)
def test_each_flag_is_a_finding(flags: int) -> None:
    """A flag of an AUX record is said, and no other; cut short is not the same as no room."""
    Path("f.data").write_bytes(good(flags=flags))
    text = call("report", "spe", "f.data").stdout
    assert f"1 of 1 AUX records {FLAGS[flags]}" in text
    assert sum(words in text for words in FLAGS.values()) == 1


def test_a_hole_raises_the_effective_interval() -> None:
    """A hole as long as all the rest doubles the mean interval, and is a finding."""
    Path("h.data").write_bytes(good(flags=0, hole=399 * 300))
    found = reported("h.data")
    assert found["gaps"]["holes"] == 1
    assert found["interval"]["effective_ops_at_most"] == pytest.approx(2 * 1152, rel=0.01)
    assert "1 hole (longer than 16 medians): 50" in call("report", "spe", "h.data").stdout


def test_period_and_jitter_findings() -> None:
    """A period below the recommendation, and a constant one, are said."""
    Path("p.data").write_bytes(good(flags=0, config=1, period=512))
    text = call("report", "spe", "p.data").stdout
    assert "512 is below the hardware's recommendation 1,024" in text
    assert "no jitter" in text


def test_damage_and_insane_records_are_found() -> None:
    """Bad bytes, cut records and each kind of nonsense are counted in a raw buffer."""
    whole = load(0x400100, 100).payload
    nonsense: list[dict[Packet, int]] = [
        {k: v for k, v in whole.items() if k is not Packet.PC},
        {k: v for k, v in whole.items() if k is not Packet.VA},
        whole | {Packet.ISSUE: 99},
        whole | {Packet.TOTAL: 0xFFF},
        whole | {Packet.EVENTS: 0x14},
        whole | {Packet.SOURCE: 5},
        whole | {Packet.TIMESTAMP: 5},
    ]
    data = b"".join(variable(Made(payload, op_class=1)) for payload in nonsense)
    one = variable(load(0x400100, 200))
    Path("raw").write_bytes(one * 20 + data + one[:9] + b"\xff" + one[9:])
    found = reported("raw", "--timer", "1GHz")
    assert found["bytes"]["bad"] == 1
    assert found["damaged"]["records"] == 2
    sanity = {name: n for name, n in found["sanity"].items() if n}
    assert sanity == {
        "without_pc": 1,
        "access_without_address": 1,
        "issue_above_total": 1,
        "saturated": 1,
        "not_retired": 1,
        "source_not_known": 1,
        "time_backwards": 2,
        "time_equal": 24,
    }
    text = call("report", "spe", "raw").stdout
    for word in ("bytes begin no packet", "are damaged", "have no PC", "did not retire"):
        assert word in text


def test_import_makes_a_workload_that_runs() -> None:
    """perf.data → profile → scenario → run, with what a profile cannot carry on stderr."""
    result = call("import", "spe", "perf.data")
    assert result.exit_code == 0, result.output
    assert result.stdout == "perf.data.profile.json\n"
    assert "400 records, 3 addresses" in result.stderr
    assert "What a profile cannot carry:" in result.stderr
    Path("mine.yaml").write_text(
        "workload: {kind: profile, path: perf.data.profile.json, repeat: 20}\n"
        "replications: 2\narms: [baremetal, v6]\n"
    )
    assert call("validate", "mine.yaml").exit_code == 0
    ran = call("run", "mine.yaml", "-o", "out")
    assert ran.exit_code == 0, ran.output
    stored = json.loads(Path("out/result.json").read_text())
    ops = stored["arms"]["v6"]["ledger"]["ops"]["executed"]
    assert ops == pytest.approx(2 * 20 * 400 * 1152, rel=0.001)
    assert stored["arms"]["v6"]["setup"]["stream_kind"] == "profile"


def test_import_refuses_to_overwrite() -> None:
    """A file that is there stays, unless --force is given; nothing else is left behind."""
    Path("p.json").write_text("mine")
    refused = call("import", "spe", "perf.data", "-o", "p.json")
    assert (refused.exit_code, Path("p.json").read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert call("import", "spe", "perf.data", "-o", "p.json", "--force").exit_code == 0
    assert sorted(p.name for p in Path().iterdir()) == ["p.json", "perf.data"]


def test_errors_have_exit_code_2_and_a_sentence() -> None:
    """Bad captures, options and profiles end with one line, never a traceback."""
    Path("text").write_text("not a capture\n" * 100)
    Path("raw").write_bytes(variable(load(0x400100, 1)))
    Path("cut").write_bytes(good(flags=0)[:300])
    Path("bad.yaml").write_text("workload: {kind: profile, path: text}\narms: [v6]\n")
    Path("gone.yaml").write_text("workload: {kind: profile, path: gone}\narms: [v6]\n")
    for args, message in (
        (("report", "spe", "text"), "no AUX buffer"),
        (("report", "spe", "gone"), "no such file"),
        (("report", "spe", "cut"), "copy the file again"),
        (("import", "spe", "raw"), "--interval 1024ops"),
        (("import", "spe", "raw", "--interval", "many"), "1024ops"),
        (("import", "spe", "raw", "--interval", "1024ops", "--timer", "1Hz"), "1kHz to 100GHz"),
        (("import", "spe", "perf.data", "--tid", "7"), "no whole record"),
        (("run", "bad.yaml"), "no JSON"),
        (("validate", "gone.yaml"), "speskew import spe"),
    ):
        result = call(*args)
        assert result.exit_code == 2, (args, result.output)
        assert message in result.stderr, (args, result.stderr)
        assert "Traceback" not in result.output


def test_selection_by_thread() -> None:
    """--tid keeps one thread's records."""
    data = b"".join(variable(load(0x400100, 100 * k, context=40 + k % 2)) for k in range(100))
    Path("raw").write_bytes(data)
    result = call("import", "spe", "raw", "--interval", "1024ops", "--tid", "41", "-o", "p.json")
    assert result.exit_code == 0, result.output
    assert "50 records" in result.stderr


def test_kernel_code_is_pointed_out() -> None:
    """Records of EL1 need a setting of the scenario; a capture without them needs no word."""
    kernel = load(0, 100).payload | {Packet.PC: 0xA0 << 56 | 0x00FF_8000_0000_1000}
    for payload, said in ((kernel, True), (load(0x400100, 100).payload, False)):
        Path("raw").write_bytes(variable(Made(payload, op_class=1)))
        result = call("import", "spe", "raw", "--interval", "1024ops", "-o", "p", "--force")
        assert result.exit_code == 0, result.output
        assert ("exclude_kernel: false" in result.stderr) is said


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
    assert hex(data_address(other["pc"][None])[0] & 0xFFFF) == "0x1000"


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
