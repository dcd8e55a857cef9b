"""Captures and profiles as small as can be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sim.workload.arrays import Stream
from sim.workload.capture.container import PerfCapture, RawCapture, open_capture
from sim.workload.capture.profile import Latencies, Phase, Profile, Static
from sim.workload.capture.profiling import Sampling
from sim.workload.capture.records import CAPTURE_DT
from sim.workload.capture.source import Batch, Capture, Clock, Reading
from sim.workload.profiled import stream_of_profile
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import load, variable

GHZ = Clock.of_frequency(10**9)
RAW = Sampling(interval=1024, clock=GHZ)


@dataclass(frozen=True)
class Pages:
    """A symbol for each 256 bytes of code."""

    def name(self, pid_or_tid: int, address: int) -> str:
        """Task and page."""
        return f"{pid_or_tid}:{address >> 8:#x}"


def raw(tmp_path: Path, data: bytes) -> RawCapture:
    """A bare buffer."""
    path = tmp_path / "raw"
    path.write_bytes(data)
    return RawCapture(path)


def small(**changes: object) -> Profile:
    """A profile of four operations and two phases, one of them with EL1 code."""
    made = Profile(
        source="x",
        interval=1024,
        ops_per_record=1025,
        symbols=("f", "g"),
        statics=(
            Static(0x400100, 0, 1, 0, 0),
            Static(0x400104, 0, 0, 0, 0),
            Static(0x400200, 0, 2, 1, 1),
            Static(0xFFFF_8000_0000_1000, 1, 1, 1, 1),
        ),
        latencies=(Latencies(1, 2, 100, tuple(range(256))),),
        phases=(
            Phase(333_333, ((0, 1, 300), (0, 2, 101), (1, 0, 599), (2, 0, 7))),
            Phase(None, ((1, 0, 250), (3, 4, 50))),
        ),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def stream_of(made: Profile, *, exclude_kernel: bool = False) -> Stream:
    """The stream of a profile at 3 GHz."""
    return stream_of_profile(
        made,
        name="p",
        repeat=1,
        core="neoverse-n1",
        exclude_kernel=exclude_kernel,
        micro_ops=False,
        clock_hz=3 * 10**9,
    )


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


HEAD = [pf.time_conv(), pf.INFO_V1]


def opened(tmp_path: Path, data: bytes) -> PerfCapture:
    """The bytes as an open capture."""
    path = tmp_path / "perf.data"
    path.write_bytes(data)
    capture = open_capture(path)
    assert isinstance(capture, PerfCapture)
    return capture
