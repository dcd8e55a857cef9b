"""The register port: where the driver meets what is under it.

PMBPTR, PMBLIMITR and PMBSR are reached through `Registers`: directly on baremetal, by a trap in a
VM (KVM RFC v6 26/35). The guest driver is the same code in all arms, so trap counts emerge.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from enum import Enum
from typing import Any, NamedTuple, Protocol

from simpy.events import Event

from sim.spe.buffer import Pmbsr
from sim.spe.spu import Spu


class Reg(Enum):
    """The registers that v6 traps (KVM RFC v6, 26/35)."""

    PMBPTR = "PMBPTR_EL1"
    PMBLIMITR = "PMBLIMITR_EL1"
    PMBSR = "PMBSR_EL1"


class Limit(NamedTuple):
    """PMBLIMITR_EL1: LIMIT as an offset from the AUX base, E, and FM = DISCARD."""

    offset: int
    enable: bool
    discard: bool = False


Value = int | Limit | Pmbsr


class Registers(Protocol):
    """How software reaches the buffer registers."""

    def write(self, reg: Reg, value: Value) -> Iterable[Event]:
        """MSR; the events to wait for."""

    def read(self, reg: Reg) -> Generator[Event, Any, Value]:
        """MRS."""


class DirectRegisters:
    """Baremetal: the registers are the SPU's."""

    def __init__(self, spu: Spu) -> None:
        self._spu = spu

    def write(self, reg: Reg, value: Value) -> Iterable[Event]:
        """MSR, at no cost of its own."""
        write_hardware(self._spu, value)
        return ()

    def read(self, reg: Reg) -> Generator[Event, Any, Value]:
        """MRS, at no cost of its own."""
        yield from ()
        return read_hardware(self._spu, reg)


def write_hardware(spu: Spu, value: Value) -> None:
    """Write the buffer register that a value of this type belongs to."""
    if isinstance(value, Limit):
        spu.write_pmblimitr(value.offset, value.enable)
    elif isinstance(value, Pmbsr):
        spu.write_pmbsr(value)
    else:
        spu.write_pmbptr(value)


def read_hardware(spu: Spu, reg: Reg) -> Value:
    """Read one buffer register of the SPU."""
    if reg is Reg.PMBSR:
        return spu.read_pmbsr()
    if reg is Reg.PMBPTR:
        return spu.sampler.pointer
    return Limit(spu.sampler.limit, spu.limit_enable)
