"""What the functions take: scenarios, settings, where progress goes."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from reports import notebook
from reports.progress import Display, Progress, Terminal, Told
from sim.scenario.files import given, loader

Scenario = str | os.PathLike[str] | Mapping[str, object]
"""A stock scenario's name, a path, YAML text (it has a line break), or what YAML would hold."""
Engine = Literal["fast", "reference"]
ENGINES = ("fast", "reference")


def source(scenario: Scenario) -> loader.Source:
    """As the loader takes it; raises ScenarioError for values that no YAML holds."""
    if isinstance(scenario, Mapping):
        return given.of_values(scenario)
    if isinstance(scenario, str) and "\n" in scenario:
        return given.of_text(scenario)
    return scenario if isinstance(scenario, str) else Path(scenario)


def overrides(settings: Mapping[str, object] | None) -> tuple[str, ...]:
    """``KEY=VALUE`` as `--set` takes them; text is YAML, as it is there."""
    return tuple(f"{key}={_written(value)}" for key, value in (settings or {}).items())


def warn(remarks: Iterable[object]) -> None:
    """What a caller of the caller may not expect of what was asked for."""
    for one in remarks:
        warnings.warn(str(one), stacklevel=3)


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=_plain)


def _plain(value: object) -> object:
    """Of numpy's numbers and of paths, what JSON can write."""
    item = getattr(value, "item", None)
    return item() if callable(item) else os.fspath(value)  # type: ignore[call-overload]


def checked(jobs: int, engine: str) -> None:
    """Raises ValueError for what the command line's own types refuse."""
    if jobs < 1:
        raise ValueError(f"jobs must be 1 or more, not {jobs}")
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")


def display(progress: bool | Progress) -> Display:
    """A bar in a notebook or on a terminal; nothing elsewhere, or if progress is False."""
    if callable(progress):
        return Told(progress)
    if progress and notebook.in_kernel():
        return Told(notebook.Line().say)
    return Terminal(quiet=not (progress and sys.stderr.isatty()))
