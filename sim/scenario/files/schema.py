"""JSON Schema of a scenario file, for editors: `speskew schema`.

It describes what a person writes, not the resolved model: quantities are text with a unit, an arm
may be a bare design, overrides are nested or dotted. Draft-07 keywords only, which every editor
knows. It is a help while typing; `speskew validate` is the judge (an editor sees no other file, so
a file that extends another one may be incomplete).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.scenario.models.scenario import DESIGNS, Arm, Policies, Scenario, Settings
from sim.scenario.parameters import PARAMETERS

Schema = dict[str, Any]
_TEMPLATE = "#/definitions/{model}"
_UNION_MEMBERS = ("ConstantTime", "CoreLatency")
"""Models whose `kind` has a default that a file must still spell out."""
_CLAIMS = (
    "Equivalence",
    "Bound",
    "NoWorseThan",
    "Exact",
    "Distribution",
    "Until",
    "Verdicts",
    "Samples",
    "Decisions",
    "Range",
)
"""Models that only a scenario's own keys refer to."""


def schema() -> Schema:
    """Schema of the file format, draft-07."""
    settings = Settings.model_json_schema(ref_template=_TEMPLATE)
    policies = Policies.model_json_schema(ref_template=_TEMPLATE)
    definitions = settings.pop("$defs")
    for member in _UNION_MEMBERS:
        definitions[member]["required"] = ["kind", *definitions[member].get("required", [])]
    settings["properties"]["parameters"] |= _parameters(settings, definitions)
    definitions |= {
        "Policies": policies,
        "Overrides": _overrides(settings["properties"], policies["properties"], definitions),
        "Arm": _arm(),
    }
    own = _own()
    definitions |= own.pop("$defs")
    body: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": own["properties"] | settings["properties"],
        "anyOf": [{"required": ["workload", "arms"]}, {"required": ["extends"]}],
        "definitions": definitions,
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "speskew scenario"}
    return head | dict(_plain(body))


def _parameters(settings: Schema, definitions: Schema) -> Schema:
    """Known names only; a time, or a distribution."""
    time = definitions["ConstantTime"]["properties"]["value"]
    distribution = settings["properties"]["parameters"]["additionalProperties"]
    return {
        "propertyNames": {"enum": list(PARAMETERS)},
        "additionalProperties": {"anyOf": [time, distribution]},
    }


def _own() -> Schema:
    """The keys of a file that are no settings."""
    whole = Scenario.model_json_schema(ref_template=_TEMPLATE)
    fields = dict(whole["properties"])
    arms = {
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/definitions/Arm"},
        "description": "what is compared; the first baremetal arm is the reference arm",
    }
    fields |= {
        "extends": {"type": "string", "description": "a scenario file to merge over"},
        "arms": arms,
    }
    claims = {name: whole["$defs"][name] for name in _CLAIMS}
    return {"properties": fields, "$defs": claims}


def _arm() -> Schema:
    name = Arm.model_json_schema()["properties"]["name"]
    design = {
        "enum": list(DESIGNS),
        "description": "; ".join(f"{name}: {d.what}" for name, d in DESIGNS.items()),
    }
    properties = {
        "name": name | {"description": "unique; the design's name unless given"},
        "design": design,
        "policies": {
            "$ref": "#/definitions/Policies",
            "description": "policies put in the design's place",
        },
        "overrides": {
            "$ref": "#/definitions/Overrides",
            "description": "settings put in the scenario's place",
        },
    }
    whole = {
        "type": "object",
        "additionalProperties": False,
        "required": ["design"],
        "properties": properties,
    }
    return {"anyOf": [design, whole]}


def _overrides(settings: Schema, policies: Schema, definitions: Schema) -> Schema:
    """Any setting, nested (then partial) or dotted, and policies."""
    dotted: dict[str, list[Schema]] = {}
    for key, inner in [*_dotted(settings, "", definitions), *_dotted(policies, "policies.", {})]:
        dotted.setdefault(key, [])
        dotted[key] += [] if inner in dotted[key] else [inner]
    properties = {k: _either(found) for k, found in dotted.items()}
    nested = {
        key: {
            "anyOf": [{"type": "object"}, properties[key]],
            "description": settings[key]["description"],
        }
        for key in settings
    }
    policies_key = {
        "$ref": "#/definitions/Policies",
        "description": "policies put in the design's place",
    }
    return {
        "type": "object",
        "description": "any setting of this arm, nested or dotted, e.g. host.unmap: per_window",
        "additionalProperties": False,
        "properties": properties | nested | {"policies": policies_key},
    }


def _either(found: list[Schema]) -> Schema:
    """One of several forms of a key; what they mean, each once."""
    if len(found) == 1:
        return found[0]
    meanings = dict.fromkeys(form["description"] for form in found)
    return {"anyOf": found, "description": "; or ".join(meanings)}


def _dotted(properties: Schema, prefix: str, definitions: Schema) -> Iterator[tuple[str, Schema]]:
    for name, inner in properties.items():
        yield prefix + name, {k: v for k, v in inner.items() if k != "default"}
        for target in _targets(inner):
            fields = definitions.get(target, {}).get("properties", {})
            yield from _dotted(fields, f"{prefix}{name}.", definitions)
        if name == "parameters":
            for parameter in PARAMETERS.values():
                described = inner["additionalProperties"] | {"description": parameter.meaning}
                yield f"{prefix}{name}.{parameter.name}", described


def _targets(inner: Schema) -> Iterator[str]:
    """Names of the definitions that a property refers to, alternatives included."""
    if "$ref" in inner:
        yield str(inner["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf", "allOf"):
        for branch in inner.get(key, []):
            yield from _targets(branch)


def _plain(node: Any) -> Any:
    """Without keywords that draft-07 does not know, and without pydantic's titles."""
    if isinstance(node, list):
        return [_plain(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if key == "discriminator" or (key == "title" and isinstance(value, str)):
            continue
        kept[key] = _plain(value)
    return kept
