"""Captures in their files: perf.data of every dialect, raw buffers, threads, symbols, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.workload.capture.container import RawCapture, open_capture
from sim.workload.capture.records import Packet
from sim.workload.capture.source import CaptureError, Clock, total
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import Made, fixed, load, variable
from tests.sim.workload.capture.made import HEAD, ONE, joined, taken, written


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


def test_what_is_there_twice_is_read_once(tmp_path: Path) -> None:
    """A snapshot that begins with what the one before it ended with gives no record twice."""
    a = b"".join(fixed(load(0x400100 + 4 * k, 10 * k)) for k in range(8))
    data = pf.perf_data([pf.INFO_V1, pf.auxtrace(a[:320], 0), pf.auxtrace(a[128:], 128)])
    batches, reading = taken(open_capture(written(tmp_path, data)))
    assert joined(batches)["ts"].tolist() == [10 * k for k in range(8)]
    assert reading.gaps == 0


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


def test_scan_does_not_read_payloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening reads the records between the payloads; batches read them in small parts."""
    stream = fixed(load(0x400100, 5)) * 100_000
    path = written(tmp_path, pf.perf_data([*HEAD, pf.auxtrace(stream, 0)]))
    monkeypatch.setattr("sim.workload.capture.container.READ_BYTES", 1 << 16)
    capture = open_capture(path)
    batches, _ = taken(capture)
    assert max(b.records.size for b in batches) <= 1 << 10
    assert joined(batches).size == 100_000
