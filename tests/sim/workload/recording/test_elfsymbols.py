"""Symbols of ELF files: a library at its base, and files that do not fit."""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path

import pytest

from sim.workload.importers import drmemtrace
from sim.workload.importers.blocks import TraceError
from sim.workload.importers.threads import import_trace, program_of
from sim.workload.spestream import read_spestream
from tests.rigs.trace_writers import (
    drmemtrace_chunks,
    elf_file,
    executed,
)
from tests.sim.workload.importers.traces import (
    shipped,
)


def test_symbols_of_a_library_at_its_base(tmp_path: Path) -> None:
    """FILE@BASE moves a shared object's symbols; without a base they miss."""
    stream = shipped("threads.1")
    low = min(symbol.start for symbol in stream.symbols) & ~0xFFF
    moved = tuple(
        type(symbol)(symbol.name, symbol.start - low, symbol.size) for symbol in stream.symbols
    )
    elf = tmp_path / "lib.so"
    elf.write_bytes(elf_file(moved, stream.build_id, shared=True, memory=1 << 32))
    trace = tmp_path / "p.trace"
    trace.write_bytes(drmemtrace_chunks(executed(stream))[0])

    def symbols(text: str) -> object:
        done = import_trace(
            partial(drmemtrace.read, trace), tmp_path / "o.spestream", program_of((text,), "p")
        )
        return read_spestream(done.files[0]).symbols

    assert symbols(f"{elf}@{low:#x}") == stream.symbols
    assert symbols(str(elf)) == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"#!/bin/sh\n", "not a whole ELF file"),
        (elf_file((), "ab" * 20)[:200], "not a whole ELF file"),
        (
            b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 62) + bytes(44),
            "built for EM_X86_64",
        ),
    ],
)
def test_elf_files_that_do_not_fit(data: bytes, message: str, tmp_path: Path) -> None:
    """A wrong --elf is an error, not a stream without symbols."""
    path = tmp_path / "elf"
    path.write_bytes(data)
    with pytest.raises(TraceError, match=message):
        program_of((str(path),), "p")


def test_elf_arguments() -> None:
    """A file that is missing and a base that is no address are named."""
    with pytest.raises(TraceError, match="cannot be read"):
        program_of(("/nowhere",), "p")
    with pytest.raises(TraceError, match="'zz' is no address; write FILE@0xBASE"):
        program_of(("/nowhere@zz",), "p")
