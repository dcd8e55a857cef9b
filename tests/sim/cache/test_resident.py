"""What of a large mapped array stays in memory."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.cache.resident import MovingPart

PAGES = 4096
ROWS = PAGES * mmap.PAGESIZE // 8


def _mapped(path: Path, first: int) -> NDArray[np.int64]:
    """Numbers from 0 on, behind `first` bytes of something else."""
    path.write_bytes(bytes(first) + np.arange(ROWS).tobytes())
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    return np.frombuffer(data, np.int64, ROWS, first)


def _resident(array: NDArray[np.int64]) -> int:
    """Bytes of the array's map that the process has in memory."""
    size, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            low, high = (int(x, 16) for x in line.split(" ")[0].split("-"))
            inside = low <= array.ctypes.data < high
        elif inside and line.startswith("Rss:"):
            size += int(line.split()[1]) * 1024
    return size


def test_what_has_been_passed_is_let_go(tmp_path: Path) -> None:
    """A walk keeps about what it was last told of; what is read again is there again."""
    array = _mapped(tmp_path / "a", 128)
    step, part = ROWS // 16, MovingPart(array)
    for begin in range(0, ROWS, step):
        part.move(begin, begin + step)
        assert int(array[begin : begin + step].sum()) == step * (2 * begin + step - 1) // 2
        assert part.kept <= (PAGES // 16 + 2) * mmap.PAGESIZE
    assert _resident(array) < PAGES * mmap.PAGESIZE // 2
    part.move(0, step)  # the next pass
    assert part.kept <= (PAGES // 16 + 2) * mmap.PAGESIZE
    assert array[0] == 0
    assert array[-1] == ROWS - 1


def test_an_array_in_memory_is_left_alone() -> None:
    """Nothing of it can be had again."""
    array = np.arange(1000)
    part = MovingPart(array[10:])
    part.move(500, 600)
    assert part.kept == 0
    assert array.tolist() == list(range(1000))
