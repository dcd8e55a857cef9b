"""A run directory read back: its result, and what pages are made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.store.csvdata import SHAPES, Table, TableError, dumps, loads
from reports.store.result import RESULT_VERSION
from reports.store.rundir import RunDirError
from sim.errors import Kind

DATA = "data"


class VersionError(RunDirError):
    """The run was made by a version whose results this one does not read."""

    kind = Kind.BASELINE


@dataclass(frozen=True, slots=True)
class Source:
    """What a page is made from."""

    result: dict[str, Any]
    tables: dict[str, Table]
    resolved: str
    """scenario.resolved.yaml"""
    versions: dict[str, str]
    """Of Python and the packages that the run used."""


def write_data(folder: Path, tables: Mapping[str, Table]) -> None:
    """Every table as data/NAME.csv."""

    (folder / DATA).mkdir()
    for name, table in tables.items():
        text = dumps(table).encode("utf-8", "surrogatepass")
        (folder / DATA / f"{name}.csv").write_bytes(text)


def read_result(folder: Path) -> dict[str, Any]:
    """result.json; raises RunDirError, or VersionError if it is of another version."""

    path = folder / "result.json"
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(result, dict) and "cells" in result:
            raise RunDirError(f"{folder} is a sweep; name one of its cells: {folder}/cells/<id>")
        version = result["result_version"]
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise RunDirError(f"{folder} is no run directory: result.json: {reason}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunDirError(f"{path} is no result of speskew") from error
    if version != RESULT_VERSION:
        raise VersionError(f"{path} has version {version}, not {RESULT_VERSION}; run again")
    return result


def read(folder: Path) -> Source:
    """What a page is made from; raises RunDirError for what is missing or damaged."""

    result = read_result(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        versions = {str(k): str(v) for k, v in manifest["versions"].items()}
        resolved = (folder / "scenario.resolved.yaml").read_text("utf-8", "replace")
        tables = {
            name: loads(name, shape, _text(folder / DATA / f"{name}.csv"))
            for name, shape in SHAPES.items()
        }
    except OSError as error:
        raise RunDirError(f"{error.filename}: {error.strerror}; run the scenario again") from error
    except TableError as error:
        raise RunDirError(f"{folder / DATA}/{error}; run the scenario again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunDirError(f"{folder}: damaged ({error}); run the scenario again") from error
    return Source(result, tables, resolved, versions)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogatepass")
