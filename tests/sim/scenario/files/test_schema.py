"""The schema for editors: in sync, draft-07, and of one mind with the loader."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.scenario.files.document import parse
from sim.scenario.files.loader import ScenarioError, dump, load, stock_folder
from sim.scenario.files.schema import schema

STOCK = sorted(stock_folder().glob("*.yaml"))
SCHEMA = schema()
WORKLOAD = "workload: {kind: synthetic, phases: [{name: loop, length: 10, iterations: 100}]}\n"
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
_NUMBER: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda v, limit: v >= limit,
    "maximum": lambda v, limit: v <= limit,
    "exclusiveMaximum": lambda v, limit: v < limit,
}
_STRING: dict[str, Callable[[Any, Any], bool]] = {
    "pattern": lambda v, pattern: re.search(pattern, v) is not None,
    "minLength": lambda v, limit: len(v) >= limit,
    "maxLength": lambda v, limit: len(v) <= limit,
}
_ARRAY: dict[str, Callable[[Any, Any], bool]] = {
    "items": lambda v, inner: all(valid(entry, inner) for entry in v),
    "minItems": lambda v, limit: len(v) >= limit,
    "maxItems": lambda v, limit: len(v) <= limit,
}
_ANY: dict[str, Callable[[Any, Any], bool]] = {
    "$ref": lambda v, ref: valid(v, SCHEMA["definitions"][ref.removeprefix("#/definitions/")]),
    "const": lambda v, const: (v, type(v)) == (const, type(const)),
    "enum": lambda v, choices: v in choices,
    "anyOf": lambda v, branches: any(valid(v, branch) for branch in branches),
    "oneOf": lambda v, branches: sum(valid(v, branch) for branch in branches) == 1,
    "type": lambda v, kinds: any(
        _TYPES[k](v) for k in ([kinds] if isinstance(kinds, str) else kinds)
    ),
}
_OBJECT = {"properties", "additionalProperties", "propertyNames", "required"}
_NOTES = {"description", "default", "examples", "title", "definitions", "$schema"}


def valid(value: Any, rules: dict[str, Any]) -> bool:
    """Whether draft-07 accepts a value, for the keywords that the schema uses."""
    tables = [
        (_ANY, True),
        (_NUMBER, _TYPES["integer"](value)),
        (_STRING, isinstance(value, str)),
        (_ARRAY, isinstance(value, list)),
    ]
    known = _NOTES | _OBJECT | {key for table, _ in tables for key in table}
    assert set(rules) <= known, set(rules) - known
    for table, applies in tables:
        if applies and not all(table[key](value, rules[key]) for key in table if key in rules):
            return False
    return not isinstance(value, dict) or _valid_object(value, rules)


def _valid_object(value: dict[str, Any], rules: dict[str, Any]) -> bool:
    if not set(rules.get("required", [])) <= set(value):
        return False
    names, more = rules.get("propertyNames", {}), rules.get("additionalProperties", True)
    for key, entry in value.items():
        inner = rules.get("properties", {}).get(key, more)
        if inner is False or not valid(key, names):
            return False
        if inner is not True and not valid(entry, inner):
            return False
    return True


def _plain(text: str) -> Any:
    return parse(text, "s.yaml", []).plain()


def test_the_committed_schema_is_in_sync() -> None:
    """`make schema` writes it."""
    committed = (stock_folder() / "scenario.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == SCHEMA
    assert committed == json.dumps(SCHEMA, indent=2) + "\n"


def test_the_schema_says_which_draft_it_is() -> None:
    """Editors choose their validator by it; definitions are where draft-07 has them."""
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    refs = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(SCHEMA)))
    assert refs == {f"#/definitions/{name}" for name in SCHEMA["definitions"]}


@pytest.mark.parametrize("path", STOCK, ids=lambda path: path.stem)
def test_stock_scenarios_are_valid(path: Path) -> None:
    """No editor underlines anything, in the file or in its resolved form."""
    assert valid(_plain(path.read_text(encoding="utf-8")), SCHEMA)
    assert valid(_plain(dump(load(path))), SCHEMA)


@pytest.mark.parametrize(
    "rest",
    [
        "arms: [v6]\n",
        "arms: [{design: v6, name: a, policies: {unpin: never}}]\n",
        "arms: [{design: v6, overrides: {host.unmap: {poisson: 3/s}, spe: {jitter: on}}}]\n",
        "arms: [{design: v6, overrides: {policies.unpin: never, workload.repeat: 3}}]\n",
        "arms: [{design: v6, overrides: {spe.filter.load: true, parameters.t_pin: 1us}}]\n",
        "arms: [v6]\nparameters: {t_pin: 1us, t_irq_latency: {kind: exponential, mean: 1us}}\n",
        "arms: [v6]\nvm: {max_buffer: unlimited, exits: 0}\nswitch: {every: 4 ms, away: 0}\n",
        "arms: [v6]\nswitch: null\nseed: 0x10\nname: x\nquestion: why?\nschema_version: 1\n",
    ],
)
def test_what_loads_is_valid(rest: str, tmp_path: Path) -> None:
    """Each form that a file may take."""
    (tmp_path / "s.yaml").write_text(WORKLOAD + rest)
    load(tmp_path / "s.yaml")
    assert valid(_plain(WORKLOAD + rest), SCHEMA)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "arms: []\n",
        "arms: [v7]\n",
        "arms: [{name: x}]\n",
        "arms: [{design: v6, polices: {}}]\n",
        "arms: [{design: v6, policies: {unpin: neverr}}]\n",
        "arms: [{design: v6, overrides: {host.unmp: never}}]\n",
        "arms: [{design: v6, overrides: {host.memlock: 8MB}}]\n",
        "arms: [v6]\nspe: {jiter: on}\n",
        "arms: [v6]\nspe: {jitter: true}\n",
        "arms: [v6]\nspe: {interval: 1024}\n",
        "arms: [v6]\nhost: {memlock: 64kB}\n",
        "arms: [v6]\nvm: {exits: 1000}\n",
        "arms: [v6]\nvm: {vcpus: 0}\n",
        "arms: [v6]\nparameters: {t_pinn: 3ns}\n",
        "arms: [v6]\nparameters: {t_pin: 3}\n",
        "arms: [v6]\nswitch: {every: 4ms}\n",
        "arms: [v6]\nname: 5\n",
        "arms: [v6]\nschema_version: 2\n",
        "arms: [v6]\nreplication: 3\n",
    ],
)
def test_what_is_refused_is_invalid(rest: str, tmp_path: Path) -> None:
    """An editor underlines it before anybody runs it."""
    (tmp_path / "s.yaml").write_text(WORKLOAD + rest)
    with pytest.raises(ScenarioError):
        load(tmp_path / "s.yaml")
    assert not valid(_plain(WORKLOAD + rest), SCHEMA)


def test_a_file_that_extends_may_be_incomplete() -> None:
    """Its workload and arms are in the other file."""
    assert valid(_plain("extends: base.yaml\nseed: 3\n"), SCHEMA)


def undescribed(rules: dict[str, Any]) -> list[str]:
    """Keys of mappings, alternatives included, that say nothing about themselves."""
    mappings = {"": rules, **rules["definitions"]}
    branches = [(n, b) for n, m in mappings.items() for b in (m, *m.get("anyOf", []))]
    return [
        f"{name}.{key}"
        for name, branch in branches
        for key, rule in branch.get("properties", {}).items()
        if not rule.get("description", "").strip()
    ]


def test_every_key_is_described() -> None:
    """An editor has something to show for each key, dotted overrides included."""
    assert undescribed(SCHEMA) == []


def test_a_key_without_description_is_noticed() -> None:
    """Control: one is taken away."""
    rules = json.loads(json.dumps(SCHEMA))
    del rules["definitions"]["Spe"]["properties"]["jitter"]["description"]
    assert undescribed(rules) == ["Spe.jitter"]
