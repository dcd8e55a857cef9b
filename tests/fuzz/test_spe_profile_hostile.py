"""Hostile profiles: a ProfileError or a profile that can be simulated, never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.workload.capture.profile import Profile, ProfileError, dumps, loads
from sim.workload.profiled import stream_of_profile

quick = settings(max_examples=200, deadline=None)
GOOD: dict[str, Any] = {
    "format": "speskew-profile",
    "version": 1,
    "source": "x",
    "interval": 1024,
    "ops_per_record": 1025,
    "symbols": ["f", "g"],
    "statics": [[0x400100, 0, 1, 0, 0], [0x400104, 1, 2, 1, 1]],
    "latencies": [{"timing_class": 1, "level": 1, "records": 20, "cycles": [*range(256)]}],
    "phases": [{"fs_per_op": 222_000, "cells": [[0, 1, 3], [1, 0, 2]]}],
}
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        2,
        5,
        8,
        1 << 31,
        1 << 63,
        1 << 64,
        10**30,
        1.5,
        "x",
        "",
        [],
        {},
        [[]],
        [0],
        [[0, 0, 0]],
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value within a document."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(p for key, entry in inner for p in places(entry, (*path, key)))]


PLACES = [p for p in places(GOOD) if p and not (len(p) > 3 and p[0] == "latencies" and p[3] > 2)]


def changed(path: tuple[Any, ...], value: Any) -> str:
    """The document with one value exchanged."""
    body = json.loads(json.dumps(GOOD))
    at = body
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(body)


def usable(made: Profile) -> None:
    """A profile that was accepted survives its file and makes a stream."""
    assert loads(dumps(made)) == made
    if made.ops < 10**7:
        stream = stream_of_profile(
            made,
            name="p",
            repeat=1,
            core="neoverse-n1",
            exclude_kernel=True,
            micro_ops=True,
            clock_hz=10**9,
        )
        assert stream.ops > 0


def test_the_good_profile_is_good() -> None:
    """The control."""
    usable(loads(json.dumps(GOOD)))


@quick
@given(st.sampled_from(PLACES), ODD)
def test_any_value_exchanged(path: tuple[Any, ...], value: Any) -> None:
    """Each value replaced by one of another type or far out of range."""
    try:
        usable(loads(changed(path, value)))
    except ProfileError as error:
        refusal = str(error)
    else:
        refusal = "accepted"
    assert refusal


@quick
@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    """Text that is no profile is refused."""
    with pytest.raises(ProfileError):
        loads(text)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format":' * 5000, '{"format": "speskew-profile"']
)
def test_deep_and_cut_documents(text: str) -> None:
    """Nesting and cuts are errors of the document, not of the reader."""
    with pytest.raises(ProfileError):
        loads(text)
