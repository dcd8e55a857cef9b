"""Captures in their files: perf.data of every dialect, raw buffers, threads, symbols, errors."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from sim.workload.capture import perfdata
from sim.workload.capture.container import RawCapture, open_capture
from sim.workload.capture.records import CAPTURE_DT, Packet
from sim.workload.capture.source import Batch, Capture, CaptureError, Clock, Reading, total
from sim.workload.capture.symbols import SymbolTable
from tests.needs import CROSS, run
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import Made, fixed, load, variable

ONE = variable(load(0x400100, 100))


def written(tmp_path: Path, data: bytes, name: str = "perf.data") -> Path:
    """The bytes as a file."""
    path = tmp_path / name
    path.write_bytes(data)
    return path


def taken(capture: Capture) -> tuple[list[Batch], Reading]:
    """All batches of a capture."""
    reading = Reading()
    return list(capture.batches(reading)), reading


def joined(batches: list[Batch]) -> np.ndarray:
    """All records of some batches."""
    return np.concatenate([np.zeros(0, CAPTURE_DT), *(b.records for b in batches)])


@pytest.mark.parametrize("info", [pf.INFO_V1, pf.INFO_V2, pf.INFO_HYBRID])
def test_facts_of_each_metadata_version(tmp_path: Path, info: bytes) -> None:
    """v1, v2 and the hybrid name the PMU; period, jitter, clock and command come out."""
    data = pf.perf_data(
        [pf.time_conv(3, 1, 7), info, pf.aux(0, len(ONE), 0b1001), pf.auxtrace(ONE, 0)],
        config=1 | 1 << 16,
        period=4096,
        command=[b"perf", b"record", b"--", b"./x"],
    )
    capture = open_capture(written(tmp_path, data))
    facts = capture.facts
    assert (facts.container, facts.interval, facts.jitter) == ("perf.data", 4096, True)
    assert facts.clock == Clock(3, 1, 7, 0, (1 << 56) - 1)
    assert (facts.command, facts.midr) == ("perf record -- ./x", 0x410FD0C0)
    assert (facts.filtered, facts.exclude_kernel) == (False, False)
    assert facts.min_interval == (None if info is pf.INFO_V1 else 1024)
    assert facts.aux is not None
    assert (facts.aux.records, facts.aux.truncated, facts.aux.collision) == (1, 1, 1)
    batches, reading = taken(capture)
    assert joined(batches)["ts"].tolist() == [100]
    assert total(reading).records == 1


def test_a_filtered_event_says_so(tmp_path: Path) -> None:
    """Shares of a filtered capture are of what passed, so the filter is a fact."""
    for config, config2 in ((1 | 1 << 33, 0), (1, 50)):
        data = pf.perf_data([pf.INFO_V1, pf.auxtrace(ONE, 0)], config=config, config2=config2)
        assert open_capture(written(tmp_path, data)).facts.filtered


@pytest.mark.parametrize("first", range(144, 153))
def test_queues_pieces_and_padding(tmp_path: Path, first: int) -> None:
    """Pieces of two CPUs, interleaved, a record cut between two pieces; padding is no data."""
    a = b"".join(fixed(load(0x400100 + 4 * k, 10 * k)) for k in range(8))
    b = b"".join(variable(load(0x500100 + 4 * k, 10 * k)) for k in range(5))
    assert len(b) == 5 * 48
    data = pf.perf_data(
        [
            pf.INFO_V1,
            pf.auxtrace(a[:200], 0),
            pf.auxtrace(b[:first], 0, cpu=1),
            pf.auxtrace(a[200:], 200),
            pf.auxtrace(b[first:], first, cpu=1),
        ]
    )
    batches, reading = taken(open_capture(written(tmp_path, data)))
    pcs = {
        queue: joined([x for x in batches if x.queue == queue])["pc"] & np.uint64((1 << 56) - 1)
        for queue in (0, 1)
    }
    assert pcs[0].tolist() == [0x400100 + 4 * k for k in range(8)]
    assert pcs[1].tolist() == [0x500100 + 4 * k for k in range(5)]
    assert (reading.gaps, reading.missing_bytes) == (0, 0)
    assert total(reading).damaged == 0
    assert total(reading).bytes == len(a) + len(b) + (first - len(b)) % 8


def test_what_is_there_twice_is_read_once(tmp_path: Path) -> None:
    """A snapshot that begins with what the one before it ended with gives no record twice."""
    a = b"".join(fixed(load(0x400100 + 4 * k, 10 * k)) for k in range(8))
    data = pf.perf_data([pf.INFO_V1, pf.auxtrace(a[:320], 0), pf.auxtrace(a[128:], 128)])
    batches, reading = taken(open_capture(written(tmp_path, data)))
    assert joined(batches)["ts"].tolist() == [10 * k for k in range(8)]
    assert reading.gaps == 0


def test_missing_bytes_between_pieces(tmp_path: Path) -> None:
    """A jump of the offsets is a gap of so many bytes; no record is made of both sides."""
    slot = fixed(load(0x400100, 1))
    data = pf.perf_data(
        [
            pf.INFO_V1,
            pf.auxtrace(slot + slot[:40], 0),
            pf.auxtrace(slot, 64 * 10),
        ]
    )
    batches, reading = taken(open_capture(written(tmp_path, data)))
    assert joined(batches)["damage"].tolist() == [0, 1, 0]
    assert (reading.gaps, reading.missing_bytes) == (1, 64 * 10 - 104)


def test_threads_by_context_then_switches_then_area(tmp_path: Path) -> None:
    """A CONTEXT packet wins; else who ran on the CPU at that time; else the AUX area's thread."""
    bare = []
    for time in (5, 15, 25):
        payload = load(0x400100, time).payload
        del payload[Packet.CONTEXT_EL1]
        bare.append(Made(payload))
    stream = b"".join(map(variable, bare)) + variable(load(0x400100, 30, context=77))
    head = [pf.time_conv(), pf.INFO_V1, pf.switch_out(20, 0, 9), pf.switch_out(10, 0, 8)]
    capture = open_capture(written(tmp_path, pf.perf_data([*head, pf.auxtrace(stream, 0)])))
    assert [b.tid.tolist() for b in taken(capture)[0]] == [[-1, 8, 9, 77]]
    area = pf.auxtrace(stream, 0, cpu=-1, tid=1234)
    capture = open_capture(written(tmp_path, pf.perf_data([pf.INFO_V1, area])))
    assert [b.tid.tolist() for b in taken(capture)[0]] == [[1234, 1234, 1234, 77]]


def test_clock_converts_as_perf_does() -> None:
    """zero + (ticks × mult >> shift), exact beyond 64 bits of product; short timers wrap."""
    ticks = np.array([0, 1, 10**15, (1 << 55) + 12345], np.uint64)
    clock = Clock(mult=20971520, shift=19, zero=1000)
    assert clock.ns(ticks).tolist() == [1000 + (int(t) * 20971520 >> 19) for t in ticks]
    assert clock.fs_per_tick == 40_000_000
    short = Clock(1, 0, 0, cycles=(1 << 60) + 5, mask=(1 << 56) - 1)
    assert short.ns(np.array([7], np.uint64)).tolist() == [(1 << 60) + 7]
    assert Clock.of_frequency(25_000_000).fs_per_tick == 40_000_000


def test_raw_buffer(tmp_path: Path) -> None:
    """A bare stream is one queue; what is no SPE data at all is refused with a place."""
    batches, reading = taken(open_capture(written(tmp_path, ONE * 100, "raw")))
    assert joined(batches).size == 100
    assert (batches[0].cpu, batches[0].tid[0]) == (-1, 42)
    assert total(reading).bytes == 100 * len(ONE)
    text = written(tmp_path, b"MemTotal: 1234 kB\n" * 999, "text")
    with pytest.raises(CaptureError, match=r"text: 0x0: no AUX buffer: .*give a perf.data"):
        taken(open_capture(text))


def test_perf_data_read_as_raw_on_request(tmp_path: Path) -> None:
    """`raw` decodes the bytes whatever their magic says."""
    capture = open_capture(written(tmp_path, ONE * 64, "raw"), raw=True)
    assert isinstance(capture, RawCapture)


HEAD = [pf.time_conv(), pf.INFO_V1]
GOOD = pf.perf_data([*HEAD, pf.auxtrace(ONE, 0)])
BAD = {
    "pipe": (GOOD[:8] + struct.pack("<Q", 16) + GOOD[16:], "0x8: a pipe's file"),
    "swapped": (GOOD[:8][::-1] + GOOD[8:], "0x0: big endian"),
    "killed early": (pf.killed(pf.perf_data(HEAD)), "no AUXTRACE record.*killed before it copied"),
    "cut": (GOOD[: len(GOOD) - 600], "the data section ends at .* copy the file again"),
    "header": (GOOD[:60], "0x10: the header of 88 bytes lies beyond the file's end"),
    "etm": (pf.perf_data([pf.info(pf.PMU, 1, kind=3)]), "AUX data of CoreSight ETM, not Arm SPE"),
    "no info": (pf.perf_data([pf.time_conv()]), "no AUXTRACE_INFO record.*arm_spe//"),
    "no data": (pf.perf_data(HEAD), "no AUXTRACE record"),
    "zstd": (pf.perf_data([*HEAD, pf.event(81, 0, bytes(8))]), "compressed records.*without -z"),
    "size 0": (pf.perf_data([*HEAD, bytes(8)]), "record of type 0 and size 0"),
    "short": (pf.perf_data([*HEAD, pf.event(10, 0, bytes(8))]), "too few for its fields"),
    "shift": (pf.perf_data([pf.time_conv(1, 60)]), "TIME_CONV with shift 60"),
    "runs out": (pf.perf_data([*HEAD, pf.auxtrace(ONE, 0)[:56]]), "runs beyond the data section"),
    "far": (pf.perf_data([*HEAD, pf.auxtrace(ONE, 1 << 63)]), "offset 0x8000000000000000"),
    "attrs": (GOOD[:32] + struct.pack("<Q", 145) + GOOD[40:], "bytes of attributes of 144 each"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path, name: str) -> None:
    """Each error names file, offset, what is wrong and what to do."""
    data, message = BAD[name]
    path = written(tmp_path, data)
    with pytest.raises(CaptureError, match=message) as error:
        open_capture(path)
    assert str(error.value).startswith(f"{path}: 0x")


def test_no_file_a_folder_and_an_empty_file(tmp_path: Path) -> None:
    """What is no readable regular file is an error, not a traceback."""
    (tmp_path / "empty").touch()
    for name, message in (("gone", "no such file"), (".", "not a regular"), ("empty", "empty")):
        with pytest.raises(CaptureError, match=message):
            open_capture(tmp_path / name)


def test_pages_stand_in_for_symbols(tmp_path: Path) -> None:
    """Without the file at hand a name is file and page; without a mapping the page alone."""
    records = [
        *HEAD,
        pf.comm(42, b"x"),
        pf.mmap2(42, 0x400000, 0x10000, 0x2000, b"/no/x.so"),
        pf.auxtrace(ONE, 0),
    ]
    file = perfdata.scan(written(tmp_path, pf.perf_data(records)))
    table = SymbolTable(file.mappings, file.pid_of, file.build_ids)
    assert table.name(42, 0x401234) == "x.so+0x3000"
    assert table.name(7, 0x401234) == "x.so+0x3000"
    assert table.name(42, 0x900123) == "[unknown]+0x900000"
    assert table.name(42, 0xFFFF_8000_0000_1234) == "[kernel]+0xffff800000001000"
    assert table.files() == ([], ["/no/x.so"])


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared object with two functions and a build id."""
    folder = tmp_path_factory.mktemp("elf")
    (folder / "f.c").write_text("int one(int a) { return a + 1; }\nint two(int a) { return a; }\n")
    out = folder / "libf.so"
    flags = ["-O1", "-shared", "-nostdlib", "-Wl,--build-id=0x1234abcd"]
    run(CROSS, *flags, "-o", out, folder / "f.c")
    return out


def test_elf_symbols_where_the_very_file_is_at_hand(elf: Path) -> None:
    """Function names through the mapping; another build id, or another machine, gives pages."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        values = {s.name: s["st_value"] for s in table.iter_symbols()}  # type: ignore[union-attr]
    for build_id, known in (("", True), ("1234abcd", True), ("5678", False)):
        mapping = perfdata.Mapping(42, 0x7F0000000000, 0x10000, 0, str(elf), build_id)
        symbols = SymbolTable([mapping], {}, {})
        names = [symbols.name(42, 0x7F0000000000 + values[name]) for name in ("one", "two")]
        assert (names == ["one", "two"]) is known
    named = SymbolTable(
        [perfdata.Mapping(42, 0, 0x10000, 0, "/usr/lib/libf.so", "")], {}, {}, elf.parent
    )
    assert named.name(42, values["two"]) == "two"
    foreign = SymbolTable([perfdata.Mapping(42, 0, 1 << 30, 0, "/bin/sh", "")], {}, {})
    assert foreign.name(42, 0x1000).startswith("sh+0x")


def test_scan_does_not_read_payloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening reads the records between the payloads; batches read them in small parts."""
    stream = fixed(load(0x400100, 5)) * 100_000
    path = written(tmp_path, pf.perf_data([*HEAD, pf.auxtrace(stream, 0)]))
    monkeypatch.setattr("sim.workload.capture.container.READ_BYTES", 1 << 16)
    capture = open_capture(path)
    batches, _ = taken(capture)
    assert max(b.records.size for b in batches) <= 1 << 10
    assert joined(batches).size == 100_000
