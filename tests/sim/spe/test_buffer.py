"""PMBSR and the full condition."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.policies.stages import LEVELS, Fault
from sim.spe.buffer import (
    BSC_FULL,
    CLEAR,
    EC_BUFFER,
    EC_STAGE1_ABORT,
    EC_STAGE2_ABORT,
    RECORD_BYTES,
    Pmbsr,
    is_full,
)

VALUES = st.builds(
    Pmbsr,
    s=st.booleans(),
    ec=st.integers(0, 63),
    mss=st.integers(0, 0xFFFF),
    coll=st.booleans(),
    dl=st.booleans(),
    ea=st.booleans(),
)


@settings(deadline=None)
@given(VALUES)
def test_encode_and_decode_are_inverse(value: Pmbsr) -> None:
    """Every field survives, and the encoding is a 32-bit register value."""
    assert Pmbsr.decode(value.encode()) == value
    assert 0 <= value.encode() < 1 << 32


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (CLEAR, 0),
        (Pmbsr(s=True), 1 << 17),
        (Pmbsr(coll=True), 1 << 16),
        (Pmbsr(ea=True), 1 << 18),
        (Pmbsr(dl=True), 1 << 19),
        (Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_FULL), 0x0002_0001),
        (Pmbsr(s=True, ec=EC_STAGE2_ABORT, mss=7, dl=True), 0x940A_0007),
        (Pmbsr(s=True, ec=EC_STAGE1_ABORT, mss=0x10, ea=True), 0x9006_0010),
    ],
)
def test_bits_are_the_architectures(value: Pmbsr, bits: int) -> None:
    """EC[31:26], DL[19], EA[18], S[17], COLL[16], MSS[15:0] (Arm ARM D24.7)."""
    assert value.encode() == bits


def test_reserved_bits_are_ignored() -> None:
    """Decoding looks at named fields only."""
    assert Pmbsr.decode(0x03F0_0000) == CLEAR


@settings(deadline=None)
@given(VALUES, st.integers(0, 63), st.integers(0, 0xFFFF), st.booleans())
def test_the_first_event_wins_and_coll_is_sticky(
    before: Pmbsr, ec: int, mss: int, coll: bool
) -> None:
    """With S = 1 only COLL may change, and only to 1; with S = 0 the event is taken."""
    after = before.with_event(ec, mss, coll=coll)
    assert after.s
    if before.s:
        assert after == before._replace(coll=before.coll or coll)
    else:
        assert after == Pmbsr(s=True, ec=ec, mss=mss, coll=coll)


@pytest.mark.parametrize(
    ("pointer", "full"),
    [(0, False), (4096 - 128, False), (4096 - 64, False), (4096 - 63, True), (4096, True)],
)
def test_full_before_an_overrun(pointer: int, full: bool) -> None:
    """PMBPTR > LIMIT - record size: the last whole slot is used, the next would not fit."""
    assert is_full(pointer, 4096) is full


@settings(deadline=None)
@given(st.integers(1, 1 << 20), st.integers(1, 1 << 20))
def test_a_window_takes_exactly_what_fits(first_slot: int, slots: int) -> None:
    """Writing until full fills every slot of [pointer, limit) and nothing beyond."""
    pointer = first_slot * RECORD_BYTES
    limit = pointer + slots * RECORD_BYTES
    assert not is_full(limit - RECORD_BYTES, limit)
    assert is_full(limit, limit)


@pytest.mark.parametrize(
    ("fault", "leaf"),
    [(Fault.TRANSLATION, 0b000111), (Fault.ACCESS_FLAG, 0b001011), (Fault.PERMISSION, 0b001111)],
)
def test_a_fault_says_its_status_and_level(fault: Fault, leaf: int) -> None:
    """FSC 0b0001xx, 0b0010xx, 0b0011xx: the level of the walk in the low bits; the leaf's is 3."""
    assert fault.value + 3 == leaf
    assert (Fault(leaf & ~LEVELS), leaf & LEVELS) == (fault, 3)
