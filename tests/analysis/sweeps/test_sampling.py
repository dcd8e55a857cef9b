"""Samples drawn by SALib: points and their settings, and indices against known functions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.sweeps import sampling, sensitivity
from analysis.sweeps.sampling import Axis, SamplingError
from sim import units
from sim.scenario.files import loader
from sim.scenario.parameters import PARAMETERS

F64 = NDArray[np.float64]
SEED = 11


def ishigami(unit: F64) -> F64:
    """The test function of Ishigami and Homma (1990) with a = 7, b = 0.1, on the unit cube."""
    x = -math.pi + 2 * math.pi * unit
    return np.asarray(
        np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    )


def ishigami_indices() -> tuple[list[float], list[float]]:
    """First and total indices in closed form."""
    a, b = 7.0, 0.1
    alone = [(1 + b * math.pi**4 / 5) ** 2 / 2, a**2 / 8, 0.0]
    both = b**2 * math.pi**8 * (1 / 18 - 1 / 50)
    whole = sum(alone) + both
    first = [v / whole for v in alone]
    return first, [first[0] + both / whole, first[1], both / whole]


def test_sobol_finds_ishigami() -> None:
    """First and total indices are the closed form's, within their own intervals."""
    unit = sampling.points("sobol", 1024, 3, SEED)
    found = sensitivity.sobol(3, ishigami(unit)[:, None], SEED)
    for effect, first, total in zip(found, *ishigami_indices(), strict=True):
        numbers = effect.numbers
        assert numbers["S1"] == pytest.approx(first, abs=1.5 * numbers["S1_conf"])
        assert effect.weight == numbers["ST"] == pytest.approx(total, abs=1.5 * effect.conf)
        assert numbers["S1_conf"] < 0.1
        assert effect.conf < 0.12


def test_morris_finds_slopes() -> None:
    """Additive: mu* is the slope's size over the whole range, mu its sign, sigma 0, idle 0."""
    unit = sampling.points("morris", 6, 3, SEED)
    response = unit @ np.array([3.0, -1.0, 0.0])
    steep, falling, idle = sensitivity.morris(unit, response[:, None], SEED)
    assert (steep.weight, falling.weight, idle.weight) == pytest.approx((3, 1, 0))
    assert falling.numbers["mu"] == pytest.approx(-1)
    assert max(e.numbers["sigma"] for e in (steep, falling, idle)) < 1e-9
    assert (steep.clear, idle.clear) == (True, False)


def test_morris_tells_interaction() -> None:
    """A product: the effect of either depends on the other, so sigma is not 0."""
    unit = sampling.points("morris", 20, 2, SEED)
    for effect in sensitivity.morris(unit, (unit[:, 0] * unit[:, 1])[:, None], SEED):
        assert effect.numbers["sigma"] > 0.2


@pytest.mark.parametrize("method", ["morris", "sobol"])
def test_what_all_points_share_is_no_noise(method: str) -> None:
    """Common random numbers: a shift of each replication, the same everywhere, counts nothing."""
    unit = sampling.points(method, 8, 2, SEED)
    values = (unit @ np.array([1.0, 0.2]))[:, None] + np.array([[0.0, 5.0, -3.0]])
    for effect in analysed(method, unit, values):
        assert effect.noise == 0
        assert effect.clear


def analysed(method: str, unit: F64, values: F64) -> tuple[sensitivity.Effect, ...]:
    """The indices of either method."""
    if method == "morris":
        return sensitivity.morris(unit, values, SEED)
    return sensitivity.sobol(unit.shape[1], values, SEED)


@pytest.mark.parametrize(("method", "points"), [("morris", 10), ("sobol", 32)])
def test_pure_noise_swamps(method: str, points: int) -> None:
    """Null: settings that do nothing stand where noise is said to be; few are taken for more."""
    unit = sampling.points(method, points, 4, SEED)
    rng = np.random.default_rng(5)
    ratios, clear = [], 0
    for _ in range(100):
        for effect in analysed(method, unit, rng.normal(size=(len(unit), 4))):
            assert effect.noise
            ratios.append(effect.weight / effect.noise)
            clear += effect.clear
    assert np.mean(ratios) == pytest.approx(1, abs=0.12)
    assert clear <= 0.03 * len(ratios)


@pytest.mark.parametrize(("method", "points"), [("morris", 10), ("sobol", 32)])
def test_an_effect_above_the_noise_is_clear(method: str, points: int) -> None:
    """Power: an effect several times the noise is told from it, an idle setting beside is not."""
    unit = sampling.points(method, points, 2, SEED)
    rng = np.random.default_rng(6)
    strong, weak = 0, 0
    for _ in range(20):
        values = 3 * unit[:, :1] + rng.normal(scale=0.4, size=(len(unit), 4))
        active, idle = analysed(method, unit, values)
        strong, weak = strong + active.clear, weak + idle.clear
    assert strong == 20
    assert weak <= 1


def test_one_replication_has_no_noise_to_tell() -> None:
    """Unknown, not 0."""
    unit = sampling.points("morris", 4, 2, SEED)
    assert [e.noise for e in sensitivity.morris(unit, unit[:, :1], SEED)] == [None, None]


def test_constant() -> None:
    """Rounding is no variation."""
    assert sensitivity.constant(np.full((9, 3), 0.1) + 1e-16)
    assert sensitivity.constant(np.zeros((9, 1)))
    assert not sensitivity.constant(np.array([[1.0], [1.1]]))


# --- points


@pytest.mark.parametrize(("method", "rows"), [("morris", 8 * 4), ("sobol", 8 * 5)])
def test_points_depend_on_the_seed_alone(method: str, rows: int) -> None:
    """As many as the method needs, in the cube, the same each time, others with another seed."""
    first, again, other = (sampling.points(method, 8, 3, seed) for seed in (1, 1, 2))
    assert first.shape == (rows, 3)
    assert (first == again).all()
    assert (first != other).any()
    assert first.min() >= 0
    assert first.max() <= 1


SMALL = st.integers(0, 10**6)


@given(SMALL, SMALL, st.floats(0, 1), st.booleans(), st.sampled_from(units.KINDS))
def test_values_are_what_a_setting_holds(
    a: int, b: int, place: float, log: bool, kind: units.Kind
) -> None:
    """Whole steps inside the range, with the ends as they were given; they read back exactly."""
    low, high = sorted((a, b))
    axis = Axis("x", kind, low, high + 1, log and low > 0)
    for at in (0.0, place, 1.0):
        value = axis.value(at)
        assert isinstance(value, int) == (kind is units.COUNT)
        _, step = units.quantity(str(value))
        assert low <= step <= high + 1
        assert at not in (0.0, 1.0) or step == (low if at == 0 else high + 1)


def test_scales() -> None:
    """The middle is the mean, or the geometric mean."""
    time = units.quantity("1ns")[0]
    assert Axis("x", time, 100_000, 10_000_000, True).value(0.5) == "1us"
    assert Axis("x", time, 100_000, 10_000_000, False).value(0.5) == "5.05us"
    assert Axis("x", units.COUNT, 1, 4, False).value(1 / 3) == 2


BASE = """\
seed: 3
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 500}]}
parameters: {t_host_irq: 1us}
arms: [{design: baremetal}, {design: v6}]
samples: {method: morris, points: 3, over: %s}
"""


def drawn(folder: Path, over: str, more: str = "") -> sampling.Drawn:
    """The sample of a scenario."""
    path = folder / "s.yaml"
    path.write_text(BASE % over + more)
    return sampling.draw(loader.load(path))


def test_unverified_takes_what_the_arms_spend(tmp_path: Path) -> None:
    """Open UNVERIFIED times of these arms over their plausible ranges, not a set or idle one."""
    found = {axis.setting: axis.as_dict() for axis in drawn(tmp_path, "unverified").axes}
    names = {name.removeprefix("parameters.") for name in found}
    assert {"t_exit", "t_entry", "t_map_cold", "t_map_present", "t_walk_table"} < names
    assert not names & {"t_host_irq", "t_copy", "t_reader_enable", "t_compaction", "t_pin"}
    assert all(PARAMETERS[name].unverified for name in names)
    exits = {"setting": "parameters.t_exit", "low": "150ns", "high": "750ns", "scale": "log"}
    assert found["parameters.t_exit"] == exits
    assert found["parameters.t_irq_retract"]["scale"] == "linear", "it begins at 0"


def test_nothing_to_sample(tmp_path: Path) -> None:
    """Every open time is set: said, not an empty sweep."""
    names = [name for name, row in PARAMETERS.items() if row.unverified]
    path = tmp_path / "s.yaml"
    lines = "".join(f"  {n}: {PARAMETERS[n].value}\n" for n in names)
    path.write_text((BASE % "unverified").replace("{t_host_irq: 1us}", f"\n{lines}"))
    with pytest.raises(SamplingError, match="no arm spends"):
        sampling.draw(loader.load(path))


def test_equal_points_are_one_cell(tmp_path: Path) -> None:
    """Four levels of 1 to 2 are two numbers; every point knows its cell."""
    over = "{vm.vcpus: {low: 1, high: 2}}"
    found = drawn(tmp_path, over)
    assert len(found.cells) == len(found.unit) == 6
    assert len(set(found.cells)) == 2
    by_place: dict[float, Any] = {}
    for row, cell in zip(found.unit, found.cells, strict=True):
        assert by_place.setdefault(float(row[0]), cell) == cell
        assert cell.settings == (("vm.vcpus", 1 if row[0] < 0.5 else 2),)


def test_further_settings_of_the_scenario_do_not_move_points(tmp_path: Path) -> None:
    """The seed and the ranges decide; the workload does not."""
    over = "{parameters.t_exit: {low: 150ns, high: 750ns, scale: log}}"
    assert drawn(tmp_path, over).cells == drawn(tmp_path, over, "replications: 9\n").cells


@settings(deadline=None)  # the first example imports SALib
@given(st.lists(st.integers(0, 2), min_size=16, max_size=16), st.sampled_from([1, 3]))
def test_sparse_responses_have_finite_indices(numbers: list[int], replications: int) -> None:
    """Counts that are mostly equal: no warning, and every number can be written as JSON."""
    for method in ("morris", "sobol"):
        unit = sampling.points(method, 4, 2, SEED)
        values = np.repeat(np.array(numbers[: len(unit)], float)[:, None], replications, axis=1)
        base = sensitivity.base_points(2, values) if method == "sobol" else values
        if sensitivity.constant(values) or sensitivity.constant(base):
            continue
        for effect in analysed(method, unit, values):
            assert all(map(math.isfinite, effect.numbers.values()))
            assert effect.noise == (None if replications == 1 else 0)
