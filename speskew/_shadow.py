"""Whose `sim`, `analysis` and `reports` are these? Asked before anything of ours is imported.

The program's packages have general names, and Python takes the first of a name on its path: a
script's own folder, or the current folder of a notebook and of `python -m`. Without this check the
user would read that some module of ours does not exist.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

PACKAGES = ("sim", "analysis", "reports")
USAGE = 2
"""`reports.exitcodes.ExitCode.USAGE`, which is not ours to import yet."""
_ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


class ShadowedError(ImportError):
    """Another module has the name of one of ours; no SpeskewError, whose module may be that one."""


def check() -> None:
    """Import the packages from where `speskew` is; raises ShadowedError if others are in the way.

    What is imported stays what it is, whatever the path becomes later. For the commands `speskew`
    and `python -m speskew` the error is a message and exit code 2.
    """
    try:
        for name in PACKAGES:
            found = _found(name)
            if found != os.path.join(_ROOT, name):
                raise ShadowedError(_message(name, found), name=name, path=found or None)
        for name in PACKAGES:
            importlib.import_module(name)
    except ShadowedError as error:
        if not _as_command():
            raise
        sys.stderr.write(f"speskew: {error}\n")
        raise SystemExit(USAGE) from error


def _found(name: str) -> str:
    """Where the package is that `import name` gives: its folder, or the file of a module."""
    module = sys.modules.get(name)
    if module is not None:
        places, file = getattr(module, "__path__", None), getattr(module, "__file__", None)
    else:
        spec = importlib.util.find_spec(name)
        if spec is None:
            return ""
        places, file = spec.submodule_search_locations, spec.origin
    if file is not None and os.path.basename(file) != "__init__.py":
        return os.path.realpath(str(file))
    return next((os.path.realpath(str(place)) for place in places or ()), "")


def _message(name: str, found: str) -> str:
    if not found:
        return (
            f"the package {name!r} of speskew is missing in {_ROOT}: this installation is damaged; "
            "install speskew again"
        )
    other = found if found.endswith(".py") else os.path.join(found, "")
    return (
        f"{other} shadows speskew's package {name!r} (in {_ROOT}): Python takes the first {name!r} "
        f"on its path, which begins with the folder of the script, the current folder or "
        f"PYTHONPATH. Rename {other}, or start from another folder"
        + (f"; {name!r} was imported before speskew" if name in sys.modules else "")
    )


def _as_command() -> bool:
    """True for `speskew …` and `python -m speskew …`, where nobody wants a traceback."""
    name = (sys.argv or [""])[0]
    if os.sep in name and os.path.basename(name) == "speskew":
        return True
    words = sys.orig_argv[1:]
    return "-m" in words and words[words.index("-m") + 1 :][:1] == ["speskew"]
