"""Predict how much Arm SPE profiles differ between baremetal and KVM guests, and why.

    import speskew
    run = speskew.run("quickstart", set={"host.memlock": "64KiB"}, replications=4)
    run.arms["v6"].loss.mean, run.arms["v6"].time_added.ci95

No number it gives is a measurement. Everything here is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from speskew import _shadow

_shadow.check()

if TYPE_CHECKING:
    from analysis.statistics.intervals import Metric
    from reports.checks.baselines import BaselineError
    from reports.checks.checking import CheckError
    from reports.results.lookup import UnknownMetricError
    from reports.store.rundir import RunDirError
    from sim.errors import SpeskewError
    from sim.ledger import LawBrokenError
    from sim.scenario.files.document import ScenarioError
    from sim.workload.capture.profile import ProfileError
    from sim.workload.spestream import StreamError
    from speskew._arm import Arm
    from speskew._check import Checks, check
    from speskew._compare import Comparison, compare
    from speskew._run import Run, load, run
    from speskew._sweep import Sweep, load_sweep, sweep
    from speskew._words import (
        explain,
        list_designs,
        list_presets,
        list_scenarios,
        list_streams,
    )

__all__ = [
    "Arm",
    "BaselineError",
    "CheckError",
    "Checks",
    "Comparison",
    "LawBrokenError",
    "Metric",
    "ProfileError",
    "Run",
    "RunDirError",
    "ScenarioError",
    "SpeskewError",
    "StreamError",
    "Sweep",
    "UnknownMetricError",
    "check",
    "compare",
    "explain",
    "list_designs",
    "list_presets",
    "list_scenarios",
    "list_streams",
    "load",
    "load_sweep",
    "run",
    "sweep",
]

_HOMES = {
    "analysis.statistics.intervals": ("Metric",),
    "reports.checks.baselines": ("BaselineError",),
    "reports.checks.checking": ("CheckError",),
    "reports.results.lookup": ("UnknownMetricError",),
    "reports.store.rundir": ("RunDirError",),
    "sim.errors": ("SpeskewError",),
    "sim.ledger": ("LawBrokenError",),
    "sim.scenario.files.document": ("ScenarioError",),
    "sim.workload.capture.profile": ("ProfileError",),
    "sim.workload.spestream": ("StreamError",),
    "speskew._arm": ("Arm",),
    "speskew._check": ("Checks", "check"),
    "speskew._compare": ("Comparison", "compare"),
    "speskew._run": ("Run", "load", "run"),
    "speskew._sweep": ("Sweep", "load_sweep", "sweep"),
    "speskew._words": (
        "explain",
        "list_designs",
        "list_presets",
        "list_scenarios",
        "list_streams",
    ),
}
"""Where each name comes from."""


def __getattr__(name: str) -> Any:
    """PEP 562: a name is imported when it is asked for, and then stays."""
    for home, names in _HOMES.items():
        if name in names:
            found = getattr(importlib.import_module(home), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
