"""The loops of the calibration program: where they are in its ELF file, and what their ops are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from elftools.common.exceptions import ELFError
from numpy.typing import NDArray

from sim.workload import elfread
from sim.workload.a64 import OpClass, branch_targets, classify
from sim.workload.capture.source import CaptureError
from sim.workload.elfread import Elf, Function

PREFIX = "speskew_loop_"
LONGEST = 255
"""Ops of the longest loop: as many as a window may have."""
_HOW = "make it with `speskew calibrate --source DIR` and build it as that says"


@dataclass(frozen=True, slots=True)
class CodeLoop:
    """One loop: `classes` [ops] of `sim.workload.a64.OpClass` from `address` on, 4 bytes each."""

    name: str
    address: int
    classes: NDArray[np.uint8]

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + 4 * self.classes.size


def loops_of(program: Path) -> list[CodeLoop]:
    """The loops of a calibration program, by address; raises CaptureError."""
    try:
        with elfread.opened(program) as elf:
            return list(_loops(program, elf))
    except ELFError as error:
        raise CaptureError(f"{program}: {error}; {_HOW}") from error
    except OSError as error:
        raise CaptureError(f"{program}: cannot be read: {error.strerror}") from error


def _loops(program: Path, elf: Elf) -> Iterator[CodeLoop]:
    if elf.machine != "EM_AARCH64":
        raise CaptureError(f"{program}: built for {elf.machine}, not AArch64; {_HOW}")
    if elf.type != elfread.ET_EXEC:
        raise CaptureError(
            f"{program}: is position-independent, so addresses in a capture do not tell its ops; "
            "link it with -no-pie and record again"
        )
    found = {f.value: f for f in elf.functions() if f.name.startswith(PREFIX)}
    if not found:
        raise CaptureError(f"{program}: has no loops called {PREFIX}…; {_HOW}")
    for address in sorted(found):
        yield _loop(program, elf, found[address])


def _loop(program: Path, elf: Elf, function: Function) -> CodeLoop:
    ops = function.size // 4
    if function.offset < 0 or function.size % 4 or not 2 <= ops <= LONGEST:
        raise CaptureError(f"{program}: {function.name} is no loop of 2 to {LONGEST} ops; {_HOW}")
    text = elf.data[function.offset : function.offset + function.size]
    if len(text) != function.size:
        raise CaptureError(f"{program}: is cut short at {function.name}; copy it again")
    words = np.frombuffer(text, "<u4")
    pcs = function.value + 4 * np.arange(ops, dtype=np.uint64)
    classes = classify(words).op_class
    back = branch_targets(pcs, words) == function.value
    if classes[-1] != OpClass.BRANCH or not back[-1]:
        raise CaptureError(
            f"{program}: {function.name} does not end in a branch to its begin; {_HOW}"
        )
    return CodeLoop(function.name, function.value, classes)
