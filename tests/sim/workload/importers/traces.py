"""Short programs as traces; drmemtrace files, imported."""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np

from sim.workload.importers import drmemtrace
from sim.workload.importers.blocks import Wanted
from sim.workload.importers.threads import Imported
from sim.workload.spestream import Recording, read_spestream
from tests.rigs.trace_writers import (
    AARCH64_WITH_ENCODINGS,
    DR,
    Executed,
    imported,
    ops_of,
)

STREAMS = ["mix", "phases", "threads.0", "threads.1", "threads.2", "threads.3"]
LDR, LDP, B_NE, RET, NOP, SVC = (
    0xF9400001,
    0xA9400C02,
    0x54FFFFC1,
    0xD65F03C0,
    0xD503201F,
    0xD4000001,
)


def shipped(name: str) -> Recording:
    """A stream of the project."""
    return read_spestream(Path(str(files("scenarios") / "streams" / f"{name}.spestream")))


def load(
    data: bytes,
    tmp_path: Path,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    *,
    anyway: bool = False,
) -> Imported:
    """Import one thread's file."""
    path = tmp_path / "p.trace"
    path.write_bytes(data)
    out = tmp_path / "out.spestream"
    return imported(partial(drmemtrace.read, path), out, wanted=wanted, anyway=anyway)


def same(one: Executed, other: Executed) -> None:
    """Nothing about the ops differs."""
    for name in Executed.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


def few(*rows: tuple[int, int, int], apart: tuple[int, ...] = (), taken: bool = False) -> Executed:
    """Ops from (pc, word, address)."""
    pc, word, address = zip(*rows, strict=True)
    broken = np.zeros(len(rows), np.bool_)
    broken[list(apart)] = True
    return ops_of(
        np.array(pc, np.uint64),
        np.array(word, np.uint32),
        np.array(address, np.uint64),
        broken,
        taken,
    )


LOOP = few(
    (0x1000, LDR, 0x9000),
    (0x1004, LDP, 0x9010),
    (0x1008, B_NE, 0),
    (0x1000, LDR, 0x9008),
    (0x1004, LDP, 0),
    (0x1008, B_NE, 0),
    (0x100C, RET, 0),
)


def records(
    *rows: tuple[int, int, int], kind: int = AARCH64_WITH_ENCODINGS, version: int = 5
) -> bytes:
    """A thread's file of these records, in header and footer."""
    head = [(25, 0, version), (28, 12, version), (28, 9, kind), (22, 4, 7)]
    return np.array([*head, *rows, (26, 0, 0)], DR).tobytes()
