"""Functions that only compiled code calls: no machine code of their own, the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from sim.cache import compiled, linked
from sim.draws import CODE_FOLDER, allocates, njit, njit_inner

_ELF = b"\x7fELF"


def _scaled(values: Any, by: Any) -> Any:
    total = np.int64(0)
    for value in values:
        total += value * by
    return total


def _offset(values: Any, by: Any) -> Any:
    return scaled(values, by) + 1


scaled = njit_inner(_scaled)
offset = njit_inner(_offset)


def _both(values: Any) -> Any:
    return scaled(values, 2), offset(values, 3)


def _other(values: Any) -> Any:
    return offset(values, 5)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for compiled code, which nobody has seen."""
    monkeypatch.setattr(compiled, "_folder", lambda name: tmp_path / name)
    monkeypatch.setitem(globals(), "scaled", njit_inner(_scaled))
    monkeypatch.setitem(globals(), "offset", njit_inner(_offset))
    return tmp_path / CODE_FOLDER


def _again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process: nothing is compiled."""
    monkeypatch.setitem(globals(), "scaled", njit_inner(_scaled))
    monkeypatch.setitem(globals(), "offset", njit_inner(_offset))


def test_only_what_python_enters_has_machine_code(code: Path) -> None:
    """The code of the others is in their callers'."""
    values = np.arange(5)
    assert njit(_both)(values) == (20, 31)
    machine = {path.name.split("-")[0]: _ELF in path.read_bytes() for path in code.iterdir()}
    name = "sim.cache.test_linked" if __name__.startswith("sim") else __name__
    assert machine == {f"{name}._scaled": False, f"{name}._offset": False, f"{name}._both": True}


def test_kept_code_is_linked_again(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a caller that nobody compiled before, with what it calls itself."""
    values = np.arange(5)
    njit(_both)(values)
    _again(monkeypatch)
    assert njit(_other)(values) == 51
    assert sum(offset.stats.cache_hits.values()) == 1
    assert not offset.stats.cache_misses


def test_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers."""
    monkeypatch.setattr(compiled, "_folder", lambda name: None)
    _again(monkeypatch)
    assert njit(_both)(np.arange(5)) == (20, 31)


def test_errors_of_inner_functions_reach_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """A division by zero in a function that is linked, and in one that it calls."""
    monkeypatch.setattr(compiled, "_folder", lambda name: None)

    @njit_inner
    def divided(x: Any, y: Any) -> Any:
        return x // y

    @njit_inner
    def further(x: Any, y: Any) -> Any:
        return divided(x, y) + 1

    @njit
    def entered(x: Any, y: Any) -> Any:
        return further(x, y)

    assert entered(7, 2) == 4
    with pytest.raises(ZeroDivisionError):
        entered(7, 0)


def test_what_makes_arrays_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word numba refuses; nothing is counted then, and nothing could be freed."""
    monkeypatch.setattr(compiled, "_folder", lambda name: None)

    def made(n: Any) -> Any:
        return np.zeros(n, np.int64).size

    with pytest.raises(numba.core.errors.NumbaError):
        njit(made)(3)
    assert njit(allocates(made))(3) == 3


@pytest.mark.parametrize(("name", "value"), [("_INSIDE", ("no_such_part",)), ("NEWEST", (0, 60))])
def test_another_numba_compiles_them_as_any_other(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its library looks otherwise, and one that this was not tried with."""
    assert linked.options()["pipeline_class"] is linked.Inner
    monkeypatch.setattr(linked, name, value)
    monkeypatch.setattr(compiled, "_folder", lambda name: None)
    assert linked.options() == {"no_cpython_wrapper": True}
    _again(monkeypatch)
    assert njit(_both)(np.arange(5)) == (20, 31)
