"""A capture opened as one: joined pieces, clocks, errors with their place."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from sim.workload.capture.container import open_capture
from sim.workload.capture.source import CaptureError, Clock, total
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import fixed, load, variable
from tests.sim.workload.capture.made import HEAD, ONE, joined, taken, written


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


def test_clock_converts_as_perf_does() -> None:
    """zero + (ticks × mult >> shift), exact beyond 64 bits of product; short timers wrap."""
    ticks = np.array([0, 1, 10**15, (1 << 55) + 12345], np.uint64)
    clock = Clock(mult=20971520, shift=19, zero=1000)
    assert clock.ns(ticks).tolist() == [1000 + (int(t) * 20971520 >> 19) for t in ticks]
    assert clock.fs_per_tick == 40_000_000
    short = Clock(1, 0, 0, cycles=(1 << 60) + 5, mask=(1 << 56) - 1)
    assert short.ns(np.array([7], np.uint64)).tolist() == [(1 << 60) + 7]
    assert Clock.of_frequency(25_000_000).fs_per_tick == 40_000_000


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
