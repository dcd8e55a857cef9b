"""A workload profile: what a capture says of a program, in a file that a scenario can run.

Fidelity note. Carried: shares of symbols, addresses and operation types; memory levels; latencies
by class and level; time per op; phases. Not carried: see LIMITS, which the file repeats. Shares are
those of the records, so whatever biased the capture (collisions, filters, errata) is in them.
UNVERIFIED: with jitter the operations between two records are taken as N + 128, which holds without
FEAT_SPE_ERnd only (Arm ARM D17.3); a capture does not tell which it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim import inputs
from sim.errors import SpeskewError
from sim.scenario.models.quantities import MAX_INTERVAL, MAX_OPS, MAX_STATIC_OPS

FORMAT = "speskew-profile"
VERSION = 1
QUANTILES = 256
MAX_PHASES = 64
MAX_BYTES = 1 << 26
MAX_FS_PER_OP = 10**12
MAX_LATENCY = 0xFFFF
MAX_NAME = 4096
MAX_REMARKS = 256
_LEVELS, _CLASSES = 5, 6

LIMITS = (
    "The order of operations within a phase is not known: they are mixed at random. Loops that "
    "resonate with the sampling interval, and code that comes in bursts, do not show.",
    "Which code ran with interrupts masked is not known: none is. Losses of masked code do not "
    "show.",
    "Operations of one phase and exception level all take the same time; the time of a symbol is "
    "not known, only how long its operations are in flight.",
    "Threads and CPUs are put one after the other into one stream; choose one with --tid or --cpu.",
    "Shares are those of the records. What biased the capture (collisions, filters, errata, "
    "branch-target bias of early Neoverse N1) is in them.",
    "Symbols with few records are uncertain: an error of the square root of the count is ordinary.",
)
"""What a profile cannot carry, one sentence or two each."""


class ProfileError(SpeskewError):
    """A profile cannot be read. Reads "FILE: what, why, how to fix"."""


@dataclass(frozen=True, slots=True)
class Static:
    """One operation of the program: address, exception level, operation type, symbol's number."""

    pc: int
    el: int
    op_class: int
    op_payload: int
    symbol: int


@dataclass(frozen=True, slots=True)
class Latencies:
    """Time in flight of a TimingClass at a MemLevel: 256 ascending quantiles, cycles."""

    timing_class: int
    level: int
    records: int
    cycles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time: records by (static, level), each with its count; `fs_per_op` is the mean
    time of an operation [fs], None where the capture has no times."""

    fs_per_op: int | None
    cells: tuple[tuple[int, int, int], ...]

    @property
    def records(self) -> int:
        """Records of the phase."""
        return sum(count for _, _, count in self.cells)


@dataclass(frozen=True, slots=True)
class Profile:
    """A program as SPE saw it. One record stands for `ops_per_record` operations.

    `remarks` are the import's sentences about what in the capture is in doubt.
    """

    source: str
    interval: int
    ops_per_record: int
    symbols: tuple[str, ...]
    statics: tuple[Static, ...]
    latencies: tuple[Latencies, ...]
    phases: tuple[Phase, ...]
    remarks: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        """Records in all."""
        return sum(phase.records for phase in self.phases)

    @property
    def ops(self) -> int:
        """Operations that they stand for."""
        return self.records * self.ops_per_record


def ops_per_record(interval: int, *, jitter: bool) -> int:
    """Mean operations from one selection to the next for a requested period (Arm ARM D17.3)."""
    programmed = max(256, interval // 256 * 256)
    return programmed + (128 if jitter else 1)


# --- file ------------------------------------------------------------------------------------


def dumps(profile: Profile) -> str:
    """The file's text: JSON, equal for equal profiles."""
    statics = [[s.pc, s.el, s.op_class, s.op_payload, s.symbol] for s in profile.statics]
    phases = [{"fs_per_op": p.fs_per_op, "cells": p.cells} for p in profile.phases]
    body = {
        "format": FORMAT,
        "version": VERSION,
        "source": profile.source,
        "interval": profile.interval,
        "ops_per_record": profile.ops_per_record,
        "limits": LIMITS,
        **({"remarks": profile.remarks} if profile.remarks else {}),
        "symbols": profile.symbols,
        "statics": statics,
        "latencies": [asdict(row) for row in profile.latencies],
        "phases": phases,
    }
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in body.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def load(path: Path) -> Profile:
    """The profile in a file; raises ProfileError for whatever it is else."""
    try:
        raw = inputs.read_at_most(path, MAX_BYTES)
        if len(raw) > MAX_BYTES:
            raise ProfileError(f"{path}: larger than {MAX_BYTES:,} bytes; import fewer symbols")
        text = raw.decode()
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: is not UTF-8: {error}") from error
    try:
        return loads(text)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from None


def loads(text: str) -> Profile:
    """The profile in a text; raises ProfileError without a file's name."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"no JSON ({error}); make one with `speskew import spe`") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise ProfileError("no profile of speskew; make one with `speskew import spe`")
    if type(body.get("version")) is not int or body["version"] != VERSION:
        raise ProfileError(
            f"version {body.get('version')!r}, this speskew reads {VERSION}; import the capture "
            "again"
        )
    return _profile(body)


def _profile(body: Mapping[str, object]) -> Profile:
    symbols = tuple(_text(s, "symbols", MAX_NAME) for s in _list(body, "symbols", MAX_STATIC_OPS))
    statics = tuple(_static(row, len(symbols)) for row in _list(body, "statics", MAX_STATIC_OPS))
    profile = Profile(
        source=_text(body.get("source"), "source", MAX_NAME),
        interval=_int(body.get("interval"), "interval", 1, MAX_INTERVAL),
        ops_per_record=_int(body.get("ops_per_record"), "ops_per_record", 1, 1 << 33),
        symbols=symbols,
        statics=statics,
        latencies=tuple(_latency(r) for r in _list(body, "latencies", _LEVELS * _CLASSES, least=0)),
        phases=tuple(_phase(r, len(statics)) for r in _list(body, "phases", MAX_PHASES)),
        remarks=_remarks(body) if "remarks" in body else (),
    )
    check(profile)
    return profile


def _remarks(body: Mapping[str, object]) -> tuple[str, ...]:
    """Files of before have none."""
    found = _list(body, "remarks", MAX_REMARKS, least=0)
    return tuple(_text(remark, "remarks", MAX_NAME) for remark in found)


def check(profile: Profile) -> None:
    """Raises ProfileError if a profile is too large to be simulated."""
    if not 1 <= profile.interval <= MAX_INTERVAL:
        raise ProfileError(f"a period of {profile.interval:,} ops; it is 1 to {MAX_INTERVAL:,}")
    if profile.ops > MAX_OPS:
        raise ProfileError(
            f"{profile.ops:,} ops; at most {MAX_OPS:,}: import a part (--tid, --cpu)"
        )
    if len(profile.statics) > MAX_STATIC_OPS:
        raise ProfileError(
            f"{len(profile.statics):,} addresses; at most {MAX_STATIC_OPS:,}: import a part "
            "(--tid, --cpu)"
        )


def _static(row: object, symbols: int) -> Static:
    pc, el, op_class, payload, symbol = _row(row, "statics", 5)
    return Static(
        _int(pc, "statics.pc", 0, (1 << 64) - 1),
        _int(el, "statics.el", 0, 3),
        _int(op_class, "statics.op_class", 0, 2),
        _int(payload, "statics.op_payload", 0, 255),
        _int(symbol, "statics.symbol", 0, symbols - 1),
    )


def _latency(row: object) -> Latencies:
    if not isinstance(row, dict):
        raise _wrong("latencies", "not an object")
    cycles = tuple(
        _int(c, "latencies.cycles", 0, MAX_LATENCY) for c in _list(row, "cycles", QUANTILES)
    )
    if len(cycles) != QUANTILES or list(cycles) != sorted(cycles):
        raise _wrong("latencies.cycles", f"not {QUANTILES} ascending numbers")
    return Latencies(
        _int(row.get("timing_class"), "latencies.timing_class", 0, _CLASSES - 1),
        _int(row.get("level"), "latencies.level", 0, _LEVELS - 1),
        _int(row.get("records"), "latencies.records", 1, MAX_OPS),
        cycles,
    )


def _phase(row: object, statics: int) -> Phase:
    if not isinstance(row, dict):
        raise _wrong("phases", "not an object")
    fs = row.get("fs_per_op")
    cells = []
    for cell in _list(row, "cells", MAX_STATIC_OPS * _LEVELS):
        static, level, count = _row(cell, "phases.cells", 3)
        cells.append(
            (
                _int(static, "phases.cells.static", 0, statics - 1),
                _int(level, "phases.cells.level", 0, _LEVELS - 1),
                _int(count, "phases.cells.count", 1, MAX_OPS),
            )
        )
    return Phase(
        None if fs is None else _int(fs, "phases.fs_per_op", 1, MAX_FS_PER_OP), tuple(cells)
    )


def _wrong(what: str, why: str) -> ProfileError:
    return ProfileError(f"{what}: {why}; the file is damaged, import the capture again")


def _int(value: object, what: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(what, f"{str(value)[:40]!r} is no integer from {least} to {most}")
    return value


def _text(value: object, what: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise _wrong(what, f"no text of at most {most} characters")
    return value


def _list(body: Mapping[str, object], what: str, most: int, least: int = 1) -> list[Any]:
    value = body.get(what)
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise _wrong(what, f"no list of {least} to {most:,} entries")
    return value


def _row(value: object, what: str, size: int) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) != size:
        raise _wrong(what, f"an entry that is no list of {size}")
    return value
