"""Whether a trace makes sense: counts over all ops of an import, and what they may be.

A trace can be whole line by line and still not be what it claims: recorded without its data
accesses, filtered, with lines lost, or of another instruction set. Simulated, such a trace gives
numbers that look right. So four things that no whole trace holds are counted over the ops that are
taken, and one over the distinct instructions among them:

* `bare`: loads, stores and atomics without an address. Not counted are those that may access
  nothing: prefetches, exclusive stores and CASP (which may fail or be hidden from the tracer), SVE
  (all lanes may be off), memory copy and set (of no bytes), tags, DC.
* `lost`: addresses that an instruction got which accesses no memory. They are left out.
* `far`: instructions that are no branch, followed by another pc than pc + 4 although the trace
  reports no event (signal, exception, window). SVC and its kind may go anywhere.
* `stray`: direct branches followed neither by their target nor, if conditional, by pc + 4.
* `undefined`: distinct words that A64 leaves unallocated as a whole group (`a64.unallocated`).

Each is said when it is not zero. It refuses the import when it is more than `TOLERATED` of what it
is a part of; of the first four, one alone never does.

Fidelity note: why 1 %. Whole traces hold few: an access that faults has no address, and a signal
that the format cannot report (execlog, gem5) is a jump. Measured: a static AArch64 program (sort,
printf, threads, a timer signal every millisecond) recorded under QEMU, its markers taken away: of
2.55 M ops 19 are stray, nothing else was found. Traces that are not what they claim hold many:
recorded without accesses, all are bare; filtered by mnemonic, every few ops are followed by a far
pc; of the x86 code of a shell, 22 % of the words are undefined. 1 % is more than ten times off
either way. It also bounds the harm: a stream whose every load had address 0 ran in 1 / 2.6 of the
time, so one in which 1 % of them have it is wrong by some 0.6 %. Undefined words count from the
first, since a program that executes one is stopped by it; of a program with 100 distinct
instructions or more, one is within the 1 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from sim.draws import njit_inner

TOLERATED: Final = 100
"""One in so many may be senseless."""
ADDRESSED, BARE, LOST, FAR, STRAY, ENTRIES = range(6)
"""Entries of the array that the block builder counts in; `ENTRIES` is its length."""


@njit_inner
def must_access(word):  # type: ignore[no-untyped-def]
    """Whether an instruction that takes an address slot cannot execute without an access."""
    return (
        (word & 0x0A000000) == 0x08000000
        and (word & 0x3FC00000) != 0x08000000  # STXR, STXP, STLXR, STLXP
        and (word & 0xBFA00000) != 0x08200000  # CASP
        and (word & 0xFF000000) != 0xD8000000  # PRFM (literal)
        and (word & 0xFEC00000) != 0xF8800000  # PRFM, PRFUM, RPRFM
        and (word & 0xFF200000) != 0xD9200000  # memory tags
        and (word & 0x3B200C00) != 0x19000400  # CPY*, SET*
    )


@njit_inner
def may_go_anywhere(word):  # type: ignore[no-untyped-def]
    """Whether an instruction that is no branch raises an exception: SVC, HVC, SMC, BRK, HLT."""
    return (word & 0xFF000000) == 0xD4000000


@njit_inner
def leads_to(pc, word, after):  # type: ignore[no-untyped-def]
    """Whether the branch `word` at `pc` can be followed by `after`; indirect ones always can."""
    step = np.int64(after - pc) >> 2
    if (word & 0x7C000000) == 0x14000000:  # B, BL
        return step == (np.int64(word & 0x03FFFFFF) ^ 0x02000000) - 0x02000000
    if (word & 0xFF000000) == 0x54000000 or (word & 0x7E000000) == 0x34000000:  # B.cond, CBZ
        offset = (np.int64((word >> 5) & 0x7FFFF) ^ 0x40000) - 0x40000
    elif (word & 0x7E000000) == 0x36000000:  # TBZ
        offset = (np.int64((word >> 5) & 0x3FFF) ^ 0x2000) - 0x2000
    else:
        return True
    return step == 1 or step == offset


_SAYS: Final = {
    "bare": "loads, stores and atomics have no address",
    "lost": "addresses belong to no memory instruction and were left out",
    "far": "ops are no branches and are followed by a far pc without a marker",
    "stray": "ops are direct branches and are followed by another pc than they lead to",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted, see the module: `ops` taken, `addressed` memory instructions with an
    address, `distinct` instructions; `example` is the (pc, word) of an undefined one.
    """

    ops: int = 0
    addressed: int = 0
    bare: int = 0
    lost: int = 0
    far: int = 0
    stray: int = 0
    distinct: int = 0
    undefined: int = 0
    example: tuple[int, int] | None = None

    def __add__(self, other: Counts) -> Counts:
        """Counts of two threads together."""
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name != "example"
        }
        return Counts(**sums, example=self.example or other.example)

    def findings(self) -> Iterator[tuple[str, str, bool]]:
        """(name, sentence, whether it refuses the import) of each count that is not zero."""
        accesses = self.addressed + self.bare
        addresses = self.addressed + self.lost
        pc, word = self.example or (0, 0)
        for name, count, base in (
            ("bare", self.bare, accesses),
            ("lost", self.lost, addresses),
            ("far", self.far, self.ops),
            ("stray", self.stray, self.ops),
        ):
            if count:
                refuses = count > 1 and count * TOLERATED > base
                yield name, f"{count:,} of {base:,} {_SAYS[name]}", refuses
        if self.undefined:
            what = f"distinct words are no A64 instruction, e.g. {word:#010x} at {pc:#x}"
            sentence = f"{self.undefined:,} of {self.distinct:,} {what}"
            yield "undefined", sentence, self.undefined * TOLERATED > self.distinct


Advice = Mapping[str, str]
"""What to do about a finding, by its name."""
ADVICE: Final[Advice] = {
    "bare": "record data accesses, too",
    "lost": "accesses stand at the wrong instructions: record it anew",
    "far": "ops are missing: record it whole, without a filter",
    "stray": "ops are missing: record it whole, without a filter",
    "undefined": "only AArch64 traces are read, no A32, RISC-V or x86",
}
"""Where an importer knows no better for its format."""


def problem(counts: Counts, advice: Advice) -> str:
    """Why the import is refused and what to do, "" if it is not."""
    found = [(text, name) for name, text, refuses in counts.findings() if refuses]
    if not found:
        return ""
    what = "; ".join(text for text, _ in found)
    fixes = dict.fromkeys({**ADVICE, **advice}[name] for _, name in found)
    return f"not what it claims to be: {what}; {', '.join(fixes)}; or give --anyway"
