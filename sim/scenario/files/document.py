"""A YAML document as items that remember where they stand: `file:line:col`.

Bounded against hostile input: size, depth and the number of items after aliases are expanded.
YAML 1.2 scalars (`on` is text, `1e3` and `017` are numbers), duplicate keys refused, no tags, no
code. What stops the parser is raised at once; what does not is collected, so that a user sees it
together with everything else that is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import Reader, ReaderError

from sim import inputs
from sim.errors import SpeskewError

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_ITEMS = 20_000
MAX_NUMBER_CHARS = 40
_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(
    _TAG + kind
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_VERSION = re.compile(r"(?:[ \t]*(?:#.*)?\n)*%YAML[ \t]+([^ \t\n]+)")
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
    """One thing that is wrong: where, what, why, and how to fix it.

    `harmless` says that the message quotes nothing that a file which is no scenario could hold.
    """

    file: str
    line: int
    col: int
    message: str
    harmless: bool = False

    def __str__(self) -> str:
        return f"{Mark(self.file, self.line, self.col)}: {self.message}"


def problem(mark: Mark, message: str, *, harmless: bool = False) -> Problem:
    """A problem at a mark."""
    return Problem(mark.file, mark.line, mark.col, message, harmless)


class ScenarioError(SpeskewError):
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


def refuse_if_any(problems: Iterable[Problem]) -> None:
    """Raises ScenarioError with the problems, each once, sorted by place."""
    found = dict.fromkeys(problems)
    if found:
        raise ScenarioError(*sorted(found, key=lambda p: (p.file, p.line, p.col)))


def read_document(path: Path, problems: list[Problem]) -> Item:
    """The document of a file; appends to `problems` what does not stop it, raises the rest."""
    name = str(path)
    try:
        raw = inputs.read_at_most(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ScenarioError(problem(Mark(name), f"cannot be read: {why}")) from error
    if len(raw) > MAX_BYTES:
        raise ScenarioError(
            problem(Mark(name), f"is larger than {MAX_BYTES:,} bytes, the most a scenario may have")
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, col = _line_col(raw[: error.start].decode("utf-8", "replace"))
        raise ScenarioError(
            problem(Mark(name, line, col), "is not UTF-8; save it as UTF-8")
        ) from error
    item, found = _read(text, name)
    problems.extend(found)
    return item


@lru_cache(maxsize=2)
def _read(text: str, name: str) -> tuple[Item, tuple[Problem, ...]]:
    """A sweep reads the same file again for every cell."""
    found: list[Problem] = []
    return parse(text, name, found), tuple(found)


def parse(text: str, name: str, problems: list[Problem]) -> Item:
    """The document of a text; `name` stands for the file. Problems as in `read_document`."""
    version = _VERSION.match(text)
    if version and version[1] != "1.2":
        line, col = _line_col(text[: version.start(1)])
        why = f"is YAML {version[1]}; scenarios are YAML 1.2: remove the %YAML line"
        raise ScenarioError(problem(Mark(name, line, col), why))
    node = _composed(text, name)
    if node is None:
        raise ScenarioError(
            problem(Mark(name, 1, 1), "is empty; a scenario needs workload and arms")
        )
    return _Converter(name, problems).item(node, 0)


def _composed(text: str, name: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.composer.warn_double_anchors = False
    try:
        node: Node | None = yaml.compose(StringIO(text))
        return node
    except MaxDepthExceededError as error:
        mark, why = _at(error, name), f"is nested too deeply (more than {MAX_DEPTH} levels)"
        raise ScenarioError(problem(mark, why)) from error
    except MarkedYAMLError as error:
        why = " ".join(part for part in (error.context, error.problem) if part) or "not YAML"
        raise ScenarioError(
            problem(_at(error, name), f"is not valid YAML: {_hint(why)}")
        ) from error
    except ReaderError as error:
        raise ScenarioError(_bad_character(text, name)) from error
    except (YAMLError, ValueError, OverflowError) as error:
        why = next(iter(str(error).splitlines()), "not YAML")
        raise ScenarioError(problem(Mark(name), f"is not valid YAML: {why}")) from error
    except RecursionError as error:
        raise ScenarioError(problem(Mark(name), "is nested too deeply")) from error


def _at(error: MarkedYAMLError, name: str) -> Mark:
    found = error.problem_mark or error.context_mark
    return Mark(name, found.line + 1, found.column + 1) if found else Mark(name)


def _bad_character(text: str, name: str) -> Problem:
    found = Reader.NON_PRINTABLE.search(text)
    where = found.start() if found else 0
    line, col = _line_col(text[:where])
    why = f"is not valid YAML: character U+{ord(text[where]):04X} is not allowed; use an escape"
    return problem(Mark(name, line, col), why)


def _hint(why: str) -> str:
    return f"{why}; indent with spaces, not tabs" if "'\\t'" in why else why


def _line_col(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows `before`."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _Converter:
    def __init__(self, name: str, problems: list[Problem]) -> None:
        self._name, self._problems = name, problems
        self._items = 0

    def item(self, node: Node, depth: int) -> Item:
        mark = Mark(self._name, node.start_mark.line + 1, node.start_mark.column + 1)
        self._items += 1
        if depth > MAX_DEPTH:
            raise ScenarioError(problem(mark, f"is nested too deeply (more than {MAX_DEPTH})"))
        if self._items > MAX_ITEMS:
            why = f"has more than {MAX_ITEMS:,} values here, or repeats itself too often"
            raise ScenarioError(problem(mark, why))
        if str(node.tag) not in _TAGS:
            self._add(mark, f"has the tag {str(node.tag)[:40]!r}; a scenario has plain values only")
        if isinstance(node, MappingNode):
            return self._mapping(node, mark, depth)
        if isinstance(node, SequenceNode):
            return Item(mark, [self.item(child, depth + 1) for child in node.value], {})
        assert isinstance(node, ScalarNode)
        return scalar(self._scalar(node, mark), mark)

    def _add(self, mark: Mark, message: str) -> None:
        self._problems.append(problem(mark, message))

    def _mapping(self, node: MappingNode, mark: Mark, depth: int) -> Item:
        entries: dict[str, Item] = {}
        keys: dict[str, Mark] = {}
        for key_node, value_node in node.value:
            at = Mark(self._name, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            key = str(key_node.value)
            if not isinstance(key_node, ScalarNode):
                self._add(at, "a key must be a plain word")
            elif str(key_node.tag) == _TAG + "merge":
                self._add(at, "<<: YAML 1.2 has no merge keys; use `extends: base.yaml`")
            elif key in entries:
                self._add(at, f"{key}: is given twice (first at line {keys[key].line}); remove one")
            else:
                entries[key], keys[key] = self.item(value_node, depth + 1), at
        return Item(mark, entries, keys)

    def _scalar(self, node: ScalarNode, mark: Mark) -> Scalar:
        text = str(node.value)
        try:
            match str(node.tag).removeprefix(_TAG):
                case "int":
                    return _whole(text)
                case "float":
                    return _real(text)
                case "bool":
                    return text.lower() == "true"
                case "null":
                    return None
        except ValueError:
            self._add(mark, f"cannot read {text[:MAX_NUMBER_CHARS]!r} as a number")
        return self._joined(text, mark) if _SURROGATE.search(text) else text

    def _joined(self, text: str, mark: Mark) -> str:
        """JSON's surrogate pairs as the characters that they stand for."""
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._add(mark, "holds half of a surrogate pair, which is no character; remove it")
        return _SURROGATE.sub("?", text)


def _whole(text: str) -> int:
    """A YAML 1.2 int: decimal with leading zeros, 0o, 0x, 0b."""
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError(text)
    digits = text.replace("_", "")
    return int(digits, 0 if digits.lstrip("+-")[:2].lower() in ("0o", "0x", "0b") else 10)


def _real(text: str) -> float:
    value = float(text.replace("_", ""))
    if not math.isfinite(value):
        raise ValueError(text)
    return value
