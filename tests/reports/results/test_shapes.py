"""Documents as classes: what is refused, where the error points, what is written back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest

from reports.results import shapes
from reports.results.damage import DamagedError, loads
from reports.results.fields import Keys


@dataclass(frozen=True, slots=True)
class Leaf:
    """Numbers and words."""

    share: float | None
    kind: Literal["hold", "resync"]
    ends: tuple[float, float] | Literal["exact"] | None
    seen: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if self.share is None and self.ends is not None:
            raise ValueError("has ends but no share")


@dataclass(frozen=True, slots=True)
class Tree:
    """Leaves by name, counts, and a tree inside."""

    leaves: Mapping[str, Leaf]
    counts: Annotated[Mapping[str, int], Keys(("executed",))]
    cpus: Annotated[int, 1]
    each: Annotated[tuple[int, ...], 1]
    on: bool
    inner: Tree | None
    note: str = ""


LEAF = {"share": 0.5, "kind": "hold", "ends": [0, 1.5]}
TREE = {
    "leaves": {"a.b": LEAF, "c": LEAF | {"share": 1, "ends": "exact"}},
    "counts": {"executed": 4, "more": 0},
    "cpus": 1,
    "each": [3, 4],
    "on": False,
    "inner": None,
}


def changed(path: tuple[str | int, ...], value: object) -> object:
    """TREE with another value somewhere, or without the key if it is `...`."""

    def at(node: object, left: tuple[str | int, ...]) -> object:
        if not left:
            return value
        if isinstance(node, list):
            return [at(one, left[1:]) if k == left[0] else one for k, one in enumerate(node)]
        assert isinstance(node, dict)
        found = node | {left[0]: at(node.get(left[0]), left[1:])}
        return {k: v for k, v in found.items() if v is not ...}

    return at(TREE, path)


def test_what_is_read_is_written() -> None:
    """Read and written back a document is the same, an int stays one, and fields are attributes."""
    tree = shapes.read(Tree, TREE | {"inner": TREE})
    assert [leaf.ends for leaf in tree.leaves.values()] == [(0, 1.5), "exact"]
    assert tree.inner == shapes.read(Tree, TREE)
    assert repr(shapes.dump(tree)) == repr(TREE | {"inner": TREE})


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("leaves", "a.b", "share"), "1", 'leaves.a.b.share: must be a number or null, not "1"'),
        (("leaves", "c", "share"), True, "leaves.c.share: must be a number or null"),
        (("leaves", "c", "share"), 10**400, "leaves.c.share: must be a number of a size that occu"),
        (("note",), 0, "note: must be text"),
        (("leaves", "c", "share"), 1e200, "leaves.c.share: must be a number of a size that occurs"),
        (("leaves", "c", "kind"), "held", "leaves.c.kind: must be one of hold, resync"),
        (("leaves", "c", "ends"), [1], "leaves.c.ends: must be a list of 2"),
        (("leaves", "c", "ends"), [1, None], "leaves.c.ends[1]: must be a number"),
        (("leaves", "c", "share"), None, "leaves.c: has ends but no share"),
        (("leaves", "c", "seen"), 1, "leaves.c.seen: is not a key that belongs here"),
        (("leaves",), [], "leaves: must be an object"),
        (("counts", "executed"), ..., "counts.executed: is missing"),
        (("counts", "more"), -1, "counts.more: must be a whole number, 0 or more"),
        (("counts", "more"), 1.0, "counts.more: must be a whole number, 0 or more, not 1.0"),
        (("counts", "more"), 10**30, "counts.more: is too large"),
        (("cpus",), 0, "cpus: must be a whole number, 1 or more"),
        (("each",), [], "each: must have 1 or more"),
        (("each", 1), None, "each[1]: must be a whole number, 0 or more"),
        (("on",), 0, "on: must be true or false"),
        (("inner",), LEAF, "inner.leaves: is missing"),
        (("inner",), ..., "inner: is missing"),
        (("in\x1bner",), 0, "in\\x1bner: is not a key that belongs here"),
    ],
)
def test_the_field_that_is_wrong_is_named(
    path: tuple[str | int, ...], value: object, said: str
) -> None:
    """The error begins with the path of the field, and says what must be there."""
    with pytest.raises(DamagedError) as caught:
        shapes.read(Tree, changed(path, value))
    assert str(caught.value).startswith(said)


def test_what_has_a_default_may_be_absent() -> None:
    """It is read as the default and left out again; another value is written."""
    assert shapes.read(Tree, TREE).note == ""
    told = TREE | {"note": "x"}
    assert shapes.dump(shapes.read(Tree, told)) == told


@pytest.mark.parametrize("text", ["", "{", "[NaN]", "-Infinity", "[" * 100_000, "1" * 5000])
def test_what_is_no_json_is_refused(text: str) -> None:
    """Python's own additions to JSON too, and what its parser gives up on."""
    with pytest.raises(DamagedError):
        loads(text)


def test_schema_says_what_is_read() -> None:
    """Keys, bounds and alternatives of the schema are those of the classes."""
    found = shapes.schema(Tree)
    assert found["required"] == ["leaves", "counts", "cpus", "each", "on", "inner"]
    assert found["properties"]["cpus"] == {"type": "integer", "minimum": 1}
    assert found["properties"]["counts"]["required"] == ["executed"]
    assert found["properties"]["each"]["minItems"] == 1
    assert found["definitions"].keys() == {"leaf", "tree"}
    assert "seen" not in found["definitions"]["leaf"]["properties"]
    assert {"enum": ["exact"]} in found["definitions"]["leaf"]["properties"]["ends"]["anyOf"]
