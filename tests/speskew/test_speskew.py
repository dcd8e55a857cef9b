"""The package `speskew`: small, lazy, and no more than it says."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import speskew

HEAVY = ("numpy", "simpy", "numba", "pandas", "matplotlib", "scipy", "pydantic", "pyarrow", "rich")


def test_import_is_light() -> None:
    """Nothing heavy, and less than 50 ms of CPU, best of five."""
    code = (
        "import time, sys; began = time.process_time(); import speskew\n"
        "print(time.process_time() - began)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    spent = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        seconds, loaded = done.stdout.splitlines()
        assert loaded == "[]"
        spent.append(float(seconds))
    assert min(spent) < 0.05


def test_ipython_is_not_needed() -> None:
    """Scripts run where there is no IPython, which is no dependency."""
    code = (
        "import sys; sys.modules['IPython'] = None; import speskew\n"
        "for name in speskew.__all__: getattr(speskew, name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_errors_have_one_base() -> None:
    """A script that catches SpeskewError has every error that is meant for its user."""
    errors = [name for name in speskew.__all__ if name.endswith("Error")]
    assert len(errors) > 5
    for name in errors:
        assert issubclass(getattr(speskew, name), speskew.SpeskewError)


def test_every_public_name_is_there() -> None:
    """Each name of `__all__` can be imported, has a docstring, and is what its home holds."""
    homes = {name: home for home, names in speskew._HOMES.items() for name in names}
    assert sorted(homes) == sorted(speskew.__all__) == speskew.__all__
    for name, home in homes.items():
        found = getattr(speskew, name)
        assert found is getattr(importlib.import_module(home), name)
        assert found.__doc__
    assert set(speskew.__all__) <= set(dir(speskew))


def test_other_names_are_not() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="module 'speskew' has no attribute 'walk'"):
        _ = speskew.walk
    assert not hasattr(speskew, "simulate")
