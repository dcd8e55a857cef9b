"""The garbage collector: as it was, after the block too."""

from __future__ import annotations

import gc

import pytest

from sim.collecting import SELDOM, USUAL, as_usual, seldom


def test_as_it_was_at_the_end() -> None:
    """Also after an error."""
    usual = gc.get_threshold()
    with pytest.raises(KeyError), seldom():  # noqa: PT012
        assert gc.get_threshold() == SELDOM
        raise KeyError
    assert gc.get_threshold() == usual


def test_what_is_loaded_is_loaded() -> None:
    """Garbage of a simulation is not kept for as long as that of a program that begins."""
    with seldom():
        as_usual()
        assert gc.get_threshold() == USUAL
