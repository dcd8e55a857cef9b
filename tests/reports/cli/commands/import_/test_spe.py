"""`import spe` and `report spe`, as a user runs them, and spe-parser's tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.workload.capture.records import Packet
from tests.rigs.clean_capture import good, reported
from tests.rigs.spe_bytes import Made, load, variable
from tests.rigs.tiny import call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with a capture in it."""
    Path("perf.data").write_bytes(good(flags=0))


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
    ran = call("run", "mine.yaml", "-o", "out", "--no-report")
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
