"""`spe.selection: FILE`: a table of weights from a file of its own, with its places.

The table takes the place of the file's name, so that a resolved scenario holds what it was run
with. A scenario may come from someone else and name any file of the machine: nothing of a file that
does not say `selection_table` is quoted.
"""

from __future__ import annotations

from pathlib import Path

from sim.scenario.files.document import (
    Item,
    Mark,
    Problem,
    ScenarioError,
    problem,
    read_document,
    scalar,
)
from sim.scenario.words import shown

FOLDER = "selection"
"""Where the stock has its tables, beside the scenarios."""
HEADER = "selection_table"
"""The key that makes a YAML file such a table."""
HINT = "`speskew calibrate` makes one; the stock has selection/public-2022.yaml; null: off"


def read_table(named: Item, stock: Path, problems: list[Problem]) -> Item:
    """The table that `named` is the path of, beside its file or in the stock; null if there is
    none, which is a problem.
    """
    assert isinstance(named.value, str)
    found = find_table(named, stock)
    if found is None:
        why = f"spe.selection: no file {shown(named.value)} beside the scenario or in the stock"
        problems.append(problem(named.mark, f"{why}; {HINT}"))
        return scalar(None, named.mark)
    inner: list[Problem] = []
    try:
        document = read_document(found, inner)
        if document.get(HEADER) is not None:
            problems.extend(inner)
            return document
    except ScenarioError as error:
        first = error.problems[0]
        why = f"spe.selection: cannot be read as a table of weights; {HINT}"
        mark = Mark(first.file, first.line, first.col)
        problems.append(problem(mark, why, harmless=True))
        return scalar(None, named.mark)
    why = f"spe.selection: {shown(named.value)} is no table of weights ({HEADER}: 1); {HINT}"
    problems.append(problem(named.mark, why))
    return scalar(None, named.mark)


def find_table(named: Item, stock: Path) -> Path | None:
    """Beside the file in which it is named, then in the stock; a file is meant, no pipe."""
    beside = Path(named.mark.file).parent if named.mark.line else Path()
    for folder in (beside, stock):
        try:
            if (folder / str(named.value)).is_file():
                return folder / str(named.value)
        except (OSError, ValueError):  # a name that is too long, or holds a NUL
            return None
    return None
