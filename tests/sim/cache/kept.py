"""An index in a cache, and what must hold of it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from sim.cache import home
from sim.workload.index import Index, load_index
from sim.workload.presets import get_preset

THREAD = Path(str(files("scenarios") / "streams" / "threads.2.spestream"))
PRESET = get_preset("neoverse-n1")


def entry_of(cache: Path) -> Path:
    """The folder of its one index."""
    (entry,) = (p for p in (cache / "index").iterdir() if not p.name.startswith("."))
    return entry


def assert_same(found: Index, expected: Index) -> None:
    """Every array, bit by bit, with its type; names too."""
    assert found.symbols == expected.symbols
    assert found.name == expected.name
    assert found.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        assert found.arrays[name].dtype == array.dtype, name
        assert np.array_equal(found.arrays[name], array), name


def load_twice(expected: Index, capsys: pytest.CaptureFixture[str]) -> str:
    """What the first load said; a new process then finds a whole entry and says nothing."""
    assert_same(load_index(THREAD, PRESET, False), expected)
    said = capsys.readouterr().err
    assert said.count("\n") == (said != "")
    home.STATE.said.clear()
    home.STATE.trusted.clear()
    assert_same(load_index(THREAD, PRESET, False), expected)
    assert capsys.readouterr().err == ""
    return said
