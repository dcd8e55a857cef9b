"""The run directory: what a run leaves behind, written whole or not at all.

Files are written into a temporary directory beside the target, which is then renamed. All are
byte-identical for equal input except `manifest.json` and `log.jsonl`, which say when, where and by
what the run was made.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from reports.results.manifest import MANIFEST_VERSION, Host, Manifest
from sim.errors import SpeskewError

HASH_CHARS = 8
PACKAGES = (
    "speskew",
    "simpy",
    "numpy",
    "numba",
    "llvmlite",
    "pydantic",
    "ruamel.yaml",
    "pandas",
    "scipy",
    "SALib",
    "matplotlib",
    "jinja2",
    "pyarrow",
    "click",
)


class RunDirError(SpeskewError):
    """The run directory cannot be written as asked."""


@dataclass(slots=True)
class Log:
    """Events of the run with their wall-clock times; becomes log.jsonl."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event: str, **values: object) -> None:
        """One event now."""
        self.events.append({"t": _stamp(datetime.now(UTC)), "event": event, **values})

    def lines(self) -> str:
        """JSON, one object a line."""
        return "".join(json.dumps(e, sort_keys=True) + "\n" for e in self.events)


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds")


def scenario_hash(resolved: str) -> str:
    """Short name of a resolved scenario's content."""
    return hashlib.sha256(resolved.encode()).hexdigest()[:HASH_CHARS]


def default_path(name: str, resolved: str) -> Path:
    """runs/<name>-<hash8>, whatever characters the name has."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:60] or "run"
    return Path("runs") / f"{safe}-{scenario_hash(resolved)}"


def check_target(target: Path, *, force: bool) -> None:
    """Refuse early what `write` would refuse late."""
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir() or target.is_symlink():
        raise RunDirError(f"{target} exists and is no directory")
    if not any(target.iterdir()):
        return
    if not force:
        raise RunDirError(f"{target} exists; give --force to replace it, or -o another directory")
    if not (target / "manifest.json").is_file():
        raise RunDirError(f"{target} is not a run directory (no manifest.json); not replacing it")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A temporary directory that becomes `target` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield stage
        stage.chmod(0o777 & ~umask())
        _swap(stage, target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def umask() -> int:
    """The process's file mode creation mask."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _swap(stage: Path, target: Path) -> None:
    """Put `stage` where `target` is; an old `target` goes only after the new one is in place."""
    if not target.exists():
        stage.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    target.rename(old / "run")
    try:
        stage.rename(target)
    except OSError:
        (old / "run").rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def manifest(
    *, resolved: str, seed: int, argv: Sequence[str], options: Mapping[str, object], log: Log
) -> Manifest:
    """Who, when, where, with what: everything that may differ between two equal runs."""
    return Manifest(
        manifest_version=MANIFEST_VERSION,
        scenario_hash=scenario_hash(resolved),
        seed=seed,
        argv=tuple(argv),
        options=dict(options),
        started=_stamp(log.started),
        finished=_stamp(datetime.now(UTC)),
        versions={"python": platform.python_version()} | _versions(),
        host=Host(platform.system(), platform.release(), platform.machine(), os.cpu_count()),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def write_text(folder: Path, name: str, text: str) -> None:
    """One UTF-8 file with Unix line ends."""
    (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))


def dump_json(value: object) -> str:
    """Sorted, indented, strict JSON."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n"
