"""A YAML document as items that remember where they stand: `file:line:col`.

Bounded against hostile input: size, depth and the number of items after aliases are expanded.
YAML 1.2 scalars (`on` is text, `1e3` a number), duplicate keys refused, no tags, no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_ITEMS = 20_000
_TAG = "tag:yaml.org,2002:"
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something was written; line and col count from 1, 0 if there is none."""

    file: str
    line: int = 0
    col: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, why, and how to fix it."""

    file: str
    line: int
    col: int
    message: str

    def __str__(self) -> str:
        return f"{Mark(self.file, self.line, self.col)}: {self.message}"


def problem(mark: Mark, message: str) -> Problem:
    """A problem at a mark."""
    return Problem(mark.file, mark.line, mark.col, message)


class ScenarioError(Exception):
    """A scenario cannot be used; `problems` holds everything that is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Item:
    """A value, where it stands, and for a mapping where each key stands."""

    mark: Mark
    value: Scalar | dict[str, Item] | list[Item]
    keys: dict[str, Mark]

    def plain(self) -> object:
        """Without marks."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def get(self, key: str) -> Item | None:
        """A mapping's entry; None if this is no mapping or has no such key."""
        return self.value.get(key) if isinstance(self.value, dict) else None


def scalar(value: Scalar, mark: Mark) -> Item:
    """A leaf."""
    return Item(mark, value, {})


def mapping(entries: dict[str, Item], mark: Mark, keys: dict[str, Mark] | None = None) -> Item:
    """A mapping; keys stand where their values do unless told otherwise."""
    return Item(mark, entries, keys or {key: item.mark for key, item in entries.items()})


def merge(base: Item, over: Item) -> Item:
    """`over` on top of `base`: mappings deeply, anything else replaced."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if (
        base.get("kind")
        and over.get("kind")
        and base.value["kind"].value != over.value["kind"].value
    ):
        return over
    merged = dict(base.value)
    for key, item in over.value.items():
        merged[key] = merge(merged[key], item) if key in merged else item
    return Item(over.mark, merged, base.keys | over.keys)


def read_document(path: Path) -> Item:
    """The document of a file; raises ScenarioError."""
    name = str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        raise ScenarioError(problem(Mark(name), f"cannot be read: {why}")) from error
    if len(raw) > MAX_BYTES:
        raise ScenarioError(
            problem(Mark(name), f"is {len(raw):,} bytes; a scenario has at most {MAX_BYTES:,}")
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ScenarioError(
            problem(Mark(name, line, 1), "is not UTF-8; save it as UTF-8")
        ) from error
    return parse(text, name)


def parse(text: str, name: str) -> Item:
    """The document of a text; `name` stands for the file in messages."""
    try:
        node = YAML(typ="safe", pure=True).compose(StringIO(text))
    except MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(name, at.line + 1, at.column + 1) if at else Mark(name)
        why = error.problem or error.context or "not YAML"
        raise ScenarioError(problem(mark, f"is not valid YAML: {why}")) from error
    except YAMLError as error:
        why = str(error).splitlines()[0]
        raise ScenarioError(problem(Mark(name), f"is not valid YAML: {why}")) from error
    except RecursionError as error:
        raise ScenarioError(problem(Mark(name), "is nested too deeply")) from error
    except (ValueError, OverflowError) as error:
        raise ScenarioError(problem(Mark(name), f"is not valid YAML: {error}")) from error
    if node is None:
        raise ScenarioError(
            problem(Mark(name, 1, 1), "is empty; a scenario needs workload and arms")
        )
    return _Converter(name).item(node, 0)


class _Converter:
    def __init__(self, name: str) -> None:
        self._name = name
        self._items = 0

    def item(self, node: Node, depth: int) -> Item:
        mark = Mark(self._name, node.start_mark.line + 1, node.start_mark.column + 1)
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise ScenarioError(problem(mark, "is nested too deeply or repeats itself too often"))
        if isinstance(node, MappingNode):
            return self._mapping(node, mark, depth)
        if isinstance(node, SequenceNode):
            return Item(mark, [self.item(child, depth + 1) for child in node.value], {})
        assert isinstance(node, ScalarNode)
        return scalar(self._scalar(node, mark), mark)

    def _mapping(self, node: MappingNode, mark: Mark, depth: int) -> Item:
        entries: dict[str, Item] = {}
        keys: dict[str, Mark] = {}
        for key_node, value_node in node.value:
            at = Mark(self._name, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                raise ScenarioError(problem(at, "a key must be a plain word"))
            key = str(key_node.value)
            if key in entries:
                raise ScenarioError(
                    problem(
                        at, f"{key}: is given twice (first at line {keys[key].line}); remove one"
                    )
                )
            entries[key], keys[key] = self.item(value_node, depth + 1), at
        return Item(mark, entries, keys)

    @staticmethod
    def _scalar(node: ScalarNode, mark: Mark) -> Scalar:
        text = str(node.value)
        try:
            match str(node.tag).removeprefix(_TAG):
                case "int":
                    return int(text.replace("_", ""), 0)
                case "float":
                    return float(text.replace("_", ""))
                case "bool":
                    return text.lower() == "true"
                case "null":
                    return None
                case "str":
                    return text
        except ValueError as error:
            raise ScenarioError(problem(mark, f"cannot read {text[:40]!r} as a number")) from error
        return text
