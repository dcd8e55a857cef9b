"""From a run directory to its reports: report.html, report.md, and figures as files.

`run` ends with the same call, so that a page built again is the page of the run.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.store.rundir import RunDirError, umask

if TYPE_CHECKING:
    from reports.store.csvdata import Table
    from reports.pages.page import Source

DATA = "data"
FIGURES = "figures"


class VersionError(RunDirError):
    """The run was made by a version whose results this one does not read."""


def write_data(folder: Path, tables: Mapping[str, Table]) -> None:
    """Every table as data/NAME.csv."""
    from reports.store.csvdata import dumps

    (folder / DATA).mkdir()
    for name, table in tables.items():
        text = dumps(table).encode("utf-8", "surrogatepass")
        (folder / DATA / f"{name}.csv").write_bytes(text)


def read_result(folder: Path) -> dict[str, Any]:
    """result.json; raises RunDirError, or VersionError if it is of another version."""
    from reports.store.result import RESULT_VERSION

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
    from reports.store.csvdata import TableError, loads
    from reports.runs.datasets import SHAPES
    from reports.pages.page import Source

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


def rebuild(folder: Path, *, figures: bool = False) -> list[Path]:
    """Write report.html and report.md, and figures/*.{png,svg} if asked; returns their paths."""
    from reports.pages import markdown
    from reports.pages import page

    source = read(folder)
    files = {
        folder / "report.html": page.render(source).encode(),
        folder / "report.md": markdown.render(source.result, source.tables).encode(),
    }
    if figures:
        files |= _figure_files(folder / FIGURES, source)
    for path, data in files.items():
        path.parent.mkdir(exist_ok=True)
        replace(path, data)
    return list(files)


def _figure_files(folder: Path, source: Source) -> dict[Path, bytes]:
    from reports.figures import drawings
    from reports.figures.style import styled, to_file_svg, to_png

    files = {}
    for drawing in drawings(source.result, source.tables):
        with styled(drawing.key):
            figure = drawing.make()
            if figure is not None:
                files[folder / f"{drawing.key}.png"] = to_png(figure)
                files[folder / f"{drawing.key}.svg"] = to_file_svg(figure, drawing.key)
    return files


def replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        temporary.chmod(0o666 & ~umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
