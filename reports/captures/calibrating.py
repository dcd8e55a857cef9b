"""From a capture of the calibration program to a table of weights, with errors.

What is measured is which op of a loop is recorded, so records that are lost or that collide count
as ops that are chosen less, as they do in the table's use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.fidelity.selection import Fit, Loop, fit, weights_with_errors
from reports.captures.loops import CodeLoop
from reports.text import aligned
from sim.scenario.files.dump import as_yaml, plain
from sim.scenario.models.selection import ClassRows, SelectionTable
from sim.workload.a64 import OpClass
from sim.workload.capture.records import Packet, code_address, exception_level, has
from sim.workload.capture.source import Capture, CaptureError, Facts, Reading

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
SOURCE = "calibrate.c"
WINDOW = 32
"""Ops among which a selection may move; longer than the loops, which cannot tell it. UNVERIFIED."""
DISTANCES = (0, 1, 2, 3, 4, 6, 8, 12, 16)
"""Ops since the last taken branch from which on each weight holds."""
PERIOD = 4096
"""Ops between samples of the printed command: no sample is in flight for so long."""
FEW = 100
"""Samples in an op's cell below which its error is larger than a tenth."""
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Calibration:
    """A table, and what it was made of: records of the loops, all records, the fit."""

    table: SelectionTable
    used: int
    records: int
    smallest: int
    """Samples in the cell that has the fewest."""
    fit: Fit
    even: float
    """χ²/df of equal weights: what is to be explained at all."""
    remarks: tuple[str, ...]


def source_text() -> bytes:
    """The calibration program in C."""
    return resources.files("reports.captures").joinpath(SOURCE).read_bytes()


def commands(source: Path) -> list[str]:
    """What to do with the program on the machine whose core is to be calibrated."""
    return [
        f"gcc -O1 -no-pie -o calibrate {source}",
        f"perf record -e arm_spe_0/period={PERIOD},jitter=1/u -o calibrate.data -- ./calibrate",
        "speskew calibrate calibrate.data --program calibrate -o selection.yaml",
    ]


def counts_of(
    capture: Capture, loops: Sequence[CodeLoop], progress: Callable[[int], None]
) -> tuple[list[I64], int]:
    """Samples of each op of each loop, and all records of the capture."""
    counts = [np.zeros(loop.classes.size, np.int64) for loop in loops]
    begins = np.array([loop.address for loop in loops], np.uint64)
    total = 0
    for batch in capture.batches(Reading()):
        records = batch.records
        total += records.size
        user = has(records, Packet.PC) & (exception_level(records["pc"]) == 0)
        pcs = code_address(records["pc"][user])
        which = np.searchsorted(begins, pcs, "right").astype(np.int64) - 1
        for k, loop in enumerate(loops):
            inside = pcs[(which == k) & (pcs < np.uint64(loop.end))]
            offsets = ((inside - np.uint64(loop.address)) >> np.uint64(2)).astype(np.int64)
            counts[k] += np.bincount(offsets, minlength=loop.classes.size)
        progress(total)
    return counts, total


def calibrate(
    capture: Capture, loops: Sequence[CodeLoop], name: str, progress: Callable[[int], None]
) -> Calibration:
    """Weights by op class and distance from a capture of the loops; raises CaptureError.

    `name` of the capture stands in the table's source.
    """
    facts = capture.facts
    if facts.filtered:
        raise CaptureError(
            f"{name}: recorded with a filter, so that ops are missing by choice; record it with "
            f"`{commands(Path(SOURCE))[1]}`"
        )
    counts, records = counts_of(capture, loops, progress)
    used = int(sum(c.sum() for c in counts))
    if used == 0:
        raise CaptureError(
            f"{name}: none of its {records:,} records is of a loop of the program; is it the "
            "program that was recorded, and linked with -no-pie?"
        )
    seen = [_seen(loop, c) for loop, c in zip(loops, counts, strict=True)]
    found = fit(seen)
    cells = np.bincount(
        np.concatenate([_cells(loop) for loop in loops]),
        np.concatenate(counts),
        len(OpClass) * len(DISTANCES),
    )
    even = fit([Loop(np.zeros((c.size, 1)), np.arange(c.size), c.astype(float)) for c in counts])
    there = np.unique(np.concatenate([_cells(loop) for loop in loops]))
    text = f"speskew calibrate, {used:,} records of {name}, {_core(facts)}"
    return Calibration(
        table=_table(found, seen, there, text),
        used=used,
        records=records,
        smallest=int(cells[there].min()),
        fit=found,
        even=even.dispersion,
        remarks=tuple(_remarks(facts, int(cells[there].min()))),
    )


def _cells(loop: CodeLoop) -> I64:
    """Which cell each op [ops] of a loop is in: class × distances + step."""
    step = np.searchsorted(DISTANCES, np.arange(loop.classes.size), "right") - 1
    return np.asarray(loop.classes.astype(np.int64) * len(DISTANCES) + step)


def _seen(loop: CodeLoop, counts: I64) -> Loop:
    design = np.eye(len(OpClass) * len(DISTANCES))[_cells(loop)]
    return Loop(design, np.arange(counts.size), counts.astype(np.float64))


def _table(found: Fit, seen: Sequence[Loop], there: I64, source: str) -> SelectionTable:
    """What was not in the loops weighs as much as the mean, with an error as large."""
    size = len(OpClass) * len(DISTANCES)
    weights, errors = weights_with_errors(found, np.eye(size), seen)
    absent = np.setdiff1d(np.arange(size), there)
    weights[absent] = errors[absent] = 1.0
    return SelectionTable(
        selection_table=1,
        source=source[:500],
        window=WINDOW,
        distances=DISTANCES,
        weights=_rows(weights),
        errors=_rows(errors),
    )


def _rows(values: F64) -> ClassRows:
    by_class = values.reshape(len(OpClass), -1)
    names = ClassRows.model_fields
    return ClassRows(
        **{
            name: tuple(round(float(value), DIGITS) for value in row)
            for name, row in zip(names, by_class, strict=True)
        }
    )


def _core(facts: Facts) -> str:
    midr = "core not told" if facts.midr is None else f"MIDR {facts.midr:#x}"
    return midr if facts.interval is None else f"{midr}, period {facts.interval}"


def _remarks(facts: Facts, smallest: int) -> Iterator[str]:
    if facts.jitter is False:
        yield (
            "recorded without jitter: the interval may resonate with the loops; record again with "
            "jitter=1"
        )
    if smallest < FEW:
        yield (
            f"a cell of the table has {smallest} samples only; run the program with more iterations"
        )
    if facts.aux is not None and facts.aux.collision:
        yield (
            f"{facts.aux.collision} AUX records tell of collisions: ops behind slow ones are "
            "missing; record with a longer period"
        )


def shown(made: Calibration) -> str:
    """The table for people: a row for each distance, weight ± standard error."""
    table, names = made.table, list(ClassRows.model_fields)
    errors = table.errors.rows() if table.errors else ()
    rows = [["distance", *names]]
    ends = [*(f"{end - 1}" for end in table.distances[1:]), "…"]
    for k, (begin, end) in enumerate(zip(table.distances, ends, strict=True)):
        cells = [
            f"{w[k]:.3f} ± {e[k]:.3f}" for w, e in zip(table.weights.rows(), errors, strict=True)
        ]
        rows.append([f"{begin}" if end == f"{begin}" else f"{begin}–{end}", *cells])
    head = (
        f"{made.used:,} of {made.records:,} records are of the loops; 1 is the loops' mean op; "
        "distance in ops from the last taken branch"
    )
    fits = (
        f"χ²/df {made.even:.2f} for equal weights, {made.fit.dispersion:.2f} for the table; errors "
        "are wider by the root of what is above 1"
    )
    return "\n".join([head, *aligned(rows), fits]) + "\n"


def table_text(made: Calibration) -> str:
    """The table as the YAML file that `spe.selection` names."""
    head = "# Weights of hardware-like selection, made by `speskew calibrate`; use it with\n"
    head += "#   spe: {selection: THIS_FILE}\n"
    return head + as_yaml(plain(made.table))
