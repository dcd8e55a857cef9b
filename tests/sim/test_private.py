"""What begins with an underscore is a class's or a module's own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sim

NAMED_TUPLES = {"_replace", "_make", "_asdict", "_fields"}
"""Public, whatever they look like."""
ALLOWED = {
    "cache/compiled.py": {  # numba has no public ones
        "CompileResult._rebuild",
        "_nrt_python",
        "data._reduce",
        "library._get_module_for_linking",
    },
    "cache/linked.py": {  # nor has its library, without which inner functions are compiled as any
        "library._final_module",
        "library._finalize_dynamic_globals",
        "library._finalized",
        "library._get_module_for_linking",
        "library._reload_init",
        "state.library._reload_init",
    },
    # numba's places for the cache of a function, and for Python's way into it
    "draws.py": {"dispatcher._cache", "dispatcher._insert", "dispatcher._compile_for_args"},
    "engine.py": {"event._ok", "event._value"},  # SimPy's; the engine says why
}
ROOT = Path(sim.__file__).parent


def _foreign(source: str) -> Iterator[str]:
    """Private names of another object or module that a source uses."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if owner not in ("self", "cls"):
                yield ast.unparse(node)
        if isinstance(node, ast.ImportFrom):
            yield from (name.name for name in node.names if _is_private(name.name))


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLES


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_nobody_touches_what_is_another_ones(path: Path) -> None:
    """No part of the model reads, writes or imports a private name of another."""
    found = set(_foreign(path.read_text()))
    assert found <= ALLOWED.get(str(path.relative_to(ROOT)), set())


def test_the_check_finds_what_it_looks_for() -> None:
    """A control: an attribute, a chain, an import; not one's own, not a named tuple's."""
    source = "from a import _b\nself._c = cpu._d\nself.gic._e()\npair._replace(x=1)\ncls._f\n"
    assert set(_foreign(source)) == {"_b", "cpu._d", "self.gic._e"}
