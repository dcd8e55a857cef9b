"""Counts of a capture and the table that they make, on captures made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from reports.captures.calibrating import Calibration, calibrate, counts_of, shown, table_text
from reports.captures.loops import CodeLoop
from sim.scenario.files.document import parse
from sim.scenario.models.selection import SelectionTable
from sim.workload.a64 import OpClass
from sim.workload.capture.records import CAPTURE_DT, Packet
from sim.workload.capture.source import AuxFlags, Batch, CaptureError, Facts, Reading

CLASSES = np.array([1, 0, 2, 1, 0, 4], np.uint8)
LOOPS = [CodeLoop("a", 0x1000, CLASSES), CodeLoop("b", 0x1018, CLASSES[::-1].copy())]


@dataclass(frozen=True, slots=True)
class Made:
    """A capture of these PCs, at EL0 unless they say otherwise."""

    pcs: np.ndarray
    facts: Facts = field(default_factory=lambda: Facts("perf.data", interval=4096, jitter=True))

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """In two."""
        for part in np.array_split(self.pcs, 2):
            records = np.zeros(part.size, CAPTURE_DT)
            records["pc"], records["present"] = part, Packet.PC
            yield Batch(0, 0, np.zeros(part.size, np.int64), records)


def _silent(records: int) -> None:
    assert records >= 0


def _calibrated(made: Made) -> Calibration:
    return calibrate(made, LOOPS, "made.data", _silent)


def test_counts_are_of_the_loops_at_el0() -> None:
    """Each op's own; what lies before, between and behind, or at EL1, is left out."""
    inside = [0x1000, 0x1000, 0x1014, 0x1018, 0x102C]
    outside = [0xFFC, 0x1030, 0x1 << 61 | 0x1000]
    counts, records = counts_of(Made(np.array(inside + outside, np.uint64)), LOOPS, _silent)
    assert [c.tolist() for c in counts] == [[2, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1]]
    assert records == 8


def test_a_class_that_has_twice_the_samples_weighs_twice() -> None:
    """Loads 2, all others 1: exactly, and what was in no loop weighs as the mean."""
    weights = np.where(CLASSES == OpClass.LOAD, 2, 1) * 300
    pcs = [
        np.repeat(0x1000 + 4 * np.arange(6), weights),
        np.repeat(0x1018 + 4 * np.arange(6), weights[::-1]),
    ]
    made = _calibrated(Made(np.concatenate(pcs).astype(np.uint64)))
    rows = made.table.weights
    assert rows.load[0] / rows.other[1] == pytest.approx(2, rel=1e-3)
    assert rows.atomic == (1.0,) * 9
    assert made.used == made.records == 2 * 8 * 300
    assert made.fit.dispersion < 0.01 < 10 < made.even
    assert made.remarks == ()
    assert "1.500 ± " in shown(made)  # 2 of a mean of 8/6
    table = SelectionTable.model_validate(parse(table_text(made), "made", []).plain())
    assert table == made.table


def test_what_a_capture_lacks_is_said() -> None:
    """No jitter, few samples, collisions: remarks. A filter, or nothing of the loops: errors."""
    pcs = np.repeat(0x1000 + 4 * np.arange(12), 5).astype(np.uint64)
    facts = Facts("perf.data", jitter=False, aux=AuxFlags(records=9, collision=3))
    said = " ".join(_calibrated(Made(pcs, facts)).remarks)
    assert "jitter=1" in said
    assert "5 samples only" in said
    assert "3 AUX records tell of collisions" in said
    with pytest.raises(CaptureError, match="with a filter"):
        _calibrated(Made(pcs, replace(facts, filtered=True)))
    with pytest.raises(CaptureError, match=r"none of its 5 records is of a loop"):
        _calibrated(Made(np.full(5, 0x400000, np.uint64)))
