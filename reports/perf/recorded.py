"""The program that an arm's stream was recorded of: the very file, or one of equal code.

Equal code is what makes addresses mean the same: a program compiled once more, with -g this time,
has another build id, and each instruction that was executed where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reports.perf import programs
from reports.store.files import ExportError
from sim.workload.elfread import EXECUTABLE
from sim.workload.sharing.index import unified
from sim.workload.spestream import Recording, read_spestream

if TYPE_CHECKING:
    from sim.scenario.models.scenario import Arm
    from sim.workload.elfread import Elf, Function

_WORD = 4


@dataclass(frozen=True, slots=True)
class Recorded:
    """A program's file and what was recorded of it.

    `bias` is what its addresses in memory have more than those in the file, in which `starts` and
    `ends` [s] of its code are, and `entries`, its functions by symbols; `recording` has the static
    ops of all threads.
    """

    path: Path
    bias: int
    starts: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    entries: dict[int, str]
    recording: Recording

    def own(self, pc: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which addresses [n] in memory are of its code."""
        return _inside(pc - np.uint64(self.bias), self.starts, self.ends)


def recorded(arm: Arm, given: Path | None) -> Recorded:
    """The program of an arm: the one that is given, or that lies beside its stream.

    Raises ExportError for a workload that is no recorded program, if there is none, and if it is
    another.
    """
    files = programs.recordings(arm.settings.workload)
    if not files:
        raise ExportError(f"the workload of {arm.name} is no recorded program")
    (recording, *_) = unified([read_spestream(file) for file in files])
    name = programs.file_name(recording.program)
    path = given or files[0].with_name(name)
    if not path.is_file():
        raise ExportError(f"{path}: the recorded program is not there; name it with --binary")
    with programs.opened(path) as elf:
        found = _read(path, elf, programs.bias_of(elf, files[0]), recording)
        if not recording.build_id or elf.build_id() != recording.build_id:
            _check_code(found, elf)
    return found


def _read(path: Path, elf: Elf, bias: int, recording: Recording) -> Recorded:
    code = [s for s in elf.segments() if s.flags & EXECUTABLE]
    starts = np.array([s.address for s in code], np.uint64)
    ends = np.array([s.address + s.memsz for s in code], np.uint64)
    entries = {f.value: f.name for f in sorted(elf.functions(), key=_worst_first)}
    return Recorded(path, bias, starts, ends, entries, recording)


def _worst_first(function: Function) -> tuple[int, int, str]:
    return -function.rank, -len(function.name), function.name


def _check_code(found: Recorded, elf: Elf) -> None:
    """ExportError unless the program has each executed instruction where it was."""
    recording = found.recording
    ids = (
        f"build id {elf.build_id() or 'none'}, but the recorded program's is "
        f"{recording.build_id or 'none'}"
    )
    pc = recording.pc - np.uint64(found.bias)
    own = found.own(recording.pc)
    if not recording.has_words or not own.any():
        raise ExportError(f"{found.path}: {ids}; give the program that was recorded")
    words = np.zeros(pc.size, np.uint32)
    for s in elf.segments():
        whole = s.filesz // _WORD * _WORD
        here = _inside(
            pc, np.array([s.address], np.uint64), np.array([s.address + whole], np.uint64)
        )
        data = np.frombuffer(elf.data[s.offset : s.offset + whole], "<u4")
        words[here] = data[(pc[here] - np.uint64(s.address)) // np.uint64(_WORD)]
    other = own & (words != recording.word)
    if other.any():
        at = int(pc[other].min())
        raise ExportError(
            f"{found.path}: {ids}, and its code is another from {at:#x} on; give the program that "
            "was recorded, or one of equal code"
        )


def _inside(
    pc: NDArray[np.uint64], starts: NDArray[np.uint64], ends: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Which addresses lie in one of the ranges."""
    inside = np.zeros(pc.size, bool)
    for start, end in zip(starts, ends, strict=True):
        inside |= (pc >= start) & (pc < end)
    return inside
