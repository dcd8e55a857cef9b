"""Imported before matplotlib, so that the environment's choices do not reach the figures.

A value of MPLBACKEND that cannot be used, such as that of a Jupyter terminal without the package it
names, makes `import matplotlib` fail; figures here are drawn without a backend. Without a home,
matplotlib complains on stderr and makes its list of fonts again and again: it may use our cache.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from sim.cache import home


def _writable(folder: Path) -> bool:
    """Whether matplotlib can make or use its folder there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return folder.is_dir() and os.access(folder, os.W_OK)


def _has_homes() -> bool:
    """Whether matplotlib's own places can be used."""
    if os.environ.get("MPLCONFIGDIR"):
        return _writable(Path(os.environ["MPLCONFIGDIR"]))
    try:
        bases = [
            Path(os.environ.get(name) or Path.home() / usual)
            for name, usual in (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
        ]
    except RuntimeError:
        return False
    return all(_writable(base / "matplotlib") for base in bases)


def _import() -> None:
    """Import matplotlib with our environment; that of the process is as it was, afterwards."""
    changed = {"MPLBACKEND": os.environ.pop("MPLBACKEND", None)}
    root = None if _has_homes() else home.root()
    if root is not None and _writable(root / "matplotlib"):
        changed["MPLCONFIGDIR"] = os.environ.get("MPLCONFIGDIR")
        os.environ["MPLCONFIGDIR"] = str(root / "matplotlib")
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)  # that the list takes a moment is no news
    try:
        import matplotlib
        import matplotlib.font_manager  # reads or makes the list of fonts
    finally:
        logger.setLevel(level)
        for name, value in changed.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    chosen = changed["MPLBACKEND"]
    if chosen:  # for whoever uses pyplot in this process; no figure of ours asks
        with suppress(ValueError, RuntimeError):
            matplotlib.rcParams["backend"] = chosen


if "matplotlib" not in sys.modules:
    _import()
