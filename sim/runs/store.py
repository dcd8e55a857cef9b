"""Results of units on disk: whole or not there, checked when read, never executed.

A file holds a digest and then the compressed result. It appears by a rename, so a kill at any
moment leaves at most a temporary file; what is damaged counts as absent and is run again. Results
are pickled, but read by an unpickler that makes results, ledgers and arrays and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
import zlib
from pathlib import Path
from typing import Any

from sim.results import RunResult

MAGIC = b"speskew unit 1\n"
_MOST = 1 << 31
"""Bytes of a result before compression."""
_NUMPY = {
    "numpy": ("ndarray", "dtype"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.core.numeric": ("_frombuffer",),
}
_OURS = ("sim.results", "sim.ledger")


class Store:
    """Unit results by key in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, result: RunResult) -> None:
        """Keep a result for good."""
        self._folder.mkdir(parents=True, exist_ok=True)
        data = zlib.compress(pickle.dumps(result, protocol=5), 1)
        handle, name = tempfile.mkstemp(prefix=".", dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(MAGIC + hashlib.sha256(data).digest() + data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path(key))
        finally:
            Path(name).unlink(missing_ok=True)

    def get(self, key: str) -> RunResult | None:
        """A kept result; None if there is none, or none that is whole."""
        try:
            raw = self._path(key).read_bytes()
        except OSError:
            return None
        head = len(MAGIC)
        digest, data = raw[head : head + 32], raw[head + 32 :]
        if not raw.startswith(MAGIC) or hashlib.sha256(data).digest() != digest:
            return None
        return _decoded(data)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def sweep_up(self) -> None:
        """Remove temporary files that a kill left; nobody else may be writing."""
        for left in self._folder.glob(".*"):
            left.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.unit"


def _decoded(data: bytes) -> RunResult | None:
    """A compressed result; None for any other bytes."""
    try:
        plain = zlib.decompressobj().decompress(data, _MOST)
        result = _Unpickler(io.BytesIO(plain)).load()
    except Exception:  # what pickle raises of bytes that are none has no common class
        return None
    return result if isinstance(result, RunResult) else None


class _Unpickler(pickle.Unpickler):
    """Makes results, their ledgers, and numpy arrays; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        ours = module in _OURS and "." not in name
        if ours or name in _NUMPY.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a result")
