"""Baselines: what a scenario's numbers were, committed, with provenance and tolerance.

A baseline holds the counters of each replication, so that a run with more or fewer of them is
compared on those that both have, and every metric with its interval. It is written by
`speskew baseline update` only. An entry that is not there counts as 0: a new kind of loss that
never happens changes nothing.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from reports.results import lookup
from reports.results.damage import DamagedError, Json
from reports.results.metric import Metric, as_json, from_json
from reports.results.result import Result
from reports.store.files import replace
from reports.store.rundir import scenario_hash
from reports.text import aligned, printable
from sim.errors import Kind, SpeskewError

Document = dict[str, Json]
"""A JSON object of any version; nothing is known of it but what `_flaws` has looked at."""
BASELINE_VERSION = 1
MAX_BYTES = 64 << 20
METRIC_TOLERANCE = 1e-9
"""Relative: libraries of another machine may round sums of floats differently."""
NAME_CHARS = 100
NOT_SET = "not set"
LISTED = 3
"""Deviations named in a sentence; the others are counted."""


class BaselineError(SpeskewError):
    """A baseline is missing, unreadable or of another schema version."""

    kind = Kind.BASELINE


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline file's content."""

    path: Path
    scenario: str
    seed: int
    replications: int
    tolerance: Mapping[str, float]
    counters: Mapping[str, Sequence[int]]
    metrics: Mapping[str, Metric]
    provenance: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    """What was simulated, by dotted name; empty in a baseline of before."""

    def as_dict(self) -> Document:
        """The JSON document."""
        return {
            "baseline_version": BASELINE_VERSION,
            "scenario": self.scenario,
            "seed": self.seed,
            "replications": self.replications,
            "tolerance": dict(self.tolerance),
            "provenance": dict(self.provenance),
            "settings": dict(self.settings),
            "counters": {k: list(v) for k, v in sorted(self.counters.items())},
            "metrics": {k: as_json(v) for k, v in sorted(self.metrics.items())},
        }


# --- where -----------------------------------------------------------------------------------


def path_for(name: str, folders: Sequence[Path]) -> Path:
    """Where a scenario's baseline is: `baselines/<name>.json` in the first folder that has it."""
    candidates = [beside(name, folder) for folder in folders]
    return next((path for path in candidates if path.is_file()), candidates[0])


def beside(name: str, folder: Path) -> Path:
    """The baseline's place for a scenario in `folder`, whatever characters its name has."""
    safe = re.sub(r"[^A-Za-z0-9._ -]+", "-", name).strip(". -")[:NAME_CHARS] or "scenario"
    return folder / "baselines" / f"{safe}.json"


# --- reading ---------------------------------------------------------------------------------


def read(path: Path) -> Baseline:
    """The baseline in a file; raises BaselineError with what to do."""
    document = read_document(path)
    version = version_of(document)
    if version != BASELINE_VERSION:
        raise BaselineError(_wrong_version(path, version))
    return _checked(path, document)


def version_of(document: Document) -> int | None:
    """The schema version of a document; None if it has none."""
    version = document.get("baseline_version")
    return version if type(version) is int and version >= 1 else None


def read_document(path: Path) -> Document:
    """The JSON object in a file, of any version."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BaselineError(f"{path} has more than {MAX_BYTES >> 20} MiB; this is no baseline")
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaselineError(
            f"{path}: no such baseline; --baseline names another, `speskew baseline update "
            "SCENARIO` makes it"
        ) from None
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{path} cannot be read as a baseline: {error}") from error
    if not isinstance(document, dict):
        raise BaselineError(f"{path} is no baseline: not a JSON object")
    return document


def _wrong_version(path: Path, version: int | None) -> str:
    if version is None:
        return f"{path} is no baseline of speskew: no baseline_version"
    if version > BASELINE_VERSION:
        return f"{path} has baseline_version {version}; upgrade speskew"
    return (
        f"{path} has baseline_version {version}, not {BASELINE_VERSION}: "
        f"run `speskew baseline migrate {path}`"
    )


def _checked(path: Path, document: Document) -> Baseline:
    """A baseline from a document of the present version; every field is checked."""
    wrong = list(_flaws(document))
    if wrong:
        raise BaselineError(f"{path} is damaged: {wrong[0]}; restore it or update it")
    return Baseline(
        path,
        document["scenario"],
        document["seed"],
        document["replications"],
        document["tolerance"],
        document["counters"],
        {name: from_json(value) for name, value in document["metrics"].items()},
        document["provenance"],
        document.get("settings", {}),
    )


def _flaws(document: Document) -> Iterator[str]:
    if not isinstance(document.get("scenario"), str):
        yield "scenario is no text"
    for key in ("seed", "replications"):
        if not _whole(document.get(key)):
            yield f"{key} is no count"
            return
    for key in ("tolerance", "counters", "metrics", "provenance"):
        if not isinstance(document.get(key), dict):
            yield f"{key} is no mapping"
            return
    if not isinstance(document.get("settings", {}), dict):
        yield "settings is no mapping"
        return
    for part in ("provenance", "settings"):
        for key, text in document.get(part, {}).items():
            if not isinstance(text, str):
                yield f"{part}.{key} is no text"
    tolerance = document["tolerance"].get("metrics")
    if type(tolerance) not in (int, float) or not 0 <= tolerance <= 1:  # True is 1
        yield "tolerance.metrics is no fraction"
    for name, row in document["counters"].items():
        right = isinstance(row, list) and len(row) == document["replications"]
        if not right or not all(_whole(x) for x in row):
            yield f"counters.{name} is no list of {document['replications']} counts"
    for name, value in document["metrics"].items():
        try:
            from_json(value)
        except DamagedError as error:
            yield str(error.under(name).under("metrics"))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


# --- making ----------------------------------------------------------------------------------


def make(path: Path, result: Result, settings: Mapping[str, str], command: str) -> Baseline:
    """The baseline of a result: its counters and metrics, and where they come from."""
    rows = lookup.counters(result)
    return Baseline(
        path=path,
        scenario=result.scenario,
        seed=result.seed,
        replications=max((len(row) for row in rows.values()), default=0),
        tolerance={"counters": 0, "metrics": METRIC_TOLERANCE},
        counters={name: row for name, row in rows.items() if any(row)},
        metrics={k: m for k, m in lookup.metrics(result).items() if m.mean is not None},
        provenance={
            "made": datetime.now(UTC).date().isoformat(),
            "command": command,
            "scenario_hash": digest(settings),
            "speskew": metadata.version("speskew"),
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        settings=dict(settings),
    )


def digest(settings: Mapping[str, str]) -> str:
    """Short name of what is simulated: no words, checks or number of replications are in it."""
    return scenario_hash(json.dumps(settings, sort_keys=True))


def changed_settings(baseline: Baseline, settings: Mapping[str, str]) -> list[str]:
    """``spe.interval 1024ops → 2048ops``, one for each; none if the baseline holds no settings."""
    old = baseline.settings
    names = [n for n in dict.fromkeys([*settings, *old]) if old.get(n) != settings.get(n)]
    return [f"{n} {old.get(n, NOT_SET)} → {settings.get(n, NOT_SET)}" for n in names if old]


def dumps(baseline: Baseline) -> str:
    """JSON with one line per counter and metric, so that a change reads well as a diff."""
    document = baseline.as_dict()
    lines = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            inner = ",\n".join(f"  {json.dumps(k)}: {_flat(v)}" for k, v in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {_flat(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _flat(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def write(baseline: Baseline) -> None:
    """Write the file whole or not at all."""
    baseline.path.parent.mkdir(parents=True, exist_ok=True)
    replace(baseline.path, dumps(baseline).encode())


# --- comparing -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One counter whose value is another, in one replication."""

    name: str
    replication: int
    old: int
    new: int

    def __str__(self) -> str:
        return f"{self.name} [{self.replication}] {self.old:,} → {self.new:,} ({_step(self)})"


def _step(change: Change) -> str:
    if change.old == 0:
        return f"{change.new - change.old:+,}"
    return f"{100 * (change.new - change.old) / change.old:+.3g} %"


def changes(
    old: Mapping[str, Sequence[int]], new: Mapping[str, Sequence[int]], replications: int
) -> list[Change]:
    """Counters that differ in the first `replications`, the largest relative change first."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = (rows.get(name, [0] * replications) for rows in (old, new))
        pairs = zip(before[:replications], after[:replications], strict=True)
        found += [Change(name, r, a, b) for r, (a, b) in enumerate(pairs) if a != b]
    return sorted(found, key=lambda c: (-abs(c.new - c.old) / max(1, abs(c.old)), c.name))


def below(rows: Mapping[str, Sequence[int]], name: str) -> dict[str, Sequence[int]]:
    """The counters at or below a dotted name."""
    return {k: v for k, v in rows.items() if name == "arms" or f"{k}.".startswith(f"{name}.")}


def same_metric(a: Metric, b: Metric, tolerance: float) -> bool:
    """True if two metrics agree within a relative tolerance, their intervals too."""
    if (a.n, a.unit, a.exact) != (b.n, b.unit, b.exact):
        return False
    ends = ((a.mean, b.mean), (a.low, b.low), (a.high, b.high))
    return all(_close(x, y, tolerance) for x, y in ends)


def _close(x: float | None, y: float | None, tolerance: float) -> bool:
    if x is None or y is None:
        return x is y
    return abs(x - y) <= tolerance * max(1.0, abs(x), abs(y))


def difference(old: Baseline | None, new: Baseline) -> list[str]:
    """Old → new, a line each; empty if nothing that is compared changed."""
    if old is None:
        return [f"{new.path}: new, {len(new.counters)} counters, {len(new.metrics)} metrics"]
    lines = [
        f"{key}: {getattr(old, key)} → {getattr(new, key)}"
        for key in ("seed", "replications")
        if getattr(old, key) != getattr(new, key)
    ]
    lines += changed_settings(old, new.settings)
    if not old.settings:
        lines.append(f"settings: {len(new.settings)} that the baseline did not hold")
    both = min(old.replications, new.replications)
    lines += [str(change) for change in changes(old.counters, new.counters, both)]
    tolerance = old.tolerance["metrics"]
    for name in sorted(old.metrics.keys() | new.metrics.keys()):
        a, b = old.metrics.get(name), new.metrics.get(name)
        if a is None or b is None:
            lines.append(f"{name}: {'new' if a is None else 'gone'}")
        elif not same_metric(a, b, tolerance):
            lines.append(f"{name}: {_said(a)} → {_said(b)}")
    return lines


def _said(m: Metric) -> str:
    mean = "none" if m.mean is None else f"{m.mean:.6g}"
    return f"{mean} {m.unit} (n = {m.n})"


def as_table(baseline: Baseline) -> str:
    """Provenance, then every metric, then each counter summed over replications."""
    rows = [
        ("scenario", baseline.scenario),
        ("seed", str(baseline.seed)),
        ("replications", str(baseline.replications)),
        *((key, str(value)) for key, value in baseline.provenance.items()),
        ("tolerance", ", ".join(f"{k} {v:g}" for k, v in baseline.tolerance.items())),
        *baseline.settings.items(),
        *((name, _said(m)) for name, m in baseline.metrics.items()),
        *((name, f"{sum(row):,}") for name, row in baseline.counters.items()),
    ]
    shown = [(printable(key), printable(text)) for key, text in rows]
    return "".join(f"{line}\n" for line in aligned(shown))


# --- migration -------------------------------------------------------------------------------


Step = Callable[[Document], Document]
STEPS: dict[int, Step] = {}
"""Version → what makes the next one of it. Version 1 is the first: there is none yet."""


def migrate(path: Path) -> Baseline:
    """A baseline of an older version as one of the present; raises BaselineError."""
    document = read_document(path)
    version = version_of(document)
    while version in STEPS:
        document = STEPS[version](document)
        version = version_of(document)
    if version != BASELINE_VERSION:
        raise BaselineError(_wrong_version(path, version))
    return _checked(path, document)
