"""The driver of a tree as a program: cached by content, and what does not compile is explained."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from sim import scratch
from sim.cache import home, keeping
from sim.linux.tree import building, sources
from sim.linux.tree.sources import INTERNAL, RING, TreeError
from tests.needs import need
from tests.sim.linux.kernels import patched

Linux = Callable[[str], Path]
SANITISE = "static void arm_spe_event_sanitise_period(struct perf_event *event)\n{\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in which nothing has been said."""
    need("gcc")
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(home.STATE, "said", set())
    return tmp_path / "cache"


def test_compiled_once_per_content(
    linux: Linux, tmp_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line while it compiles, none afterwards; a tree with a patch has another program."""
    tree = sources.read(linux("6.12"))
    made = building.program(tree)
    assert capsys.readouterr().err == (
        f"speskew: compiling the SPE driver of {tree.name} ({tree.path})\n"
    )
    home.STATE.said.clear()
    assert building.program(tree) == made
    assert capsys.readouterr().err == ""
    (kept,) = keeping.entries(own_cache)
    assert (kept.kind, kept.path) == ("kernel", made)
    other = sources.read(patched(linux("6.12"), tmp_path, (SANITISE, SANITISE + "\tbarrier();\n")))
    assert building.program(other) != made


@pytest.mark.parametrize("damage", ["cut", "not executable"])
def test_a_damaged_program_is_compiled_again(
    damage: str, linux: Linux, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever was done to the file."""
    tree = sources.read(linux("6.1"))
    made = building.program(tree)
    whole = made.read_bytes()
    if damage == "cut":
        made.write_bytes(whole[:-1])
    else:
        made.chmod(0o600)
    home.STATE.said.clear()
    assert building.program(tree).read_bytes() == whole
    assert "compiling the SPE driver" in capsys.readouterr().err


def test_where_nothing_can_be_kept(linux: Linux, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program lies in a folder of its own process, and serves that one."""
    monkeypatch.setattr(home, "root", lambda: None)
    tree = sources.read(linux("6.1"))
    made = building.program(tree)
    assert os.access(made, os.X_OK)
    assert made.parent.name.startswith(scratch.PREFIX)
    assert building.program(tree) == made


def test_without_a_compiler(linux: Linux, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package that has one."""
    tree = sources.read(linux("6.1"))
    monkeypatch.setattr(building, "COMPILER", "no-such-gcc")
    with pytest.raises(TreeError, match=r"not installed; run: apt-get install gcc libc6-dev$"):
        building.program(tree)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "perf_frobnicate(event);",
            r"function perf_frobnicate \(drivers/perf/arm_spe_pmu\.c:\d+\)",
        ),
        ("struct frob *f = 0; f->x = 1;", r"type struct frob \(drivers"),
        ("frob_t f;", r"type frob_t \(drivers"),
        ("event->hw.frob = 1;", r"member frob \(drivers"),
        ("event->cpu = FROB_CPU;", r"name FROB_CPU \(drivers"),
        ("extern int frob(void); event->cpu = frob();", r"function frob \(.*arm_spe_pmu\.c:\d+\)"),
    ],
)
def test_what_the_shim_does_not_know_is_named(
    line: str, said: str, linux: Linux, tmp_path: Path
) -> None:
    """With its place, and the tree's version."""
    tree = sources.read(patched(linux("6.12"), tmp_path, (SANITISE, f"{SANITISE}\t{line}\n")))
    with pytest.raises(TreeError, match=rf"of Linux 6\.12\.\d+ .* does not know: {said}"):
        building.program(tree)


def test_a_mistake_is_shown_where_it_is(linux: Linux, tmp_path: Path) -> None:
    """As the compiler says it, at the tree's own line."""
    tree = linux("6.12")
    where = (tree / sources.DRIVER).read_text().split(SANITISE)[0].count("\n") + 3
    broken = sources.read(patched(tree, tmp_path, (SANITISE, f"{SANITISE}\tint x = ;\n")))
    with pytest.raises(TreeError) as raised:
        building.program(broken)
    assert f"does not compile: {sources.DRIVER}:{where}: expected expression" in str(raised.value)


def test_helpers_and_fields_that_a_patch_adds(linux: Linux, tmp_path: Path) -> None:
    """In ring_buffer.c and internal.h; they are compiled along."""
    head = "static __always_inline bool rb_need_aux_wakeup(struct perf_buffer *rb)\n{\n"
    helper = "static void count(struct perf_buffer *rb)\n{\n\trb->counted++;\n}\n\n"
    added = patched(linux("6.1"), tmp_path, (head, f"{helper}{head}\tcount(rb);\n"), file=RING)
    field = ("\tlong\t\t\t\taux_head;\n", "\tlong aux_head, counted;\n")
    both = patched(added, tmp_path, field, file=INTERNAL)
    with pytest.raises(TreeError, match=r"member counted \(kernel/events/ring_buffer\.c:\d+\)"):
        building.program(sources.read(added))
    assert building.program(sources.read(both)).is_file()


def test_places_are_told(linux: Linux) -> None:
    """Function, file and line of an address; without binutils, the address."""
    tree = sources.read(linux("6.1"))
    program = building.program(tree)
    symbols = symbols_of(program)
    at = symbols["arm_spe_pmu_irq_handler"]
    assert re.fullmatch(
        r"arm_spe_pmu_irq_handler \(drivers/perf/arm_spe_pmu\.c:\d+\)", building.place(program, at)
    )


def symbols_of(program: Path) -> dict[str, int]:
    """Functions of a program by name."""
    with program.open("rb") as file:
        table: Any = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: symbol.entry.st_value for symbol in table.iter_symbols()}
