"""Hostile sizes: each importer, in a process of its own, in 512 MiB resident at most."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.test_import_hostile import bomb
from tests.rigs.trace_writers import DR

RESIDENT = 512 << 20
IMPORT = """
import resource, sys
from reports.cli.main import main
try:
    main(["import", *sys.argv[1:]])
finally:
    print(int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]), file=sys.stderr)
"""
HEAD = np.array([(25, 0, 5), (28, 12, 5), (28, 9, 0xE08)], DR).tobytes()
MARKER = np.array([(28, 2, 1)], DR).tobytes()
LINE = b"1 clk R X0 0000000000000001\n"


def long_line(_reader: str, path: Path) -> None:
    """100 MB without a newline."""
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))


def packed(kind: str, reader: str, path: Path) -> None:
    """600 MB of markers, or of lines without an instruction, in less than 4 MB."""
    unit = HEAD + MARKER * (1 << 20) if reader == "drmemtrace" else LINE * (1 << 19)
    data = bomb(kind, unit, 50)
    assert 50 * len(unit) > RESIDENT
    assert len(data) < 4 << 20
    path.write_bytes(data)


MAKERS: dict[str, Callable[[str, Path], None]] = {
    "long line": long_line,
    "zip": partial(packed, "zip"),
    "gzip": partial(packed, "gzip"),
    "zstd": partial(packed, "zstd"),
}


READERS = {"drmemtrace": "zip", "tarmac": "gzip", "execlog": "zstd"}
"""Each with one way of packing; unpacking is the same code for all, so the other ways are deep."""


def cases() -> Iterator[object]:
    """Every reader with every size."""
    for reader, size in product(READERS, MAKERS):
        here = size in ("long line", READERS[reader])
        yield pytest.param(reader, size, marks=() if here else pytest.mark.deep)


@pytest.mark.parametrize(("reader", "size"), list(cases()))
def test_hostile_sizes(reader: str, size: str, tmp_path: Path) -> None:
    """A line of 100 MB and files that decode to 600 MB: one clear error, little memory, no file."""
    path = tmp_path / "hostile"
    MAKERS[size](reader, path)

    def limit() -> None:  # a failure to keep to it ends the child, not the machine
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (120, 120))

    done = subprocess.run(
        [sys.executable, "-c", IMPORT, reader, str(path), "-o", str(tmp_path / "o.spestream")],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    message, resident = done.stderr.splitlines()
    assert done.returncode == 2
    assert message.startswith(f"speskew: {path}")
    assert len(message) < 1000
    assert int(resident) * 1024 < RESIDENT
    assert [left.name for left in tmp_path.iterdir()] == ["hostile"]
