"""`make bench-compare A=… B=…`: two files of `make bench`, line by line, with an exit code.

Timings of one machine differ by some per cent from run to run, and by more if it is busy; a ratio
between two environments says as much about these as about the code, and is marked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.recording import BENCH_VERSION, HIGHER

SAME = ("python", "packages", "system", "cpu", "cpus")
"""Parts of the environment that make two files comparable."""
WORSE, CANNOT = 1, 2


def read(path: Path) -> dict[str, Any]:
    """A file of `make bench`; raises ValueError."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["bench_version"] != BENCH_VERSION:
            raise ValueError(f"{path}: bench version {found['bench_version']}, not {BENCH_VERSION}")
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no file of `make bench`: {error}") from error
    return found


def worse(name: str, unit: str, before: float, after: float) -> float:
    """By what factor `after` is worse than `before`; below 1: better."""
    if before <= 0 or after <= 0:
        raise ValueError(f"{name}: cannot compare {before} and {after}")
    return before / after if unit in HIGHER else after / before


def rows(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """(name, text, factor of B worse than A) of what both have; A's order."""
    after = {(m["name"], m["unit"]): m["value"] for m in b["measured"]}
    for m in a["measured"]:
        where = (m["name"], m["unit"])
        if where in after:
            factor = worse(*where, m["value"], after[where])
            text = f"{m['value']:12.4g} {after[where]:12.4g} {m['unit']:14}"
            yield m["name"], text, factor


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if something is worse than allowed, 2 if the files cannot be compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument(
        "--allow", type=float, default=1.25, help="factor by which B may be worse (default: 1.25)"
    )
    asked = parser.parse_args(arguments)
    try:
        a, b = read(asked.a), read(asked.b)
        compared = list(rows(a, b))
    except ValueError as error:
        print(error, file=sys.stderr)
        return CANNOT
    if not compared:
        print("the files have no line in common", file=sys.stderr)
        return CANNOT
    for key in SAME:
        if a["environment"].get(key) != b["environment"].get(key):
            print(f"different {key}: ratios are not about the code alone", file=sys.stderr)
    bad = 0
    for name, text, factor in compared:
        slow = factor > asked.allow
        bad += slow
        print(f"{name:58} {text} {factor:6.2f} {'WORSE' if slow else ''}".rstrip())
    print(f"{bad} of {len(compared)} lines are worse by more than {asked.allow} x", file=sys.stderr)
    return WORSE if bad else 0


if __name__ == "__main__":
    sys.exit(main())
