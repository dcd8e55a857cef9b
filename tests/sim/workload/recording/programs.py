"""Small programs for AArch64, built by the cross compiler, and the ops that they execute."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.workload.spestream import Recording, read_spestream
from tests.needs import CROSS, run

EXIT = "mov x8, #93\n mov x0, #0\n svc #0\n"
START = ".globl _start\n.type _start, %function\n_start:\n"
END = "\n.size _start, . - _start\n.bss\n.balign 64\ndata: .space 4096\n"


def build(tmp_path: Path, source: str, *, suffix: str = ".s", options: str = "") -> str:
    """Compile a freestanding program (assembler), or C with `options`."""
    path = tmp_path / f"program{suffix}"
    path.write_text(source)
    flags = options.split() if options else ["-static", "-nostdlib", "-march=armv8.1-a"]
    out = tmp_path / "program"
    run(CROSS, *flags, "-o", out, path)
    return str(out)


def one(files: list[Path]) -> Recording:
    """The stream of a program of one thread."""
    assert len(files) == 1
    return read_spestream(files[0])


def executed_ops(stream: Recording) -> NDArray[np.int64]:
    """The static op of every op, in order of execution."""
    blocks = [
        np.arange(first, first + length)
        for first, length in zip(stream.block_first, stream.block_len, strict=True)
    ]
    return np.concatenate([blocks[number] for number in stream.ids.tolist()])


COUNT_DOWN = START + " mov x0, #{n}\n1: subs x0, x0, #1\n b.ne 1b\n" + EXIT + END
