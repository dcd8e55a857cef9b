"""Randomness is an address: every value is splitmix64(key, ordinal); there is no generator state.

A key names who draws: numpy's SeedSequence hashes (seed, replication, vCPU, component name) to 64
bits at load. A value is then a pure function of its ordinal (op index, stop ordinal, reload
ordinal, …), so over-generation is free, results do not depend on creation order or on the number
of workers, and every arm sees the same draw at the same ordinal.

Distributions of times between the host's and the CPU's events are integer quantile tables, made at
load: 4,095 slices of equal probability, and of the last one 256 more, so that no tail is cut before
2^-20. The simulation itself draws an index; floats appear only while a table is made. Times in
flight have laws of their own (`sim.laws`).

This module also owns how numba compiles: `njit` here is numba's with a cache on disk, and the
cache's address includes a hash of every source of `sim` that holds compiled code and numba's
version, because numba itself does not notice an edited callee in another file.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.types import unliteral
from numpy.typing import NDArray

from sim.cache import linked
from sim.cache.compiled import CodeCache

M64 = (1 << 64) - 1
WEYL = 0x9E3779B97F4A7C15
TABLE_BITS = 12
TABLE_SIZE = 1 << TABLE_BITS
TAIL = 256
"""Parts of a table's last slice."""
_TABLES = 64
"""Quantile tables that are kept: replications and arms of a scenario share a few."""


def compiled_code_digest(package: Path, numba_version: str) -> str:
    """Hash of every source below `package` that mentions njit, and of numba's version."""
    digest = hashlib.sha256(numba_version.encode())
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        if b"njit" in text:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + text)
    return digest.hexdigest()[:16]


CODE_FOLDER = "numba-" + compiled_code_digest(Path(__file__).parent, metadata.version("numba"))
"""Of compiled code, in the cache."""


_numba: Any = numba.njit  # its annotations do not have all options
_kind: Callable[[Any], Any] = unliteral
"""The type of a constant that numba would compile a function for: int64 for `Literal[int](3)`."""
_ALLOCATES = "allocates"
_F = TypeVar("_F", bound=Callable[..., Any])


def allocates(function: _F) -> _F:
    """Below `njit`: a function that makes arrays, or copies one into a slice of another.

    All others count no references to arrays that they are given: whoever calls them holds those.
    Counting, and finding out that it was in vain, took a sixth of the time to compile.
    """
    vars(function)[_ALLOCATES] = True
    return function


def njit(function: Callable[..., Any]) -> Any:
    """numba.njit with the disk cache, releasing the GIL; int64 arithmetic wraps."""
    return _kept(_numba(**_options(function))(function))


def njit_inner(function: Callable[..., Any]) -> Any:
    """`njit` for functions that only compiled code calls: they are a part of their callers' code
    (`sim.cache.linked`), and Python may not call them."""
    dispatcher = _kept(_numba(**_options(function), **linked.options())(function))
    if hasattr(dispatcher, "_insert"):
        dispatcher._insert = _nothing  # into what is looked up when Python calls
        dispatcher._compile_for_args = partial(_refuse, function.__name__)
    return dispatcher


def _nothing(*_: Any) -> None:
    """Without an entry for Python, a call would end the process."""


def _refuse(name: str, *_: Any) -> None:
    raise TypeError(f"{name} is called by compiled code only")


def njit_inline(function: Callable[..., Any]) -> Any:
    """`njit` for tiny functions that belong inside their caller's loop."""
    return _kept(_numba(**_options(function), inline="always")(function))


def _options(function: Callable[..., Any]) -> dict[str, bool]:
    """Of numba. No C calls them: without what that needs they compile a twentieth faster."""
    counts = vars(function).get(_ALLOCATES, False)
    return {"nogil": True, "no_cfunc_wrapper": True, "_nrt": counts}


def _kept(dispatcher: Any) -> Any:
    """A compiled function that keeps its code, and whose code is the same whatever the constants
    that callers name; NUMBA_DISABLE_JIT leaves plain functions."""
    if hasattr(dispatcher, "_cache"):
        dispatcher._cache = CodeCache(dispatcher.py_func, CODE_FOLDER)
        dispatcher.get_call_template = partial(_any_value, dispatcher.get_call_template)
    return dispatcher


def _any_value(get: Callable[..., Any], args: Any, kws: Any) -> Any:
    """Numba would compile a function again for every constant that a caller names."""
    return get(tuple(map(_kind, args)), {name: _kind(kws[name]) for name in kws})


def quick(function: Any) -> Any:
    """A compiled function for callers whose arguments are always of the same types: where it has
    been compiled for one set of types, what runs it without looking at them.

    Looking at some thirty arrays takes three times as long as handing them over.
    """
    entry = _QUICK.get(function)
    if entry is None:
        made = getattr(function, "overloads", {})
        if len(made) != 1:
            return function
        entry = _QUICK[function] = next(iter(made.values())).entry_point
    return entry


_QUICK: dict[Any, Any] = {}


def signed(value: int) -> int:
    """A 64-bit key as the int64 with the same bits, for compiled code."""
    return value - (1 << 64) if value >> 63 else value


def key(seed: int, replication: int, vcpu: int, component: str) -> int:
    """64-bit key of one component's draws."""
    name = int.from_bytes(hashlib.sha256(component.encode()).digest()[:8], "little")
    state = np.random.SeedSequence([seed, replication, vcpu, name]).generate_state(1, np.uint64)
    return int(state[0])


def splitmix64(stream: int, ordinal: int) -> int:
    """The `ordinal`-th value of a stream, 64 bits (Steele, Lea, Flood 2014, finaliser mix13)."""
    x = (stream + (ordinal + 1) * WEYL) & M64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M64
    return x ^ (x >> 31)


_WEYL = np.uint64(WEYL)
_MUL1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


@njit_inline
def mix64(stream: Any, ordinal: Any) -> Any:
    """`splitmix64` for compiled code: uint64 in, uint64 out, the same bits."""
    x = stream + (ordinal + np.uint64(1)) * _WEYL
    x = (x ^ (x >> _S30)) * _MUL1
    x = (x ^ (x >> _S27)) * _MUL2
    return x ^ (x >> _S31)


def mix64_array(stream: int, ordinals: NDArray[np.int64]) -> NDArray[np.uint64]:
    """`splitmix64` over an array of ordinals."""
    x = np.uint64(stream) + (ordinals.astype(np.uint64) + np.uint64(1)) * _WEYL
    x = (x ^ (x >> _S30)) * _MUL1
    x = (x ^ (x >> _S27)) * _MUL2
    return x ^ (x >> _S31)


def below(stream: int, ordinal: int, n: int) -> int:
    """Uniform integer in [0, n)."""
    return (splitmix64(stream, ordinal) * n) >> 64


@lru_cache(maxsize=_TABLES)
def exponential_table(mean: int, size: int = TABLE_SIZE) -> tuple[int, ...]:
    """Quantiles of an exponential of integer `mean`, at the middles of a table's slices."""
    unit = size * TAIL
    exceeded = ((2 * unit - places) / (2 * unit) for places in _middles(size))
    return tuple(max(1, round(-mean * math.log(share))) for share in exceeded)


@lru_cache(maxsize=_TABLES)
def uniform_table(low: int, high: int, size: int = TABLE_SIZE) -> tuple[int, ...]:
    """Quantiles of a uniform on [low, high], ends included."""
    unit = size * TAIL
    return tuple(low + (high - low) * places // (2 * unit) for places in _middles(size))


def _middles(size: int) -> Iterator[int]:
    """Middles of `size` - 1 slices, and of TAIL parts of the last, in halves of such a part."""
    yield from ((2 * j + 1) * TAIL for j in range(size - 1))
    yield from (2 * (size - 1) * TAIL + 2 * j + 1 for j in range(TAIL))


def pick(table: tuple[int, ...], stream: int, ordinal: int) -> int:
    """One draw from a quantile table, or from a table of one value."""
    if len(table) == 1:
        return table[0]
    value = splitmix64(stream, ordinal) >> 20
    last = len(table) - TAIL
    index = value & last
    return table[index if index < last else last + (value >> 16 & TAIL - 1)]
