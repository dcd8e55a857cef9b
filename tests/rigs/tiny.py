"""A scenario that runs in a tenth of a second, with checks that pass, and a way to call speskew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result

from reports.cli.main import main

TINY = """\
name: tiny
replications: 3
seed: 7
workload:
  kind: synthetic
  repeat: 40
  phases:
    - {name: loop, length: 100, iterations: 500}
    - {name: walk, length: 37, iterations: 300, cpi_millis: 2000}
spe: {jitter: on}
driver: {aux: 8KiB}
switch: {every: 100us, away: 10us}
arms:
  - design: baremetal
  - design: v6
  - {name: cold, design: unpinned, overrides: {host.unmap: per_window}}
"""
CHECKS = {
    "counters": "{test: exact}",
    "same": "{test: equivalence, metric: arms.cold.profile.symbol.tvd_excess, within: 5%}",
    "little": "{test: bound, metric: arms.cold.loss.total, at_most: 10%}",
    "time": "{test: no_worse_than, metric: arms.cold.wall, relative: 1%}",
    "gaps": "{test: distribution, arm: cold, of: gaps, within: 10%}",
    "latencies": "{test: distribution, arm: cold, of: latencies, distance: wasserstein, "
    "within: 50cycles}",
    "exits": "{test: exact, metric: arms.v6.rlimit.exits, equals: 0}",
}
"""Checks that pass, by the name that they get."""


def scenario(*checks: str, more: str = "", file: str = "tiny.yaml") -> str:
    """A scenario with these checks; names of CHECKS stand for them."""
    lines = [CHECKS.get(check, check) for check in checks]
    named = [
        line.replace("{", f"{{name: {check}, ", 1) if check in CHECKS else line
        for check, line in zip(checks, lines, strict=True)
    ]
    text = "".join(f"  - {line}\n" for line in named)
    Path(file).write_text(TINY + (f"checks:\n{text}" if checks else "") + more)
    return file


def call(*args: str | Path) -> Result:
    """One command in this process."""
    return CliRunner().invoke(main, [str(arg) for arg in args])


def command(*words: str) -> Callable[..., Result]:
    """The calls that begin with these words: `command("memlock")("--help")`."""
    return lambda *args: call(*words, *args)


DIFFER = {"manifest.json", "log.jsonl"}


def files(folder: str) -> dict[str, bytes]:
    """Every file of a run directory that must not differ."""
    root = Path(folder)
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if name not in DIFFER}
