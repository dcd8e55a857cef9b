"""Results with every field that a unit can hold, and what makes two of them equal."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim.ledger import (
    DeliveryLedger,
    Ledgers,
    OpLabel,
    OpsLedger,
    SelectionsLedger,
    TimeCause,
    TimeLedger,
)
from sim.results import (
    AUX_DT,
    AuxCounts,
    Blackouts,
    LockedPoint,
    RlimitCounts,
    RunResult,
    VcpuResult,
)


def same(a: Any, b: Any) -> bool:
    """Equal in every value, type, order, array layout and writability."""
    return bool(_plain(a) == _plain(b))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return type(value), [(f.name, _plain(getattr(value, f.name))) for f in fields(value)]
    if isinstance(value, np.ndarray):
        return value.dtype.descr, value.shape, value.tobytes(), value.flags.writeable
    if isinstance(value, dict):
        return [(_plain(k), _plain(v)) for k, v in value.items()]
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    assert isinstance(value, (int, str, Enum)), f"a result with a {type(value)}"
    return type(value), value


LONG = st.integers(-(1 << 63), (1 << 63) - 1)
INTS = LONG | st.integers(-(1 << 90), 1 << 90)
"""Also such as no machine word holds: ticks are Python's integers."""
TEXTS = st.text(max_size=6)


def _counts(cls: type[Any], **others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A dataclass of integers, and of other fields."""
    return st.builds(cls, **{f.name: others.get(f.name, INTS) for f in fields(cls)})


def _arrays(width: int = 0) -> st.SearchStrategy[NDArray[np.int64]]:
    shape = (-1, width) if width else (-1,)
    length = st.integers(0, 4).map(lambda n: n * max(1, width))
    values = length.flatmap(lambda n: st.lists(LONG, min_size=n, max_size=n))
    return values.map(lambda found: np.array(found, np.int64).reshape(shape))


def _aux() -> st.SearchStrategy[NDArray[np.void]]:
    rows = st.lists(st.binary(min_size=AUX_DT.itemsize, max_size=AUX_DT.itemsize), max_size=3)
    return rows.map(lambda found: np.frombuffer(b"".join(found), AUX_DT).copy())


_HISTOGRAM = st.dictionaries(st.integers(0, 1023), INTS, max_size=3)
_LEDGERS = st.builds(
    Ledgers,
    ops=_counts(OpsLedger, by_label=st.dictionaries(st.sampled_from(OpLabel), INTS)),
    selections=_counts(SelectionsLedger),
    delivery=_counts(DeliveryLedger),
    time=_counts(TimeLedger, stopped=st.dictionaries(st.sampled_from(TimeCause), INTS)),
)
_VCPUS = _counts(
    VcpuResult,
    ledgers=_LEDGERS,
    blackouts=st.dictionaries(
        TEXTS, _counts(Blackouts, ops_hist=_HISTOGRAM, ticks_hist=_HISTOGRAM), max_size=2
    ),
    profile=_arrays(),
    lost=_arrays(),
    written=_arrays(3),
    aux=_aux(),
    aux_counts=_counts(AuxCounts),
    log=st.lists(st.tuples(INTS, TEXTS, INTS), max_size=2).map(tuple),
)
RESULTS: st.SearchStrategy[RunResult] = _counts(
    RunResult,
    sightings=st.dictionaries(TEXTS, _arrays(3), max_size=2),
    arm=TEXTS,
    vcpus=st.lists(_VCPUS, max_size=2).map(tuple),
    rlimit=_counts(RlimitCounts),
    locked=st.lists(_counts(LockedPoint), max_size=2).map(tuple),
    ended_because=TEXTS,
)
"""Any result, of any values: whether its laws hold is no business of who stores it."""
