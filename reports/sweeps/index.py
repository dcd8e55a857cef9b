"""index.html over many runs and sweeps: what is in a folder, with its numbers and links.

A folder counts if its result is whole: `result.json` is the last thing that a sweep writes, and a
run directory appears under its name only when it is complete. What is neither is listed with why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reports.pages import templating
from reports.results.manifest import Manifest
from reports.results.metric import Metric
from reports.results.sweep_result import SweepResult
from reports.store.read import read_manifest, read_result
from reports.store.rundir import RunDirError
from reports.sweeps import sweeping
from reports.text import number, with_interval

INDEX = "index.html"
DEPTH = 3
"""Levels of folders that are searched."""
METRICS = (("loss.total", 100, "%"), ("time_added", 100, "%"), ("rlimit.exits_per_run", 1, ""))
HEAD = ("arm", "operations lost", "time added", "RLIMIT exits per VM and run")


@dataclass(frozen=True, slots=True)
class Entry:
    """One run or sweep."""

    path: str
    """Relative to the index."""
    link: str
    kind: str
    scenario: str
    question: str
    when: str
    about: str
    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Bad:
    """A folder that looks like one and has no whole result."""

    path: str
    why: str


def entries(folder: Path) -> Iterator[Entry | Bad]:
    """Runs and sweeps below a folder, by path; the inside of a run or sweep is not searched."""
    yield from _below(folder, folder, DEPTH)


def _below(root: Path, folder: Path, depth: int) -> Iterator[Entry | Bad]:
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if (path / sweeping.MANIFEST).is_file():
            yield _entry(root, path, _sweep)
        elif (path / "manifest.json").is_file() or (path / "result.json").is_file():
            yield _entry(root, path, _run)
        elif depth > 1 and not path.is_symlink():
            yield from _below(root, path, depth - 1)


def _entry(root: Path, path: Path, read: Any) -> Entry | Bad:
    relative = path.relative_to(root).as_posix()
    try:
        made: Entry = read(path, relative)
    except (RunDirError, OSError) as error:
        return Bad(relative, str(error))
    return made


def _run(path: Path, relative: str) -> Entry:
    result = read_result(path)
    manifest = read_manifest(path / "manifest.json")
    about = f"{len(result.arms)} arms, {result.replications} replications"
    if result.interrupted:
        about += ", interrupted"
    lines = tuple(
        (
            arm,
            *(
                with_interval(attrgetter(name)(result.arms[arm]), k, unit)
                for name, k, unit in METRICS
            ),
        )
        for arm in result.arm_order
    )
    return _made(path, relative, "run", (result.scenario, result.question), manifest, about, lines)


def _sweep(path: Path, relative: str) -> Entry:
    result = sweeping.read_result(path)
    manifest = read_manifest(path / sweeping.MANIFEST)
    failed = sum(row.failed for row in result.cells)
    about = f"{len(result.cells)} cells" + (f", {failed} failed" if failed else "")
    about += f" over {', '.join(result.axes)}"
    lines = tuple(
        (arm, *(_range(result, arm, name, k, unit) for name, k, unit in METRICS))
        for arm in result.arm_order
    )
    return _made(
        path, relative, "sweep", (result.scenario, result.question), manifest, about, lines
    )


def _made(
    path: Path,
    relative: str,
    kind: str,
    said: tuple[str, str],
    manifest: Manifest,
    about: str,
    lines: tuple[tuple[str, ...], ...],
) -> Entry:
    page = "report.html" if (path / "report.html").is_file() else "result.json"
    return Entry(
        relative,
        quote(f"{relative}/{page}"),
        kind,
        *said,
        _when(manifest.finished),
        about,
        lines,
    )


def _when(text: str) -> str:
    """To the minute, in words that people use."""
    return f"{text[:16].replace('T', ' ')} UTC" if text.endswith("+00:00") else text


def _range(result: SweepResult, arm: str, name: str, scale: float, unit: str) -> str:
    """Smallest to largest mean over the cells."""
    found = (row.number(arm, name) for row in result.cells)
    known = [m.mean for m in found if isinstance(m, Metric) and m.mean is not None]
    if not known:
        return "–"
    ends = [number(mean * scale) for mean in (min(known), max(known))]
    return (ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}") + f" {unit}".rstrip()


def page(folder: Path) -> str:
    """The index of a folder; links are relative to it."""
    found = list(entries(folder))
    return templating.render(
        "index.html.j2",
        folder=folder.resolve().name,
        head=HEAD,
        entries=[e for e in found if isinstance(e, Entry)],
        bad=[e for e in found if isinstance(e, Bad)],
    )
