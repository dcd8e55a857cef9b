"""Timings of a `make bench`: a line each as they are made, one JSON file with the environment."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from reports.store.rundir import PACKAGES
from tests.needs import found, run

BENCH_VERSION = 1
GROUPS = ("frequent", "targeted", "simulation")
HIGHER = ("x", "M samples/s", "M ops/s", "ops/s", "M/s", "MB/s")
"""Units of which more is better; of any other, less."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One number. `target` is what the project holds itself to, empty if nothing."""

    group: str
    name: str
    value: float
    unit: str
    target: str


MEASURED: list[Measured] = []
"""Of this session."""


def line(group: str, name: str, value: float, unit: str, target: str = "") -> None:
    """Print a number and keep it for the file."""
    assert group in GROUPS
    MEASURED.append(Measured(group, name, value, unit, target))
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    print(f"\n  {name:58} {shown:>12} {unit:14} {target}", end="")


def environment() -> dict[str, Any]:
    """What timings depend on, as far as the machine tells."""
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "commit": _commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


def _commit() -> str:
    if not found("git"):
        return ""
    here = Path(__file__).parent
    said = run(
        "git", "-C", here, "describe", "--always", "--dirty", check=False, capture_output=True
    )
    return said.stdout.strip()


def dumps(measured: Sequence[Measured], where: Mapping[str, Any]) -> str:
    """The file."""
    rows = [asdict(m) for m in measured]
    found = {"bench_version": BENCH_VERSION, "environment": where, "measured": rows}
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True)
class Process:
    """A whole process: wall seconds and peak memory in MiB, medians."""

    seconds: float
    peak: float


_PEAK = "peak-of-process"
_AT_EXIT = f"""\
import atexit
def _peak():
    with open("/proc/self/status") as status, open({_PEAK!r}, "w") as out:
        out.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
atexit.register(_peak)
"""
"""What a process says of itself: the kernel's ru_maxrss counts the parent that it was forked of."""


def whole_process(code: str, arguments: Sequence[str], times: int, cwd: Path) -> Process:
    """Run Python code a few times after one warm-up; it must succeed. Peak: without workers."""
    command = [sys.executable, "-c", _AT_EXIT + code, *arguments]
    walls, peaks = [], []
    for attempt in range(times + 1):
        began = time.perf_counter()
        subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        if attempt:
            walls.append(time.perf_counter() - began)
            peaks.append(int((cwd / _PEAK).read_text()) / 1024)
    middle = times // 2
    return Process(sorted(walls)[middle], sorted(peaks)[middle])
