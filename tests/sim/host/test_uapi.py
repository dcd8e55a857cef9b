"""KVM_EXIT_RLIMIT as bytes: the layout that a VMM in C would read."""

from __future__ import annotations

import ctypes
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.host import uapi


class _Rlimit(ctypes.Structure):
    _fields_ = (("excess", ctypes.c_uint64), ("rlimit_id", ctypes.c_uint8))


class _Union(ctypes.Union):
    _fields_ = (("rlimit", _Rlimit), ("padding", ctypes.c_char * 256))


class _KvmRun(ctypes.Structure):
    """The head of struct kvm_run and its union, written down from include/uapi/linux/kvm.h."""

    _fields_ = (
        ("request_interrupt_window", ctypes.c_uint8),
        ("immediate_exit", ctypes.c_uint8),
        ("padding1", ctypes.c_uint8 * 6),
        ("exit_reason", ctypes.c_uint32),
        ("ready_for_interrupt_injection", ctypes.c_uint8),
        ("if_flag", ctypes.c_uint8),
        ("flags", ctypes.c_uint16),
        ("cr8", ctypes.c_uint64),
        ("apic_base", ctypes.c_uint64),
        ("exit", _Union),
    )


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1))
def test_a_c_vmm_reads_what_kvm_wrote(excess: int) -> None:
    """The bytes are those of the C structure, for any excess."""
    run = _KvmRun.from_buffer_copy(uapi.kvm_run_rlimit(excess))
    assert run.exit_reason == 41
    assert run.exit.rlimit.excess == excess
    assert run.exit.rlimit.rlimit_id == 8  # RLIMIT_MEMLOCK, as in getrlimit(2)
    assert uapi.parse_kvm_run(uapi.kvm_run_rlimit(excess)) == (41, excess, 8)


def test_offsets_are_the_headers() -> None:
    """exit_reason at 8, the union at 32, padded to 256 bytes; nothing else is set."""
    run = uapi.kvm_run_rlimit(0x1122_3344_5566_7788)
    assert len(run) == 32 + 256 == ctypes.sizeof(_KvmRun)
    assert (_KvmRun.exit_reason.offset, _KvmRun.exit.offset) == (8, 32)
    assert run[8:12] == bytes([41, 0, 0, 0])
    assert run[32:40] == bytes.fromhex("8877665544332211")
    assert run[40] == 8
    rest = run[:8] + run[12:32] + run[41:]
    assert rest == bytes(len(rest))


def test_the_vmm_parses_other_exits_too() -> None:
    """parse_kvm_run believes the bytes, not the writer."""
    run = bytearray(288)
    run[8], run[32], run[40] = 24, 5, 7
    assert uapi.parse_kvm_run(bytes(run)) == (24, 5, 7)


@pytest.mark.parametrize("excess", [-1, 1 << 64])
def test_an_excess_that_is_no_u64_is_refused(excess: int) -> None:
    """Nothing wraps silently into the exit."""
    with pytest.raises(struct.error):
        uapi.kvm_run_rlimit(excess)
