"""A shipped stream, with the kernel beside it or without."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from sim.scenario.models.workloads import KernelOverlay
from sim.workload.arrays import Stream
from sim.workload.index import recorded_stream

THREAD = Path(str(files("scenarios") / "streams" / "threads.1.spestream"))
CLOCK = 3 * 10**9
OVERLAY = KernelOverlay.model_validate({"tick_every": "200us", "svc_ops": "900ops"})


def recorded(
    overlay: KernelOverlay | None = None,
    *,
    micro_ops: bool = False,
    exclude: bool = True,
    repeat: int = 2,
) -> Stream:
    """The stream of the first thread, `repeat` times."""
    return recorded_stream(
        THREAD,
        repeat=repeat,
        core="neoverse-n1",
        exclude_kernel=exclude,
        micro_ops=micro_ops,
        overlay=overlay,
        clock_hz=CLOCK,
    )
