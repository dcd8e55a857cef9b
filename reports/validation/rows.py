"""Rows of the table, and the machines whose numbers stand in them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis import theory
from analysis.statistics.intervals import no_variance, t_interval
from reports.store import csvdata
from reports.store.rows import Row as StoredRow
from reports.store.rows import read
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.run import Run
from sim.results import RunResult
from sim.scenario.models.scenario import DESIGNS, Arm, Settings

SEED = 20260101
REPLICATIONS = 30
GHZ = 3
"""Core clock; at one op a cycle a nanosecond is three ops."""
LOOP = 64
"""Ops of the loop: the 256 values of the random byte meet each op equally often."""
JITTERS = {"off": "no jitter", "on": "jitter", "ernd": "FEAT_SPE_ERnd"}


@dataclass(frozen=True, slots=True)
class Row(StoredRow):
    """A point, or with `simulated` None a place on a curve.

    `low` and `high` are the 95 % interval over replications; `z` is the distance from theory beyond
    what the end of a run may add, in standard errors.
    """

    TABLE = "validation"
    figure: str
    series: str
    x: float
    theory: float | None
    simulated: float | None = None
    low: float | None = None
    high: float | None = None
    z: float | None = None
    n: int = 0


_TYPES: dict[str, type[str] | type[int]] = {"figure": str, "series": str, "n": int}
SHAPE = tuple(csvdata.Column(f.name, _TYPES.get(f.name, float)) for f in fields(Row))


def point(
    figure: str, series: str, x: float, expected: float | None, found: ArrayLike, end: float = 0.0
) -> Row:
    """The row of one value per replication; without `expected` nothing is judged."""
    values = np.asarray(found, np.float64)
    mean, n = float(values.mean()), values.size
    exact = no_variance(values)
    low, high = (mean, mean) if exact else t_interval(values)
    z = None
    if expected is not None:
        error = 0.0 if exact else float(values.std(ddof=1)) / math.sqrt(n)
        off = mean - expected
        beyond = max(0.0, abs(off) - end - 1e-12)
        z = math.copysign(beyond / error if error else math.inf if beyond else 0.0, off)
    return Row(figure, series, float(x), expected, mean, low, high, z, n)


def curve(
    figure: str, series: str, x: Sequence[float], form: Callable[[float], float]
) -> Iterator[Row]:
    """The form over `x`."""
    for at in x:
        yield Row(figure, series, float(at), float(form(at)))


def settings(ops: int, **sections: Any) -> Settings:
    """One loop at one op a cycle, in flight for two, and no exits; `sections` on top."""
    phase = {
        "name": "loop",
        "length": LOOP,
        "iterations": ops // LOOP,
        "cpi_millis": 1000,
        "latency": {"kind": "constant", "value": "2cycles"},
    } | sections.pop("phase", {})
    base: dict[str, object] = {
        "workload": {"kind": "synthetic", "phases": [phase]},
        "driver": {"aux": "16MiB", "mode": "cpu"},
        "vm": {"exits": "0/s"},
    }
    return Settings.model_validate(base | sections)


def spe(period: int, jitter: str = "on", **more: object) -> dict[str, object]:
    """The SPU at any interval from 256."""
    return {"interval": f"{period}ops", "min_interval": "256ops", "jitter": jitter} | more


def runs(given: Settings, design: str = "baremetal", *, records: bool = False) -> list[RunResult]:
    """All replications of one design."""
    stream = stream_of(given)
    arm = Arm(name=design, design=design, policies=DESIGNS[design][0], settings=given)
    spec = machine_spec(arm, stream)
    return [
        simulate(spec, (stream,), Run(design, SEED, r, keep_records=records))
        for r in range(REPLICATIONS)
    ]


def beyond(jitter: str) -> float:
    """Mean gap less the period: the reload op, and 127.5 if the random byte accumulates."""
    return float(theory.gaps(1, jitter=jitter == "on").mean()) - 1


def dumps(rows: Sequence[Row]) -> str:
    """CSV; an empty cell is no value."""
    return csvdata.dumps(csvdata.Table(Row.TABLE, SHAPE, tuple(astuple(r) for r in rows)))


def loads(text: str) -> list[Row]:
    """Rows that `dumps` wrote."""
    return read(Row, {Row.TABLE: csvdata.loads(Row.TABLE, SHAPE, text)})


def digest(text: str) -> str:
    """What a figure says of the table that it was drawn from."""
    return hashlib.sha256(text.encode()).hexdigest()
