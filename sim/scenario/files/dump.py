"""A resolved scenario as YAML that loads to the same scenario."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from decimal import Context, Decimal
from functools import cache, lru_cache
from io import StringIO
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from sim.scenario.models.quantities import RATE, UNLIMITED, Unit
from sim.scenario.models.scenario import DESIGNS, Arm, Scenario, Verdicts
from sim.units import PICOS_PER_SECOND, parse_rate

Plain = dict[str, object]
"""A mapping as YAML has it; quantities are text with their unit."""
_FILES = (".path", ".kernel_tree")
_NO_FOLDING = 1 << 16
_LONGEST_KEY = 128
"""Of one that stands on the line of its value, characters."""


def _text(representer: SafeRepresenter, text: str) -> ScalarNode:
    """Control characters and unusual spaces go in quotes, where escapes keep them."""
    style = None if text.isprintable() else '"'
    node: ScalarNode = representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


class _Representer(SafeRepresenter):
    """Plain values, with our text."""

    yaml_representers = SafeRepresenter.yaml_representers | {str: _text}


def dump(scenario: Scenario) -> str:
    """Every setting with its unit: the first arm's at top level, the others as overrides.

    Equal scenarios give equal text, and the text loads to an equal scenario.
    """
    shared = _shared(scenario)
    document = {
        "schema_version": scenario.schema_version,
        "name": scenario.name,
        "question": scenario.question,
        "seed": scenario.seed,
        "replications": scenario.replications,
        **shared,
        "arms": [_arm(arm, shared) for arm in scenario.arms],
        **_claims(scenario),
    }
    return as_yaml(document)


def settings(scenario: Scenario) -> dict[str, str]:
    """What is simulated, by dotted name: as `dump` has it, without words, claims and replications.

    Settings are the first arm's; what others have beside them stands below `arms.<name>`, as
    `--set` calls it. Of a file outside the stock only its name, for it lies elsewhere on every
    machine.
    """
    shared = _shared(scenario)
    arms = {arm.name: _named(_arm(arm, shared)) for arm in scenario.arms}
    return dict(_leaves({"seed": scenario.seed, **shared, "arms": arms}, ""))


def _named(arm: Plain) -> Plain:
    """An arm without its name, its overrides beside its design."""
    overrides = arm.get("overrides", {})
    assert isinstance(overrides, dict)
    return {k: v for k, v in arm.items() if k not in ("name", "overrides")} | overrides


def _leaves(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value.get("kind") == "constant":
        value = value["value"]
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str):
        place = PurePath(value) if name.endswith(_FILES) else PurePath()
        yield name, place.name if place.is_absolute() else value
    else:
        yield name, json.dumps(value, sort_keys=True)


def as_yaml(document: object) -> str:
    """Plain values as block YAML, mappings in their own order.

    Scalars are written by ruamel.yaml, each once in a process: the cells of a sweep are ten
    thousand documents of the same words. Lines are put together here.
    """
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _entry(key, inner)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _hanging("- ", inner)
    elif isinstance(value, (dict, list)):
        yield "{}" if isinstance(value, dict) else "[]"
    else:
        yield _scalar(value)


def _entry(key: str, value: Any) -> Iterator[str]:
    """What a key stands for: beside it, or below it; lists as far to the left as the key."""
    text = _scalar(key)
    if len(text) > _LONGEST_KEY:
        yield f"? {text}"
        yield from _hanging(": ", value)
    elif not isinstance(value, (dict, list)) or not value:
        yield f"{text}: {next(_lines(value))}"
    else:
        yield f"{text}:"
        indent = "  " if isinstance(value, dict) else ""
        yield from (f"{indent}{line}" for line in _lines(value))


def _hanging(mark: str, value: Any) -> Iterator[str]:
    first, *others = _lines(value)
    yield f"{mark}{first}"
    yield from (f"  {line}" for line in others)


@cache
def _yaml() -> YAML:
    """Made once: it looks for its plug-ins each time."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = _NO_FOLDING
    return yaml


def _scalar(value: Hashable) -> str:
    """A scalar as ruamel.yaml writes it."""
    return _written(value, str(value))  # 0.0 equals -0.0


@lru_cache(maxsize=1 << 14, typed=True)
def _written(value: Hashable, _: str) -> str:
    out = StringIO()
    _yaml().dump([value], out)
    return out.getvalue().removeprefix("- ").removesuffix("\n")


def _claims(scenario: Scenario) -> Plain:
    """Checks and cells, as far as there are any."""
    made = {
        "until": None if scenario.until is None else _given(scenario.until),
        "verdicts": None if scenario.verdicts == Verdicts() else plain(scenario.verdicts),
        "checks": [_given(check) for check in scenario.checks],
        "decisions": None if scenario.decisions is None else _given(scenario.decisions),
        "matrix": scenario.matrix,
        "cases": list(scenario.cases),
        "samples": None if scenario.samples is None else _given(scenario.samples),
    }
    return {key: value for key, value in made.items() if value}


def _given(model: BaseModel) -> Plain:
    """A model's keys without those that are not set; its discriminator stays."""
    return {key: value for key, value in plain(model).items() if value not in (None, "")}


def _shared(scenario: Scenario) -> Plain:
    """The first arm's settings; parameters only where every arm has them: none can be unset."""
    first = plain(scenario.arms[0].settings)
    everywhere = set.intersection(*(set(arm.settings.parameters) for arm in scenario.arms))
    overridden = sorted(everywhere)
    times = first["parameters"]
    assert isinstance(times, dict)
    return first | {"parameters": {name: times[name] for name in overridden}}


def _arm(arm: Arm, shared: Plain) -> Plain:
    made: Plain = {"name": arm.name, "design": arm.design}
    policies = _difference(plain(arm.policies), _own(arm.design))
    if policies:
        made["policies"] = policies
    overrides = _difference(plain(arm.settings), shared)
    if overrides:
        made["overrides"] = overrides
    return made


@cache
def _own(design: str) -> Plain:
    """A design's policies, to be compared with."""
    return plain(DESIGNS[design][0])


def _difference(ours: Plain, base: Plain) -> Plain:
    """What must be merged over `base` to give `ours`."""
    result: Plain = {}
    for key, value in ours.items():
        there = base.get(key)
        if value == there:
            continue
        if isinstance(value, dict) and isinstance(there, dict) and _kind(value) == _kind(there):
            result[key] = _difference(value, there)
        else:
            result[key] = value
    return result


def _kind(value: Plain) -> object:
    return value.get("kind")


def plain(model: BaseModel) -> Plain:
    """A model as YAML values: quantities as text with their unit."""
    return {name: _value(getattr(model, name), unit) for name, unit in _units(type(model))}


@cache
def _units(kind: type[BaseModel]) -> tuple[tuple[str, Unit | None], ...]:
    """Fields of a model, each with the unit of its quantity."""
    return tuple(
        (name, next((entry for entry in field.metadata if isinstance(entry, Unit)), None))
        for name, field in kind.model_fields.items()
    )


def _value(value: object, unit: Unit | None) -> object:
    if isinstance(value, BaseModel):
        return plain(value)
    if isinstance(value, (tuple, list)):
        return [_value(entry, None) for entry in value]
    if isinstance(value, dict):
        return {key: _value(value[key], None) for key in sorted(value)}
    return written(value, unit) if unit is not None and isinstance(value, int) else value


def written(value: int, unit: Unit) -> str | int:
    """A quantity as text: the largest unit that divides it."""
    if unit is RATE:
        return _rate(value)
    if value == UNLIMITED:
        return "unlimited"
    for name, size in unit.sizes:
        if value and value % size == 0:
            return f"{value // size}{name}"
    return f"{value}{unit.sizes[-1][0]}"


def _rate(gap: int) -> str:
    """The shortest rate whose mean gap, picoseconds, is `gap`."""
    if gap == 0:
        return "0/s"
    for digits in range(1, 29):
        text = f"{Context(prec=digits).divide(Decimal(PICOS_PER_SECOND), gap):f}/s"
        if parse_rate(text) == gap:
            break
    return text
