"""`python -m reports.validation FIGURES PAGE`: table, figures, and the page's table of verdicts."""

from __future__ import annotations

import sys
from pathlib import Path

from reports.store.files import replace
from reports.validation import figures, power, statistics
from reports.validation.rows import digest, dumps
from reports.validation.table import table


def write(folder: Path) -> None:
    """The table as CSV, and every figure drawn from it."""
    rows = table()
    text = dumps(rows)
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / "validation.csv", text.encode())
    for name, svg in figures.draw(rows, digest(text)):
        replace(folder / f"validation-{name}.svg", svg)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    power.write(Path(sys.argv[1]))
    statistics.write(Path(sys.argv[2]))
