"""Record AArch64 user programs under qemu-aarch64 into .spestream files.

Fidelity note. QEMU's TCG executes the program; its plugin (`spetrace.c`) notes every block entered
and the first address of every memory instruction. Only EL0 is seen: a system call is one op. An
asynchronous event that arrives after an indirect branch cannot be told from the branch itself; all
others show as discontinuities. Interleaving and the number of spins in a contended loop are QEMU's,
not a machine's. The default processor has no SVE, so that libraries do not choose SVE code.
"""

from __future__ import annotations

import hashlib
import platform
import re
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from elftools.common.exceptions import ELFError

from sim import children, scratch
from sim.cache import programs, sealed
from sim.workload.dynamic import LOADER_FAILED, refuse_missing_libraries, refuse_missing_loader
from sim.workload.dynamic import RecorderError as RecorderError
from sim.workload.recording import elfsymbols
from sim.workload.recording.convert import Executions, static_blocks, thread_path, write_executions
from sim.workload.recording.elfsymbols import build_id, mapped_symbols
from sim.workload.sharing.group import group_of
from sim.workload.spestream import Recording

PLUGIN_SOURCE: Final = Path(__file__).with_name("spetrace.c")
MAX_THREADS: Final = 1 << 14
MAX_ALIVE: Final = 64
_POLL_S: Final = 0.25
_PLUGIN: Final = programs.Kind("plugin", most=1 << 24)
_STATE_HEAD: Final = struct.Struct("<QQQ40x")
_STATE_THREAD: Final = struct.Struct("<QQQQQ24x")
_TOO_MANY_THREADS, _NO_SPACE, _NO_FILE = 1, 2, 4


class Recorded(list[Path]):
    """The files written, in order of guest threads, and how the program ended.

    `group` names the files of several threads as one workload; None if there was one thread, or
    more than a workload may have.

    `exit_status` is the program's, or None if it did not end by itself; `signal` is the one that
    ended it, or None; `interrupted` is true after Ctrl-C; `stopped_at_limit` if the recording ended
    because every living thread had reached the limit; `ops` counts recorded ops of all threads.
    """

    def __init__(self, files: Iterable[Path], end: _End, ops: int, group: Path | None) -> None:
        super().__init__(files)
        self.group = group
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
    of creation, and a group of them, `out`'s stem + ".threads.json" (`sim.workload.sharing`).
    `skip` and `limit` are ops per thread, rounded up to whole blocks. The program is stopped once
    all its living threads have reached the limit. `cpu` is a processor model of QEMU; `sysroot` is
    where it finds the program's libraries. `progress` is called a few times a second with the ops
    recorded so far. A program that crashes, or Ctrl-C, keeps what was executed.

    Raises RecorderError if a tool is missing, QEMU cannot run the program, its loader or a library
    is missing, more than 64 threads ran at once, or nothing was recorded; StreamError if a file
    cannot be written. Until a file is complete, 2 to 4 bytes per op of working files lie in its
    folder.
    """
    elf = _check_program(program)
    refuse_missing_loader(elf, sysroot)
    for name, value in (("limit", limit), ("skip", skip)):
        if value is not None and value < (1 if name == "limit" else 0):
            raise RecorderError(f"{name} of {value} ops: give a positive number")
    qemu = _find_tool("qemu-aarch64", "qemu-user")
    api = plugin_api(_qemu_version(qemu))
    out = Path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with scratch.file(out.parent) as (_, file):  # before anything is run
            file.write(b"\n")
    except OSError as error:
        why = error.strerror or error
        raise RecorderError(f"{out}: not written: {why}; choose another folder") from error
    with scratch.folder(out.parent) as raw:
        plugin = compile_plugin(raw, api)
        options = f"{_escaped(plugin)},out={_escaped(raw)}"
        options += "" if skip is None else f",skip={skip}"
        options += "" if limit is None else f",limit={limit}"
        command = [qemu, "-cpu", cpu, "-seed", "1", "-plugin", options]
        command += [] if sysroot is None else ["-L", str(sysroot)]
        with sealed.in_use(plugin):
            end = _run([*command, *program], raw, progress)
        state = _read_state(raw)
        if not state.threads:
            _refuse_a_full_disk(raw, program[0])
        _check_state(state, program[0], skip)
        if end.exit_status == LOADER_FAILED:
            refuse_missing_libraries(elf, sysroot)
        files = _convert(raw, state, out, elf, " ".join([elf.name, *program[1:]]))
        group = group_of(out, files)
    return Recorded(files, end, sum(thread.ops for thread in state.threads), group)


# ------------------------------------------------------------------------------- tools


def plugin_api(version: tuple[int, int]) -> int:
    """The plugin API version to build for, for a QEMU of (major, minor) `version`.

    1 up to 8.2, 2 in 9.0, 3 or later from 9.1, where instruction bytes are copied out.
    """
    if version < (4, 2):
        raise RecorderError(f"QEMU {version[0]}.{version[1]} has no plugins; install 4.2 or later")
    return 1 if version < (9, 0) else 2 if version < (9, 1) else 3


def compile_plugin(spare: Path, api: int = 1) -> Path:
    """The compiled plugin for API version `api`, compiled once per content of its source.

    It is kept in the cache; where nothing can be kept, it is made in the folder `spare`.
    """
    identity = f"{api} {platform.machine()} ".encode() + PLUGIN_SOURCE.read_bytes()
    name = f"spetrace-{hashlib.blake2b(identity, digest_size=12).hexdigest()}.so"
    return programs.program(_PLUGIN, name, lambda: _compiled(api), lambda: spare)


def _compiled(api: int) -> bytes:
    compiler = _find_tool("gcc", "gcc")
    with scratch.folder(Path(tempfile.gettempdir())) as folder:
        part = folder / "spetrace.so"
        command = [compiler, "-O2", "-fPIC", "-shared", f"-DSPETRACE_API={api}", "-o", str(part)]
        result = children.run([*command, str(PLUGIN_SOURCE)])
        if result.returncode:
            raise RecorderError(f"{PLUGIN_SOURCE.name} does not compile: {result.stderr.strip()}")
        return part.read_bytes()


def _find_tool(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RecorderError(f"{name} is not installed; run: apt-get install {package}")
    return path


def _qemu_version(qemu: str) -> tuple[int, int]:
    text = children.run([qemu, "--version"]).stdout
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
        machine = elfsymbols.machine(path)
    except OSError as error:
        raise RecorderError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except ELFError as error:
        raise RecorderError(f"{path}: {error}; give an AArch64 executable") from error
    if machine != "EM_AARCH64":
        raise RecorderError(f"{path}: built for {machine}; build it for AArch64 Linux")
    return path


# ------------------------------------------------------------------------------- running


def _run(command: list[str], raw: Path, progress: Callable[[int], None] | None) -> _End:
    """Run QEMU to its end, or kill it at Ctrl-C."""
    interrupted = False
    process = children.start(command)
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


def _refuse_a_full_disk(raw: Path, program: str) -> None:
    """The plugin could not even say why: ask for a page, which is the least that it needs."""
    try:
        (raw / "asked").write_bytes(bytes(4096))
    except OSError as error:
        raise RecorderError(f"{program}: {error.strerror}; set a limit or free space") from error


def _check_state(state: _State, program: str, skip: int | None) -> None:
    if state.error == _TOO_MANY_THREADS:
        raise RecorderError(
            f"{program}: more than {MAX_ALIVE} threads at once, or {MAX_THREADS:,} in all; "
            "use fewer"
        )
    if state.error == _NO_SPACE:
        raise RecorderError(f"{program}: the disk is full; set a limit or free space")
    if state.error == _NO_FILE:
        raise RecorderError(
            f"{program}: no file could be opened for the recording: the program uses all "
            "descriptors that it may have, or the folder is gone; raise the limit (ulimit -n)"
        )
    if state.error:
        raise RecorderError(f"{program}: QEMU made a block the plugin cannot record; report it")
    if not state.threads:
        raise RecorderError(f"{program}: QEMU did not start it; see QEMU's message")
    if not any(thread.blocks for thread in state.threads):
        seen = max(thread.seen for thread in state.threads)
        raise RecorderError(f"{program}: ran {seen} ops, none after skip={skip or 0}; lower skip")


# ------------------------------------------------------------------------------- converting


def _convert(raw: Path, state: _State, out: Path, elf: Path, program: str) -> list[Path]:
    static = replace(_read_blocks(raw / "blocks"), program=program, build_id=build_id(elf))
    static = replace(static, symbols=mapped_symbols(raw / "maps", elf, static.pc))
    used = [number for number, thread in enumerate(state.threads) if thread.blocks]
    files = []
    for number in used:
        path = thread_path(out, number, several=len(used) > 1)
        executed = _executions(raw, number, state.threads[number])
        write_executions(path, replace(static, tid=number), executed)
        files.append(path)
    return files


def _read_blocks(path: Path) -> Recording:
    """The static part of a recording from the plugin's `blocks` file."""
    data = np.fromfile(path, np.uint32)
    at, starts, lengths, words = 0, [], [], []
    while at + 3 <= data.size and at + 3 + int(data[at + 2]) <= data.size:
        starts.append(int(data[at]) | int(data[at + 1]) << 32)
        lengths.append(int(data[at + 2]))
        at += 3 + lengths[-1]
        words.append(data[at - lengths[-1] : at])
    return static_blocks(
        np.array(starts, np.uint64), np.array(lengths, np.int32), np.concatenate(words)
    )


def _executions(raw: Path, number: int, thread: _Thread) -> Executions:
    """One thread's executions in the plugin's files."""
    ids = np.memmap(raw / f"{number}.ids", np.uint32, "r", shape=(thread.blocks,))
    slots = np.memmap(raw / f"{number}.slots", np.uint64, "r")
    return Executions(ids, slots, thread.next_pc if thread.full else None)
