"""Record AArch64 user programs under qemu-aarch64 into .spestream files.

Fidelity note. QEMU's TCG executes the program; its plugin (`spetrace.c`) notes every block entered
and the first address of every memory instruction. Only EL0 is seen: a system call is one op. An
asynchronous event that arrives after an indirect branch cannot be told from the branch itself; all
others show as discontinuities. Interleaving and the number of spins in a contended loop are QEMU's,
not a machine's. The default processor has no SVE, so that libraries do not choose SVE code.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection
from numpy.typing import NDArray

from sim.workload import a64
from sim.workload.a64 import Flag, OpClass
from sim.workload.spestream import CHUNK_BLOCKS, Chunk, Recording, Symbol, write_chunks

PLUGIN_SOURCE: Final = Path(__file__).with_name("spetrace.c")
MAX_THREADS: Final = 64
_POLL_S: Final = 0.25
_STATE_HEAD: Final = struct.Struct("<QQQ40x")
_STATE_THREAD: Final = struct.Struct("<QQQQQ24x")
_TOO_MANY_THREADS, _NO_SPACE = 1, 2


class RecorderError(Exception):
    """A program cannot be recorded; says what, why and how to fix it."""


class Recorded(list[Path]):
    """The files written, in order of guest threads, and how the program ended.

    `exit_status` is the program's, or None if it did not end by itself; `signal` is the one that
    ended it, or None; `interrupted` is true after Ctrl-C; `stopped_at_limit` if the recording ended
    because every living thread had reached the limit; `ops` counts recorded ops of all threads.
    """

    def __init__(self, files: Iterable[Path], end: _End, ops: int) -> None:
        super().__init__(files)
        self.exit_status = end.exit_status
        self.signal = end.signal
        self.interrupted = end.interrupted
        self.stopped_at_limit = end.stopped
        self.ops = ops


@dataclass(frozen=True, slots=True)
class _End:
    exit_status: int | None
    signal: signal.Signals | None
    interrupted: bool
    stopped: bool


@dataclass(frozen=True, slots=True)
class _Thread:
    seen: int
    ops: int
    blocks: int
    next_pc: int
    full: bool


@dataclass(frozen=True, slots=True)
class _State:
    error: int
    stopped: bool
    threads: tuple[_Thread, ...]


def record(
    program: list[str],
    out: Path,
    *,
    limit: int | None = None,
    skip: int | None = None,
    cpu: str = "neoverse-n1",
    progress: Callable[[int], None] | None = None,
    sysroot: Path | None = None,
) -> Recorded:
    """Run `program` (path and arguments) and write one file per guest thread.

    One thread gives exactly `out`; several give `out`'s stem + ".T.spestream", T being the ordinal
    of creation. `skip` and `limit` are ops per thread, rounded up to whole blocks. The program is
    stopped once all its living threads have reached the limit. `cpu` is a processor model of QEMU;
    `sysroot` is where it finds the program's libraries. `progress` is called a few times a second
    with the ops recorded so far. A program that crashes, or Ctrl-C, keeps what was executed.

    Raises RecorderError if a tool is missing, QEMU cannot run the program, more than 64 threads
    were started, or nothing was recorded; StreamError if a file cannot be written. Until a file is
    complete, 2 to 4 bytes per op of working files lie in its folder.
    """
    elf = _check_program(program)
    for name, value in (("limit", limit), ("skip", skip)):
        if value is not None and value < (1 if name == "limit" else 0):
            raise RecorderError(f"{name} of {value} ops: give a positive number")
    qemu = _find_tool("qemu-aarch64", "qemu-user")
    plugin = compile_plugin(plugin_api(_qemu_version(qemu)))
    out = Path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecorderError(f"{out.parent}: {error.strerror}; choose another folder") from error
    with tempfile.TemporaryDirectory(prefix=".speskew-record-", dir=out.parent) as name:
        raw = Path(name)
        options = f"{_escaped(plugin)},out={_escaped(raw)}"
        options += "" if skip is None else f",skip={skip}"
        options += "" if limit is None else f",limit={limit}"
        command = [qemu, "-cpu", cpu, "-seed", "1", "-plugin", options]
        command += [] if sysroot is None else ["-L", str(sysroot)]
        end = _run([*command, *program], raw, progress)
        state = _read_state(raw)
        _check_state(state, program[0], skip)
        files = _convert(raw, state, out, elf, " ".join([elf.name, *program[1:]]))
    return Recorded(files, end, sum(thread.ops for thread in state.threads))


# ------------------------------------------------------------------------------- tools


def plugin_api(version: tuple[int, int]) -> int:
    """The plugin API version to build for, for a QEMU of (major, minor) `version`.

    1 up to 8.2, 2 in 9.0, 3 or later from 9.1, where instruction bytes are copied out.
    """
    if version < (4, 2):
        raise RecorderError(f"QEMU {version[0]}.{version[1]} has no plugins; install 4.2 or later")
    return 1 if version < (9, 0) else 2 if version < (9, 1) else 3


def cache_dir() -> Path:
    """Where compiled plugins are kept: $SPESKEW_CACHE or ~/.cache/speskew."""
    chosen = os.environ.get("SPESKEW_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "speskew"


def compile_plugin(api: int = 1) -> Path:
    """The compiled plugin for API version `api`; compiled once per content of its source."""
    identity = f"{api} {platform.machine()} ".encode() + PLUGIN_SOURCE.read_bytes()
    name = f"spetrace-{hashlib.blake2b(identity, digest_size=12).hexdigest()}.so"
    library = cache_dir() / name
    if library.exists():
        return library
    compiler = _find_tool("gcc", "gcc")
    library.parent.mkdir(parents=True, exist_ok=True)
    part = library.with_name(f".{name}.{os.getpid()}")
    command = [compiler, "-O2", "-fPIC", "-shared", f"-DSPETRACE_API={api}", "-o", str(part)]
    result = subprocess.run([*command, str(PLUGIN_SOURCE)], capture_output=True, text=True)
    if result.returncode:
        raise RecorderError(f"{PLUGIN_SOURCE.name} does not compile: {result.stderr.strip()}")
    part.replace(library)
    return library


def _find_tool(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RecorderError(f"{name} is not installed; run: apt-get install {package}")
    return path


def _qemu_version(qemu: str) -> tuple[int, int]:
    text = subprocess.run([qemu, "--version"], capture_output=True, text=True).stdout
    match = re.search(r"version (\d+)\.(\d+)", text)
    if match is None:
        raise RecorderError(f"{qemu} does not tell its version; install Debian's qemu-user")
    return int(match[1]), int(match[2])


def _escaped(path: Path) -> str:
    """QEMU's option syntax doubles a comma that belongs to a value."""
    return str(path.absolute()).replace(",", ",,")


def _check_program(program: list[str]) -> Path:
    if not program:
        raise RecorderError("no program is given; name an AArch64 executable and its arguments")
    path = Path(program[0])
    try:
        with path.open("rb") as file:
            machine = ELFFile(file).header["e_machine"]
    except OSError as error:
        raise RecorderError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except ELFError as error:
        raise RecorderError(f"{path}: not an ELF program; give an AArch64 executable") from error
    if machine != "EM_AARCH64":
        raise RecorderError(f"{path}: built for {machine}; build it for AArch64 Linux")
    return path


# ------------------------------------------------------------------------------- running


def _run(command: list[str], raw: Path, progress: Callable[[int], None] | None) -> _End:
    """Run QEMU to its end, or kill it at Ctrl-C."""
    interrupted = False
    process = subprocess.Popen(command)
    try:
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))  # no core files
        while True:
            try:
                process.wait(_POLL_S)
                break
            except subprocess.TimeoutExpired:
                if progress is not None:
                    progress(sum(thread.ops for thread in _read_state(raw).threads))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    stopped = _read_state(raw).stopped
    code = process.returncode
    if interrupted or stopped:
        return _End(None, None, interrupted, stopped)
    if code < 0:
        return _End(None, signal.Signals(-code), interrupted, stopped)
    return _End(code, None, interrupted, stopped)


def _read_state(raw: Path) -> _State:
    path = raw / "state"
    data = path.read_bytes() if path.exists() else b""
    if len(data) < _STATE_HEAD.size + MAX_THREADS * _STATE_THREAD.size:
        return _State(0, False, ())
    count, error, stopped = _STATE_HEAD.unpack_from(data)
    threads = []
    for number in range(min(count, MAX_THREADS)):
        at = _STATE_HEAD.size + number * _STATE_THREAD.size
        seen, ops, blocks, next_pc, full = _STATE_THREAD.unpack_from(data, at)
        threads.append(_Thread(seen, ops, blocks, next_pc, bool(full)))
    return _State(error, bool(stopped), tuple(threads))


def _check_state(state: _State, program: str, skip: int | None) -> None:
    if state.error == _TOO_MANY_THREADS:
        raise RecorderError(f"{program}: started more than {MAX_THREADS} threads; use fewer")
    if state.error == _NO_SPACE:
        raise RecorderError(f"{program}: the disk is full; set a limit or free space")
    if state.error:
        raise RecorderError(f"{program}: QEMU made a block the plugin cannot record; report it")
    if not state.threads:
        raise RecorderError(f"{program}: QEMU did not start it; see QEMU's message")
    if not any(thread.blocks for thread in state.threads):
        seen = max(thread.seen for thread in state.threads)
        raise RecorderError(f"{program}: ran {seen} ops, none after skip={skip or 0}; lower skip")


# ------------------------------------------------------------------------------- converting


@dataclass(frozen=True, slots=True)
class _Flow:
    """Per static block [B]: first pc, pc after its end, direct target, and how it may go on."""

    start: NDArray[np.uint64]
    after: NDArray[np.uint64]
    target: NDArray[np.uint64]
    falls: NDArray[np.bool_]
    anywhere: NDArray[np.bool_]

    def follows(self, ids: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether each execution but the first is a legal successor of the one before."""
        before, now = ids[:-1], self.start[ids[1:]]
        falls = self.falls[before] & (now == self.after[before])
        return np.asarray(self.anywhere[before] | falls | (now == self.target[before]))


def _convert(raw: Path, state: _State, out: Path, elf: Path, program: str) -> list[Path]:
    static = _read_blocks(raw / "blocks", program, _build_id(elf))
    symbols = _symbols(raw / "maps", elf, static.pc)
    used = [number for number, thread in enumerate(state.threads) if thread.blocks]
    files = []
    for number in used:
        name = out.name.removesuffix(".spestream") + f".{number}.spestream"
        path = out if len(used) == 1 else out.with_name(name)
        _convert_thread(raw, number, state.threads[number], replace(static, symbols=symbols), path)
        files.append(path)
    return files


def _read_blocks(path: Path, program: str, build_id: str) -> Recording:
    """The static part of a recording from the plugin's `blocks` file."""
    data = np.fromfile(path, np.uint32)
    at, starts, lengths, places = 0, [], [], []
    while at + 3 <= data.size and at + 3 + int(data[at + 2]) <= data.size:
        starts.append(int(data[at]) | int(data[at + 1]) << 32)
        lengths.append(int(data[at + 2]))
        places.append(at + 3)
        at += 3 + lengths[-1]
    length = np.array(lengths, np.int32)
    first = np.cumsum(length, dtype=np.int64) - length
    offset = np.arange(int(length.sum())) - np.repeat(first, length)
    word = data[np.repeat(np.array(places, np.int64), length) + offset]
    pc = np.repeat(np.array(starts, np.uint64), length) + (4 * offset).astype(np.uint64)
    ops = a64.classify(word)
    return Recording(
        pc=pc,
        word=word,
        op_class=ops.op_class,
        flags=ops.flags,
        op_payload=ops.op_payload,
        op_header=ops.op_header,
        block_first=first,
        block_len=length,
        ids=np.empty(0, np.uint32),
        addresses=np.empty(0, np.uint64),
        discontinuities=np.empty(0, np.int64),
        symbols=(),
        build_id=build_id,
        program=program,
        tid=0,
        ops=0,
        taken_last=False,
    )


def _flow(static: Recording) -> _Flow:
    last = static.last_op
    flags = static.flags[last]
    branch = static.op_class[last] == OpClass.BRANCH
    after = static.pc[last] + np.uint64(4)
    return _Flow(
        start=static.pc[static.block_first],
        after=after,
        target=a64.branch_targets(static.pc[last], static.word[last]),
        falls=~branch | ((flags & Flag.CONDITIONAL.value) != 0),
        anywhere=branch & ((flags & Flag.INDIRECT.value) != 0),
    )


def _convert_thread(raw: Path, number: int, thread: _Thread, static: Recording, path: Path) -> None:
    """Write one thread's file, reading the plugin's files a chunk at a time."""
    ids = np.memmap(raw / f"{number}.ids", np.uint32, "r", shape=(thread.blocks,))
    slots = np.memmap(raw / f"{number}.slots", np.uint64, "r")
    flow = _flow(static)
    used = np.zeros(static.block_len.size, np.bool_)
    breaks = []
    for first in range(0, ids.size, CHUNK_BLOCKS):
        part = ids[max(first - 1, 0) : first + CHUNK_BLOCKS]
        used[part] = True
        breaks.append(np.flatnonzero(~flow.follows(part)) + max(first - 1, 0) + 1)
    kept = _keep(static, used)
    renumber = (np.cumsum(used) - 1).astype(np.uint32)
    end = replace(
        kept,
        tid=number,
        discontinuities=np.concatenate(breaks).astype(np.int64),
        taken_last=_taken_last(static, flow, int(ids[-1]), thread),
    )
    write_chunks(path, end, _chunks(ids, slots, renumber, kept.block_slots))


def _keep(static: Recording, used: NDArray[np.bool_]) -> Recording:
    """Only the blocks that `used` [B] names, and only the symbols that touch them."""
    ops = np.repeat(used, static.block_len)
    length = static.block_len[used]
    pc = static.pc[ops]
    return replace(
        static,
        pc=pc,
        word=static.word[ops],
        op_class=static.op_class[ops],
        flags=static.flags[ops],
        op_payload=static.op_payload[ops],
        op_header=static.op_header[ops],
        block_first=np.cumsum(length, dtype=np.int64) - length,
        block_len=length,
        symbols=_touched(static.symbols, pc),
    )


def _taken_last(static: Recording, flow: _Flow, last: int, thread: _Thread) -> bool:
    """Whether the last op jumped; a conditional branch with nothing after it counts as not."""
    if static.op_class[static.last_op[last]] != OpClass.BRANCH:
        return False
    if not flow.falls[last]:
        return True
    return thread.full and thread.next_pc != int(flow.after[last])


def _chunks(
    ids: NDArray[np.uint32],
    slots: NDArray[np.uint64],
    renumber: NDArray[np.uint32],
    block_slots: NDArray[np.int64],
) -> Iterator[Chunk]:
    at = 0
    for first in range(0, ids.size, CHUNK_BLOCKS):
        part = renumber[ids[first : first + CHUNK_BLOCKS]]
        count = int(block_slots[part].sum())
        yield Chunk(part, np.array(slots[at : at + count]))
        at += count


# ------------------------------------------------------------------------------- symbols


@dataclass(frozen=True, slots=True)
class _Mapping:
    start: int
    end: int
    offset: int
    path: Path


def _touched(symbols: tuple[Symbol, ...], pc: NDArray[np.uint64]) -> tuple[Symbol, ...]:
    """The symbols that hold at least one of `pc`."""
    ordered = np.sort(pc)
    low = np.searchsorted(ordered, np.array([s.start for s in symbols], np.uint64))
    high = np.searchsorted(ordered, np.array([s.start + s.size for s in symbols], np.uint64))
    return tuple(s for s, a, b in zip(symbols, low, high, strict=True) if a < b)


def _symbols(maps: Path, elf: Path, pc: NDArray[np.uint64]) -> tuple[Symbol, ...]:
    """Functions of all mapped ELF files that hold a recorded pc, one for each start."""
    by_file: dict[Path, _Mapping] = {}
    for mapping in _read_maps(maps):
        by_file.setdefault(mapping.path, mapping)  # the lowest mapping gives the load address
    found: dict[int, tuple[tuple[int, int, str], Symbol]] = {}
    files = [elf, *(path for path in by_file if not path.samefile(elf))]
    for path in files:
        place = next((m for p, m in by_file.items() if p.samefile(path)), None)
        for symbol, rank in _elf_symbols(path, place):
            key = (rank, len(symbol.name), symbol.name)
            if symbol.start not in found or key < found[symbol.start][0]:
                found[symbol.start] = key, symbol
    return _touched(tuple(found[start][1] for start in sorted(found)), pc)


def _read_maps(path: Path) -> list[_Mapping]:
    """File mappings of the QEMU process, by address; those of deleted files are left out."""
    mappings = []
    for line in path.read_text(errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and Path(fields[5]).is_file():
            start, end = (int(part, 16) for part in fields[0].split("-"))
            mappings.append(_Mapping(start, end, int(fields[2], 16), Path(fields[5])))
    return sorted(mappings, key=lambda mapping: mapping.start)


def _elf_symbols(path: Path, mapping: _Mapping | None) -> list[tuple[Symbol, int]]:
    """(symbol, rank) of an AArch64 ELF file's functions and PLT; a lower rank is a better name."""
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf.header["e_machine"] != "EM_AARCH64":
                return []
            bias = _load_bias(elf, mapping)
            return [*_functions(elf, bias), *_plt(elf, bias, path.name)]
    except (OSError, ELFError):
        return []


def _load_bias(elf: Any, mapping: _Mapping | None) -> int:
    """What to add to the file's addresses to get those of the process."""
    if elf.header["e_type"] == "ET_EXEC" or mapping is None:
        return 0
    for segment in elf.iter_segments("PT_LOAD"):
        begin = segment["p_offset"] & ~0xFFF
        if begin <= mapping.offset < segment["p_offset"] + segment["p_filesz"]:
            address = segment["p_vaddr"] - segment["p_offset"] + mapping.offset
            return int(mapping.start - address)
    return 0


def _functions(elf: Any, bias: int) -> Iterator[tuple[Symbol, int]]:
    ranks = {"STB_GLOBAL": 0, "STB_WEAK": 1, "STB_LOCAL": 2}
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for entry in section.iter_symbols():
            kind, size = entry["st_info"]["type"], entry["st_size"]
            if kind not in ("STT_FUNC", "STT_LOOS") or not size or entry["st_shndx"] == "SHN_UNDEF":
                continue
            rank = ranks.get(entry["st_info"]["bind"], 3)
            yield Symbol(entry.name, entry["st_value"] + bias, size), rank


def _plt(elf: Any, bias: int, name: str) -> Iterator[tuple[Symbol, int]]:
    section = elf.get_section_by_name(".plt")
    if section is not None and section["sh_size"]:
        yield Symbol(f"{name}@plt", section["sh_addr"] + bias, section["sh_size"]), 4


def _build_id(path: Path) -> str:
    """The build id from the program's GNU note, hexadecimal, or "" if it has none."""
    with path.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if isinstance(section, NoteSection):
                for note in section.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        return str(note["n_desc"])
    return ""
