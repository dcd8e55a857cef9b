"""`speskew export autofdo`: an arm's samples by line and inlined call, LLVM's text sample profile.

    FUNCTION:TOTAL:HEAD
     OFFSET[.DISCRIMINATOR]: COUNT [CALLEE:COUNT …]
     OFFSET[.DISCRIMINATOR]: INLINED:TOTAL
      OFFSET[.DISCRIMINATOR]: COUNT …

A line is counted from the line of its function's declaration, modulo 2^16. The rules are AutoFDO's
(google/autofdo, profile.cc and symbol_map.cc, data source PERFDATA), and but for TOTAL those of
llvm-profgen (ProfileGenerator.cpp):

* COUNT is the largest number of samples among the instructions of a line, times the copies that
  LLVM has made of it by unrolling or vectorising (part of the discriminator);
* TOTAL is the number of samples of all instructions (llvm-profgen: times four bytes), so that the
  functions' totals add up to the samples of the program;
* HEAD, and the COUNT of a callee, are branches taken to a function's first instruction: calls, and
  jumps out of another function;
* what a compiler has made up (line 0) counts for its function only (llvm-profgen: as a line far
  below), and a line without a sample is left out (llvm-profgen: 0): it may have been executed.

Fidelity note: a sample of SPE is an operation, not a cycle, so that COUNT is proportional to
executions, as the format wants it; the maximum over a line's instructions is biased upwards by
sampling noise, the more the fewer samples there are (`--truth` has none).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reports.perf import bolt
from reports.perf.dwarf import Frame, Stack, stacks
from reports.perf.recorded import Recorded, recorded
from reports.store.files import ExportError
from sim.runs import batch
from sim.workload.a64 import Flag

if TYPE_CHECKING:
    from reports.rerunning import Rerun

I64 = NDArray[np.int64]
Place = tuple[int, int]
"""Line from that of the function's declaration, and base discriminator."""
_OFFSETS: Final = 0xFFFF
_ENTRY: Final = re.compile(r"(?!.*\.cold(\.\d+)?$)[^\W\d][\w.$@]*")
"""Functions that can be called by a name: not the parts that compilers put elsewhere."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What was sampled of a program, at the addresses of its file.

    `pc` [n] ascending, each once, and `times` [n]; `calls` [m, 3] branches taken: from, to, times;
    `calling`, instructions that call; `entries`, functions by symbols; `outside`, samples of code
    that is not the program's.
    """

    pc: NDArray[np.uint64]
    times: I64
    calls: I64
    calling: frozenset[int]
    entries: dict[int, str]
    outside: int


@dataclass(slots=True)
class Function:
    """A function of a profile, or one that was inlined, while it is counted."""

    total: int = 0
    head: int = 0
    lines: dict[Place, int] = field(default_factory=dict)
    callees: dict[Place, dict[str, int]] = field(default_factory=dict)
    inlined: dict[tuple[Place, str], Function] = field(default_factory=dict)


class Placed(NamedTuple):
    """Functions by name, and how many samples are in no line of any."""

    functions: dict[str, Function]
    unplaced: int


# --- counting ------------------------------------------------------------------------------------


def placed(samples: Samples, found: Mapping[int, Stack]) -> Placed:
    """The samples by function and line, with the frames of each address."""
    functions: dict[str, Function] = {}
    unplaced = 0
    for pc, times in zip(samples.pc.tolist(), samples.times.tolist(), strict=True):
        stack = found.get(pc, ())
        if not _named(stack):
            unplaced += times
            continue
        at = _function(functions, stack, times)
        if at is not None:
            place, count = _place(stack[-1]), times * _copies(stack[-1])
            at.lines[place] = max(at.lines.get(place, 0), count)
    _add_calls(functions, samples, found)
    return Placed(functions, unplaced)


def _function(functions: dict[str, Function], stack: Stack, times: int) -> Function | None:
    """The innermost function of a place, None if it is made up; adds samples to all around it."""
    at = functions.setdefault(stack[0].function, Function())
    at.total += times
    for caller, callee in pairwise(stack):
        if not caller.known or not callee.function:
            return None
        at = at.inlined.setdefault((_place(caller), callee.function), Function())
        at.total += times
    return at if stack[-1].known else None


def _add_calls(
    functions: dict[str, Function], samples: Samples, found: Mapping[int, Stack]
) -> None:
    for origin, target, times in samples.calls.tolist():
        if target not in samples.entries:
            continue
        from_, to = found.get(origin, ()), found.get(target, ())
        name = to[0].function if to else samples.entries[target]
        if from_ and from_[0].function == name and origin not in samples.calling:
            continue  # a loop back to the function's first instruction
        if _named(to):
            functions.setdefault(name, Function()).head += times
        at = _function(functions, from_, 0) if _named(from_) else None
        if at is not None:
            callees = at.callees.setdefault(_place(from_[-1]), {})
            callees[name] = callees.get(name, 0) + times


def _named(stack: Stack) -> bool:
    """Whether it is in a function whose name and declaration are known."""
    return bool(stack and stack[0].function and stack[0].start)


def _place(frame: Frame) -> Place:
    base = _base(frame.discriminator) if frame.encoded else frame.discriminator
    return (frame.line - frame.start) & _OFFSETS, base


def _base(discriminator: int) -> int:
    """The part of LLVM's discriminator that tells blocks of one line apart (Discriminator.h)."""
    return 0 if discriminator & 1 else _number(discriminator >> 1)


def _copies(frame: Frame) -> int:
    """How many copies of a line there are, of which each was counted for itself."""
    if not frame.encoded:
        return 1
    whole = frame.discriminator
    rest = whole >> 1 if whole & 1 else whole >> (14 if whole & 0x40 else 7)
    return 1 if rest == 0 or rest & 1 else _number(rest >> 1)


def _number(bits: int) -> int:
    """A number of 5 bits, or of 12 if bit 5 is set."""
    return (bits >> 1 & 0xFE0) | (bits & 0x1F) if bits & 0x20 else bits & 0x1F


# --- writing -------------------------------------------------------------------------------------


def write(file: IO[bytes], functions: dict[str, Function]) -> None:
    """The profile, functions with most samples first."""
    for name, function in sorted(functions.items(), key=lambda item: (-item[1].total, item[0])):
        file.write(f"{name}:{function.total}:{function.head}\n".encode())
        file.writelines(line.encode() for line in _lines(function, " "))


def _lines(function: Function, indent: str) -> Iterator[str]:
    for place in sorted({*function.lines, *function.callees}):
        callees = sorted(
            function.callees.get(place, {}).items(), key=lambda item: (-item[1], item[0])
        )
        called = "".join(f" {name}:{times}" for name, times in callees)
        yield f"{indent}{_shown(place)}: {function.lines.get(place, 0)}{called}\n"
    for (place, name), inner in sorted(function.inlined.items()):
        yield f"{indent}{_shown(place)}: {name}:{inner.total}\n"
        yield from _lines(inner, indent + " ")


def _shown(place: Place) -> str:
    offset, discriminator = place
    return f"{offset}.{discriminator}" if discriminator else str(offset)


# --- an arm's samples ----------------------------------------------------------------------------


def profile(
    found: Rerun, given: Path | None, *, truth: bool, written: Callable[[int], None]
) -> Placed:
    """The functions of an arm's delivered records, or of all that its stream executes.

    `given` is the program if it does not lie beside its stream. Raises ExportError if there is
    none, it is another, or it does not tell the lines of what was sampled.
    """
    program = recorded(found.arm, given)
    samples = samples_of(found, program, truth=truth, written=written)
    asked = np.concatenate([samples.pc, samples.calls[:, :2].reshape(-1).astype(np.uint64)])
    result = placed(samples, stacks(program.path, asked))
    _check(program.path, result)
    return Placed(result.functions, result.unplaced + samples.outside)


def samples_of(
    found: Rerun, program: Recorded, *, truth: bool, written: Callable[[int], None]
) -> Samples:
    """An arm's delivered records, or all that its stream executes, by address of the program."""
    own = program.own(found.stream.static_pc)
    bias = np.uint64(program.bias)
    times = _executed(found) if truth else _sampled(found, written)
    branches = bolt.executed(found) if truth else bolt.sampled(found, lambda _: None)
    pc, at = np.unique(found.stream.static_pc[own] - bias, return_inverse=True)
    sums = np.zeros(pc.size, np.int64)
    np.add.at(sums, at.ravel(), times[own])
    recording = program.recording
    calling = recording.pc[(recording.flags & Flag.CALL.value) != 0] - bias
    return Samples(
        pc[sums > 0],
        sums[sums > 0],
        _taken(branches, program.bias),
        frozenset(calling.tolist()),
        {pc: name for pc, name in program.entries.items() if _ENTRY.fullmatch(name)},
        int(times[~own].sum()),
    )


def _executed(found: Rerun) -> I64:
    """How often the whole stream executes each static op, as far as SPE would sample it."""
    members = batch.visits_of(found.arm, found.stream).members
    return np.asarray(members.reshape(found.stream.statics, -1).sum(axis=1), np.int64)


def _sampled(found: Rerun, written: Callable[[int], None]) -> I64:
    """How often each static op was sampled."""
    times = np.zeros(found.stream.statics, np.int64)
    for vcpu in range(len(found.run.vcpus)):
        for records in found.blocks(vcpu):
            times += np.bincount(records["insn"], minlength=times.size)
            written(records.size)
    return times


def _taken(branches: I64, bias: int) -> I64:
    """(from, to, times) of each branch that was taken, in the file's addresses."""
    taken = branches[branches[:, 0] == 0]
    ends, at = np.unique(taken[:, 1:3], axis=0, return_inverse=True)
    times = np.zeros(len(ends), np.int64)
    np.add.at(times, at.ravel(), taken[:, 3])
    return np.column_stack([ends - bias, times])


def _check(path: Path, result: Placed) -> None:
    """ExportError if no sample is in a line."""
    if any(function.total for function in result.functions.values()):
        return
    if not result.unplaced:
        raise ExportError(f"no sample is of the code of {path.name}: there is nothing to count")
    raise ExportError(
        f"{path}: its DWARF tells the function and line of no sample; compile it with -g, and with "
        "clang -fdebug-info-for-profiling too (-g1 leaves out where functions are declared)"
    )
