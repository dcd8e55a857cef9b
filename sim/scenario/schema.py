"""JSON Schema of a scenario file, for editors: `speskew schema`."""

from __future__ import annotations

from typing import Any

from sim.scenario.model import DESIGNS, Policies, Settings


def schema() -> dict[str, Any]:
    """Schema of the file format (not of the resolved model), within draft-07 keywords."""
    settings = Settings.model_json_schema(ref_template="#/$defs/{model}")
    policies = Policies.model_json_schema(ref_template="#/$defs/{model}")
    definitions = settings.pop("$defs", {}) | policies.pop("$defs", {})
    definitions["Policies"] = policies
    definitions["Arm"] = _arm()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "speskew scenario",
        "type": "object",
        "additionalProperties": False,
        "properties": _own() | settings["properties"],
        "required": ["arms"],
        "$defs": definitions,
    }


def _own() -> dict[str, Any]:
    return {
        "schema_version": {"const": 1},
        "name": {"type": "string"},
        "question": {"type": "string", "description": "what the scenario answers"},
        "seed": {"type": "integer", "minimum": 0},
        "replications": {"type": "integer", "minimum": 1, "maximum": 100_000},
        "extends": {"type": "string", "description": "another scenario to merge over"},
        "arms": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Arm"}},
    }


def _arm() -> dict[str, Any]:
    design = {"enum": list(DESIGNS)}
    return {
        "anyOf": [
            design,
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["design"],
                "properties": {
                    "name": {"type": "string"},
                    "design": design,
                    "policies": {
                        "type": "object",
                        "description": "policies of the design, overridden",
                    },
                    "overrides": {
                        "type": "object",
                        "description": "any setting, nested or dotted, e.g. host.unmap",
                    },
                },
            },
        ]
    }
