"""Hostile scenarios: whatever is fed in, a scenario or a ScenarioError comes out, and soon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.scenario.files.document import MAX_BYTES
from sim.scenario.files.loader import ScenarioError, dump, load, origins, stock_folder
from sim.scenario.files.messages import setting_paths
from sim.scenario.models.scenario import DESIGNS, Scenario

STOCK = [path.read_text(encoding="utf-8") for path in sorted(stock_folder().glob("*.yaml"))]
GOOD = """\
workload: {kind: synthetic, phases: [{name: loop, length: 10, iterations: 100}]}
arms: [v6]
"""
fuzz = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _load(path: Path, sets: list[str] | None = None) -> Scenario | None:
    """The scenario, or None after a ScenarioError whose problems can all be printed."""
    try:
        made = load(path, sets or [])
    except ScenarioError as error:
        _printable(error)
        return None
    dump(made).encode("utf-8")
    return made


def _printable(error: ScenarioError) -> None:
    assert error.problems
    for problem in error.problems:
        assert problem.line >= 0
        assert problem.message.isprintable(), problem.message
        assert len(str(problem)) < 2000
    str(error).encode("utf-8")


# --- any bytes, any text ---------------------------------------------------------------------


@fuzz
@given(st.binary(max_size=300))
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    """Noise is no scenario."""
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    assert _load(path) is None
    with pytest.raises(ScenarioError):
        load(path, seed=1)


@fuzz
@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,\n\t \\x0", max_size=200))
def test_any_punctuation(tmp_path: Path, text: str) -> None:
    """What YAML is made of, in any order."""
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    _load(path)


@fuzz
@given(st.sampled_from(STOCK), st.data())
def test_damaged_stock_scenarios(tmp_path: Path, text: str, data: st.DataObject) -> None:
    """Bytes lost, doubled or replaced in a good file."""
    raw = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        size = data.draw(st.integers(0, 30))
        junk = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"\n", b": ", b"- ", b"\t", b"}"])
        )
        raw[at : at + size] = data.draw(st.sampled_from([junk, bytes(raw[at : at + size]) * 2]))
        raw = raw or bytearray(b" ")
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    _load(path)


# --- good keys, any values -------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "on",
        "off",
        "never",
        "1024ops",
        "4MiB",
        "0s",
        "1e99s",
        "9" * 30 + "s",
        "1000/s",
        "1e15/s",
        "3GHz",
        "unlimited",
        "streams/mix.spestream",
        "",
        "..",
        "\x00",
        "~",
        "recorded",
        "a" * 5000,
        "core",
        "constant",
        "uniform",
        "1.5",
        "inf",
        "0x10",
        "7 ops",
        "١ms",
        "1_0ms",
        "1e5GiB",
    ]
)
SCALARS = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-2, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=10),
)
KEYS = st.one_of(
    st.sampled_from([*setting_paths(), *DESIGNS, "kind", "low", "high", "mean", "value", "name"]),
    st.sampled_from(["policies", "overrides", "design", "extends", "arms", "<<", "a..b", "."]),
    st.text(max_size=6),
)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@fuzz
@given(st.dictionaries(KEYS, TREES, max_size=5), st.booleans())
def test_any_document(tmp_path: Path, document: dict[str, Any], whole: bool) -> None:
    """Known keys in unknown places, with values of any shape."""
    base = {"workload": json.loads(json.dumps(SYNTHETIC)), "arms": ["v6"]} if whole else {}
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(base | document), encoding="utf-8")
    _load(path)


SYNTHETIC = {"kind": "synthetic", "phases": [{"name": "x", "length": 3, "iterations": 5}]}


@fuzz
@given(st.lists(st.tuples(st.sampled_from(setting_paths()), TREES), max_size=5))
def test_any_value_of_any_setting(tmp_path: Path, values: list[tuple[str, Any]]) -> None:
    """Each setting as an override of an arm: refused with its key, or accepted."""
    arm = {"design": "v6", "overrides": dict(values)}
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps({"workload": SYNTHETIC, "arms": [arm, "baremetal"]}))
    _load(path)


@fuzz
@given(st.lists(st.text(max_size=30), max_size=3), st.sampled_from(setting_paths()), TREES)
def test_any_set(tmp_path: Path, sets: list[str], key: str, value: Any) -> None:
    """Any command line: noise, and any value of any setting."""
    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    _load(path, [*sets, f"{key}={json.dumps(value)}"])


@fuzz
@given(st.text(max_size=40) | WORDS)
def test_any_path(path: str) -> None:
    """Any name: a stock scenario, or a clear error."""
    with pytest.raises(ScenarioError):
        load(f"{path}-no-such")
    with pytest.raises(ScenarioError):
        origins(f"folder/{path}-no-such.yaml")


# --- work is bounded -------------------------------------------------------------------------


def _bomb() -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{k}: &a{k} [{','.join(9 * [f'*a{k - 1}'])}]" for k in range(1, 30)]
    return "\n".join(lines)


HOSTILE: dict[str, Callable[[], str]] = {
    "aliases": _bomb,
    "mapping aliases": lambda: (
        "a: &b0 {x: y}\n"
        + "".join(f"a{k}: &b{k} {{p: *b{k - 1}, q: *b{k - 1}}}\n" for k in range(1, 40))
    ),
    "a list in itself": lambda: "a: &a [*a, *a]\n" + GOOD,
    "brackets": lambda: "[" * (MAX_BYTES - 1),
    "braces": lambda: "{a: " * (MAX_BYTES // 4 - 1),
    "dashes": lambda: "- " * (MAX_BYTES // 2 - 1),
    "questions": lambda: "? " * (MAX_BYTES // 2 - 1),
    "indents": lambda: "".join(f"{' ' * k}a:\n" for k in range(1400)),
    "long word": lambda: GOOD + "name: " + "x" * (MAX_BYTES // 2),
    "long key": lambda: GOOD + "x" * (MAX_BYTES // 2) + ": 1\n",
    "long number": lambda: GOOD + "seed: " + "9" * (MAX_BYTES // 2),
    "long quantity": lambda: GOOD + "host: {memlock: " + "9" * (MAX_BYTES // 2) + "B}\n",
    "large exponent": lambda: GOOD + "host: {memlock: 1e999999999B}\n",
    "large rate": lambda: GOOD + "vm: {exits: 1e999999999/s}\n",
    "dots": lambda: GOOD.replace("v6", "{? " + "a." * 2000 + "b : 1}"),
    "overrides with dots": lambda: GOOD.replace(
        "v6", "{design: v6, overrides: {? " + "a." * 300 + "b : 1}}"
    ),
    "many arms": lambda: GOOD.replace("[v6]", "[" + ",".join(["v6"] * 19_000) + "]"),
    "many errors": lambda: GOOD + "host:\n" + "".join(f"  k{k}: 1\n" for k in range(9000)),
    "many tags": lambda: "a: [" + "!x y, " * 15_000 + "]\n" + GOOD,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_bounded_work(tmp_path: Path, name: str) -> None:
    """Every bomb is refused, in seconds."""
    path = tmp_path / "s.yaml"
    path.write_text(HOSTILE[name](), encoding="utf-8")
    started = time.process_time()
    assert _load(path) is None
    assert time.process_time() - started < 30
