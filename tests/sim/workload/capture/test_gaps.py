"""Bytes that are missing between pieces."""

from __future__ import annotations

from pathlib import Path

from sim.workload.capture.container import open_capture
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import fixed, load
from tests.sim.workload.capture.made import joined, taken, written


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
