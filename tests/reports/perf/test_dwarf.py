"""Source places of addresses of small programs; tests/tools/test_autofdo.py: as LLVM has them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from reports.perf.dwarf import Frame, stacks
from reports.store.files import ExportError
from sim.scenario.files.loader import stock_folder
from tests.needs import CROSS, run

SOURCE = """\
extern int out;
static inline int twice(int x) {
    return x
        * out;
}
int apart(int x)
{
    int y = x ^ 77;
    return y + twice(y);
}
void _start(void) {
    out = apart(5);
}
int out;
"""
Compiled = Callable[..., Path]


@pytest.fixture
def compiled(tmp_path: Path) -> Compiled:
    """Compiles the source with options."""

    def compile_(*options: str) -> Path:
        (tmp_path / "a.c").write_text(SOURCE)
        path = tmp_path / "a"
        common = (
            "-O1",
            "-fno-inline-functions-called-once",
            "-nostdlib",
            "-ffreestanding",
            "-static",
        )
        run(CROSS, *common, *options, "-o", path, tmp_path / "a.c")
        return path

    return compile_


def text_of(path: Path) -> NDArray[np.uint64]:
    """Addresses of all instructions."""
    with path.open("rb") as file:
        text: Any = ELFFile(file).get_section_by_name(".text")
        first, size = text["sh_addr"], text["sh_size"]
        return np.arange(first, first + size, 4).astype(np.uint64)


@pytest.mark.parametrize("form", ["-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gz"])
def test_lines_and_inlined_calls(compiled: Compiled, form: str) -> None:
    """Of every version, also compressed: the multiplication is in `twice`, called in line 9."""
    path = compiled("-g", form)
    found = stacks(path, text_of(path))
    assert {stack[0].function for stack in found.values()} == {"apart", "_start"}
    inlined = {stack for stack in found.values() if len(stack) == 2}
    assert {(a.function, a.start, a.line) for a, _ in inlined} == {("apart", 6, 9)}
    assert {(b.function, b.start) for _, b in inlined} == {("twice", 2)}
    assert {b.line for _, b in inlined} & {3, 4}
    assert {stack[0].line for stack in found.values() if len(stack) == 1} <= {
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
    }
    assert not any(frame.encoded for stack in found.values() for frame in stack)


def test_addresses_that_it_does_not_know(compiled: Compiled) -> None:
    """They are absent; so is everything if nothing is asked."""
    path = compiled("-g")
    assert stacks(path, np.array([0, 4, 1 << 62], np.uint64)) == {}
    assert stacks(path, np.zeros(0, np.uint64)) == {}


def test_a_place_that_is_known() -> None:
    """It has a line, and its function a declaration."""
    assert Frame("f", 1, 1, 0, encoded=False).known
    assert not Frame("f", 0, 1, 0, encoded=False).known
    assert not Frame("f", 1, 0, 0, encoded=False).known


def test_programs_without_lines(compiled: Compiled, tmp_path: Path) -> None:
    """Stripped, split, no program, not there: said, with what to do."""
    with pytest.raises(ExportError, match="no DWARF line table; compile it with -g"):
        stacks(stock_folder() / "streams" / "mix", np.zeros(1, np.uint64))
    path = compiled("-g", "-gsplit-dwarf")
    with pytest.raises(ExportError, match="without -gsplit-dwarf"):
        stacks(path, text_of(path))
    path.write_text("no program")
    with pytest.raises(ExportError, match=r"DWARF cannot be read.*anew with -g"):
        stacks(path, np.zeros(1, np.uint64))
    with pytest.raises(ExportError, match="No such file"):
        stacks(tmp_path / "none", np.zeros(1, np.uint64))


@pytest.mark.parametrize(
    ("symbol", "why"),
    [
        ('asm(".section .pseudo_probe\\n .byte 1");', "pseudo probes"),
        ("int __llvm_fs_discriminator__ = 1;", "flow sensitive"),
    ],
)
def test_other_ways_to_count(compiled: Compiled, tmp_path: Path, symbol: str, why: str) -> None:
    """Probes and flow sensitive discriminators are refused: lines would be wrong in silence."""
    (tmp_path / "b.c").write_text(symbol)
    path = compiled("-g", str(tmp_path / "b.c"))
    with pytest.raises(ExportError, match=f"{why}.*compile it without"):
        stacks(path, text_of(path))


def test_damaged_programs(compiled: Compiled, tmp_path: Path) -> None:
    """Frames or an error that is meant, whichever bytes are changed."""
    path = compiled("-g")
    data, pc = path.read_bytes(), text_of(path)
    with path.open("rb") as file:
        sections = [s for s in ELFFile(file).iter_sections() if s.name.startswith(".debug")]
        spans = [(s["sh_offset"], s["sh_size"]) for s in sections]
    draw = random.Random(20261130)
    refused = 0
    for k in range(150):
        bad = bytearray(data)
        at, size = spans[k % len(spans)]
        for _ in range(draw.choice((1, 1, 4))):
            bad[at + draw.randrange(size)] = draw.randrange(256)
        (tmp_path / "bad").write_bytes(bad)
        try:
            stacks(tmp_path / "bad", pc)
        except ExportError:
            refused += 1
    assert 0 < refused < 150
