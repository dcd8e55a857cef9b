"""The resolved form: what `dump` writes loads to the same scenario, whatever it holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sim.scenario.files.dump import as_yaml, written
from sim.scenario.files.loader import dump, load, stock_folder
from sim.scenario.files.loader import settings as settings_of
from sim.scenario.models.quantities import RATE
from sim.scenario.models.scenario import DESIGNS, Policies
from sim.scenario.parameters import PARAMETERS

STOCK = sorted(path.stem for path in stock_folder().glob("*.yaml"))
Values = st.SearchStrategy[Any]


def _with(unit: str, least: int, most: int) -> Values:
    return st.integers(least, most).map(lambda n: f"{n}{unit}")


TIMES = st.one_of(_with("ps", 0, 10**18), _with("ns", 0, 10**6), st.just("0.31us"), st.just(0))
SLICES = st.one_of(_with("ns", 1000, 10**6), _with("s", 1, 10**6))
SIZES = st.one_of(_with("B", 0, 1 << 62), _with("KiB", 0, 1 << 20), st.just("unlimited"))
RATES = st.one_of(
    st.integers(10**5, 10**15).map(lambda gap: written(gap, RATE)),
    st.just("0/s"),
    st.just(0),
    st.just("0.001/s"),
)
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs"])
TEXT = st.one_of(
    st.text(LETTERS, min_size=1, max_size=40),
    st.text("ab :#-'\"\n\x85\u2028", min_size=60, max_size=80).map(str.rstrip).filter(bool),
)
LAWS = st.one_of(
    st.builds(lambda t: {"kind": "exponential", "mean": t}, TIMES),
    st.builds(lambda t: {"kind": "uniform", "low": "0ns", "high": t}, TIMES),
    st.builds(lambda t: {"kind": "constant", "value": t}, TIMES),
    TIMES,
)
ONE_TIME = sorted(set(PARAMETERS) - {"t_irq_latency", "t_numa_sweep"})


def _some(**values: Values) -> Values:
    """A mapping with any of these keys."""
    return st.fixed_dictionaries({}, optional=values)


LATENCIES = st.one_of(
    st.just({"kind": "core"}),
    _with("cycles", 0, 10**6).map(lambda t: {"kind": "constant", "value": t}),
    _with("cycles", 0, 10**6).map(lambda t: {"kind": "exponential", "mean": t}),
)
PHASE = st.fixed_dictionaries(
    {"name": TEXT, "length": st.integers(1, 1000), "iterations": st.integers(1, 1000)},
    optional={"latency": LATENCIES, "el": st.sampled_from([0, 1]), "mix": st.just({"load": 3})},
)
SYNTHETIC = st.fixed_dictionaries(
    {"kind": st.just("synthetic"), "phases": st.lists(PHASE, min_size=1, max_size=3)},
    optional={"repeat": st.integers(1, 100)},
)
RECORDED = st.fixed_dictionaries(
    {"kind": st.just("recorded"), "path": st.just("streams/mix.spestream")},
    optional={"repeat": st.integers(1, 10**6), "kernel": st.none() | _some(tick_every=TIMES)},
)
THREADS = st.fixed_dictionaries(
    {"kind": st.just("threads"), "path": st.just("streams/contended.threads.json")},
    optional={"repeat": st.integers(1, 10**6)},
)
PARTS: dict[str, Values] = {
    "spe": _some(
        interval=_with("ops", 1, (1 << 32) - 256),
        jitter=st.sampled_from(["off", "on", "ernd"]),
        filter=_some(load=st.booleans(), min_latency=st.integers(0, 4095)),
    ),
    "cpu": _some(clock=st.one_of(_with("MHz", 1, 10**5), st.just("2.8GHz"))),
    "vm": _some(vcpus=st.integers(1, 8), exits=RATES, max_buffer=SIZES),
    "host": _some(
        memlock=SIZES,
        cap_ipc_lock=st.booleans(),
        unmap=st.one_of(
            st.sampled_from(["never", "published", "per_window", "per_record"]),
            RATES.map(lambda rate: {"poisson": rate}),
        ),
    ),
    "switch": st.none() | st.fixed_dictionaries({"every": SLICES, "away": TIMES}),
    "parameters": st.dictionaries(st.sampled_from(ONE_TIME), TIMES, max_size=3).flatmap(
        lambda times: LAWS.map(lambda law: times | {"t_irq_latency": law})
    ),
}
POLICIES = _some(
    unpin=st.sampled_from(["on_disable", "never"]),
    unmap_on_unpin=st.booleans(),
    charge=st.sampled_from(["whole", "incremental"]),
)
ARM = st.fixed_dictionaries(
    {"design": st.sampled_from(sorted(DESIGNS))},
    optional={
        "policies": POLICIES,
        "overrides": _some(**PARTS, workload=SYNTHETIC | RECORDED | THREADS),
    },
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid scenario file as plain values."""
    arms = draw(st.lists(ARM, min_size=1, max_size=4))
    named = [arm | {"name": f"arm-{k}"} for k, arm in enumerate(arms)]
    own = _some(
        question=st.one_of(st.just(""), TEXT, TEXT.map(lambda text: (text * 12)[:999])),
        name=TEXT,
        seed=st.integers(0, 2**64 - 1),
        replications=st.integers(1, 100_000),
    )
    shared = {"workload": draw(SYNTHETIC | RECORDED | THREADS)} | draw(_some(**PARTS))
    document: dict[str, Any] = draw(own) | shared | {"arms": named}
    return document


def _write(folder: Path, text: str, name: str = "s.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents())
def test_what_is_dumped_loads_to_the_same(tmp_path: Path, document: dict[str, Any]) -> None:
    """Any scenario, arms that differ in anything; the text is a fixed point."""
    first = load(_write(tmp_path, json.dumps(document)))
    text = dump(first)
    again = load(_write(tmp_path, text, "resolved.yaml"))
    assert again == first
    assert dump(again) == text


def values() -> Values:
    """Whatever YAML can hold, words that must be quoted among it."""
    odd = ("", "1", "1e3", "null", "~", "x: y", "# c", "- a", "? a", " a ", "a\nb", "\0", "'", '"')
    words = st.sampled_from(odd) | st.text(LETTERS, max_size=200)
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words
    return st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(words, inner), max_leaves=12
    )


@settings(deadline=None, max_examples=300)
@given(st.lists(values(), min_size=1, max_size=2))
def test_any_value_is_written_as_ruamel_reads_it(value: list[Any]) -> None:
    """One, and beside others: 1, 1.0 and true are three; keys that are long or odd."""
    read = YAML(typ="safe", pure=True).load(as_yaml(value))
    assert repr(read) == repr(value)


def test_equal_values_are_not_one() -> None:
    """Whichever came first."""
    assert as_yaml([-0.0, 0.0, 0, False, 1, True, 1.0]).split("- ")[1:] == [
        *("-0.0\n", "0.0\n", "0\n", "false\n", "1\n", "true\n", "1.0\n")
    ]


@pytest.mark.parametrize("name", STOCK)
def test_stock_scenarios_survive(name: str, tmp_path: Path) -> None:
    """The run directory's copy of a stock scenario runs the same."""
    made = load(name)
    assert load(_write(tmp_path, dump(made))) == made


def test_a_parameter_of_one_arm_stays_with_it(tmp_path: Path) -> None:
    """The first arm's override must not become everybody's."""
    text = """\
workload: {kind: synthetic, phases: [{name: loop, length: 10, iterations: 100}]}
arms: [{name: a, design: v6, overrides: {parameters: {t_pin: 1us}}}, v6]
"""
    made = load(_write(tmp_path, text))
    first, second = load(_write(tmp_path, dump(made))).arms
    assert list(first.settings.parameters) == ["t_pin"]
    assert second.settings.parameters == {}


def test_equal_scenarios_have_equal_text(tmp_path: Path) -> None:
    """However they were written: order, units, nesting."""
    head = "workload: {kind: synthetic, phases: [{name: x, length: 10, iterations: 9}]}\n"
    one = "arms: [v6]\nhost: {memlock: 8192KiB}\nparameters: {t_pin: 1us, t_unpin: 1us}\n"
    two = "parameters: {t_unpin: 1us, t_pin: 1000ns}\narms: [{design: v6}]\nhost: {memlock: 8MiB}\n"
    texts = [dump(load(_write(tmp_path, head + rest))) for rest in (one, two)]
    assert texts[0] == texts[1]


def test_policies_that_are_the_designs_are_not_repeated(tmp_path: Path) -> None:
    """An arm's policies show what it changed."""
    text = """\
workload: {kind: synthetic, phases: [{name: loop, length: 10, iterations: 100}]}
arms: [v6, {name: a, design: v6, policies: {unmap_on_unpin: true, unpin: on_disable}}]
"""
    made = dump(load(_write(tmp_path, text)))
    assert "    unmap_on_unpin: true\n" in made
    assert "unpin: on_disable" not in made
    assert set(Policies.model_fields) == set(DESIGNS["v6"][0].model_dump())


def test_settings_are_what_is_simulated(tmp_path: Path) -> None:
    """By the names that `--set` has; no words and claims; of a file elsewhere its name."""
    text = (
        "name: x\nquestion: %s\nreplications: %d\n"
        "workload: {kind: recorded, path: prog.spestream, repeat: 2}\n"
        "parameters: {t_fault: 3us}\n"
        "arms:\n  - baremetal\n"
        "  - {name: mine, design: v6, policies: {unpin: never}, overrides: {host.memlock: 64KiB}}\n"
    )
    found = []
    for folder, words, count in (("a", "why", 2), ("b", "how", 3)):
        (tmp_path / folder).mkdir()
        shutil.copy(
            stock_folder() / "streams" / "mix.spestream", tmp_path / folder / "prog.spestream"
        )
        (tmp_path / folder / "s.yaml").write_text(text % (words, count))
        found.append(settings_of(load(tmp_path / folder / "s.yaml")))
    first = found[0]
    assert found[1] == first
    assert (first["workload.path"], first["parameters.t_fault"]) == ("prog.spestream", "3us")
    mine = {k: v for k, v in first.items() if k.startswith("arms.mine.")}
    assert mine == {
        "arms.mine.design": "v6",
        "arms.mine.policies.unpin": "never",
        "arms.mine.host.memlock": "64KiB",
    }
