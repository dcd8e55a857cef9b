"""Values of policies are compared nowhere but with themselves: they are asked."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import analysis
import reports
import sim
from sim.policies.bundle import VALUES


def _compared(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.AST]]:
    """What a module compares, with what, or takes apart by cases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            yield from ((one, other) for one in sides for other in sides if one is not other)
        elif isinstance(node, ast.Match):
            yield from ((node.subject, case.pattern) for case in node.cases)


def _words_compared(source: str) -> list[str]:
    """Policies, by attribute or key, that are compared with text."""
    found = []
    for side, other in _compared(ast.parse(source)):
        key = side.slice if isinstance(side, ast.Subscript) else None
        name = side.attr if isinstance(side, ast.Attribute) else getattr(key, "value", None)
        texts = (isinstance(getattr(x, "value", None), str) for x in ast.walk(other))
        if name in VALUES and any(texts):
            found.append(f"{name}, line {side.lineno}")
    return found


SOURCES = {
    f"{package.__name__}/{path.relative_to(root)}": path
    for package in (sim, analysis, reports)
    for root in [Path(str(package.__file__)).parent]
    for path in sorted(root.rglob("*.py"))
}


def test_nobody_compares_words() -> None:
    """A policy is asked, not recognised: a new value has no other file to change."""
    assert len(SOURCES) > 100
    found = {name: _words_compared(path.read_text("utf-8")) for name, path in SOURCES.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        'x = policies.backing == "none"',
        'x = arm["setup"]["backing"] in ("whole_vm", "guest_memfd")',
        'x = "on_disable" != policies.unpin',
        'match p.vmm:\n    case "raise" | "reenter":\n        pass',
    ],
)
def test_a_word_that_is_compared_is_seen(line: str) -> None:
    """The control."""
    assert _words_compared(line)
