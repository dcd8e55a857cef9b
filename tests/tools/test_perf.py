"""The unmodified perf of the system reads what `speskew export perf` writes.

perf is required: without it these tests fail.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reports import rerunning
from reports.perf import events, header, writer
from sim.linux.aux import AuxFlag
from tests.tools import captures

ARMS = ("baremetal", "unpinned", "unpinned-error")
HARMLESS = (
    "unwind: target platform=arm64 is not supported",  # an x86 perf
    "Only instruction-based sampling period is currently supported by Arm SPE.",  # default itrace
    "No memory nodes, is CONFIG_MEMORY_HOTPLUG enabled?",  # about the machine that reads
    "WARNING: failed to find node",
)

PACKED = """\
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


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the shipped program on two vCPUs."""
    return captures.run(tmp_path_factory.mktemp("recorded"), captures.RECORDED)


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a small ring: snapshot and discard mode, a slow reader, a destroyed VM."""
    return captures.run(tmp_path_factory.mktemp("modes"), captures.MODES)


@pytest.fixture(scope="module")
def baremetal(recorded: Path) -> Path:
    """perf.data of the recorded run's baremetal arm."""
    return captures.export(recorded, "baremetal")


def _said(stderr: str) -> str:
    """What perf says that is not known to be harmless."""
    # a latency of the tail reaches the next selection now and then: true, and no fault of the file
    told = re.sub(r"Warning:\nAUX data detected collision +\d+ times out of \d+!", "", stderr)
    lines = [line for line in told.splitlines() if line.strip()]
    return "\n".join(line for line in lines if not line.startswith(HARMLESS))


def _delivered(run: Path, arm: str) -> int:
    result = json.loads((run / "result.json").read_text())
    ledger = result["arms"][arm]["replications"][0]["ledger"]
    return int(ledger["delivery"]["delivered"])


@pytest.mark.parametrize("arm", ARMS)
def test_perf_decodes_every_delivered_record(recorded: Path, arm: str) -> None:
    """As many samples as delivered records, and each is a record of records.parquet."""
    found = captures.samples(captures.export(recorded, arm))
    assert found.total() == _delivered(recorded, arm)
    assert found == Counter(captures.expected(recorded, arm))
    if arm == "unpinned-error":  # the first record faults and ends the profile
        assert not found
        return
    assert len(found) > 500
    assert {sample[0] for sample in found} == {0, 1}


@pytest.mark.parametrize(
    ("arm", "flags"), [("snapshot", {2}), ("discard", set()), ("slow", {0, 1}), ("killed", set())]
)
def test_modes_and_readers(modes: Path, arm: str, flags: set[int]) -> None:
    """Snapshot keeps the ring's last records; a slow reader loses data and perf says so; nothing
    comes of discard mode or of a VM that was destroyed at its first pin."""
    rows = np.concatenate([v.aux for v in rerunning.rerun(modes, arm, 0).run.vcpus])
    assert set(rows["flags"].tolist()) == flags
    data = captures.export(modes, arm)
    delivered = _delivered(modes, arm)
    last = list(captures.expected(modes, arm))
    assert captures.samples(data) == Counter(last[len(last) - delivered :])
    assert (delivered > 0) == (arm in ("snapshot", "slow"))
    assert (delivered < len(last)) == (arm == "snapshot")
    captures.check_warnings(data, rows["flags"].tolist())


def test_the_comparison_can_fail(recorded: Path, baremetal: Path) -> None:
    """Records of another arm, or with one latency changed, are not what perf decodes."""
    found = captures.samples(baremetal)
    assert found != Counter(captures.expected(recorded, "unpinned"))
    rows = list(captures.expected(recorded, "baremetal"))
    rows[7] = (*rows[7][:-1], rows[7][-1] + 1)
    assert found != Counter(rows)


def test_6_12_metadata_is_that_of_6_1(recorded: Path, baremetal: Path) -> None:
    """perf 6.12 writes metadata v1 too, so its format gives the same samples."""
    other = captures.export(recorded, "baremetal", "--perf-format=6.12")
    assert captures.samples(other) == captures.samples(baremetal)


def test_v2_metadata_has_an_entry_per_cpu(recorded: Path) -> None:
    """7.x: version 2, then magic, CPU, MIDR, PMU, minimum interval and events of each CPU."""
    data = captures.export(recorded, "baremetal", "--perf-format=7.x").read_bytes()
    info = events.auxtrace_info_v2(header.PMU_TYPE, 2, 0x413FD0C1, 1024)
    assert data.count(info) == 1
    words = np.frombuffer(info[16:], "<u8").tolist()
    assert words[:4] == [2, 4, 11, 2]
    assert words[4:11] == [0x1010101010101010, 0, 4, 0x413FD0C1, 11, 1024, 0xAA]
    assert words[12] == 1


@pytest.mark.parametrize("which", ["recorded", "synthetic"])
def test_no_bad_packet(which: str, request: pytest.FixtureRequest) -> None:
    """perf's packet dump knows every byte."""
    data = captures.export(request.getfixturevalue(which), "baremetal")
    out, _ = captures.perf("script", "-D", "-i", data, cwd=data.parent)
    assert "bad packet" not in out.lower()
    assert out.count(" TOT\n") > 100
    assert out.count(" TOT\n") == out.count(" ISSUE\n") == captures.samples(data).total()


def test_a_bad_byte_would_be_seen(baremetal: Path, tmp_path: Path) -> None:
    """Control: one byte of a packet header overwritten is a bad packet."""
    broken = bytearray(baremetal.read_bytes())
    at = broken.index(b"\x52\x02\x00\x99")  # an events packet: retired
    broken[at] = 0xFF
    (tmp_path / "broken.data").write_bytes(broken)
    out, _ = captures.perf("script", "-D", "-i", tmp_path / "broken.data", cwd=tmp_path)
    assert "bad packet" in out.lower()


def test_code_symbols_are_the_programs(recorded: Path, baremetal: Path) -> None:
    """perf report's shares by symbol are the records' shares."""
    out, err = captures.perf(
        "report",
        "--stdio",
        "--itrace=i1i",
        "--sort",
        "symbol",
        "-n",
        "-i",
        baremetal,
        cwd=baremetal.parent,
    )
    assert _said(err) == ""
    found = {m[2]: int(m[1]) for m in re.finditer(r"%\s+(\d+)\s+\[\.\] (\S+)", out)}
    again = rerunning.rerun(recorded, "baremetal", 0)
    symbols = again.stream.static_symbol[captures.kept(recorded, "baremetal")["insn"]]
    names = Counter(again.stream.symbols[s] for s in symbols)
    assert found == dict(names)
    assert {"quicksort", "loop41", "hot_a"} <= found.keys()


def test_data_symbols_resolve(baremetal: Path) -> None:
    """perf mem report names the arrays of the program: its ELF file is shipped."""
    out, err = captures.perf("mem", "report", "--stdio", "-i", baremetal, cwd=baremetal.parent)
    assert _said(err) == ""
    for name in ("pool", "keys", "table"):
        assert re.search(rf"\[\.\] {name}\+0x", out), name


def test_synthetic_phases_are_symbols(synthetic: Path) -> None:
    """A synthetic stream has no program: a made ELF file carries its phases."""
    data = captures.export(synthetic, "baremetal")
    out, err = captures.perf(
        "report",
        "--stdio",
        "--itrace=i1i",
        "--sort",
        "comm,dso,symbol",
        "-i",
        data,
        cwd=data.parent,
    )
    assert re.fullmatch(
        r"Warning:\nAUX data detected collision  \d+ times out of \d+!", err.strip()
    )
    found = re.findall(r"%\s+synthetic\s+synthetic\s+\[\.\] (\w+)", out)
    assert sorted(found) == ["cold", "hot"]


def test_annotate_shows_the_instructions(baremetal: Path, synthetic: Path) -> None:
    """Code comes from the shipped program, or from the made one."""
    for data, symbol, word in (
        (baremetal, "loop41", "add     x0, x0, #0x1"),
        (captures.export(synthetic, "baremetal"), "hot", "ldr     x0, [x1]"),
    ):
        out, _ = captures.perf(
            "annotate",
            "--stdio",
            "--itrace=i1i",
            "--objdump=aarch64-linux-gnu-objdump",
            "-s",
            symbol,
            "-i",
            data,
            cwd=data.parent,
        )
        assert re.search(rf"\d\.\d\d\s+:?\s*[0-9a-f]+:\s+{re.escape(word)}", out), out[:2000]


def test_c2c_runs_clean(recorded: Path, baremetal: Path) -> None:
    """perf c2c counts the loads and stores of the records."""
    out, err = captures.perf("c2c", "report", "--stdio", "-i", baremetal, cwd=baremetal.parent)
    assert _said(err) == ""
    _, op_class, _ = captures.code_of(recorded, "baremetal")
    classes = op_class[captures.kept(recorded, "baremetal")["insn"]]
    counts = [int(n) for n in re.findall(r"^\s+(?:Load|Store) Operations\s*:\s*(\d+)", out, re.M)]
    assert counts == [int((classes == 1).sum()), int((classes == 2).sum())]


def test_task_and_context(baremetal: Path) -> None:
    """Each vCPU's records belong to its own task of the program."""
    out, _ = captures.perf(
        "script", "--itrace=i1i", "-F", "comm,tid,cpu", "-i", baremetal, cwd=baremetal.parent
    )
    assert set(map(str.strip, out.splitlines())) == {"mix  1000 [000]", "mix  1001 [001]"}


def test_switches_are_told(recorded: Path, baremetal: Path) -> None:
    """A switch in and out for every slice, each told from both tasks' side."""
    out, _ = captures.perf(
        "script",
        "--show-switch-events",
        "-F",
        "comm,tid,cpu,time,event",
        "--itrace=i1i",
        "-i",
        baremetal,
        cwd=baremetal.parent,
    )
    out = re.sub(r"\s+", " ", out)
    run = rerunning.rerun(recorded, "baremetal", 0).run
    slices = sum(what == "SWITCH" for v in run.vcpus for _, what, _ in v.log)
    assert slices > 4
    assert out.count("PERF_RECORD_SWITCH_CPU_WIDE OUT") == 2 * slices + len(run.vcpus)


@pytest.mark.parametrize("arm", ARMS)
def test_warnings_are_those_of_the_flags(recorded: Path, synthetic: Path, arm: str) -> None:
    """perf warns of losses, gaps and collisions exactly as often as the model's flags say."""
    for run in (recorded, synthetic) if arm == "baremetal" else (recorded,):
        data = captures.export(run, arm)
        rows = np.concatenate([v.aux for v in rerunning.rerun(run, arm, 0).run.vcpus])
        captures.check_warnings(data, rows["flags"].tolist())


def test_collisions_are_seen_at_all(synthetic: Path) -> None:
    """The synthetic run has collisions and full buffers, so the test above is not empty."""
    rows = np.concatenate([v.aux for v in rerunning.rerun(synthetic, "baremetal", 0).run.vcpus])
    assert (rows["flags"] & AuxFlag.COLLISION > 0).sum() > 0


def test_every_flag_gives_its_warning(tmp_path: Path) -> None:
    """TRUNCATED, PARTIAL and COLLISION on chosen transactions, and padding that perf skips."""
    flags = [0, 1, 5, 8, 13, 0, 1]
    chunks, at = [], 0
    for number, flag in enumerate(flags):
        pad, records = 64 * (number % 3), number % 4
        size = 64 * records
        t = writer.BASE_NS + 1000 * (number + 1)
        chunks.append(writer.Chunk(t, 0, 1000, at + pad, size, flag, pad, records, size))
        at += pad + size
    data = tmp_path / "flags.data"
    _write(data, tuple(chunks))
    assert captures.samples(data).total() == sum(c.records for c in chunks) == 9
    captures.check_warnings(data, flags)


def _write(path: Path, chunks: tuple[writer.Chunk, ...]) -> None:
    """A capture of one CPU without a program; its records are all alike."""
    spe = header.SpeConfig("arm_spe_0/ts_enable=1/", 1024, 3, 0, 0, True)
    machine = header.MachineText("6.1", "0", "neoverse-n1", 0x413FD0C1, ("perf", "record"))
    task = writer.Task(0, 1000, writer.BASE_NS, writer.BASE_NS + 10**6)
    capture = writer.Capture("6.1", spe, machine, 1024, "none", (), (task,), (), chunks)
    record = bytes.fromhex("b0 00 04 40 00 00 00 00 80").ljust(19, b"\0")
    record += bytes.fromhex("48 00 52 02 00 99 01 00 98 05 00")
    record = record.ljust(55, b"\0") + b"\x71" + (writer.BASE_NS + 500).to_bytes(8, "little")
    with path.open("wb") as file:
        writer.Writer(file, capture, lambda cpu, n: iter([memoryview(record * n)])).write()


def test_the_header_is_the_perf_record_it_stands_for(baremetal: Path) -> None:
    """Command line, event, processor; and nothing that pretends to be a machine."""
    out, _ = captures.perf("report", "--header-only", "-i", baremetal, cwd=baremetal.parent)
    assert (
        "cmdline : perf record -e arm_spe_0/ts_enable=1,pa_enable=1,period=1024,jitter=1/u"
        " -m ,32 -- ./mix" in out
    )
    assert "cpuid : 0x00000000413fd0c1" in out
    assert "hostname : speskew-simulation" in out
    assert "config = 0x10003, { sample_period, sample_freq } = 1024" in out
    assert "nrcpus online : 2" in out


def test_perf_reads_packed_records(tmp_path: Path) -> None:
    """Kunpeng's records of 44 and 32 bytes: as many samples as records, no bad packet, also after
    a record that a fault cut short."""
    folder = captures.run(tmp_path, PACKED)
    for arm in ("baremetal", "errors"):
        data = captures.export(folder, arm)
        out, _ = captures.perf("script", "--itrace=i1i", "-F", "ip", "-i", data, cwd=tmp_path)
        pc, _, _ = captures.code_of(folder, arm)
        kept = captures.kept(folder, arm)
        assert [int(line, 16) for line in out.split()] == pc[kept["insn"]].tolist()
        dump, _ = captures.perf("script", "-D", "-i", data, cwd=tmp_path)
        assert "Bad packet" not in dump
        assert "LAT" in dump
