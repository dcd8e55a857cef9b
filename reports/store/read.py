"""A run directory read back: its result, and what pages are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.results import damage, shapes
from reports.results.damage import DamagedError, Json
from reports.results.manifest import MANIFEST_VERSION, Manifest
from reports.results.result import RESULT_VERSION, Result, of_json
from reports.store import rundir
from reports.store.csvdata import SHAPES, Column, Table, TableError, dumps, loads
from reports.store.rundir import RunDirError
from sim.errors import Kind

DATA = "data"


@dataclass(frozen=True, slots=True)
class Source:
    """What a page is made from."""

    result: Result
    tables: dict[str, Table]
    resolved: str
    """scenario.resolved.yaml"""
    versions: dict[str, str]
    """Of Python and the packages that the run used."""


class VersionError(RunDirError):
    """The run was made by a version whose results this one does not read."""

    kind = Kind.BASELINE


def write_data(folder: Path, tables: Mapping[str, Table]) -> None:
    """Every table as data/NAME.csv."""
    (folder / DATA).mkdir()
    for name, table in tables.items():
        text = dumps(table).encode("utf-8", "surrogatepass")
        (folder / DATA / f"{name}.csv").write_bytes(text)


def check_version(path: Path, document: Json, key: str, known: int) -> None:
    """Raises DamagedError for no version at all, and VersionError for another one than `known`."""
    if not isinstance(document, dict):
        raise DamagedError("must be an object")
    if key not in document:
        raise DamagedError("is missing", key)
    if type(document[key]) is not int:
        raise DamagedError("must be a whole number", key)
    if document[key] != known:
        raise VersionError(f"{path} has version {document[key]}, not {known}; make it again")


def read_result(folder: Path) -> Result:
    """result.json; raises RunDirError, or VersionError if it is of another version."""
    rundir.recover(folder)
    path = folder / "result.json"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise RunDirError(f"{folder} is no run directory: result.json: {reason}") from error
    except ValueError as error:
        raise RunDirError(f"{path} is no result of speskew: {error}") from error
    try:
        document = damage.loads(text)
        if isinstance(document, dict) and "cells" in document:
            raise RunDirError(f"{folder} is a sweep; name one of its cells: {folder}/cells/<id>")
        check_version(path, document, "result_version", RESULT_VERSION)
    except DamagedError as error:
        raise RunDirError(f"{path} is no result of speskew: {error}") from error
    try:
        return of_json(document)
    except DamagedError as error:
        raise RunDirError(f"{path}: {error}; run the scenario again") from error


def read_manifest(path: Path) -> Manifest:
    """manifest.json, or sweep.json; raises RunDirError, or VersionError if of another version."""
    try:
        document = damage.loads(path.read_text(encoding="utf-8"))
        check_version(path, document, "manifest_version", MANIFEST_VERSION)
        return shapes.read(Manifest, document)
    except OSError as error:
        raise RunDirError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except ValueError as error:
        raise RunDirError(f"{path}: {error}; it is damaged, run again") from error


def read(folder: Path) -> Source:
    """What a page is made from; raises RunDirError for what is missing or damaged."""
    result = read_result(folder)
    versions = dict(read_manifest(folder / "manifest.json").versions)
    try:
        resolved = (folder / "scenario.resolved.yaml").read_text("utf-8", "replace")
        tables = {
            name: _table(folder / DATA / f"{name}.csv", shape) for name, shape in SHAPES.items()
        }
    except OSError as error:
        raise RunDirError(f"{error.filename}: {error.strerror}; run the scenario again") from error
    except TableError as error:
        raise RunDirError(f"{folder / DATA}/{error}; run the scenario again") from error
    except ValueError as error:
        raise RunDirError(f"{folder}: damaged ({error}); run the scenario again") from error
    return Source(result, tables, resolved, versions)


LATER = frozenset({"decisions"})
"""Tables that runs of before they were made do not have."""


def _table(path: Path, shape: tuple[Column, ...]) -> Table:
    if path.stem in LATER and not path.exists():
        return Table(path.stem, shape, ())
    return loads(path.stem, shape, _text(path))


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogatepass")
