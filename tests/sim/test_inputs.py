"""Opening what a user names: files are read, pipes once, all else is refused with a way out."""

from __future__ import annotations

import errno
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from sim import inputs


def test_a_file_is_read_to_the_limit(tmp_path: Path) -> None:
    """And one byte beyond, by which a reader sees that there is more."""
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert inputs.read_at_most(path, 3) == b"1234"
    assert inputs.read_at_most(path, 5) == b"12345"
    with inputs.regular(path) as file:
        file.seek(3)
        assert file.read() == b"45"


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """A reader's limit is not set aside for a file of some bytes."""
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    tracemalloc.start()
    try:
        assert inputs.read_at_most(path, 1 << 28) == b"12345"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_pipe_gives_the_same_again(tmp_path: Path) -> None:
    """A command may ask for one scenario twice; what came through a pipe is kept."""
    fifo = tmp_path / "p"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(b"once"))
    writer.start()
    assert inputs.read_at_most(fifo, 100) == b"once"
    writer.join()
    assert inputs.read_at_most(fifo, 100) == b"once"


def test_silence_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe into which nobody writes does not hang."""
    monkeypatch.setattr(inputs, "WAIT_S", 0)
    fifo = tmp_path / "p"
    os.mkfifo(fifo)
    with inputs.stream(fifo) as file, pytest.raises(OSError, match="nothing came out") as caught:
        file.read(1)
    assert caught.value.errno == errno.ETIMEDOUT


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    """Folders, devices, files of /proc: what it is and what to do."""
    with pytest.raises(IsADirectoryError):
        inputs.stream(tmp_path)
    for path, says in (("/dev/null", "not a regular file but a device"), ("/proc/stat", "no size")):
        with pytest.raises(OSError, match=says):
            inputs.regular(Path(path))
    with pytest.raises(FileNotFoundError):
        inputs.regular(tmp_path / "absent")
