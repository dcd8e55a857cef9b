"""The published schema of `result.json`, from its classes: `python -m reports.results.schema`."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from reports.results import shapes
from reports.results.result import Result

FILE = "result.schema.json"


def text() -> str:
    """The schema, as the file has it."""
    about = {
        "title": "speskew result.json",
        "description": "Integers are totals over replications and vCPUs (time in ticks of 1/64 "
        "core cycle); metrics are means over replications. Every number is a prediction.",
    }
    return json.dumps(shapes.schema(Result) | about, indent=1, ensure_ascii=False) + "\n"


def published() -> str:
    """What the file beside this module says."""
    return (resources.files("reports.results") / FILE).read_text("utf-8")


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_text(text(), encoding="utf-8")
