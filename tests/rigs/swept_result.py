"""The result of a made-up sweep: a failed cell, and names that are hostile."""

from __future__ import annotations

from typing import Any

from reports.results import sweep_result
from reports.results.sweep_result import SweepResult


def metric(mean: float | None, half: float = 0.0, unit: str = "fraction") -> dict[str, Any]:
    """A metric of four replications."""
    ci = None if mean is None else [mean - half, mean + half] if half else "exact"
    return {"mean": mean, "ci95": ci, "n": 4 if mean is not None else 0, "unit": unit}


def document(vary: float = 1.0) -> dict[str, Any]:
    """Two axes and a third of one level, two arms, one failed cell, names that are hostile."""
    cells = []
    for a, interval in enumerate(("1024ops", "4096ops", "16384ops")):
        for b, mode in enumerate(("task", "cpu")):
            loss = 0.0 if a == b == 0 else vary * 1e-5 * 10 ** (a + b)
            row: dict[str, Any] = {
                "id": f"cell-{a}{b}",
                "status": "finished",
                "reproduce": "speskew run x",
                "replications": 4,
                "settings": {"spe.interval": interval, "driver.mode": mode, "vm.vcpus": 1},
                "arms": {
                    "baremetal": {"loss.total": metric(0.0), "time_added": metric(0.0)},
                    EVIL: {"loss.total": metric(loss, loss / 10), "time_added": metric(b - 0.5)},
                },
            }
            cells.append(row)
    cells[3] = {k: v for k, v in cells[3].items() if k not in ("arms", "replications")} | {
        "status": "failed",
        "why": f"no luck {EVIL}",
    }
    return {
        "sweep_version": 1,
        "kind": "prediction",
        "scenario": EVIL,
        "question": "Why?",
        "seed": 1,
        "arm_order": ["baremetal", EVIL],
        "cells": cells,
        "axes": {
            "driver.mode": ["task", "cpu"],
            "spe.interval": ["1024ops", "4096ops", "16384ops"],
            "vm.vcpus": [1],
        },
    }


def made(vary: float = 1.0) -> SweepResult:
    """The same, as it is read."""
    return sweep_result.of_json(document(vary))


EVIL = "<script>x</script>"
