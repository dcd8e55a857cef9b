"""Programs behind streams: shipped, given, or made; perf and elftools read them."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from reports.perf import programs
from reports.store.files import ExportError
from sim.runs import batch
from sim.scenario.files import loader
from sim.scenario.models.scenario import Arm
from sim.workload.recording.recorder import record
from sim.workload.spestream import read_header, read_spestream
from tests.needs import CROSS, RECORDING, need, run
from tests.tools import captures

STREAMS = loader.stock_folder() / "streams"
ALONE = """\
schema_version: 1
name: alone
seed: 7
replications: 1
workload: {{kind: recorded, path: "{path}", repeat: {repeat}}}
spe: {{jitter: on}}
arms:
  - design: baremetal
"""
PIE = """\
static unsigned long numbers[4096] = {1};
__attribute__((noinline, noipa)) static unsigned long sum(void) {
    unsigned long s = 0;
    for (int i = 0; i < 4096; i++) s += numbers[i]++;
    return s;
}
void _start(void) {
    for (int i = 0; i < 40; i++) sum();
    register long number asm("x8") = 93, status asm("x0") = 0;
    asm volatile("svc #0" ::"r"(number), "r"(status));
}
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a stream whose program is not at hand."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copy(STREAMS / "mix.spestream", folder / "lonely.spestream")
    return captures.run(folder, ALONE.format(path="lonely.spestream", repeat=1))


def _arm(run: Path) -> Arm:
    return loader.load(run / "scenario.resolved.yaml").arms[0]


def _elf(path: Path) -> ELFFile:
    return ELFFile(io.BytesIO(path.read_bytes()))


def _symbols(elf: ELFFile) -> list[tuple[str, int, int]]:
    """(name, value, size) of the named symbols."""
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    return [(s.name, s["st_value"], s["st_size"]) for s in table.iter_symbols() if s.name]


def test_every_shipped_stream_has_its_program_beside_it() -> None:
    """By build id; small, since they are in the package."""
    found = list(STREAMS.glob("*.spestream"))
    assert len(found) >= 6
    for stream in found:
        header = read_header(stream)
        program = STREAMS / header.program
        assert programs.build_id_of(program) == header.build_id, stream.name
        assert program.stat().st_size < 100_000


def test_a_lone_stream_gets_a_program_made(alone: Path) -> None:
    """Its code is the executed words where they executed, its symbols the stream's."""
    arm = _arm(alone)
    stream = batch.stream_of(arm)
    name, (made,) = programs.programs(arm, stream, None)
    assert name == "mix"
    assert made.path.name == "mix"
    assert made.covers(stream.static_pc).all()
    elf = _elf(made.path)
    assert programs.build_id_of(made.path) == made.build_id.hex()
    recording = read_spestream(STREAMS / "mix.spestream")
    content = made.path.read_bytes()
    for segment, header in zip(made.segments, elf.iter_segments("PT_LOAD"), strict=True):
        assert (header["p_vaddr"], header["p_offset"]) == (segment.address, segment.offset)
        inside = (recording.pc >= segment.address) & (
            recording.pc < segment.address + segment.length
        )
        at = (recording.pc[inside] - segment.address + segment.offset).tolist()
        words = [int.from_bytes(content[k : k + 4], "little") for k in at]
        assert words == recording.word[inside].tolist()
    found = {name: value for name, value, _ in _symbols(elf)}
    assert found == {s.name: s.start for s in recording.symbols if _executed(s.start, s.size)}


def _executed(start: int, size: int) -> bool:
    pc = read_spestream(STREAMS / "mix.spestream").pc
    return bool(((pc >= start) & (pc < start + size)).any())


def test_a_program_is_made_once(alone: Path) -> None:
    """Two exports of one stream name one file, so that perf diff matches them."""
    arm = _arm(alone)
    first, second = (programs.programs(arm, batch.stream_of(arm), None)[1][0] for _ in range(2))
    assert first == second
    assert first.path.parent.name == first.build_id.hex()


def test_perf_reads_a_made_program(alone: Path) -> None:
    """Symbols resolve and annotate shows the real instructions, without the program."""
    data = captures.export(alone, "baremetal")
    out, _ = captures.perf(
        "report", "--stdio", "--itrace=i1i", "--sort", "symbol", "-i", data, cwd=data.parent
    )
    assert "[.] quicksort" in out
    assert "0x0000" not in out
    out, _ = captures.perf(
        "annotate",
        "--stdio",
        "--itrace=i1i",
        "--objdump=aarch64-linux-gnu-objdump",
        "-s",
        "hot_a",
        "-i",
        data,
        cwd=data.parent,
    )
    assert "add     x0, x0, #0x1" in out
    assert "ret" in out


def test_the_program_may_be_given(alone: Path, tmp_path: Path) -> None:
    """--program takes the recorded program from anywhere, and nothing else."""
    arm = _arm(alone)
    shutil.copy(STREAMS / "mix", tmp_path / "moved")
    _, (given,) = programs.programs(arm, batch.stream_of(arm), tmp_path / "moved")
    assert given.path == (tmp_path / "moved").resolve()
    with pytest.raises(ExportError, match="give the program that was recorded"):
        programs.programs(arm, batch.stream_of(arm), STREAMS / "phases")
    (tmp_path / "text").write_text("no program")
    with pytest.raises(ExportError, match="no ELF file"):
        programs.programs(arm, batch.stream_of(arm), tmp_path / "text")


def test_a_synthetic_stream_takes_no_program(tmp_path: Path) -> None:
    """It has none."""
    arm = loader.load("synthetic").arms[0]
    with pytest.raises(ExportError, match="only a recorded stream has a program"):
        programs.programs(arm, batch.stream_of(arm), STREAMS / "mix")


def test_code_that_lies_far_apart() -> None:
    """Program and libraries are some terabytes apart: a segment each, and a small file."""
    pc = np.array([0x400000, 0x400004, 0x5500_0000_1FFC, 0x5500_0000_2000], np.uint64)
    code = programs.Code(pc, np.arange(1, 5, dtype=np.uint32), np.array([1, 1, 2, 2], np.int32))
    content, build_id, segments = programs.elf_of(code, ("[unknown]", "near", "far"))
    assert [s.address for s in segments] == [0x400000, 0x5500_0000_1000]
    assert len(content) < 30_000
    assert len(build_id) == 20
    found = _symbols(ELFFile(io.BytesIO(content)))
    assert found == [("near", 0x400000, 8), ("far", 0x5500_0000_1FFC, 8)]
    at = segments[1].offset + 0xFFC
    assert content[at : at + 8] == (3).to_bytes(4, "little") + (4).to_bytes(4, "little")


@pytest.mark.parametrize("flags", [("-static-pie",), ("-static", "-Wl,--build-id=none")])
def test_own_programs(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """A user's recorded program lies beside its stream: code and data symbols resolve wherever it
    was loaded; without a build id its code symbols still come from the stream."""
    (tmp_path / "summing.c").write_text(PIE)
    need(*RECORDING, "perf")
    options = ["-O1", "-nostdlib", "-ffreestanding", *flags]
    if "-static-pie" in flags:
        options += ["-fPIE", "-Wl,--build-id=sha1"]
    run(CROSS, *options, "-o", "summing", "summing.c", cwd=tmp_path)
    record([str(tmp_path / "summing")], tmp_path / "summing.spestream")
    simulated = captures.run(tmp_path, ALONE.format(path="summing.spestream", repeat=20))
    data = captures.export(simulated, "baremetal")
    out, _ = captures.perf(
        "report", "--stdio", "--itrace=i1i", "--sort", "dso,symbol", "-i", data, cwd=tmp_path
    )
    assert re.search(r"9\d\.\d+%\s+summing\s+\[\.\] sum\b", out), out
    out, _ = captures.perf("mem", "report", "--stdio", "-i", data, cwd=tmp_path)
    assert ("numbers+0x" in out) == ("-static-pie" in flags)
