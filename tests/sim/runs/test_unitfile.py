"""A unit's bytes: an exact round trip, a schema that refuses the rest, and nothing that runs."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import pickle
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from sim.ledger import Ledgers
from sim.results import (
    AUX_DT,
    AuxCounts,
    Blackouts,
    LockedPoint,
    RlimitCounts,
    RunResult,
    VcpuResult,
)
from sim.runs import store, unitfile
from sim.runs.unitfile import MAGIC, DamagedUnitError, dumps, loads, sealed
from tests.sim.runs.made_results import RESULTS, same


def result() -> RunResult:
    """One of one vCPU."""
    vcpu = VcpuResult(
        ledgers=Ledgers(),
        blackouts={"full": Blackouts(count=2, ops_hist={7: 2})},
        profile=np.arange(5, dtype=np.int64),
        lost=np.zeros(5, np.int64),
        ended_at_op=9,
        stops=2,
        traps=1,
        ordinary_exits=0,
        written=np.empty((0, 3), np.int64),
        aux=np.zeros(2, AUX_DT),
        aux_counts=AuxCounts(records=2),
        log=((1, "stop", 2),),
    )
    return RunResult(
        arm="v6",
        replication=0,
        vcpus=(vcpu,),
        rlimit=RlimitCounts(),
        locked=(LockedPoint(0, 1, 2),),
        zaps=0,
        wall=1 << 70,
        ended_because="",
        engine_events=0,
        kernel_calls=0,
        kernel_truncations=0,
        fused_rounds=0,
        sightings={"pages": np.array([[7, 2, 0]], np.int64)},
    )


@given(RESULTS)
@settings(max_examples=100, deadline=None)
def test_what_is_read_is_what_was_written(made: RunResult) -> None:
    """Every field of every type, to the type and the order; the same bytes when written again."""
    data = dumps(made)
    assert same(loads(data), made)
    assert dumps(loads(data)) == data


def test_numbers_of_numpy_become_pythons() -> None:
    """A count that is numpy's is stored as the integer it is."""
    made = result()
    made.rlimit.exits = np.int64(3)  # type: ignore[assignment]
    found = loads(dumps(made)).rlimit.exits
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("array", [np.zeros(5, np.int32), np.zeros(5), np.zeros(5, AUX_DT)])
def test_arrays_of_other_types_are_not_written(array: Any) -> None:
    """Nothing is converted without being asked."""
    made = result()
    object.__setattr__(made.vcpus[0], "profile", array)
    with pytest.raises(TypeError, match="int64 is declared"):
        dumps(made)


def body() -> bytes:
    """What stands in a unit under its checksum."""
    data = dumps(result())
    return zlib.decompress(data[len(MAGIC) + 32 + 4 :])


def changed(tree: Callable[[Any], object], arrays: bytes | None = None) -> bytes:
    """A unit with a right checksum whose JSON, or arrays, were changed."""
    raw = body()
    end = 4 + struct.unpack_from("<I", raw)[0]
    root = json.loads(raw[4:end])
    tree(root)
    text = json.dumps(root).encode()
    rest = raw[end:] if arrays is None else arrays
    return sealed(struct.pack("<I", len(text)) + text + rest)


def put(*path: str | int, value: object) -> Callable[[Any], None]:
    """Puts a value at a place."""

    def at(root: Any) -> None:
        for step in path[:-1]:
            root = root[step]
        root[path[-1]] = value

    return at


VCPU = ("vcpus", 0)
OTHERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "text for a number": (put("zaps", value="1"), 'result.zaps: an integer is expected, not "1"'),
    "truth for a number": (put("zaps", value=True), "an integer is expected, not true"),
    "fraction": (put("wall", value=1.5), "result.wall: an integer is expected, not 1.5"),
    "not a number": (put("wall", value=float("nan")), "an integer is expected, not NaN"),
    "number for a text": (put("arm", value=1), "result.arm: a text is expected, not 1"),
    "further field": (put("more", value=1), "an object of every field of RunResult, in order"),
    "field left out": (lambda root: root.pop("zaps"), "an object of every field of RunResult"),
    "no list": (put("vcpus", value={}), "result.vcpus: a list is expected, not an object"),
    "no object": (
        put("rlimit", value=[]),
        "every field of RlimitCounts, in order is expected, not",
    ),
    "other length": (
        put(*VCPU, "log", 0, value=[1, "x"]),
        "result.vcpus[0].log[0]: a list of 3 is expected, not a list",
    ),
    "unknown label": (
        put(*VCPU, "ledgers", "ops", "by_label", 0, 0, value="x"),
        'by_label[0]: a member of OpLabel is expected, not "x"',
    ),
    "key twice": (
        put(*VCPU, "blackouts", 0, 1, "ops_hist", value=[[7, 1], [7, 2]]),
        "result.vcpus[0].blackouts[0].ops_hist: a key stands there twice",
    ),
    "no shape": (put(*VCPU, "aux", value=[2]), "the shape of an array is expected"),
    "negative length": (put(*VCPU, "aux", "shape", value=[-1]), "a shape of one or two lengths"),
    "too long": (put(*VCPU, "aux", "shape", value=[3]), "aux: the array ends too early"),
    "too short": (put(*VCPU, "aux", "shape", value=[1]), "bytes follow its last array"),
    "huge": (put(*VCPU, "aux", "shape", value=[1 << 31, 1 << 31]), "the array ends too early"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_the_schema_does_not_say_is_refused(name: str) -> None:
    """With a right checksum, too: the place, what is expected, and what is there instead."""
    change, why = OTHERS[name]
    with pytest.raises(DamagedUnitError, match=re.escape(why)):
        loads(changed(change))
    assert same(loads(changed(lambda root: None)), result()), "control: it is the change"


def resealed(rest: bytes) -> bytes:
    """Any bytes under a right checksum."""
    return MAGIC + hashlib.sha256(rest).digest() + rest


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "does not begin as a unit"),
        (b"PK\x03\x04", "does not begin as a unit"),
        (b"speskew unit 1\n" + b"x" * 99, "does not begin as a unit"),
        (MAGIC, "checksum"),
        (resealed(b""), "no body"),
        (resealed(b"\x05\0\0\0nozlib"), "cannot be inflated"),
        (resealed(b"\x05\0\0\0" + zlib.compress(b"123456")), "another length"),
        (resealed(b"\x07\0\0\0" + zlib.compress(b"123456")), "another length"),
        (resealed(b"\x06\0\0\0" + zlib.compress(b"123456") + b"x"), "another length"),
        (resealed(b"\x06\0\0\0" + zlib.compress(b"123456")[:-2]), "another length"),
        (sealed(b"123"), "body is empty"),
        (sealed(b"\xff\xff\xff\xff{}"), "JSON ends too early"),
        (sealed(b"\x02\0\0\0{]"), "JSON cannot be read"),
        (sealed(b"\x02\0\0\0\xff\xff"), "JSON cannot be read"),
        (sealed(b"\x88\x13\0\0" + b"9" * 5000), "JSON cannot be read"),
        (sealed(b"\x40\x0d\x03\0" + b"[" * 200_000), "JSON cannot be read"),
        (sealed(b"\x02\0\0\0{}"), "an object of every field of RunResult"),
    ],
)
def test_other_bytes_are_refused(data: bytes, why: str) -> None:
    """Foreign files, cut ones, and such as claim another length: a reason in one line."""
    with pytest.raises(DamagedUnitError, match=why) as refused:
        loads(data)
    assert "\n" not in str(refused.value)


def test_no_length_is_taken_on_trust() -> None:
    """A body that inflates to more than it says is not inflated further."""
    bomb = resealed(struct.pack("<I", 10) + zlib.compress(bytes(100 << 20)))
    with pytest.raises(DamagedUnitError, match="another length"):
        loads(bomb)


class Evil:
    """Would run a command if it were unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle, in the place of the file or of its body, is other bytes."""
    monkeypatch.chdir(tmp_path)
    raw = pickle.dumps(Evil())
    for data in (raw, sealed(raw), resealed(raw)):
        with pytest.raises(DamagedUnitError):
            loads(data)
    assert not Path("executed").exists()
    pickle.loads(raw)
    assert Path("executed").exists(), "control: it would have been"


def test_the_reader_knows_no_pickle() -> None:
    """Neither the container nor the store can load code: no module for it is imported."""
    for module in (unitfile, store):
        source = inspect.getsource(module)
        assert not re.search(r"\b(pickle|marshal|shelve|eval|exec|allow_pickle)\b", source)
