"""Functions that only compiled code calls (`sim.draws.njit_inner`), for a test to call."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba


@cache
def entered(inner: Any) -> Any:
    """The same function with an entry for Python, compiled when it is called."""
    return numba.njit(inner.py_func)


def is_inner(value: object) -> bool:
    """Has it no entry of its own?"""
    return bool(getattr(value, "targetoptions", {}).get("no_cpython_wrapper"))
