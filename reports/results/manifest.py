"""`manifest.json` of a run and `sweep.json` of a sweep: who made it, when, where and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reports.results.damage import Json

MANIFEST_VERSION: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that ran it."""

    system: str
    release: str
    machine: str
    cpus: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that may differ between two equal runs; times are UTC in ISO 8601."""

    manifest_version: Literal[1]
    scenario_hash: str
    seed: int
    argv: tuple[str, ...]
    options: Mapping[str, Json]
    started: str
    finished: str
    versions: Mapping[str, str]
    """Of Python and the packages that the run used."""
    host: Host
    scenario: str = ""
    """Its name; only a sweep's has it."""
    contents: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the recorded files of a run, by name; of two that share one by commas."""
