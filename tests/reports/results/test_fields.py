"""Fields of result.json against its schema."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from reports.results import result, schema
from reports.results.damage import DamagedError
from tests.rigs.samples import broken_at, described

SCHEMA = json.loads((resources.files("reports.results") / "result.schema.json").read_text("utf-8"))
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def errors(value: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
    """What is wrong with `value`, for the part of JSON Schema that ours uses."""
    if "$ref" in schema:
        return errors(value, SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]], at)
    if "anyOf" in schema:
        found = [errors(value, option, at) for option in schema["anyOf"]]
        return [] if [] in found else found[0]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    kinds = schema.get("type", [])
    names = [kinds] if isinstance(kinds, str) else kinds
    good = [t for name in names for t in TYPES[name]]
    if good and (type(value) not in good):
        return [f"{at}: {value!r} is no {names}"]
    if "minimum" in schema and value < schema["minimum"]:
        return [f"{at}: {value!r} is too small"]
    return [*_in_object(value, schema, at), *_in_array(value, schema, at)]


def _in_object(value: Any, schema: dict[str, Any], at: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    found = [f"{at}: no {key}" for key in schema.get("required", []) if key not in value]
    extra = schema.get("additionalProperties", True)
    for key, entry in value.items():
        inner = schema.get("properties", {}).get(key, extra)
        if inner is False:
            found.append(f"{at}: unknown {key}")
        elif isinstance(inner, dict):
            found += errors(entry, inner, f"{at}.{key}")
    return found


def _in_array(value: Any, schema: dict[str, Any], at: str) -> list[str]:
    if not isinstance(value, list):
        return []
    low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
    found = [] if low <= len(value) <= high else [f"{at}: {len(value)} items"]
    for k, entry in enumerate(value):
        found += errors(entry, schema.get("items", {}), f"{at}[{k}]")
    return found


def test_result_follows_its_schema() -> None:
    """The published schema describes what is written, after a trip through the file."""
    assert errors(json.loads(result.dumps(described())), SCHEMA) == []


def test_published_schema_is_that_of_the_classes() -> None:
    """The file is what `python -m reports.results.schema` writes."""
    assert json.dumps(SCHEMA) == json.dumps(json.loads(schema.text()))


BROKEN: list[tuple[tuple[str | int, ...], object, str]] = [
    (("kind",), "measurement", "kind: must be prediction"),
    (("replications",), 0, "replications: must be a whole number, 1 or more"),
    (("arms", "v6", "ended_at_op"), 1.5, "arms.v6.ended_at_op: must be a whole number"),
    (("arms", "v6", "setup", "clock_hz"), 0, "arms.v6.setup.clock_hz: must be a whole number"),
    (("arms", "v6", "loss", "total", "mean"), "1", "arms.v6.loss.total.mean: must be a number"),
    (("arms", "v6", "loss_skew"), None, "arms.v6.loss_skew: must be an object"),
    (("arms", "v6", "profile", "pc", "js_excess", "ci95"), [1.0], "arms.v6.profile.pc.js_excess.c"),
    (("arms", "v6", "ledger", "ops", "executed"), -1, "arms.v6.ledger.ops.executed: must be a w"),
    (("arms", "v6", "ledger", "time"), {}, "arms.v6.ledger.time.wall: is missing"),
    (("arms", "v6", "replications"), [], "arms.v6.replications: must have 1 or more"),
    (
        ("arms", "v6", "replications", 1, "ended_because"),
        3,
        "arms.v6.replications[1].ended_because: ",
    ),
    (("arms", "v6", "surprise"), 1, "arms.v6.surprise: is not a key that belongs here"),
    (("arms", "v6", "hold"), {}, "arms.v6.hold.design: is missing"),
]
"""What a schema can refuse: where, with what, and what is said."""


@pytest.mark.parametrize(("path", "value", "said"), BROKEN)
def test_damage_is_refused_where_it_is(
    path: tuple[str | int, ...], value: object, said: str
) -> None:
    """By the schema and by the classes; what is said begins with the path of the field."""
    broken = broken_at(path, value)
    assert errors(broken, SCHEMA)
    with pytest.raises(DamagedError) as caught:
        result.of_json(broken)
    assert str(caught.value).startswith(said)
