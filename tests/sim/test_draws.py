"""Randomness is an address: vectors, equality of the three implementations, tables, the cache."""

from __future__ import annotations

import ast
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sim
from sim import draws

PACKAGE = Path(sim.__file__).parent
U64 = st.integers(0, draws.M64)
ORDINALS = st.integers(0, (1 << 62) - 1)

VECTORS = {
    0: (
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
        0xF88BB8A8724C81EC,
        0x1B39896A51A8749B,
    ),
    1234567: (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ),
}
"""First outputs of splitmix64 for a seed: java.util.SplittableRandom's and Rosetta Code's."""


@pytest.mark.parametrize("seed", VECTORS)
def test_known_answers(seed: int) -> None:
    """The published test vectors, from all three implementations."""
    expected = VECTORS[seed]
    ordinals = np.arange(len(expected))
    assert tuple(draws.splitmix64(seed, int(k)) for k in ordinals) == expected
    assert tuple(int(v) for v in draws.mix64_array(seed, ordinals)) == expected
    compiled = (draws.mix64(np.uint64(seed), np.uint64(k)) for k in ordinals)
    assert tuple(int(v) for v in compiled) == expected


@settings(deadline=None)
@given(U64, ORDINALS)
def test_python_numba_and_numpy_give_the_same_bits(stream: int, ordinal: int) -> None:
    """For any key and ordinal, wrapping included."""
    value = draws.splitmix64(stream, ordinal)
    assert 0 <= value <= draws.M64
    assert int(draws.mix64(np.uint64(stream), np.uint64(ordinal))) == value
    assert int(draws.mix64_array(stream, np.array([ordinal]))[0]) == value


def test_keys_are_addresses() -> None:
    """Every coordinate of the address matters; the same address is the same key, for ever."""
    names = ("irq", "interval", "latency", "start", "numa")
    keys = {draws.key(*address) for address in product((0, 1, 7), (0, 1, 2), (0, 1), names)}
    assert len(keys) == 3 * 3 * 2 * len(names)
    assert draws.key(1, 2, 3, "irq") == 8265041471968683293


def test_streams_of_neighbouring_keys_are_independent() -> None:
    """Bits of two components, replications or vCPUs agree half of the time (5 σ)."""
    ordinals = np.arange(20_000)
    base = draws.mix64_array(draws.key(1, 0, 0, "irq"), ordinals)
    for address in ((1, 1, 0, "irq"), (1, 0, 1, "irq"), (2, 0, 0, "irq"), (1, 0, 0, "exits")):
        other = draws.mix64_array(draws.key(*address), ordinals)
        agreeing = int(np.bitwise_count(~(base ^ other)).sum())
        n = 64 * ordinals.size
        assert abs(agreeing - n / 2) < 5 * (n / 4) ** 0.5


@settings(deadline=None)
@given(U64, ORDINALS, st.integers(1, 1 << 70))
def test_below_is_below(stream: int, ordinal: int, n: int) -> None:
    """An integer in [0, n)."""
    assert 0 <= draws.below(stream, ordinal, n) < n


def test_below_is_uniform() -> None:
    """χ² of 12 cells over 12,000 draws, far below its 1e-6 quantile (50)."""
    counts = np.bincount([draws.below(99, k, 12) for k in range(12_000)], minlength=12)
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 50


@pytest.mark.parametrize(("mean", "size"), [(64, 4096), (1_000, 4096), (10**6, 4096), (10**6, 256)])
def test_exponential_tables(mean: int, size: int) -> None:
    """Mean, variance and quantiles of an exponential, tail included; never 0 ticks."""
    table = np.array(draws.exponential_table(mean, size))
    weight = _weights(size)
    assert table.size == weight.size
    assert table.min() >= 1
    assert (np.diff(table) >= 0).all()
    found = (table * weight).sum()
    assert found == pytest.approx(mean, rel=0.5 / size + 1e-4)
    assert ((table - found) ** 2 * weight).sum() == pytest.approx(mean**2, rel=0.01)
    assert table[size // 2] == pytest.approx(mean * np.log(2), rel=0.02)
    assert table[-1] == pytest.approx(mean * np.log(2 * size * draws.TAIL), abs=1)


def _weights(size: int) -> NDArray[np.float64]:
    """Probability of each entry of a table."""
    parts = [np.full(size - 1, 1 / size), np.full(draws.TAIL, 1 / size / draws.TAIL)]
    return np.concatenate(parts)


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from([1, 16, 256, 4096]))
def test_uniform_tables(low: int, width: int, size: int) -> None:
    """Within its ends, ascending, symmetric to a tick, mean in the middle."""
    table = draws.uniform_table(low, low + width, size)
    assert low <= table[0] <= table[-1] <= low + width
    assert list(table) == sorted(table)
    assert abs((np.array(table) * _weights(size)).sum() - (low + width / 2)) <= 1
    assert table[-1] - table[0] >= width * (size - 1) // size - 1


def test_pick_draws_every_entry_equally() -> None:
    """An index from the high bits, and one into the last slice; a table of one needs none."""
    table = (*range(100, 115), *[115] * 128, *[116] * 128)  # of the last slice two halves
    picked = np.array([draws.pick(table, 5, k) for k in range(32_000)])
    counts = np.bincount(picked - 100, minlength=17)
    expected = np.array([2_000] * 15 + [1_000] * 2)
    assert ((counts - expected) ** 2 / expected).sum() < 60
    assert draws.pick((42,), 5, 0) == 42


def test_pick_does_not_depend_on_order() -> None:
    """A value is a function of its ordinal: no state."""
    table = draws.exponential_table(1_000)
    forward = [draws.pick(table, 3, k) for k in range(50)]
    backward = [draws.pick(table, 3, k) for k in reversed(range(50))]
    assert forward == backward[::-1]
    assert len(set(forward)) > 40


# --- the address of compiled code ------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package's sources."""
    target = tmp_path / "sim"
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def _digest(package: Path, numba: str = "0.61.0") -> str:
    return draws.compiled_code_digest(package, numba)


def test_the_digest_is_of_contents_not_of_places(copy: Path) -> None:
    """The same sources elsewhere have the same address; another numba has another one."""
    assert _digest(copy) == _digest(PACKAGE)
    assert _digest(copy, "0.62.0") != _digest(copy)


@pytest.mark.parametrize("callee", ["spe/collect.py", "draws.py", "workload/arrays.py"])
def test_editing_a_callee_changes_the_address(copy: Path, callee: str) -> None:
    """Numba does not notice an edited callee in another file; the cache's address does."""
    before = _digest(copy)
    path = copy / callee
    path.write_text(path.read_text() + "\n# edited\n")
    assert _digest(copy) != before


def test_other_edits_keep_the_compiled_code(copy: Path) -> None:
    """A source without compiled code does not cost a recompilation."""
    before = _digest(copy)
    path = copy / "host" / "vmm.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert _digest(copy) == before
    (copy / "new.py").write_text("from sim.draws import njit\n")
    assert _digest(copy) != before


def _source_of(module: str, name: str) -> str:
    """The module that a name comes from; `from sim.spe import kernel` imports one."""
    inner = PACKAGE.parent / module.replace(".", "/") / f"{name}.py"
    return f"{module}.{name}" if inner.exists() else module


def _frozen_imports(path: Path) -> set[tuple[str, str]]:
    """(module, name) of what compiled functions of a source take from other modules of `sim`."""
    tree = ast.parse(path.read_text())
    origin = {
        alias.asname or alias.name: (_source_of(str(node.module), alias.name), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sim")
        for alias in node.names
    }
    compiled = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any("njit" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    used = {
        node.id
        for function in compiled
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name)
    }
    return {(str(module), name) for local, (module, name) in origin.items() if local in used}


def test_compiled_code_takes_constants_from_hashed_sources_only() -> None:
    """Numba freezes globals at compile time: a constant's source must be part of the address."""
    stale = {
        (path.name, module, name)
        for path in PACKAGE.rglob("*.py")
        for module, name in _frozen_imports(path)
        if "njit" not in (PACKAGE.parent / (module.replace(".", "/") + ".py")).read_text()
    }
    assert stale == set()


@draws.njit
def _twice(x: Any) -> Any:
    return x * 2


@draws.njit
def _five() -> Any:
    return _twice(5)


@draws.njit_inner
def _thrice(x: Any) -> Any:
    return x * 3


@draws.njit
def _nine() -> Any:
    return _thrice(np.int64(3))


def test_python_cannot_enter_what_has_no_entry() -> None:
    """Neither before compiled code has called it nor after: the process would end."""
    for _ in range(2):
        with pytest.raises(TypeError, match="_thrice is called by compiled code only"):
            _thrice(np.int64(3))
        assert _nine() == 9


def test_quick_is_the_same_function_where_its_arguments_have_one_type() -> None:
    """Unknown types and several are left to numba; so is plain Python."""
    assert draws.quick(_twice) is _twice  # compiled for nothing yet
    assert _five() == 10
    assert draws.quick(_twice)(4) == 8  # compiled not for 5, but for any int
    made = numba.njit(_twice.py_func)
    assert made(3) == 6
    assert draws.quick(made) is not made
    assert draws.quick(made)(4) == 8
    several = numba.njit(_twice.py_func)
    assert (several(3), several(1.5)) == (6, 3.0)
    assert draws.quick(several) is several
    assert draws.quick(len) is len
