"""The threads of one import, and their files."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sim import scratch
from sim.workload.importers.blocks import (
    MAX_STATIC_OPS,
    Ops,
    Program,
    ThreadBuilder,
    TraceError,
    TruncatedError,
    Wanted,
)
from sim.workload.importers.sense import Advice, Counts, problem
from sim.workload.recording import elfsymbols
from sim.workload.recording.convert import thread_path
from sim.workload.recording.elfsymbols import Mapping
from sim.workload.spestream import StreamError

MAX_THREADS: Final = 1024
"""Threads that one import may have."""
Progress = Callable[[int, int, int], None]
"""Called with (ops taken, bytes read, bytes of the input or 0)."""
Reader = Callable[["Threads"], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: `files` by thread; `ops` of all; `symbols` summed over files;
    `counts` of what made sense and what did not; `remarks`, sentences for the user.
    """

    files: tuple[Path, ...]
    ops: int
    symbols: int
    counts: Counts
    remarks: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Addresses of ops that take none."""
        return self.counts.lost


class Threads:
    """Takes the ops of each thread, known by a key; threads are numbered as they appear.

    `anyway`: what makes no sense is said, but does not refuse the import.
    """

    def __init__(
        self,
        folder: Path,
        program: Program,
        wanted: Wanted,
        progress: Progress | None = None,
        *,
        anyway: bool = False,
    ) -> None:
        self.remarks: list[str] = []
        self.doubts: list[str] = []
        self.written: list[Path] = []
        self.anyway = anyway
        self.symbols = 0
        self._closed = Counts()
        self._open: dict[object, ThreadBuilder] = {}
        self._count = 0
        self._folder = folder
        self._program = program
        self._wanted = wanted
        self._progress = progress

    @property
    def ops(self) -> int:
        """Ops taken so far."""
        return self._closed.ops + sum(builder.ops for builder in self._open.values())

    @property
    def done(self) -> bool:
        """Whether every open thread has all the ops that are wanted, and one look further."""
        return bool(self._open) and all(builder.done for builder in self._open.values())

    @contextmanager
    def truncation(self) -> Iterator[None]:
        """A trace that ends early is an error, unless all ops that are wanted came before."""
        try:
            yield
        except TruncatedError as error:
            builders = self._open.values()
            if builders and all(builder.full for builder in builders):
                return
            whole = min((builder.ops for builder in builders), default=0)
            fix = f", or give --limit {whole}ops to take what is whole" if whole else ""
            raise TruncatedError(f"{error}{fix}") from error

    def add(self, key: object, ops: Ops, where: str) -> None:
        """Take the next ops of thread `key`, which stand at `where` in the trace. TraceError if
        there are too many threads or breaks, or too much distinct code.
        """
        try:
            self._builder(key).add(ops)
        except TraceError as error:
            raise TraceError(f"{where}: {error}") from error
        if sum(builder.static_ops for builder in self._open.values()) > MAX_STATIC_OPS:
            raise TraceError(
                f"{where}: more than {MAX_STATIC_OPS:,} distinct instructions: not the trace of a "
                "program; check what it holds, or give --limit"
            )

    def _builder(self, key: object) -> ThreadBuilder:
        if key not in self._open:
            if self._count == MAX_THREADS:
                raise TraceError(f"more than {MAX_THREADS} threads; import fewer at a time")
            self._open[key] = ThreadBuilder(self._folder, self._count, self._wanted)
            self._count += 1
        return self._open[key]

    def tell(self, done: int, total: int) -> None:
        """Report progress: bytes of the input that are read."""
        if self._progress is not None:
            self._progress(self.ops, done, total)

    def close(self, key: object, after: int | None = None) -> None:
        """The thread has ended: write its file. `after` is the pc that the trace says followed."""
        builder = self._open.pop(key, None)
        if builder is None:
            return
        if builder.after is None and not builder.done:
            builder.after = after
        builder.end()
        counts = builder.counts
        self._closed += counts
        if builder.ops:
            path = self._folder / f"{len(self.written)}.spestream"
            remarks = (*self.doubts, *(text for _, text, _ in counts.findings()))
            self.symbols += builder.write(path, self._program, len(self.written), remarks)
            self.written.append(path)
        builder.discard()

    def close_all(self) -> None:
        """All threads have ended."""
        for key in list(self._open):
            self.close(key)

    @property
    def counts(self) -> Counts:
        """What was counted in all threads so far, but for blocks that have not ended."""
        return sum((builder.counts for builder in self._open.values()), self._closed)

    def judge(self, place: str, advice: Advice) -> None:
        """All of the trace at `place` is read: TraceError if it makes no sense, unless `anyway`.

        `advice` says what to do about a finding, by its name in `sense`.
        """
        for builder in self._open.values():
            builder.end()
        why = problem(self.counts, advice)
        if why and not self.anyway:
            raise TraceError(f"{place}: {why}")

    def discard(self) -> None:
        """Close the working files of threads that did not end."""
        for builder in self._open.values():
            builder.discard()


def import_trace(
    read: Reader,
    out: Path,
    program: Program,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    progress: Progress | None = None,
    *,
    anyway: bool = False,
) -> Imported:
    """Let `read` fill the threads, then put their files in place, all or none.

    One thread gives exactly `out`; several give `out`'s stem + ".T.spestream". TraceError if the
    trace cannot be read, makes no sense (unless `anyway`), holds no op that is wanted, or a file
    cannot be written. What made no sense is in the remarks, and in those of the files.
    """
    with _writing(out), ExitStack() as stack:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(scratch.folder(out.parent))
        threads = Threads(folder, program, wanted, progress, anyway=anyway)
        stack.callback(threads.discard)
        read(threads)
        threads.close_all()
        if not threads.written:
            why = "; ".join([f"{wanted.skip:,} were to be skipped", *threads.remarks])
            raise TraceError(f"{program.name}: no op is left: {why}; take more of it")
        files = []
        for number, part in enumerate(threads.written):
            path = thread_path(out, number, several=len(threads.written) > 1)
            part.replace(path)
            files.append(path)
    findings = (text for _, text, _ in threads.counts.findings())
    remarks = (*threads.remarks, *threads.doubts, *findings)
    return Imported(tuple(files), threads.ops, threads.symbols, threads.counts, remarks)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Name the output that could not be written."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        fix = "free some space" if error.errno == errno.ENOSPC else "choose another -o"
        raise TraceError(f"{out}: not written: {why}; {fix}, or give --limit") from error
    except StreamError as error:
        raise TraceError(f"{out}: not written: {error.__cause__ or error}") from error


def program_of(elfs: tuple[str, ...], name: str) -> Program:
    """The program from "FILE" or "FILE@0xBASE" of each ELF file; the first names it.

    BASE is where a position-independent file was loaded. TraceError if a file is no AArch64 ELF.
    """
    symbols: list[elfsymbols.Ranked] = []
    build_id = ""
    for number, text in enumerate(elfs):
        path, base = _elf_place(text)
        place = None if base is None else Mapping(base, base, 0, path)
        try:
            machine = elfsymbols.machine(path)
            if machine != "EM_AARCH64":
                raise TraceError(f"{path}: built for {machine}; give the traced AArch64 program")
            symbols += elfsymbols.elf_symbols(path, place)
            if number == 0:
                name, build_id = path.name, elfsymbols.build_id(path)
        except OSError as error:
            raise TraceError(f"{path}: cannot be read: {error.strerror}; check --elf") from error
        except TraceError:
            raise
        except Exception as error:  # pyelftools raises whatever its parsing trips over
            raise TraceError(f"{path}: not a whole ELF file: {error}; check --elf") from error
    return Program(name, build_id, tuple(symbols))


def _elf_place(text: str) -> tuple[Path, int | None]:
    file, at, base = text.rpartition("@")
    if not at or Path(text).exists():
        return Path(text), None
    try:
        return Path(file), int(base, 16)
    except ValueError:
        raise TraceError(f"--elf {text}: {base!r} is no address; write FILE@0xBASE") from None
