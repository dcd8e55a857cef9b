"""What pydantic found wrong, in the words of a colleague: where, what, why, and how to fix it."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from functools import cache
from types import NoneType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sim.scenario.files.document import Item, Mark, Problem, problem
from sim.scenario.models.scenario import Settings
from sim.scenario.words import clipped, shown, suggest


def problems_of(
    error: ValidationError, model: type[BaseModel], item: Item, prefix: str = ""
) -> Iterator[Problem]:
    """Each error at the place in `item` that it is about; `prefix` begins the dotted key."""
    for entry in error.errors():
        if entry["type"] == "too_short" and entry["input"]:
            continue  # pydantic counts members that were valid: their own errors say more
        if entry["type"] == "incoherent":
            yield from _incoherent(entry, item)
        else:
            yield _problem(entry, model, item, prefix)


def unknown(mark: Mark, dotted: str, known: Sequence[str]) -> Problem:
    """An unknown key, with the nearest known one, here or elsewhere."""
    last = dotted.rpartition(".")[2]
    elsewhere = [path for path in setting_paths() if path.rpartition(".")[2] == last]
    near = difflib.get_close_matches(last, known, 1, 0.8)
    close = near or elsewhere or difflib.get_close_matches(last, known, 1)
    if dotted in setting_paths():
        top, _, rest = dotted.partition(".")
        hint = f"nest it: {top}: {{{rest.replace('.', ': {')}: …{'}' * dotted.count('.')}"
    elif close:
        hint = f"did you mean {close[0]!r}?"
    else:
        hint = f"keys here: {', '.join(sorted(known))}"
    return problem(mark, f"{clipped(dotted)}: unknown key; {hint}")


# --- one error -------------------------------------------------------------------------------


def _incoherent(entry: Any, item: Item) -> Iterator[Problem]:
    for keys, why in entry["ctx"]["found"]:
        marks = [mark for key in keys if (mark := _mark_of(item, key.split(".")))]
        at = marks[0] if marks else item.mark
        yield problem(at, f"{keys[0]}: {why}", harmless=True)  # every value is one of a scenario


def _mark_of(item: Item, path: list[str]) -> Mark | None:
    for number, key in enumerate(path):
        if isinstance(item.value, list) and key.isdigit() and int(key) < len(item.value):
            item = item.value[int(key)]
            continue
        found = item.get(key) or item.get(".".join(path[number:]))
        if found is None:
            return None
        item = found
    return item.mark


def _problem(entry: Any, model: type[BaseModel], item: Item, prefix: str) -> Problem:
    key_mark, mark, names = _place(item, tuple(entry["loc"]), entry["type"] == "missing")
    dotted = ".".join(([prefix] if prefix else []) + [clipped(name) for name in names])
    kind, got, context = entry["type"], entry["input"], entry.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown(key_mark, dotted, list(_fields_at(model, tuple(entry["loc"])[:-1])))
    tag = str(context.get("discriminator", "kind")).strip("'")
    if kind == "union_tag_invalid":
        at = _mark_of(_item_at(item, names), [tag])
        message = suggest(context["tag"], _choices(context["expected_tags"]))
        return problem(at or mark, f"{dotted}.{tag}: {message}")
    if kind == "union_tag_not_found":
        if not isinstance(got, dict):
            return problem(mark, f"{dotted}: must be a mapping with a {tag}; got {shown(got)}")
        return problem(key_mark, f"{dotted}.{tag}: is missing; it says what {dotted} is")
    message = _said(kind, got, context) or str(entry["msg"]).removeprefix("Value error, ")
    return problem(mark, f"{dotted}: {message}" if dotted else message)


def _item_at(item: Item, names: list[str]) -> Item:
    for name in names:
        item = item.value[int(name)] if isinstance(item.value, list) else item.get(name) or item
    return item


_MUST = {
    "greater_than_equal": ("ge", "must be greater than or equal to {}"),
    "greater_than": ("gt", "must be greater than {}"),
    "less_than_equal": ("le", "must be less than or equal to {}"),
    "less_than": ("lt", "must be less than {}"),
    "string_too_short": ("min_length", "must have at least {} character"),
    "string_too_long": ("max_length", "must have at most {} characters"),
    "too_short": ("min_length", "must have at least {} entry"),
    "too_long": ("max_length", "must have at most {} entries"),
}
_KINDS = {
    "int_type": "must be a whole number, without quotes or unit",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list, e.g. [a, b]",
    "dict_type": "must be a mapping, e.g. {key: value}",
    "model_type": "must be a mapping, e.g. {key: value}",
    "model_attributes_type": "must be a mapping, e.g. {key: value}",
    "string_pattern_mismatch": "must be letters, digits, '.', '_' and '-' only, "
    "a letter or digit first",
}


def _said(kind: str, got: object, context: Any) -> str:
    """Our words for pydantic's kind of error; empty if its own are good."""
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        if context["expected"] == "1":
            return f"this version reads schema_version 1; got {shown(got)}"
        choices = _choices(context["expected"])
        if isinstance(got, bool):
            return f"must be a word, not {shown(got)}; one of {', '.join(choices)}"
        return suggest(got, choices)
    if kind in _MUST:
        name, text = _MUST[kind]
        return f"{text.format(f'{context[name]:,}')}; got {shown(got)}"
    return f"{_KINDS[kind]}; got {shown(got)}" if kind in _KINDS else ""


def _choices(expected: str) -> list[str]:
    return [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",")]


def _place(item: Item, loc: tuple[Any, ...], missing: bool) -> tuple[Mark, Mark, list[str]]:
    """Marks of a location's key and value, and its path; steps that are union tags are skipped."""
    key_mark = mark = item.mark
    names = []
    for step in loc:
        if isinstance(step, int) and isinstance(item.value, list) and step < len(item.value):
            item = item.value[step]
            key_mark = mark = item.mark
            names.append(str(step))
        elif isinstance(item.value, dict) and str(step) in item.value:
            key_mark = item.keys.get(str(step), item.mark)
            item = item.value[str(step)]
            mark = key_mark if isinstance(item.value, (dict, list, NoneType)) else item.mark
            names.append(str(step))
    if missing:
        names.append(str(loc[-1]))
    return key_mark, mark, names


# --- what keys there are ---------------------------------------------------------------------


def _fields_at(model: Any, loc: tuple[Any, ...]) -> Iterator[str]:
    """Field names of the models at a location."""
    models = [model]
    for step in loc:
        inner = []
        for candidate in models:
            field = candidate.model_fields.get(str(step))
            inner += list(_models_in(field.annotation)) if field else []
        models = inner or models
        tagged = [m for m in models if _kind_of(m) == step]
        models = tagged or models
    yield from dict.fromkeys(name for candidate in models for name in candidate.model_fields)


def _kind_of(model: Any) -> object:
    field = model.model_fields.get("kind") or model.model_fields.get("test")
    return next(iter(get_args(field.annotation)), None) if field else None


def _models_in(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, list, dict):
        for argument in get_args(annotation):
            yield from _models_in(argument)


@cache
def setting_paths() -> tuple[str, ...]:
    """Every dotted settings key outside lists."""
    return tuple(dict.fromkeys(_paths(Settings, "")))


def _paths(model: Any, prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if get_origin(field.annotation) in (tuple, list, dict):
            continue
        for inner in _models_in(field.annotation):
            yield from _paths(inner, f"{prefix}{name}.")
