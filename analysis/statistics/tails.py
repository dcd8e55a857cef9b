"""Student's t, chi-squared and log-gamma: the one door to `scipy.special`.

It is imported when the first number is asked for: a command that prints none does without, and a
tenth of a second sooner. The plain functions of `special` are a tenth of `scipy.stats` to load.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import util
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


def t_cdf(t: float, df: float) -> float:
    """Distribution function of Student's t with `df` degrees of freedom."""
    return float(t_cdfs(np.asarray(t), df))


def t_cdfs(t: F64, df: float) -> F64:
    """The same of many [k] at once."""
    return np.asarray(_special().stdtr(df, t))


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t with `df` degrees of freedom."""
    return float(_special().stdtrit(df, probability))


def chi2_exceeded(df: float, probability: float) -> float:
    """What chi-squared with `df` degrees of freedom exceeds with a `probability` in (0, 1)."""
    return float(_special().chdtri(df, probability))


def log_gamma(x: ArrayLike) -> F64:
    """log Γ of each of `x` [k] > 0, or of one."""
    return np.asarray(_special().gammaln(np.asarray(x, np.float64)))


@lru_cache(maxsize=1)
def _special() -> Any:
    """`scipy.special`, in half of the time: it copies whatever numpy has, and numpy would load what
    it keeps for Fortran, for masked arrays and for tests."""
    with _deferred("numpy.f2py", "numpy.ma", "numpy.testing"):
        from scipy import special
    return special


@contextmanager
def _deferred(*names: str) -> Iterator[None]:
    """Within the block these modules are there, but loaded only if something of theirs is used;
    afterwards those that nobody used are as if nobody had named them."""
    made = {name: module for name in names if (module := _unloaded(name)) is not None}
    for name, module in made.items():
        _put(name, module)
    try:
        yield
    finally:
        for name, module in made.items():
            if type(module) is not ModuleType and sys.modules.get(name) is module:
                _take(name)


def _unloaded(name: str) -> ModuleType | None:
    """A module that loads itself when it is used; None if it is loaded, or cannot be."""
    spec = None if name in sys.modules else util.find_spec(name)
    if spec is None or spec.loader is None:
        return None
    spec.loader = util.LazyLoader(spec.loader)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _put(name: str, module: ModuleType) -> None:
    package, _, attribute = name.rpartition(".")
    sys.modules[name] = module
    setattr(sys.modules[package], attribute, module)


def _take(name: str) -> None:
    package, _, attribute = name.rpartition(".")
    del sys.modules[name]
    delattr(sys.modules[package], attribute)
