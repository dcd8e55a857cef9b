"""result.json: names, laws, schema, bytes."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from reports.store import result
from tests.analysis.fakes import OPS, Plan
from tests.reports.samples import PLANS, described

SCHEMA = json.loads((resources.files("reports") / "result.schema.json").read_text("utf-8"))
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


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kind",), "measurement"),
        (("arms", "v6", "ended_at_op"), 1.5),
        (("arms", "v6", "profile", "symbol", "tvd_excess", "ci95"), [1.0]),
        (("arms", "v6", "ledger", "ops", "executed"), -1),
        (("arms", "v6", "surprise"), 1),
    ],
)
def test_schema_refuses(path: tuple[str, ...], value: object) -> None:
    """Positive control: a wrong value anywhere is found."""
    broken = described()
    inner = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert len(errors(broken, SCHEMA)) == 1


def test_totals_are_sums_of_replications() -> None:
    """Ledger totals are integers over replications and vCPUs, and keep the laws."""
    found = described((Plan(lost=7, vcpus=2, replications=3),))["arms"]["baremetal"]
    ops = found["ledger"]["ops"]
    assert ops["executed"] == 2 * 3 * OPS
    assert ops["executed"] == sum(v for k, v in ops.items() if k != "executed")
    for part, entries in found["ledger"].items():
        for entry, total in entries.items():
            each = [r["ledger"][part][entry] for r in found["replications"]]
            assert total == sum(each)


def test_blackouts_and_rlimit_are_described() -> None:
    """Counts, sums, quantiles, and peaks."""
    arm = described()["arms"]["v6"]
    blackouts = arm["blackouts"]["irq_delivery_full"]
    assert (blackouts["count"], blackouts["ops"], blackouts["ops_mean"]) == (10, 1000, 100)
    assert blackouts["ops_p50"] <= 100 <= blackouts["ops_max"]
    assert arm["rlimit"]["exits"] == 20
    assert arm["rlimit"]["locked_bytes_peak"] == 2 << 20


def test_equal_input_gives_equal_bytes() -> None:
    """Built twice from new objects, the file is the same; there is no NaN in it."""
    text = result.dumps(described())
    assert text == result.dumps(described())
    assert "NaN" not in text
    assert text.isascii()


def test_arm_without_samples_has_no_distances() -> None:
    """No samples: metrics are null, not zero."""
    view = described()["arms"]["silent"]["profile"]["symbol"]
    assert view["tvd_vs_truth"] == {"mean": None, "ci95": None, "n": 0, "unit": "fraction"}


def test_interrupted_result_has_the_finished_arms() -> None:
    """Fewer arms, and the mark."""
    found = described(PLANS[:2], interrupted=True)
    assert found["interrupted"] is True
    assert found["arm_order"] == ["baremetal", "v6"]


def test_upper_bounds_are_marked() -> None:
    """Only virtual arms whose unmapping no host has been seen to do."""
    arms = described()["arms"]
    assert [n for n, a in arms.items() if a["setup"]["upper_bound"]] == ["unpinned-cold"]
