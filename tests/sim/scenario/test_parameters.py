"""Default times: each with a source or the mark of having none; overrides are checked."""

import re
import tomllib
from importlib.resources import files
from typing import Any

import pytest

from sim import units
from sim.scenario.models.quantities import (
    ConstantTime,
    ExponentialTime,
    TimeDistribution,
    UniformTime,
)
from sim.scenario.models.scenario import Settings
from sim.scenario.parameters import (
    DISTRIBUTED,
    FACTS,
    PARAMETERS,
    SWEEP_FLOOR,
    problem_with,
    resolve,
)

TABLE = tomllib.loads(files("sim.scenario").joinpath("parameters.toml").read_text("utf-8"))
NAMES = sorted(PARAMETERS)
EVERY = PARAMETERS | FACTS


def made_time(text: str) -> ConstantTime:
    """A constant, from text."""
    return ConstantTime.model_validate({"value": text})


def made(**parameters: object) -> Settings:
    """Settings with these parameters."""
    phase = {"name": "x", "length": 1, "iterations": 1}
    workload = {"kind": "synthetic", "phases": [phase]}
    return Settings.model_validate({"workload": workload, "parameters": parameters})


@pytest.mark.parametrize("name", sorted(EVERY))
def test_default_names_its_source(name: str) -> None:
    """A source, a confidence, a range and a meaning, all in words."""
    parameter = EVERY[name]
    assert parameter.name == name
    for text in (parameter.source, parameter.meaning, parameter.range, parameter.value):
        assert text.strip()
    assert parameter.confidence in {"H", "M", "L"}
    assert (parameter.unit.split()[0] == "time") == (name in PARAMETERS)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_no_source_means_unverified(name: str) -> None:
    """What nobody has measured carries the mark, and no better confidence than an estimate."""
    parameter = EVERY[name]
    if re.match(r"none\b", parameter.source) or "nobody has published" in parameter.source:
        assert parameter.unverified
        assert parameter.confidence == "L"
    if "UNVERIFIED" in parameter.source:
        assert parameter.unverified
    if parameter.confidence == "H":
        assert not parameter.unverified


def test_the_table_has_these_keys_only() -> None:
    """Misspelt keys of parameters.toml would be ignored silently."""
    allowed = {
        "value",
        "low",
        "high",
        "unit",
        "range",
        "source",
        "confidence",
        "unverified",
        "at_high",
        "meaning",
        "fact",
        "setting",
    }
    for name, row in TABLE.items():
        assert set(row) <= allowed, name
        assert ("value" in row) != ("low" in row and "high" in row), name
        assert ("fact" in row) == ("setting" in row) == (name in FACTS), name


@pytest.mark.parametrize("name", NAMES)
def test_default_is_a_time(name: str) -> None:
    """Defaults are read with their units; only some may be distributions."""
    row: dict[str, Any] = TABLE[name]
    value = resolve(made())[name]
    if "value" in row:
        assert value == made_time(row["value"])
        assert PARAMETERS[name].value == row["value"]
    else:
        assert isinstance(value, UniformTime)
        assert value.low == units.parse_time(row["low"]) < value.high
        assert name in DISTRIBUTED


def test_distributed_names_exist() -> None:
    """The list of parameters that may be distributions names real ones."""
    assert set(PARAMETERS) >= DISTRIBUTED


def test_overrides_replace_defaults() -> None:
    """An override replaces its own default and no other."""
    before = resolve(made())
    after = resolve(made(t_pin="150ns", t_irq_latency={"kind": "exponential", "mean": "1us"}))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"t_pin", "t_irq_latency"}
    assert after["t_pin"].model_dump() == {"kind": "constant", "value": 150_000}
    assert after["t_irq_latency"].model_dump() == {"kind": "exponential", "mean": 10**6}
    assert resolve(made()) == before, "defaults are not changed by an override"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t_pinn", "unknown parameter 't_pinn'; did you mean 't_pin'?"),
        ("T_PIN_", "unknown parameter 'T_PIN_'; known: " + ", ".join(PARAMETERS)),
        ("zzz", "unknown parameter 'zzz'; known: " + ", ".join(PARAMETERS)),
    ],
)
def test_unknown_parameters(name: str, message: str) -> None:
    """The nearest one, or all of them."""
    assert problem_with(name, None) == message
    with pytest.raises(ValueError, match=re.escape(message)):
        resolve(made(**{name: "3ns"}))


@pytest.mark.parametrize(
    "value",
    [
        UniformTime.model_validate({"kind": "uniform", "low": "1s", "high": "2s"}),
        ExponentialTime.model_validate({"kind": "exponential", "mean": "1s"}),
    ],
)
def test_distributions_where_they_are_allowed(value: TimeDistribution) -> None:
    """One time is one time; the message says which parameters may vary."""
    for name in PARAMETERS:
        found = problem_with(name, value)
        if name in DISTRIBUTED:
            assert found is None
        else:
            assert found == (
                f"{name} is one time, not a distribution; write e.g. 450ns "
                "(distributions: t_irq_latency, t_numa_sweep, t_profiling_exception)"
            )


def test_constants_are_always_allowed() -> None:
    """Any parameter may be overridden by a time."""
    for name in PARAMETERS:
        assert problem_with(name, made_time("1s")) is None


@pytest.mark.parametrize(
    "value",
    [
        ConstantTime.model_validate({"value": "0.9ms"}),
        UniformTime.model_validate({"kind": "uniform", "low": "0.9ms", "high": "2s"}),
        ExponentialTime.model_validate({"kind": "exponential", "mean": "0.9ms"}),
    ],
)
def test_a_sweep_takes_its_time(value: TimeDistribution) -> None:
    """Sweeps shorter than the floor are refused, however they are given; others may be short."""
    assert "at least 1ms" in str(problem_with("t_numa_sweep", value))
    assert problem_with("t_irq_latency", value) is None
    assert problem_with("t_numa_sweep", made_time(f"{SWEEP_FLOOR}ps")) is None


@pytest.mark.parametrize("name", sorted(FACTS))
def test_facts_are_no_parameters(name: str) -> None:
    """A fact under `parameters` is refused with the setting to change instead."""
    assert name not in PARAMETERS
    assert problem_with(name, None) == f"is no time of the model; set {FACTS[name].setting} instead"
