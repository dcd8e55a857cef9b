"""Op classes of A64 instruction words.

Fidelity note. One ordered table over the instruction word alone, first match wins; it covers EL0
code up to Armv8.9 without SME. It gives what SPE reports (class, operation type packet) and what a
recording needs (does the instruction take an address slot). One word is one op: micro-ops are a
model choice made elsewhere. Packets are those before SPE v1p4 (no CR and GCS fields), with the SVE
vector length taken as 128 bits. An atomic is encoded as its load half; which half a sample reports
is drawn when the record is built. Sources: Arm ARM DDI 0487 C4.1 (encodings), D24.7 and J1.1.1.97
(operation type packet).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class OpClass(IntEnum):
    """What an op is to the memory system and to SPE's filters."""

    OTHER = 0
    LOAD = 1
    STORE = 2
    ATOMIC = 3
    BRANCH = 4


class Flag(IntFlag):
    """Properties of an op beside its class. CONDITIONAL is for branches only."""

    CONDITIONAL = 1
    INDIRECT = 2
    CALL = 4
    RETURN = 8
    FP_SIMD = 16
    SLOT = 32  # takes an address slot in a recording
    SVC = 64
    PAIR = 128  # LDP, STP and their variants


@dataclass(frozen=True, slots=True)
class StaticOps:
    """What is known of S instructions without running them; all arrays are [S] uint8.

    `op_header` and `op_payload` are the two bytes of SPE's operation type packet.
    """

    op_class: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    op_payload: NDArray[np.uint8]
    op_header: NDArray[np.uint8]


class _Row(NamedTuple):
    mask: int
    value: int
    op_class: OpClass
    payload: int
    flags: Flag = Flag(0)


_OTHER, _LOAD, _STORE, _ATOMIC, _BRANCH = OpClass
_NONE = Flag(0)
_HEADER: Final = np.array([0x48, 0x49, 0x49, 0x49, 0x4A], np.uint8)

# Load-store payloads: bit 0 is "store", the rest is the subclass.
_GP, _ST, _SIMD, _UNSPECIFIED, _TAG, _COPY, _SET = 0x00, 0x01, 0x04, 0x10, 0x14, 0x20, 0x25
_EXTENDED, _AT, _EXCL, _AR = 0x02, 0x02 | 0x04, 0x02 | 0x08, 0x02 | 0x10
_SVE, _SVE_PRED, _SVE_GATHER = 0x28, 0x2C, 0xAC  # vector length 128; predicated; gather/scatter
_COND, _IND = 0x01, 0x02  # branch and other payloads

_TABLE: Final[tuple[_Row, ...]] = (
    # Exclusive, ordered and compare-and-swap: 001000 o2 L o1 … o0.
    _Row(0x3FE08000, 0x08A00000, _ATOMIC, _AT),  # CAS
    _Row(0x3FA00000, 0x08A00000, _ATOMIC, _AT | _AR),  # CASA, CASL, CASAL
    _Row(0xBFE08000, 0x08200000, _ATOMIC, _AT),  # CASP
    _Row(0xBFA00000, 0x08200000, _ATOMIC, _AT | _AR),  # CASPA, CASPL, CASPAL
    _Row(0x3FC00000, 0x08C00000, _LOAD, _AR),  # LDAR, LDLAR
    _Row(0x3FC00000, 0x08800000, _STORE, _AR | _ST),  # STLR, STLLR
    _Row(0x3FC08000, 0x08408000, _LOAD, _EXCL | _AR),  # LDAXR, LDAXP
    _Row(0x3FC00000, 0x08400000, _LOAD, _EXCL),  # LDXR, LDXP
    _Row(0x3FC08000, 0x08008000, _STORE, _EXCL | _AR | _ST),  # STLXR, STLXP
    _Row(0x3FC00000, 0x08000000, _STORE, _EXCL | _ST),  # STXR, STXP
    # Advanced SIMD structures (LD1 … ST4).
    _Row(0xBE400000, 0x0C400000, _LOAD, _SIMD),
    _Row(0xBE400000, 0x0C000000, _STORE, _SIMD | _ST),
    # Pairs. STGP writes a tag as well.
    _Row(0xFE400000, 0x68000000, _STORE, _TAG | _ST, Flag.PAIR),  # STGP
    _Row(0x3E400000, 0x28400000, _LOAD, _GP, Flag.PAIR),
    _Row(0x3E400000, 0x28000000, _STORE, _ST, Flag.PAIR),
    _Row(0x3E400000, 0x2C400000, _LOAD, _SIMD, Flag.PAIR),
    _Row(0x3E400000, 0x2C000000, _STORE, _SIMD | _ST, Flag.PAIR),
    # Release-consistent with offset or pair; 128-bit atomics; memory copy and set.
    _Row(0x3FE00C00, 0x19000000, _STORE, _AR | _ST),  # STLUR
    _Row(0x3F200C00, 0x19000000, _LOAD, _AR),  # LDAPUR
    _Row(0x3F600C00, 0x19400800, _LOAD, _AR),  # LDIAPP, LDAPR post-index
    _Row(0x3F600C00, 0x19000800, _STORE, _AR | _ST),  # STILP, STLR pre-index
    _Row(0x3F600C00, 0x1D400800, _LOAD, _AR),  # LDAPUR (SIMD)
    _Row(0x3F600C00, 0x1D000800, _STORE, _AR | _ST),  # STLUR (SIMD)
    _Row(0x3BE00C00, 0x19C00400, _STORE, _SET),  # SETP, SETM, SETE, SETG*
    _Row(0x3B200C00, 0x19000400, _LOAD, _COPY),  # CPYP, CPYM, CPYE
    _Row(0xBFE00000, 0x19200000, _ATOMIC, _AT),  # SWPP, LDCLRP, LDSETP, RCW*
    _Row(0xBF200000, 0x19200000, _ATOMIC, _AT | _AR),
    # Memory tags: LDG and LDGM are loads, all others store tags.
    _Row(0xFF600C00, 0xD9600000, _LOAD, _TAG),
    _Row(0xFF200000, 0xD9200000, _STORE, _TAG | _ST),
    # Literals.
    _Row(0xFF000000, 0xD8000000, _OTHER, 0),  # PRFM (literal)
    _Row(0x3F000000, 0x18000000, _LOAD, _GP),
    _Row(0x3F000000, 0x1C000000, _LOAD, _SIMD),
    # Atomics and what hides among them.
    _Row(0x3FE0FC00, 0x38A0C000, _LOAD, _AR),  # LDAPR
    _Row(0xFFE0FC00, 0xF820D000, _LOAD, _GP),  # LD64B
    _Row(0xFFE0FC00, 0xF8209000, _STORE, _ST),  # ST64B
    _Row(0xFFE0FC00, 0xF820A000, _STORE, _ST),  # ST64BV0
    _Row(0xFFE0FC00, 0xF820B000, _STORE, _ST),  # ST64BV
    _Row(0x3FE00C00, 0x38200000, _ATOMIC, _AT),  # LDADD … SWP
    _Row(0x3F200C00, 0x38200000, _ATOMIC, _AT | _AR),  # with acquire, release or both
    _Row(0x3F200400, 0x38200400, _LOAD, _GP),  # LDRAA, LDRAB
    # One register.
    _Row(0xFEC00000, 0xF8800000, _OTHER, 0),  # PRFM, PRFUM
    _Row(0x3E400000, 0x3C400000, _LOAD, _SIMD),
    _Row(0x3E400000, 0x3C000000, _STORE, _SIMD | _ST),
    _Row(0x3EC00000, 0x38000000, _STORE, _ST),
    _Row(0x3E000000, 0x38000000, _LOAD, _GP),
    # SVE memory: prefetches first, then unpredicated, gather/scatter, the rest.
    _Row(0xFFA08010, 0x84200000, _OTHER, _SVE),  # PRF (scalar + 32-bit offsets)
    _Row(0xFFC08010, 0x85C00000, _OTHER, _SVE),  # PRF (scalar + immediate)
    _Row(0xFE60C010, 0x8400C000, _OTHER, _SVE),  # PRF (scalar + scalar; vector + immediate)
    _Row(0xFFA08010, 0xC4200000, _OTHER, _SVE),  # PRF (scalar + unpacked 32-bit offsets)
    _Row(0xFFE08010, 0xC4608000, _OTHER, _SVE),  # PRF (scalar + 64-bit offsets)
    _Row(0xFE60E010, 0xC400E000, _OTHER, _SVE),  # PRF (vector + immediate)
    _Row(0xFFC0A000, 0x85800000, _LOAD, _SVE),  # LDR (vector, predicate)
    _Row(0xFE408000, 0x84408000, _LOAD, _SVE_PRED),  # LD1R*
    _Row(0xFE000000, 0x84000000, _LOAD, _SVE_GATHER),
    _Row(0xFE000000, 0xC4000000, _LOAD, _SVE_GATHER),
    _Row(0xFE000000, 0xA4000000, _LOAD, _SVE_PRED),
    _Row(0xFFC0A000, 0xE5800000, _STORE, _SVE | _ST),  # STR (vector, predicate)
    _Row(0xFE00A000, 0xE4008000, _STORE, _SVE_GATHER | _ST),
    _Row(0xFE00E000, 0xE400A000, _STORE, _SVE_GATHER | _ST),
    _Row(0xFE00E000, 0xE4002000, _STORE, _SVE_GATHER | _ST),
    _Row(0xFE000000, 0xE4000000, _STORE, _SVE_PRED | _ST),
    # Cache maintenance that writes.
    _Row(0xFFFFFFE0, 0xD50B7420, _STORE, _UNSPECIFIED | _ST),  # DC ZVA
    _Row(0xFFFFFFE0, 0xD50B7460, _STORE, _TAG | _ST),  # DC GVA
    _Row(0xFFFFFFE0, 0xD50B7480, _STORE, _TAG | _ST),  # DC GZVA
    # Branches.
    _Row(0xFF000000, 0x54000000, _BRANCH, _COND, Flag.CONDITIONAL),  # B.cond, BC.cond
    _Row(0x7C000000, 0x34000000, _BRANCH, _COND, Flag.CONDITIONAL),  # CBZ, CBNZ, TBZ, TBNZ
    _Row(0xFC000000, 0x14000000, _BRANCH, 0),  # B
    _Row(0xFC000000, 0x94000000, _BRANCH, 0, Flag.CALL),  # BL
    _Row(0xFE600000, 0xD6200000, _BRANCH, _IND, Flag.INDIRECT | Flag.CALL),  # BLR, BLRA*
    _Row(0xFE600000, 0xD6400000, _BRANCH, _IND, Flag.INDIRECT | Flag.RETURN),  # RET, RETA*
    _Row(0xFE000000, 0xD6000000, _BRANCH, _IND, Flag.INDIRECT),  # BR, BRA*
    _Row(0xFFE0001F, 0xD4000001, _OTHER, 0, Flag.SVC),
    # Conditional ops that are not branches, and SVE data processing.
    _Row(0x1FE00000, 0x1A800000, _OTHER, _COND),  # CSEL, CSINC, CSINV, CSNEG
    _Row(0x1FE00000, 0x1A400000, _OTHER, _COND),  # CCMP, CCMN
    _Row(0xFF200400, 0x1E200400, _OTHER, _COND),  # FCCMP, FCCMPE, FCSEL
    _Row(0x9E000000, 0x04000000, _OTHER, _SVE),
    _Row(0x00000000, 0x00000000, _OTHER, 0),
)


def is_branch(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which of `words` [S] are branches, as `classify` says, without the rest: bool [S]."""
    found = np.zeros(words.shape, np.bool_)
    for row in _TABLE:
        if row.op_class is OpClass.BRANCH:  # no other class's row covers a branch
            found |= (words & np.uint32(row.mask)) == row.value
    return found


def unallocated(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which of `words` [S] lie in a top-level group that holds no instruction: bool [S].

    Bits 28:25 are 1 or 3, or 0 with bit 31 clear (UDF among them): 5 in 32 of all numbers. Arm ARM
    C4.1, "Top-level encodings".
    """
    group = (words >> 25) & 0xF
    return np.asarray((group == 1) | (group == 3) | ((group == 0) & (words >> 31 == 0)))


def takes_slot(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which of `words` [S] take an address slot in a recording: bool [S].

    The whole load/store group (prefetches and unallocated words too), SVE memory and the DC
    operations that write. `spetrace.c` holds the same rule; were they to differ, every later
    address of a recording would shift.
    """
    memory = (words & 0x0A000000) == 0x08000000
    sve = (words & 0x9E000000) == 0x84000000
    line = words & 0xFFFFFFE0
    zero = (line == 0xD50B7420) | (line == 0xD50B7460) | (line == 0xD50B7480)
    return np.asarray(memory | sve | zero)


def _uses_vectors(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """FP, SIMD or SVE by encoding group; bit 26 of CPY* and SETG* is not a vector bit."""
    copy_or_set = (words & 0x3B200C00) == 0x19000400
    memory = ((words & 0x0E000000) == 0x0C000000) & ~copy_or_set
    data = (words & 0x0E000000) == 0x0E000000
    sve = (words & 0x1E000000) == 0x04000000
    return np.asarray(memory | data | sve)


def classify(words: NDArray[np.uint32]) -> StaticOps:
    """Class, flags and operation type packet of A64 instruction `words` [S]."""
    words = np.asarray(words, np.uint32)
    op_class = np.zeros(words.shape, np.uint8)
    payload = np.zeros(words.shape, np.uint8)
    flags = np.zeros(words.shape, np.uint8)
    undecided = np.arange(words.size)
    for row in _TABLE:
        match = (words[undecided] & np.uint32(row.mask)) == row.value
        hits = undecided[match]
        op_class[hits], payload[hits], flags[hits] = row.op_class, row.payload, row.flags
        undecided = undecided[~match]
    flags[_uses_vectors(words)] |= Flag.FP_SIMD.value
    flags[takes_slot(words)] |= Flag.SLOT.value
    return StaticOps(op_class, flags, payload, _HEADER[op_class])


def _signed(words: NDArray[np.uint32], low: int, bits: int) -> NDArray[np.int64]:
    """The signed field of `bits` bits that begins at bit `low`."""
    value = (words.astype(np.int64) >> low) & ((1 << bits) - 1)
    return value - ((value >> (bits - 1)) << bits)


def branch_targets(pc: NDArray[np.uint64], words: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Target addresses [S] of the direct branches among `words` at `pc`; pc + 4 for all others."""
    offset = np.ones(words.shape, np.int64)
    conditional = (words & 0xFF000000) == 0x54000000
    compare = (words & 0x7E000000) == 0x34000000
    test = (words & 0x7E000000) == 0x36000000
    always = (words & 0x7C000000) == 0x14000000
    offset = np.where(conditional | compare, _signed(words, 5, 19), offset)
    offset = np.where(test, _signed(words, 5, 14), offset)
    offset = np.where(always, _signed(words, 0, 26), offset)
    return np.asarray(pc.astype(np.uint64) + (offset * 4).astype(np.uint64))
