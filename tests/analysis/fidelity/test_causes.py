"""Causes of skew that settings tell, and their cures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from analysis.fidelity import causes
from sim.scenario.models.scenario import Settings
from tests.rigs.fakes import Plan, arm


def settings(jitter: str, *lengths: int, interval: int = 1024) -> Settings:
    """Loops of these lengths."""
    phases = [{"name": f"loop_{n}", "length": n, "iterations": 100} for n in lengths]
    return Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": phases},
            "spe": {"interval": f"{interval}ops", "jitter": jitter},
        }
    )


@pytest.mark.parametrize("length", [1, 2, 10, 41, 64, 205, 1009, 1010, 1024, 1025])
def test_instructions_of_a_loop_that_a_run_can_see(length: int) -> None:
    """As many as selections every 1025 operations meet, counted out."""
    seen = {(1025 * k) % length for k in range(length)}
    found = list(causes.loops_in_step(settings("off", length)))
    assert found == ([(f"loop_{length}", length, len(seen))] if len(seen) < length else [])


def test_a_period_is_what_the_driver_makes_of_it() -> None:
    """1009 is rounded down to 768 where the SPU allows it, so loops of 769 are in step."""
    asked = settings("off", 769, 1009, interval=1009)
    asked = asked.model_copy(update={"spe": asked.spe.model_copy(update={"min_interval": 256})})
    assert list(causes.loops_in_step(asked)) == [("loop_769", 769, 1)]


@pytest.mark.parametrize("length", [200, 512, 1024, 1000])
def test_a_random_byte_on_a_grid_reaches_256_instructions(length: int) -> None:
    """FEAT_SPE_ERnd: gaps of 1024 and a byte."""
    seen = {(1024 * k + byte) % length for k in range(length) for byte in range(256)}
    found = list(causes.loops_in_step(settings("ernd", length)))
    assert found == ([(f"loop_{length}", length, len(seen))] if len(seen) < length else [])
    assert list(causes.loops_in_step(settings("on", length))) == []


def of(**spe: object) -> list[str]:
    """What is said of a fake arm with one loop of ten operations."""
    return list(causes.of_skew(arm(Plan(settings={"spe": spe}))))


def test_loops_are_named_with_the_cure() -> None:
    """Ten and 1025 have a common factor of five; jitter ends it."""
    (said,) = of(jitter="off")
    assert said.startswith(
        "in step with the sampler: x (10 operations, of which a run can sample 2)"
    )
    assert "one selection every 1,025 operations" in said
    assert "spe.jitter: on cures it" in said
    assert of(jitter="on") == []


def test_the_erratum_is_named() -> None:
    """With its number."""
    (said,) = of(jitter="on", target_bias_per_mille=1000)
    assert said.startswith("Neoverse N1 erratum 1694299")


def test_many_collisions_are_named() -> None:
    """Three of some thousand are not; a tenth is."""
    made = arm(Plan(samples=1000, settings={"spe": {"jitter": "on"}}))
    assert list(causes.of_skew(made)) == []
    for run in made.runs:
        run.vcpus[0].ledgers.selections.collided = 111
    (said,) = causes.of_skew(made)
    assert math.isclose(float(said.split(" ")[0]), 100 * 111 / 1003, rel_tol=1e-2)


def test_the_symbol_is_named_where_loops_are_not_known() -> None:
    """A recorded workload: that with most of the distance by instruction."""
    plan = Plan(samples=200_000, shares=(0.5, 0.2, 0.25, 0.05))
    made = arm(plan)
    workload = {"kind": "recorded", "path": "x.spestream"}
    recorded = Settings.model_validate({"workload": workload, "spe": {"jitter": "off"}})
    made = replace(made, arm=made.arm.model_copy(update={"settings": recorded}))
    (said,) = causes.of_skew(made)
    assert said.startswith(("loops of beta may be in step", "loops of gamma may be in step"))
