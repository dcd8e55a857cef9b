"""A resolved scenario as YAML that loads to the same scenario."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML

from sim.scenario.model import DESIGNS, RATE, UNLIMITED, Arm, Scenario, Unit
from sim.units import PICOS_PER_SECOND


def dump(scenario: Scenario) -> str:
    """Every setting with its unit: the first arm's at top level, the others as overrides."""
    shared = plain(scenario.arms[0].settings)
    document = {
        "schema_version": scenario.schema_version,
        "name": scenario.name,
        "question": scenario.question,
        "seed": scenario.seed,
        "replications": scenario.replications,
        **shared,
        "arms": [_arm(arm, shared) for arm in scenario.arms],
    }
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 100
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _arm(arm: Arm, shared: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": arm.name, "design": arm.design}
    policies = _difference(plain(arm.policies), plain(DESIGNS[arm.design][0]))
    if policies:
        made["policies"] = policies
    overrides = _difference(plain(arm.settings), shared)
    if overrides:
        made["overrides"] = overrides
    return made


def _difference(ours: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """What must be merged over `base` to give `ours`."""
    result = {}
    for key, value in ours.items():
        there = base.get(key)
        if value == there:
            continue
        both = isinstance(value, dict) and isinstance(there, dict)
        if both and there is not None and value.get("kind") == there.get("kind"):
            result[key] = _difference(value, there)
        else:
            result[key] = value
    return result


def plain(model: BaseModel) -> dict[str, Any]:
    """A model as YAML values: quantities as text with their unit."""
    result = {}
    for name, field in type(model).model_fields.items():
        unit = next((entry for entry in field.metadata if isinstance(entry, Unit)), None)
        result[name] = _value(getattr(model, name), unit)
    return result


def _value(value: Any, unit: Unit | None) -> Any:
    if isinstance(value, BaseModel):
        return plain(value)
    if isinstance(value, (tuple, list)):
        return [_value(entry, None) for entry in value]
    if isinstance(value, dict):
        return {key: _value(entry, None) for key, entry in value.items()}
    return value if unit is None else written(value, unit)


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
    if gap == 0:
        return "0/s"
    text = format((Decimal(PICOS_PER_SECOND) / gap).normalize(), "f")
    return f"{text}/s"
