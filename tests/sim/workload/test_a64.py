"""Op classes against the assembler, against capstone, and against the recorder's C rule."""

import ctypes
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import capstone
import numpy as np
import pytest
from numpy.typing import NDArray

from sim.workload.a64 import Flag, OpClass, branch_targets, classify, takes_slot
from sim.workload.recording.recorder import compile_plugin
from tests.needs import need, run

Words = NDArray[np.uint32]

OTHER, LOAD, STORE, ATOMIC, BRANCH = OpClass
AS = "aarch64-linux-gnu-as"
OBJCOPY = "aarch64-linux-gnu-objcopy"
ARCH = ".arch armv8.7-a+sve2+memtag+mops+ls64+rng\n"

# (class, operation type payload, instructions): every load/store, atomic and branch group.
GROUPS: list[tuple[OpClass, int, str]] = [
    (LOAD, 0x00, "ldr x1, [x2]; ldr w1, [x2, #8]!; ldrb w1, [x2], #1; ldrsw x1, [x2, x3]"),
    (LOAD, 0x00, "ldrh w1, [x2, w3, uxtw #1]; ldrsb x1, [x2, #3]; ldursh w1, [x2, #-3]"),
    (LOAD, 0x00, "ldtr x1, [x2]; ldtrsb w1, [x2]; ldr x1, .; ldrsw x1, .; ldraa x1, [x2]"),
    (LOAD, 0x00, "ldrab x1, [x2, #8]!; ld64b x2, [x3]"),
    (LOAD, 0x00, "ldp x1, x2, [x3]; ldpsw x1, x2, [x3], #8; ldnp w1, w2, [x3]"),
    (LOAD, 0x04, "ldr q1, [x2]; ldr d1, [x2, x3]; ldr b1, [x2], #1; ldur h1, [x2]; ldr s1, ."),
    (LOAD, 0x04, "ldp q1, q2, [x3]; ldnp d1, d2, [x3]; ldp s1, s2, [x3, #8]!; ldr q3, ."),
    (LOAD, 0x04, "ld1 {v0.4s}, [x1]; ld2 {v0.8b, v1.8b}, [x1], #16; ld4r {v0.2d-v3.2d}, [x1]"),
    (LOAD, 0x04, "ld3 {v0.s, v1.s, v2.s}[1], [x1], x2; ld1r {v0.16b}, [x1]"),
    (LOAD, 0x0A, "ldxr x1, [x2]; ldxrb w1, [x2]; ldxp x1, x2, [x3]"),
    (LOAD, 0x1A, "ldaxr x1, [x2]; ldaxrh w1, [x2]; ldaxp w1, w2, [x3]"),
    (LOAD, 0x12, "ldar x1, [x2]; ldarb w1, [x2]; ldlar x1, [x2]; ldapr x1, [x2]; ldaprb w1, [x2]"),
    (LOAD, 0x12, "ldapur x1, [x2, #8]; ldapursw x1, [x2]; ldapurb w1, [x2]; ldaprh w1, [x2]"),
    (LOAD, 0x14, "ldg x1, [x2]; ldgm x1, [x2]"),
    (LOAD, 0x20, "cpyfp [x0]!, [x1]!, x2!; cpyfm [x0]!, [x1]!, x2!; cpyfe [x0]!, [x1]!, x2!"),
    (LOAD, 0x20, "cpyp [x0]!, [x1]!, x2!; cpym [x0]!, [x1]!, x2!; cpyewn [x0]!, [x1]!, x2!"),
    (LOAD, 0x28, "ldr z1, [x2]; ldr p1, [x2, #1, mul vl]"),
    (LOAD, 0x2C, "ld1b {z1.b}, p0/z, [x2]; ld1d {z1.d}, p0/z, [x2, x3, lsl #3]"),
    (LOAD, 0x2C, "ld4w {z0.s-z3.s}, p1/z, [x2]; ldff1h {z1.h}, p0/z, [x2, x3, lsl #1]"),
    (LOAD, 0x2C, "ldnt1w {z1.s}, p0/z, [x2]; ld1rw {z1.s}, p0/z, [x2]; ld1rqd {z1.d}, p0/z, [x2]"),
    (LOAD, 0x2C, "ldnf1b {z1.b}, p0/z, [x2]; ld1rsh {z1.d}, p0/z, [x2, #2]"),
    (LOAD, 0xAC, "ld1w {z1.s}, p0/z, [x2, z3.s, uxtw]; ld1d {z1.d}, p0/z, [z2.d]"),
    (LOAD, 0xAC, "ldff1d {z1.d}, p0/z, [x2, z3.d, lsl #3]; ld1sb {z1.s}, p0/z, [z2.s, #1]"),
    (LOAD, 0xAC, "ldnt1d {z1.d}, p0/z, [z2.d, x3]; ld1h {z1.s}, p0/z, [x2, z3.s, sxtw #1]"),
    (STORE, 0x01, "str x1, [x2]; strb w1, [x2, #8]!; strh w1, [x2], #2; sttr x1, [x2]"),
    (STORE, 0x01, "stur w1, [x2, #-1]; str x1, [x2, x3]; stp x1, x2, [x3]; stnp w1, w2, [x3]"),
    (STORE, 0x01, "st64b x2, [x3]; st64bv x1, x2, [x3]; st64bv0 x1, x2, [x3]"),
    (STORE, 0x05, "str q1, [x2]; str b1, [x2, x3]; stur d1, [x2]; stp q1, q2, [x3], #32"),
    (STORE, 0x05, "st1 {v0.2d}, [x1]; st3 {v0.b, v1.b, v2.b}[7], [x1]; stnp s1, s2, [x3]"),
    (STORE, 0x0B, "stxr w0, x1, [x2]; stxrb w0, w1, [x2]; stxp w0, x1, x2, [x3]"),
    (STORE, 0x1B, "stlxr w0, x1, [x2]; stlxrh w0, w1, [x2]; stlxp w0, w1, w2, [x3]"),
    (STORE, 0x13, "stlr x1, [x2]; stllr w1, [x2]; stlrb w1, [x2]; stlur x1, [x2]; stlurb w1, [x2]"),
    (STORE, 0x15, "stg x1, [x2]; st2g x1, [x2], #16; stzg x1, [x2, #16]!; stz2g x1, [x2]"),
    (STORE, 0x15, "stgm x1, [x2]; stzgm x1, [x2]; stgp x1, x2, [x3]; dc gva, x1; dc gzva, x1"),
    (STORE, 0x11, "dc zva, x1"),
    (STORE, 0x25, "setp [x0]!, x1!, x2; setm [x0]!, x1!, x2; setgetn [x0]!, x1!, x2"),
    (STORE, 0x29, "str z1, [x2]; str p1, [x2, #-1, mul vl]"),
    (STORE, 0x2D, "st1b {z1.b}, p0, [x2]; st2d {z0.d, z1.d}, p0, [x2, x3, lsl #3]"),
    (STORE, 0x2D, "stnt1w {z1.s}, p0, [x2]; st1w {z1.d}, p0, [x2, x3, lsl #2]"),
    (STORE, 0xAD, "st1w {z1.s}, p0, [x2, z3.s, uxtw]; st1d {z1.d}, p0, [z2.d, #8]"),
    (STORE, 0xAD, "st1d {z1.d}, p0, [x2, z3.d, lsl #3]; stnt1b {z1.d}, p0, [z2.d, x3]"),
    (ATOMIC, 0x06, "ldadd x1, x2, [x3]; stadd x1, [x3]; swp w1, w2, [x3]; ldclrb w1, w2, [x3]"),
    (ATOMIC, 0x06, "cas x1, x2, [x3]; casb w1, w2, [x3]; casp x0, x1, x2, x3, [x4]"),
    (ATOMIC, 0x06, "ldsmax x1, x2, [x3]; ldumin w1, w2, [x3]; ldset x1, x2, [x3]; steor w1, [x3]"),
    (ATOMIC, 0x16, "ldadda x1, x2, [x3]; ldaddal w1, w2, [x3]; swpal x1, x2, [x3]"),
    (
        ATOMIC,
        0x16,
        "swpab w1, w2, [x3]; ldseta x1, xzr, [x3]; staddl x1, [x3]; caspal w0,w1,w2,w3,[x4]",
    ),
    (
        ATOMIC,
        0x16,
        "casal x1, x2, [x3]; casa w1, w2, [x3]; caslh w1, w2, [x3]; caspa x0,x1,x2,x3,[x4]",
    ),
    (BRANCH, 0x00, "b .; bl ."),
    (BRANCH, 0x01, "b.eq .; b.al .; cbz x1, .; cbnz w1, .; tbz x1, #33, .; tbnz w1, #2, ."),
    (BRANCH, 0x02, "br x1; blr x1; ret; ret x1; braa x1, x2; braaz x1; blraaz x1; blrab x1, x2"),
    (BRANCH, 0x02, "retaa; retab"),
    (OTHER, 0x00, "prfm pldl1keep, [x1]; prfum pldl1keep, [x1, #1]; prfm pldl1keep, ."),
    (OTHER, 0x00, "prfm pstl1strm, [x1, x2]; add x0, x1, x2; udiv x0, x1, x2; svc #0; nop"),
    (OTHER, 0x00, "fadd d0, d1, d2; add v0.4s, v1.4s, v2.4s; mrs x0, cntvct_el0; dmb ish; isb"),
    (OTHER, 0x00, "dc civac, x1; ic ivau, x1; clrex; adr x0, .; adrp x0, .; udf #0; irg x1, x2"),
    (OTHER, 0x01, "csel x0, x1, x2, eq; csinc w0, w1, w2, ne; cset x0, lt; ccmp x0, x1, #0, eq"),
    (OTHER, 0x01, "fcsel d0, d1, d2, eq; fccmp s0, s1, #0, ne; fccmpe d0, d1, #0, gt"),
    (OTHER, 0x28, "add z0.s, z1.s, z2.s; ptrue p0.b; prfb pldl1keep, p0, [x1]"),
    (OTHER, 0x28, "prfw pldl1keep, p0, [x1, x2, lsl #2]; prfd pldl1keep, p0, [z1.d]"),
    (OTHER, 0x28, "prfh pldl1keep, p0, [x1, z2.s, uxtw #1]; prfb pldl1keep, p0, [z1.s, #3]"),
    (
        OTHER,
        0x28,
        "prfd pldl1keep, p0, [x1, z2.d, lsl #3]; prfw pldl1keep, p0, [x1, z2.d, sxtw #2]",
    ),
]


def assemble(tmp_path: Path, lines: list[str]) -> Words:
    source, binary = tmp_path / "t.s", tmp_path / "t.bin"
    source.write_text(ARCH + "\n".join(lines) + "\n")
    need(AS, OBJCOPY)  # at once, so that all that is missing is said
    run(AS, "-o", tmp_path / "t.o", source)
    run(OBJCOPY, "-O", "binary", "-j", ".text", tmp_path / "t.o", binary)
    return np.fromfile(binary, "<u4")


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.split(";")]


def random_words() -> Words:
    """Random words, half of them in the load/store groups."""
    rng = np.random.default_rng(20240229)
    anything = rng.integers(0, 1 << 32, 150_000, dtype=np.uint32)
    memory = (anything & ~np.uint32(0x0A000000)) | np.uint32(0x08000000)
    sve = (anything[:60_000] & np.uint32(0x61FFFFFF)) | np.uint32(0x84000000)
    return np.concatenate([anything, memory, sve])


def class_by_name(name: str, operands: str) -> OpClass:
    """The class that a disassembler's mnemonic stands for."""
    atomic = r"(cas|swp|(ld|st)(add|clr|eor|set|smax|smin|umax|umin))"
    if re.match(atomic, name):
        return ATOMIC
    if name.startswith("prf"):
        return OTHER
    if name.startswith(("ld", "cpy")) and name != "cpy":  # SVE's cpy moves a register
        return LOAD
    if name.startswith("st") or re.match(r"setg?[pme]", name):
        return STORE
    if name == "dc" and operands.split(",")[0] in ("zva", "gva", "gzva"):
        return STORE
    branches = r"(b|bl|br|blr|ret|cbz|cbnz|tbz|tbnz|eret|drps|bc?\..*|bl?ra.*|e?reta.)$"
    return BRANCH if re.match(branches, name) else OTHER


def disassembler() -> Callable[[int], tuple[str, str] | None]:
    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)

    def one(word: int) -> tuple[str, str] | None:
        found = next(engine.disasm_lite(struct.pack("<I", word), 0x1000), None)
        return None if found is None else (found[2], found[3])

    return one


@pytest.mark.parametrize(("op_class", "payload", "text"), GROUPS)
def test_every_group_assembled(op_class: OpClass, payload: int, text: str, tmp_path: Path) -> None:
    """Each instruction of a group has the group's class and operation type packet."""
    lines = lines_of(text)
    words = assemble(tmp_path, lines)
    ops = classify(words)
    assert len(words) == len(lines)
    assert dict(zip(lines, ops.op_class, strict=True)) == dict.fromkeys(lines, op_class)
    assert dict(zip(lines, ops.op_payload, strict=True)) == dict.fromkeys(lines, payload)
    header = {OTHER: 0x48, BRANCH: 0x4A}.get(op_class, 0x49)
    assert set(ops.op_header) == {header}


def test_capstone_agrees_on_the_assembled_groups(tmp_path: Path) -> None:
    """Where capstone knows an instruction, its mnemonic stands for the same class."""
    words = assemble(tmp_path, [line for group in GROUPS for line in lines_of(group[2])])
    named = [disassembler()(int(word)) for word in words]
    known = [(found, c) for found, c in zip(named, classify(words).op_class, strict=True) if found]
    assert len(known) > 0.9 * len(words)
    assert [(found, OpClass(c)) for found, c in known if class_by_name(*found) != c] == []


def test_capstone_agrees_on_random_words() -> None:
    """No disagreement over a third of a million words, but for SME, which has no class here."""
    words = random_words()
    one = disassembler()
    known, wrong = 0, []
    for word, op_class in zip(words.tolist(), classify(words).op_class.tolist(), strict=True):
        found = one(word)
        sme = word & 0x9E000000 == 0x80000000
        if found and not sme:
            known += 1
            if class_by_name(*found) != op_class:
                wrong.append((hex(word), found, OpClass(op_class)))
    assert known > 100_000
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("b.eq .; cbz x1, .; tbnz w1, #2, .", Flag.CONDITIONAL),
        ("b .", Flag(0)),
        ("bl .", Flag.CALL),
        ("blr x1; blraaz x1", Flag.CALL | Flag.INDIRECT),
        ("ret; retaa", Flag.RETURN | Flag.INDIRECT),
        ("br x1; braa x1, x2", Flag.INDIRECT),
        ("svc #0; svc #77", Flag.SVC),
        ("hvc #0; brk #0; csel x0, x1, x2, eq", Flag(0)),
        ("fadd d0, d1, d2; add v0.4s, v1.4s, v2.4s; add z0.s, z1.s, z2.s", Flag.FP_SIMD),
        ("ldp x1, x2, [x3]; stp x1, x2, [x3]; stgp x1, x2, [x3]", Flag.PAIR | Flag.SLOT),
        ("ldp q1, q2, [x3]", Flag.PAIR | Flag.SLOT | Flag.FP_SIMD),
        ("ldxp x1, x2, [x3]; prfm pldl1keep, [x1]; dc zva, x1", Flag.SLOT),
        ("cpyp [x0]!, [x1]!, x2!; setgp [x0]!, x1!, x2", Flag.SLOT),
        ("ldr q1, [x2]; ldr z1, [x2]; st1 {v0.2d}, [x1]", Flag.SLOT | Flag.FP_SIMD),
    ],
)
def test_flags(text: str, flags: Flag, tmp_path: Path) -> None:
    """Flags of branches, calls, vectors, pairs and system calls."""
    assert set(classify(assemble(tmp_path, lines_of(text))).flags) == {flags}


def test_memory_classes_take_a_slot() -> None:
    """No load, store or atomic is without an address slot."""
    ops = classify(random_words())
    memory = np.isin(ops.op_class, [LOAD, STORE, ATOMIC])
    assert memory.sum() > 100_000
    assert np.all(ops.flags[memory] & Flag.SLOT)


def test_branch_targets_are_the_assemblers(tmp_path: Path) -> None:
    """Direct branches forwards and backwards find their labels; others go to pc + 4."""
    lines = ["a: nop", "b c", "b.ne a", "cbz x0, c", "tbz x0, #40, a", "bl a", "c: ret"]
    words = assemble(tmp_path, lines)
    pc = 0xFFFF_0000_0000 + 4 * np.arange(7, dtype=np.uint64)
    offset = (branch_targets(pc, words) - pc[0]).tolist()
    assert offset == [4, 24, 0, 24, 0, 0, 28]


def test_recorder_has_the_same_slot_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled rule of spetrace.c equals takes_slot on random and assembled words."""
    need("gcc")
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "cache"))
    rule = ctypes.CDLL(str(compile_plugin(tmp_path)), mode=os.RTLD_LAZY).takes_slot
    rule.argtypes, rule.restype = [ctypes.c_uint32], ctypes.c_bool
    text = [line for group in GROUPS for line in lines_of(group[2])]
    words = np.concatenate([assemble(tmp_path, text), random_words()])
    assert [rule(word) for word in words.tolist()] == takes_slot(words).tolist()
