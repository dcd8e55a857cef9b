"""`--set KEY=VALUE`: read, put into a document, and whether anything heeds it.

A key is a setting of all arms (`host.unmap`), a key of the scenario (`seed`), or one arm's:
`arms.v6.host.unmap`, `arms.v6.policies.unpin`, `arms.v6.design`. Every leaf remembers the mark of
the `--set` that it is from; so an override has an effect in the arms whose merged settings still
hold its mark, and what was asked for in vain can be said.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sim.scenario.files.document import (
    MAX_DEPTH,
    Item,
    Mark,
    Problem,
    ScenarioError,
    mapping,
    merge,
    parse,
    problem,
    refuse_if_any,
    scalar,
)
from sim.scenario.models.scenario import Settings
from sim.scenario.words import clipped, suggest

ARMS = "arms"
OF_A_VM = (
    "host.",
    "vm.bounce",
    "vm.exits",
    "vm.huge_pages",
    "vm.max_buffer",
    "vm.physical_cpus",
    "buffer.initial_s2",
)
"""Where keys begin that an arm without a hypervisor cannot heed."""
DESIGN, OVERRIDES, POLICIES = "design", "overrides", "policies"


@dataclass(frozen=True, slots=True)
class Override:
    """One `--set`: its place in messages, its key, its value."""

    mark: Mark
    path: tuple[str, ...]
    item: Item

    @property
    def of_an_arm(self) -> bool:
        """Is it one arm's, and not the list of all arms?"""
        return self.path[0] == ARMS and len(self.path) > 2


@dataclass(frozen=True, slots=True)
class Unheeded:
    """A key that was set in vain: in some arms, in all of them, or because a later one replaces it.

    `arms` override it, `bare` ones have no hypervisor that could heed it; with neither, something
    set later takes its place.
    """

    key: str
    arms: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    nowhere: bool = False

    def __str__(self) -> str:
        if not self.arms and not self.bare:
            return f"{self.key}: is set more than once, or to nothing; the last value counts"
        if self.nowhere:
            return f"{self.key}: no arm heeds it: {self._why()}"
        return f"{self.key}: is set, but not in every arm: {self._why()}"

    def _why(self) -> str:
        said = []
        if self.arms:
            override = "overrides" if len(self.arms) == 1 else "override"
            said.append(f"{', '.join(self.arms)} {override} it")
        if self.bare:
            run = "runs" if len(self.bare) == 1 else "run"
            said.append(f"{', '.join(self.bare)} {run} without a hypervisor")
        if self.arms:
            said.append(f"{ARMS}.{self.arms[0]}.{self.key} reaches one arm")
        return "; ".join(said)


def read(texts: Sequence[str], problems: list[Problem]) -> list[Override]:
    """What `--set` was given; what cannot be read is a problem."""
    return [made for text in texts if (made := _override(text, problems))]


def _override(text: str, problems: list[Problem]) -> Override | None:
    mark = Mark(f"--set {clipped(text)}")
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        problems.append(problem(mark, "write KEY=VALUE, e.g. host.memlock=64KiB"))
        return None
    path = tuple(key.strip().split("."))
    if path[0] == "extends":
        problems.append(problem(mark, "extends: can be given in a file only"))
        return None
    if len(path) > MAX_DEPTH or not all(path):
        problems.append(problem(mark, "KEY is names with dots between, e.g. host.memlock"))
        return None
    try:
        found: list[Problem] = []
        parsed = parse(value, mark.file, found) if value.strip() else scalar("", mark)
        refuse_if_any(found)
    except ScenarioError as error:
        problems.extend(problem(mark, f"the value {p.message}") for p in error.problems)
        return None
    return Override(mark, path, _moved(parsed, mark))


def _moved(item: Item, mark: Mark) -> Item:
    """The same item at another place."""
    if isinstance(item.value, dict):
        entries = {key: _moved(entry, mark) for key, entry in item.value.items()}
        return mapping(entries, mark)
    if isinstance(item.value, list):
        return Item(mark, [_moved(entry, mark) for entry in item.value], {})
    return scalar(item.value, mark)


def nested(path: Sequence[str], item: Item, key_mark: Mark | None = None) -> Item:
    """``a.b: item`` as nested mappings."""
    for key in reversed(path):
        item = mapping({key: item}, item.mark, {key: key_mark or item.mark})
    return item


def undotted(item: Item, problems: list[Problem]) -> Item:
    """A mapping whose dotted keys are nested."""
    result = mapping({}, item.mark)
    assert isinstance(item.value, dict)
    for key, entry in item.value.items():
        path = key.split(".")
        if len(path) > MAX_DEPTH or not all(path):
            why = f"{clipped(key)}: a dotted key is names with dots between, e.g. host.unmap"
            problems.append(problem(item.keys[key], why))
            continue
        result = merge(result, nested(path, entry, item.keys[key]))
    return result


# --- into a document -------------------------------------------------------------------------


def put(document: Item, override: Override, problems: list[Problem]) -> Item:
    """The document with an override on top."""
    if not override.of_an_arm:
        return merge(document, nested(override.path, override.item))
    arms = document.get(ARMS)
    listed = arms.value if arms is not None and isinstance(arms.value, list) else []
    name, rest = _split(override.path, [n for arm in listed if (n := arm_name(arm))])
    if not rest:
        known = [n for arm in listed if (n := arm_name(arm))]
        hint = suggest(override.path[1], known) if known else "there are no arms"
        problems.append(problem(override.mark, f"{ARMS}.{clipped(override.path[1])}: {hint}"))
        return document
    made = [_with(arm, name, rest, override) if arm_name(arm) == name else arm for arm in listed]
    assert arms is not None
    return merge(document, nested((ARMS,), Item(arms.mark, made, arms.keys)))


def _split(path: Sequence[str], names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """An arm's name and the key in it; no key if there is no such arm. Names may hold dots."""
    dotted = ".".join(path[1:])
    fitting = [name for name in names if dotted.startswith(f"{name}.")]
    name = max(fitting, key=len, default="")
    return name, tuple(dotted[len(name) + 1 :].split(".")) if name else ()


def without_arm(key: str, names: Sequence[str]) -> str:
    """A dotted key without the arm that it is of, as it stands in that arm's settings."""
    path = key.split(".")
    rest = _split(path, names)[1] if path[0] == ARMS else ()
    return ".".join(_in_overrides(rest)) if rest else key


def _in_overrides(rest: tuple[str, ...]) -> tuple[str, ...]:
    return rest[1:] if rest[0] == OVERRIDES and len(rest) > 1 else rest


def _with(arm: Item, name: str, rest: tuple[str, ...], override: Override) -> Item:
    """An arm with one more override, or of another design under the same name."""
    if isinstance(arm.value, str):
        arm = mapping({DESIGN: arm}, arm.mark)
    arm = merge(mapping({"name": scalar(name, arm.mark)}, arm.mark), arm)
    if rest == (DESIGN,):
        return merge(arm, nested(rest, override.item))
    group = POLICIES if rest[0] == POLICIES and len(rest) > 1 else OVERRIDES
    inside = rest[1:] if group == POLICIES else _in_overrides(rest)
    there = arm.get(group)
    if there is not None and isinstance(there.value, dict):
        found: list[Problem] = []
        flat = undotted(there, found)
        there = there if found else flat  # what is wrong there is said when the arm is made
        assert isinstance(arm.value, dict)
        arm = Item(arm.mark, {**arm.value, group: there}, arm.keys)
    return merge(arm, nested((group, *inside), override.item))


def arm_name(item: Item) -> str | None:
    """What an arm will be called: its name, else its design."""
    if isinstance(item.value, str):
        return item.value
    named = item.get("name") or item.get(DESIGN)
    return named.value if named and isinstance(named.value, str) else None


# --- what it does ----------------------------------------------------------------------------


def leaves(item: Item, prefix: str = "") -> Iterator[tuple[str, Mark]]:
    """Dotted key and mark of everything below an item; an arm's keys have its name."""
    if isinstance(item.value, dict):
        for key, entry in item.value.items():
            yield from leaves(entry, f"{prefix}.{key}" if prefix else key)
    elif isinstance(item.value, list) and prefix == ARMS:
        for number, arm in enumerate(item.value):
            yield from leaves(arm, f"{prefix}.{arm_name(arm) or number}")
    else:
        yield prefix, item.mark


def unheeded(
    override: Override,
    document: Item,
    heard: Mapping[str, frozenset[tuple[str, Mark]]],
    bare: Container[str],
) -> Iterator[Unheeded]:
    """Keys of an override that do nothing, somewhere or anywhere.

    `heard` are the leaves of each arm's settings, after its own overrides; `bare` arms have no
    hypervisor.
    """
    dotted = ".".join(override.path)
    if override.of_an_arm:
        if override.mark not in {mark for _, mark in leaves(document)}:
            yield Unheeded(dotted)
        return
    there = set(leaves(document))
    asked = [key for key, _ in leaves(override.item, dotted)] or [dotted]
    for key in asked:
        leaf = (key, override.mark)
        if override.path[0] != ARMS and leaf not in there:
            yield Unheeded(key)
        elif override.path[0] in Settings.model_fields:
            deaf = tuple(name for name, found in heard.items() if leaf not in found)
            idle = tuple(n for n in heard if n in bare and n not in deaf)
            idle = idle if key.startswith(OF_A_VM) else ()
            nowhere = len(deaf) + len(idle) == len(heard)
            if deaf or nowhere:
                yield Unheeded(key, deaf, idle if nowhere else (), nowhere)
