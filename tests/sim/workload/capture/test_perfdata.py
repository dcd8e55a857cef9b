"""perf.data as a file: read to its last whole record, and what is half is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.workload.capture.source import CaptureError, Reading, total
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import fixed, load
from tests.sim.workload.capture.made import HEAD, ONE, opened


@pytest.mark.parametrize("missing", [0, 8, 63, 64, 100, 6400 - 64])
def test_a_killed_writers_file_is_read_to_its_last_whole_record(
    tmp_path: Path, missing: int
) -> None:
    """Data size 0: what is there is read, and how many bytes were not is said."""
    stream = b"".join(fixed(load(0x400100 + 4 * k, 10 * k)) for k in range(100))
    data = pf.perf_data([*HEAD, pf.aux(0, len(stream), 1), pf.auxtrace(stream, 0)])
    capture = opened(tmp_path, pf.killed(data, missing))
    reading = Reading()
    whole = sum(int((b.records["damage"] == 0).sum()) for b in capture.batches(reading))
    assert whole == (6400 - missing) // 64
    assert total(reading).bytes == 6400 - missing
    facts = capture.facts
    assert (facts.unfinished, facts.unread, facts.interval) == (True, 0, 1024)
    assert facts.aux is not None
    assert facts.aux.truncated == 1


@pytest.mark.parametrize(
    "tail",
    [b"\1\0\0", bytes(4096), pf.event(10, 0, bytes(8)), pf.aux(0, 1, 0)[:-8]],
    ids=["header", "zeros", "fields", "body"],
)
def test_what_a_killed_writer_left_half_is_counted(tmp_path: Path, tail: bytes) -> None:
    """A record cut short, zeros or nonsense after the last whole record end the reading there."""
    data = pf.killed(pf.perf_data([*HEAD, pf.auxtrace(ONE * 3, 0)])) + tail
    capture = opened(tmp_path, data)
    assert sum(b.records.size for b in capture.batches(Reading())) == 3
    assert capture.facts.unread == len(tail)


def test_a_whole_file_with_half_a_record_is_still_refused(tmp_path: Path) -> None:
    """The control: where the header gives a size, a broken record is damage."""
    with pytest.raises(CaptureError, match="size 0"):
        opened(tmp_path, pf.perf_data([*HEAD, pf.auxtrace(ONE, 0), bytes(8)]))
