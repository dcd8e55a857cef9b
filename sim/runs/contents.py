"""What a scenario's files hold: the same name may be another program tomorrow.

Results are kept under the contents of the streams that they are of, and a baseline knows which
program its numbers belong to: where they moved, somebody has to know whether it was recorded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sim import inputs
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.scenario import Scenario, Settings
from sim.scenario.models.workloads import Synthetic
from sim.workload.sharing.group import streams_of

_SHOWN = 16
"""Hexadecimal digits of a digest that people compare; 64 bits."""
PREFIX = "content of "
"""What a line about contents begins with, among those of settings."""


def stream_digest(settings: Settings) -> str:
    """SHA-256 of each file that the operations come from, by blanks; empty of synthetic ones."""
    return " ".join(_digest(file, inputs.stamp(file)) for file in _streams(settings))


def of(scenario: Scenario) -> dict[str, str]:
    """SHA-256 of the streams of all arms, by place in the stock or by name outside it.

    Of files that share a name by commas; of one that is no longer there an empty text.
    """
    found: dict[str, dict[str, None]] = {}
    for arm in scenario.arms:
        for file in _streams(arm.settings):
            found.setdefault(_name(file), {})[_digest_if_there(file)] = None
    return {name: ",".join(digests) for name, digests in found.items()}


def named(contents: Mapping[str, str]) -> dict[str, str]:
    """Lines for people: ``content of PATH`` → ``sha256`` and the beginning of each digest."""
    return {
        f"{PREFIX}{name}": ", ".join(
            f"sha256 {digest[:_SHOWN]}" if digest else "not there" for digest in digests.split(",")
        )
        for name, digests in contents.items()
    }


def _streams(settings: Settings) -> tuple[Path, ...]:
    workload = settings.workload
    if isinstance(workload, Synthetic):
        return ()
    path = stock_folder() / workload.path
    return streams_of(path) if workload.kind == "threads" else (path,)


def _name(file: Path) -> str:
    stock = stock_folder()
    return file.relative_to(stock).as_posix() if file.is_relative_to(stock) else file.name


def _digest_if_there(file: Path) -> str:
    try:
        return _digest(file, inputs.stamp(file))
    except OSError:
        return ""


@cache
def _digest(path: Path, stamp: tuple[int, ...]) -> str:
    """Of a file that is the one of `stamp`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
