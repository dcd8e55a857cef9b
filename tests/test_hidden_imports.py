"""An import inside a function hides what a module needs: only these may, each for its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import analysis
import reports
import sim
import speskew

ROOMS = {
    "reports/cli/commands/": "the function of a verb imports what does its work",
    "reports/cli/completing.py": "a press of TAB imports what completes this one word",
}
PLACES = {
    "analysis/symbols.py": ("demangle", "slow to import, and few programs' names are mangled"),
    "analysis/tables.py": ("pandas", "slow to import, and a run writes its tables without"),
    "analysis/statistics/tails.py": ("scipy", "slow to import, and few commands need it"),
    "analysis/sweeps/sampling.py": ("SALib.sample", "for sampled sweeps only"),
    "analysis/sweeps/sensitivity.py": ("SALib.analyze", "for sampled sweeps only"),
    "reports/cli/errors.py": ("platform importlib", "for what never happens"),
    "reports/cli/figures.py": (
        "reports.runs reports.store.read reports.sweeps",
        "of a run or of a sweep, for a verb and for TAB",
    ),
    "reports/progress.py": ("rich.console rich.progress", "a bar, for terminals only"),
    "reports/runs/running.py": ("reports.runs", "matplotlib, for nothing without a report"),
    "reports/plotting.py": ("matplotlib matplotlib.font_manager", "its settings come first"),
    "reports/traces/perfetto.py": ("perfetto.trace_builder.proto_builder", "an extra"),
    "sim/machine/resolve.py": (
        "sim.workload.index sim.workload.profiled sim.workload.synthetic "
        "sim.workload.spestream sim.workload.capture sim.workload.sharing.index "
        "sim.workload.sharing.group",
        "the kind of stream that the scenario has, without the compiled code of the others",
    ),
    "sim/runs/cluster.py": (
        "distributed distributed.comm.addressing distributed.comm.registry distributed.security",
        "an extra",
    ),
}


def _modules() -> Iterator[tuple[str, str]]:
    """(path below the root, text) of every module of the four packages."""
    packages: tuple[ModuleType, ...] = (sim, analysis, reports, speskew)
    for package in packages:
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            yield path.relative_to(folder.parent).as_posix(), path.read_text(encoding="utf-8")


def hidden(text: str) -> set[str]:
    """Modules that functions import."""
    found = set()
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom):
                    found.add(node.module or ".")
                elif isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
    return found


def test_only_documented_places_hide_imports() -> None:
    """What is listed hides exactly these imports, and nothing else hides any."""
    found = {
        path: modules
        for path, text in _modules()
        if not path.startswith(tuple(ROOMS)) and (modules := hidden(text))
    }
    assert found == {path: set(names.split()) for path, (names, _) in PLACES.items()}


@pytest.mark.parametrize(
    "inside", ["from sim import units", "import sim.units", "if True:\n        import sim.units"]
)
def test_a_hidden_import_is_seen(inside: str) -> None:
    """Of either kind, at any depth, and none at the top of a module."""
    assert hidden(f"def f():\n    {inside}\n")
    assert not hidden("import sim\n\n\ndef f():\n    return sim\n")
