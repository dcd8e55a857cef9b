"""The run directory: what a run leaves behind, written whole or not at all.

Files are written into a temporary directory beside the target, which is then renamed. All are
byte-identical for equal input except `manifest.json` and `log.jsonl`, which say when, where and by
what the run was made.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from reports.results.manifest import MANIFEST_VERSION, Host, Manifest
from sim import scratch
from sim.errors import SpeskewError
from sim.interrupts import uninterrupted

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
    events: list[dict[str, object]] = field(default_factory=list)

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


CLAIM = f"{scratch.PREFIX}run-"
_NEW, _OLD = "new", "old"
"""What a claim has in it: the directory that is being made, and the one that it replaces."""


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A directory that becomes `target` when the block ends without an error.

    Until then nobody else can make `target`: raises RunDirError if somebody is at it, or if it
    cannot be written. Folders above it that had to be made go again if the block fails.
    """
    missing = [folder for folder in target.parents if not folder.exists()]
    make_folder(target.parent, target)
    try:
        with _claimed(target) as stage:
            yield stage
    except BaseException:
        with suppress(OSError):  # not empty: somebody else uses it by now
            for folder in missing:
                folder.rmdir()
        raise


@contextmanager
def _claimed(target: Path) -> Iterator[Path]:
    with _attributed(target):
        recover(target)
        name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
        claim = target.parent / f"{CLAIM}{name}"
        try:
            with scratch.claimed(claim, _finish):
                stage = claim / _NEW / target.name
                stage.mkdir(parents=True)
                yield stage
                _put(claim, target)
        except scratch.BusyError as error:
            why = "is being written by another process"
            raise RunDirError(f"{target} {why}; wait for it, or give -o another one") from error


def make_folder(folder: Path, target: Path) -> None:
    """The folder that `target` needs; raises RunDirError, which names `target`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"{folder}: {error.strerror or error}"
        raise RunDirError(f"{target} cannot be written: {why}; give another one") from error


def recover(target: Path) -> None:
    """Finish what a process that was killed has begun beside `target`.

    One that was killed amid the replacing of a directory has left two, both whole, under no name.
    """
    for claim in scratch.ours(target.parent, CLAIM):
        with suppress(scratch.BusyError, OSError), scratch.claimed(claim, _finish):
            pass


def _finish(claim: Path) -> None:
    """Put what a claim holds in its place, if there is nothing, and leave the claim empty."""
    for old in claim.glob(f"{_OLD}/*"):
        place = claim.parent / old.name
        new = claim / _NEW / old.name
        if not os.path.lexists(place):
            (new if new.is_dir() else old).rename(place)
    for name in (_OLD, _NEW):
        shutil.rmtree(claim / name, ignore_errors=True)


def _put(claim: Path, target: Path) -> None:
    """Give the new directory its name; that which has it stays until then."""
    stage = claim / _NEW / target.name
    stage.chmod(0o777 & ~scratch.umask())
    # whoever asks for an end amid this gets it: all is done
    with suppress(KeyboardInterrupt), uninterrupted():
        if target.is_dir():
            (claim / _OLD).mkdir()
            target.rename(claim / _OLD / target.name)
        stage.rename(target)


@contextmanager
def _attributed(target: Path) -> Iterator[None]:
    """What cannot be written is `target`: the names of scratch tell a user nothing."""
    try:
        yield
    except OSError as error:
        named = str(error.filename or "")
        if error.errno == errno.EPIPE or (named and scratch.PREFIX not in named):
            raise
        raise RunDirError(f"{target}: not written: {error.strerror or error}") from error


def manifest(
    *,
    resolved: str,
    seed: int,
    argv: Sequence[str],
    options: Mapping[str, object],
    log: Log,
    contents: Mapping[str, str] = MappingProxyType({}),
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
        contents=dict(contents),
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
