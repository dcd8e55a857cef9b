"""Stage 5, the Profiling Buffer: PMBPTR, PMBLIMITR, PMBSR, and when the interrupt is raised.

Fidelity note. Modelled: full iff PMBPTR > LIMIT - largest record after a write, so nothing of the
record just written is lost (Arm ARM D17.5, J1.1.1.74); an MMU fault on a page of the next record
loses that record; the first event wins; COLL is sticky until software clears PMBSR. S drives
PMBIRQ, a level. Records are slots of 64 bytes, or packed and then of two lengths; a packed one may
straddle a page, and if the second page faults, DL = 1 and PMBPTR is that page, past the last whole
record. Any other fault says DL = 1 with the probability `spe.data_loss_per_mille` (UNVERIFIED:
records need not be written in order); PMBPTR stays at the last whole record. Not modelled: DL at a
full buffer, external aborts raised by hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import draws
from sim.workload.arrays import LEVEL_STRIDE

RECORD_BYTES = 64
"""A record of a Neoverse-class core."""


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """How records lie in the buffer: bytes by op class (other, load, store, atomic, branch), the
    largest that PMSIDR.MaxSize announces, and PMBIDR.Align."""

    bytes_of: tuple[int, int, int, int, int]
    max_size: int
    align: int

    @property
    def longest(self) -> int:
        """Bytes of the longest record that is written."""
        return max(self.bytes_of)

    @property
    def fixed(self) -> bool:
        """Is every record of one length?"""
        return len(set(self.bytes_of)) == 1

    def sizes(self, static_class: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Record bytes [static × LEVEL_STRIDE + level]."""
        return np.repeat(np.array(self.bytes_of, np.uint8)[static_class], LEVEL_STRIDE)


SLOT64 = RecordLayout((RECORD_BYTES,) * 5, RECORD_BYTES, RECORD_BYTES)
"""Neoverse-class: slots of 64 bytes, which never straddle a page."""
PACKED = RecordLayout((32, 44, 44, 44, 44), 128, 4)
"""Kunpeng-class: 44 bytes with an address packet, 32 without, one after the other. Of loads,
branches and others real records are public; stores and atomics need as many packets as loads.
Sizes: Kunpeng D06 kernel log (128 B, 4 B)."""
LAYOUTS = {"slot64": SLOT64, "packed": PACKED}

EC_BUFFER = 0x00
EC_STAGE1_ABORT = 0x24
EC_STAGE2_ABORT = 0x25
EC_IMP_DEF = 0x1F
"""IMPLEMENTATION DEFINED buffer management event (Arm ARM D24.7, PMBSR_EL1.EC = 0b011111)."""
BSC_FULL = 0b000001
BSC_SIZE = 0b000010
"""Buffer size event of DEN0154, whose text is not public: the code is UNVERIFIED; any BSC but FULL
is fatal to today's driver."""
FSC_EXTERNAL_ABORT = 0x10


class Stop(IntEnum):
    """Why the SPU set PMBSR.S."""

    FULL = 1
    FAULT = 2


class Pmbsr(NamedTuple):
    """PMBSR_EL1. `mss` holds BSC for a buffer event and FSC for an abort."""

    s: bool = False
    ec: int = EC_BUFFER
    mss: int = 0
    coll: bool = False
    dl: bool = False
    ea: bool = False

    def encode(self) -> int:
        """The register's bits."""
        return (
            self.ec << 26
            | self.dl << 19
            | self.ea << 18
            | self.s << 17
            | self.coll << 16
            | self.mss
        )

    @staticmethod
    def decode(value: int) -> Pmbsr:
        """From the register's bits."""
        return Pmbsr(
            s=bool(value >> 17 & 1),
            ec=value >> 26 & 0x3F,
            mss=value & 0xFFFF,
            coll=bool(value >> 16 & 1),
            dl=bool(value >> 19 & 1),
            ea=bool(value >> 18 & 1),
        )

    def with_event(self, ec: int, mss: int, *, coll: bool = False, dl: bool = False) -> Pmbsr:
        """The first management event sets S; COLL, once seen, stays."""
        if self.s:
            return self._replace(coll=self.coll or coll)
        return Pmbsr(s=True, ec=ec, mss=mss, coll=coll, dl=dl)


CLEAR = Pmbsr()


class DataLoss(NamedTuple):
    """How often a fault finds a record half written: the draw key, and faults per 1000."""

    key: int = 0
    per_mille: int = 0

    def at(self, stop: int) -> bool:
        """PMBSR.DL of a vCPU's `stop`-th stop."""
        return bool(self.per_mille) and draws.below(self.key, stop, 1000) < self.per_mille


NO_DATA_LOSS = DataLoss()


def is_full(pointer: int, limit: int, max_size: int = RECORD_BYTES) -> bool:
    """After a record: does one of the largest size not fit any more?"""
    return pointer > limit - max_size
