"""A capture in which nothing is wrong, or one thing."""

from __future__ import annotations

import json
from typing import Any

from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import load, variable
from tests.rigs.tiny import call

HEAD = [pf.time_conv(), pf.INFO_V2, pf.comm(42, b"x")]


def good(*, flags: int, config: int = 1 | 1 << 16, period: int = 1024, hole: int = 0) -> bytes:
    """A clean capture of 400 records; `hole` ns are added in the middle."""
    stream = b"".join(
        variable(load(0x400100 + 4 * (k % 3), 1000 + 300 * k + hole * (k >= 200), source=0))
        for k in range(400)
    )
    records = [*HEAD, pf.aux(0, len(stream), flags), pf.auxtrace(stream, 0)]
    return pf.perf_data(records, config=config, period=period, command=[b"perf", b"record"])


def reported(name: str = "perf.data", *options: str) -> dict[str, Any]:
    """The JSON form of a report."""
    result = call("report", "spe", name, "--format", "json", *options)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found
