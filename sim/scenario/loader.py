"""From a YAML file to a resolved scenario: every error at once, each with its place.

A scenario's top level holds its own keys (name, question, seed, replications, arms, extends) and
the settings that all arms share. An arm names a design and may override policies and any setting,
nested or dotted. `extends` merges deeply over another file; lists are replaced. What is not a key
is an error that names the nearest one.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sim.scenario.document import (
    Item,
    Mark,
    Problem,
    ScenarioError,
    mapping,
    merge,
    parse,
    problem,
    read_document,
    scalar,
)
from sim.scenario.dump import dump
from sim.scenario.model import DESIGNS, Arm, Policies, Scenario, Settings
from sim.scenario.parameters import problem_with

__all__ = ["ScenarioError", "dump", "find", "load", "stock_folder"]

_SCENARIO_KEYS = ("schema_version", "name", "question", "seed", "replications", "extends", "arms")
_ARM_KEYS = ("name", "design", "policies", "overrides")
MAX_EXTENDS = 10
M = TypeVar("M", bound=BaseModel)


def stock_folder() -> Path:
    """Where the stock scenarios and streams are installed."""
    spec = find_spec("scenarios")  # a data folder: a namespace package with one location
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def find(path: str | Path) -> Path:
    """A scenario file: a path, or the bare name of a stock scenario."""
    given = Path(path)
    if given.exists() or given.suffix or len(given.parts) > 1:
        return given
    stock = stock_folder() / f"{given}.yaml"
    if stock.exists():
        return stock
    names = sorted(entry.stem for entry in stock_folder().glob("*.yaml"))
    close = difflib.get_close_matches(str(given), names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"stock scenarios: {', '.join(names)}"
    raise ScenarioError(problem(Mark(str(given)), f"no such file or stock scenario; {hint}"))


def load(
    path: str | Path, overrides: Sequence[str] = (), replications: int | None = None,
    seed: int | None = None,
) -> Scenario:  # fmt: skip
    """A resolved scenario; raises ScenarioError with every problem found.

    `overrides` are ``KEY=VALUE`` with dotted keys, as `--set` takes them.
    """
    document = _extended(find(path), ())
    for text in overrides:
        document = merge(document, _override(text))
    for key, value in (("replications", replications), ("seed", seed)):
        if value is not None:
            document = merge(document, _nested(key, scalar(value, Mark(f"--{key}"))))
    return _Resolver(document, Path(find(path)).stem).scenario()


def _extended(path: Path, chain: tuple[Path, ...]) -> Item:
    document = read_document(path)
    if not isinstance(document.value, dict):
        raise ScenarioError(
            problem(document.mark, "must be a mapping: keys such as workload, arms")
        )
    base = document.get("extends")
    if base is None:
        return document
    if not isinstance(base.value, str):
        raise ScenarioError(problem(base.mark, "extends: must be the path of another scenario"))
    target = (path.parent / base.value).resolve()
    if target in chain or target == path.resolve() or len(chain) >= MAX_EXTENDS:
        raise ScenarioError(problem(base.mark, f"extends: {base.value!r} extends itself"))
    if not target.exists():
        raise ScenarioError(
            problem(base.mark, f"extends: no file {base.value!r} beside {path.name}")
        )
    return merge(_extended(target, (*chain, path.resolve())), document)


def _override(text: str) -> Item:
    mark = Mark(f"--set {text}")
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ScenarioError(problem(mark, "write KEY=VALUE, e.g. host.memlock=64KiB"))
    parsed = parse(value if value.strip() else "''", mark.file)
    return _nested(key.strip(), _moved(parsed, mark))


def _moved(item: Item, mark: Mark) -> Item:
    """The same item at another place."""
    if isinstance(item.value, dict):
        entries = {key: _moved(entry, mark) for key, entry in item.value.items()}
        return mapping(entries, mark)
    if isinstance(item.value, list):
        return Item(mark, [_moved(entry, mark) for entry in item.value], {})
    return scalar(item.value, mark)


def _nested(dotted: str, item: Item, key_mark: Mark | None = None) -> Item:
    """``a.b: item`` as nested mappings."""
    for key in reversed(dotted.split(".")):
        item = mapping({key: item}, item.mark, {key: key_mark or item.mark})
    return item


def _undotted(item: Item) -> Item:
    """A mapping whose dotted keys are nested."""
    result = mapping({}, item.mark)
    assert isinstance(item.value, dict)
    for key, entry in item.value.items():
        result = merge(result, _nested(key, entry, item.keys[key]))
    return result


class _Resolver:
    """One document → one scenario, collecting problems."""

    def __init__(self, document: Item, stem: str) -> None:
        self._document, self._stem = document, stem
        self._problems: dict[Problem, None] = {}

    def scenario(self) -> Scenario:
        top = self._document
        assert isinstance(top.value, dict)
        settings = {k: v for k, v in top.value.items() if k not in _SCENARIO_KEYS}
        shared = Item(top.mark, settings, top.keys)
        arms = [arm for arm in map(lambda a: self._arm(a, shared), self._arm_items()) if arm]
        self._names_unique(arms)
        own = {k: v.plain() for k, v in top.value.items() if k in _SCENARIO_KEYS}
        own.pop("extends", None)
        own.setdefault("name", self._stem)
        if self._problems:
            own["arms"] = arms or [_PLACEHOLDER]
            self._validated(Scenario, own, top)
            raise ScenarioError(*sorted(self._problems, key=lambda p: (p.file, p.line, p.col)))
        own["arms"] = arms
        found = self._validated(Scenario, own, top)
        if found is None:
            raise ScenarioError(*sorted(self._problems, key=lambda p: (p.file, p.line, p.col)))
        return found

    def _add(self, mark: Mark, message: str) -> None:
        self._problems[problem(mark, message)] = None

    # --- arms ----------------------------------------------------------------------------

    def _arm_items(self) -> list[Item]:
        arms = self._document.get("arms")
        if arms is None:
            self._add(self._document.mark, "arms: is missing; list at least one, e.g. - design: v6")
            return []
        if not isinstance(arms.value, list) or not arms.value:
            self._add(arms.mark, "arms: must be a list with at least one arm, e.g. - design: v6")
            return []
        return arms.value

    def _arm(self, item: Item, shared: Item) -> Arm | None:
        if isinstance(item.value, str):
            item = mapping({"design": item}, item.mark)
        if not isinstance(item.value, dict):
            self._add(item.mark, "an arm is a mapping with a design, e.g. - design: v6")
            return None
        for key in item.value:
            if key not in _ARM_KEYS:
                self._unknown(item.keys[key], key, list(_ARM_KEYS))
        design = item.get("design")
        if design is None or not isinstance(design.value, str):
            self._add(item.mark, f"design: is missing; one of {', '.join(DESIGNS)}")
        elif design.value not in DESIGNS:
            self._add(design.mark, _suggest("design", design.value, list(DESIGNS)))
        else:
            return self._build(item, design.value, shared)
        self._build(item, next(iter(DESIGNS)), shared)  # for what else is wrong with it
        return None

    def _build(self, item: Item, design: str, shared: Item) -> Arm | None:
        overrides = self._mapping_of(item, "overrides")
        policy_items = self._mapping_of(item, "policies")
        nested = overrides.get("policies")
        if nested is not None and isinstance(nested.value, dict):
            policy_items = merge(policy_items, nested)
        assert isinstance(overrides.value, dict)
        rest = {k: v for k, v in overrides.value.items() if k != "policies"}
        settings_item = merge(shared, Item(overrides.mark, rest, overrides.keys))
        settings = self._settings(settings_item)
        policies = self._policies(design, policy_items)
        if settings is None or policies is None:
            return None
        name = item.get("name")
        raw = {"name": name.plain() if name else design, "design": design}
        return self._validated(Arm, raw | {"policies": policies, "settings": settings}, item)

    def _mapping_of(self, item: Item, key: str) -> Item:
        found = item.get(key)
        if found is None or found.value is None:
            return mapping({}, item.mark)
        if not isinstance(found.value, dict):
            self._add(found.mark, f"{key}: must be a mapping, e.g. host.unmap: per_window")
            return mapping({}, item.mark)
        return _undotted(found)

    def _policies(self, design: str, items: Item) -> Policies | None:
        base = DESIGNS[design][0].model_dump()
        plain = items.plain()
        assert isinstance(plain, dict)
        return self._validated(Policies, base | plain, items)

    def _settings(self, item: Item) -> Settings | None:
        located = self._locate_stream(item)
        settings = self._validated(Settings, located.plain(), located)
        self._parameters(located.get("parameters"), settings)
        return settings

    def _parameters(self, marks: Item | None, settings: Settings | None) -> None:
        if marks is None or not isinstance(marks.value, dict):
            return
        for name in marks.value:
            value = settings.parameters[name] if settings else None
            trouble = problem_with(name, value)
            if trouble:
                self._add(marks.keys[name], f"parameters.{name}: {trouble}")

    def _locate_stream(self, item: Item) -> Item:
        """workload.path relative to its file, then to the stock; kept relative inside the stock."""
        workload = item.get("workload")
        path = workload.get("path") if workload else None
        if workload is None or path is None or not isinstance(path.value, str):
            return item
        stock = stock_folder()
        beside = Path(path.mark.file).parent if path.mark.line else Path()
        for folder in (beside, stock):
            candidate = (folder / path.value).resolve()
            if not candidate.exists():
                continue
            inside = candidate.is_relative_to(stock.resolve())
            found = candidate.relative_to(stock.resolve()) if inside else candidate
            return merge(item, _nested("workload.path", scalar(str(found), path.mark)))
        self._add(
            path.mark,
            f"workload.path: no file {path.value!r} beside the scenario or in the stock; "
            "record one with `speskew record` (stock: `speskew list streams`)",
        )
        return item

    def _names_unique(self, arms: list[Arm]) -> None:
        seen: set[str] = set()
        for arm, item in zip(arms, self._arm_items(), strict=False):
            if arm.name in seen:
                self._add(item.mark, f"arms: two arms are called {arm.name!r}; give one a name")
            seen.add(arm.name)

    # --- validation ----------------------------------------------------------------------

    def _validated(self, model: type[M], raw: object, item: Item) -> M | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            for entry in error.errors():
                self._from_pydantic(model, entry, item)
            return None

    def _from_pydantic(self, model: Any, entry: Any, item: Item) -> None:
        loc = tuple(entry["loc"])
        key_mark, mark, names = _place(item, loc)
        dotted = ".".join(names)
        if entry["type"] == "extra_forbidden":
            self._unknown(key_mark, dotted, list(_fields_at(model, loc[:-1])))
            return
        message = str(entry["msg"]).removeprefix("Value error, ")
        if entry["type"] == "missing":
            message = "is missing"
        if entry["type"] == "literal_error" and isinstance(entry["input"], str):
            choices = _choices(str(entry["ctx"]["expected"]))
            message = _suggest("", entry["input"], choices).lstrip(": ")
        self._add(mark, f"{dotted}: {message}" if dotted else message)

    def _unknown(self, mark: Mark, dotted: str, known: list[str]) -> None:
        last = dotted.rsplit(".", 1)[-1]
        close = difflib.get_close_matches(last, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"keys here: {', '.join(sorted(known))}"
        self._add(mark, f"{dotted}: unknown key; {hint}")


_PLACEHOLDER = Arm(
    name="x",
    design="baremetal",
    policies=DESIGNS["baremetal"][0],
    settings=Settings.model_validate(
        {"workload": {"kind": "synthetic", "phases": [{"name": "x", "length": 1, "iterations": 1}]}}
    ),
)
"""Stands for arms with problems of their own while the rest is checked."""


def _suggest(what: str, got: str, known: list[str]) -> str:
    close = difflib.get_close_matches(got, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(known)}"
    return f"{what}: unknown value {got!r}; {hint}"


def _choices(expected: str) -> list[str]:
    return [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",")]


def _place(item: Item, loc: tuple[Any, ...]) -> tuple[Mark, Mark, list[str]]:
    """Marks of a pydantic location's key and value, and its path (union tags are no part of it)."""
    key_mark = mark = item.mark
    names = []
    for step in loc:
        if isinstance(step, int) and isinstance(item.value, list) and step < len(item.value):
            item = item.value[step]
            key_mark = mark = item.mark
            names.append(str(step))
        elif isinstance(item.value, dict) and str(step) in item.value:
            key_mark = mark = item.keys.get(str(step), item.mark)
            item = item.value[str(step)]
            names.append(str(step))
            if not isinstance(item.value, (dict, list)):
                mark = item.mark
        elif step == loc[-1] and not _is_tag(item, step):
            names.append(str(step))
    return key_mark, mark, names


def _is_tag(item: Item, step: Any) -> bool:
    kind = item.get("kind")
    return kind is not None and kind.value == step


def _fields_at(model: Any, loc: tuple[Any, ...]) -> Iterator[str]:
    """Field names of the models at a location."""
    models = [model]
    for step in loc:
        inner = []
        for candidate in models:
            field = candidate.model_fields.get(str(step))
            inner += list(_models_in(field.annotation)) if field else []
        models = inner or models
    for candidate in models:
        yield from candidate.model_fields


def _models_in(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, list, dict):
        for argument in get_args(annotation):
            yield from _models_in(argument)
