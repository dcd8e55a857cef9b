"""Default times and sourced facts: complete, consistent, and overridden by name only."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sim.policies.stages import KvmCosts
from sim.scenario.models.quantities import ConstantTime, UniformTime
from sim.scenario.models.scenario import Settings
from sim.scenario.parameters import FACTS, PARAMETERS, problem_with, resolve
from sim.workload.presets import PRESETS

WORKLOAD = {"kind": "synthetic", "phases": [{"name": "x", "length": 1, "iterations": 1}]}
PUBLISHED = {
    "t_irq_latency": "0.5us",
    "t_profiling_exception": "0.5us",
    "t_irq_handler": "3us",
    "t_driver_start": "1us",
    "t_driver_stop": "1us",
    "t_exit": "155ns",
    "t_entry": "155ns",
    "t_trap": "450ns",
    "t_host_irq": "500ns",
    "t_inject": "1us",
    "t_ordinary_exit": "450ns",
    "t_walk_table": "100ns",
    "t_charge": "300ns",
    "t_pin": "62ns",
    "t_unpin": "15ns",
    "t_map_cold": "150ns",
    "t_map_present": "30ns",
    "t_unmap": "1.9us",
    "t_fault": "2.4us",
    "t_access_flag": "430ns",
    "t_ageing": "5us",
    "t_vmm_exit": "1.7us",
    "t_prefault": "950ns",
    "t_copy": "100ns",
    "t_setrlimit": "400ns",
    "t_irq_retract": "0ns",
    "t_drain": "0ns",
    "t_reader_wakeup": "10us",
    "t_reader_copy": "1280ns",
    "t_reader_enable": "2us",
    "t_halt_poll": "500us",
    "t_wake_polling": "5us",
    "t_wake_halted": "15us",
    "t_ksm_pass": "839s",
    "t_thp_collapse": "1250ms",
    "t_compaction": "10ms",
    "t_reclaim": "7143us",
    "t_swap_in": "6us",
    "t_remote": "45us",
    "t_dirty_log_start": "1800us",
    "t_downtime": "50ms",
    "t_host_slice": "2800us",
    "t_balloon": "2250ns",
    "t_free_page_report": "2s",
}
UNVERIFIED = {
    "t_access_flag",
    "t_profiling_exception",
    "t_irq_latency",
    "t_irq_handler",
    "t_charge",
    "t_setrlimit",
    "t_driver_start",
    "t_driver_stop",
    "t_irq_retract",
    "t_drain",
    "t_reader_wakeup",
    "t_reader_enable",
    "t_exit",
    "t_entry",
    "t_host_irq",
    "t_walk_table",
    "t_map_cold",
    "t_map_present",
    "t_copy",
    "t_compaction",
    "t_free_page_report",
}


def _settings(**parameters: object) -> Settings:
    return Settings.model_validate({"workload": WORKLOAD, "parameters": parameters})


def _time(text: str) -> ConstantTime:
    return ConstantTime.model_validate({"value": text})


def _uniform(low: str, high: str) -> UniformTime:
    return UniformTime.model_validate({"kind": "uniform", "low": low, "high": high})


def test_defaults_are_the_table() -> None:
    """Each default in picoseconds; NUMA balancing's sweep is uniform."""
    found = resolve(_settings())
    assert set(found) == {*PUBLISHED, "t_numa_sweep"}
    for name, text in PUBLISHED.items():
        assert found[name] == _time(text), name
    assert found["t_numa_sweep"] == _uniform("6400ms", "60s")


def test_every_cost_of_kvm_has_a_default() -> None:
    """A stage without a cost would be free by accident."""
    assert {f"t_{field.name}" for field in fields(KvmCosts)} <= set(PARAMETERS)


def test_unverified_means_without_a_source() -> None:
    """Exactly the times that nobody has published carry the badge."""
    assert {name for name, p in PARAMETERS.items() if p.unverified} == UNVERIFIED


@pytest.mark.parametrize("name", [*PARAMETERS, *FACTS])
def test_rows_are_complete(name: str) -> None:
    """Value, unit, range, source, meaning, and a confidence of H, M or L."""
    row = (PARAMETERS | FACTS)[name]
    assert all((row.value, row.unit, row.range, row.source, row.meaning))
    assert row.confidence in {"H", "M", "L"}
    assert row.unverified or row.source != "none"


@pytest.mark.parametrize("name", FACTS)
def test_facts_are_the_models_defaults(name: str) -> None:
    """A fact documents the default that a scenario without the key gets."""
    top, key = FACTS[name].setting.split(".")
    text = FACTS[name].value
    value = None if text == "null" else int(text) if text.isdigit() else text
    written = Settings.model_validate({"workload": WORKLOAD, top: {key: value}})
    assert written == _settings()


def test_an_override_replaces_one_time() -> None:
    """The others stay; the defaults are not touched."""
    found = resolve(_settings(t_pin="150ns"))
    assert found.pop("t_pin") == _time("150ns")
    assert all(resolve(_settings())[name] == value for name, value in found.items())
    assert resolve(_settings())["t_pin"] == _time(PUBLISHED["t_pin"])


def test_latency_may_be_a_distribution() -> None:
    """The two laws that are drawn."""
    law = {"kind": "uniform", "low": "1us", "high": "2us"}
    found = resolve(_settings(t_irq_latency=law))["t_irq_latency"]
    assert found == _uniform("1us", "2us")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("t_pinn", "3ns", "did you mean 't_pin'?"),
        ("zzz", "3ns", "known: t_irq_latency"),
        ("core_clock", "3ns", "set cpu.clock instead"),
        ("t_pin", {"kind": "exponential", "mean": "3ns"}, "not a distribution"),
        ("t_numa_sweep", "1us", "at least 1ms"),
        ("t_numa_sweep", {"kind": "uniform", "low": "0s", "high": "1s"}, "at least 1ms"),
        ("t_numa_sweep", {"kind": "exponential", "mean": "1us"}, "at least 1ms"),
    ],
)
def test_refused_overrides(name: str, value: object, says: str) -> None:
    """An unknown name, a law where one time is wanted, a sweep that would never end."""
    settings = _settings(**{name: value})
    assert says in (problem_with(name, settings.parameters[name]) or "")
    with pytest.raises(ValueError, match=rf"^parameters\.{name}: "):
        resolve(settings)


@pytest.mark.parametrize("core", PRESETS)
def test_every_core_preset_can_be_chosen(core: str) -> None:
    """The model's list of cores is the workload's."""
    assert Settings.model_validate({"workload": WORKLOAD, "cpu": {"core": core}}).cpu.core == core
