"""`speskew list`: names, and every number of a preset with its source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


@pytest.mark.parametrize("what", ["scenarios", "designs", "presets", "streams"])
def test_lists_have_names(what: str) -> None:
    """JSON: an array of objects with `name`, in order; table: a line each."""
    rows = json.loads(call("list", what, "--format", "json").stdout)
    names = [row["name"] for row in rows]
    assert names == sorted(names)
    assert names
    lines = call("list", what).stdout.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == names


def test_list_presets_gives_every_number_with_its_source() -> None:
    """The table counts what is UNVERIFIED; JSON has each number, its unit, source and flag."""
    presets = {
        row["name"]: row for row in json.loads(call("list", "presets", "--format", "json").stdout)
    }
    assert set(presets) == {"neoverse-n1", "neoverse-v1", "neoverse-v2", "kunpeng-920"}
    facts = presets["neoverse-v2"]["facts"]
    assert (facts["l2.ways"]["value"], facts["l2.ways"]["unverified"]) == (8, False)
    assert "Graviton4" in facts["l2.ways"]["source"]
    assert facts["load.dram.floor"]["unverified"] is True
    flagged = sum(fact["unverified"] for fact in facts.values())
    line = next(row for row in call("list", "presets").stdout.splitlines() if "neoverse-v2" in row)
    assert f"{flagged} of {len(facts)} numbers UNVERIFIED" in line
    assert "l2.ways" not in line
