"""Results of units on disk: whole or not there, checked when read.

A file appears by a rename, so a kill at any moment leaves at most a temporary file. What is there
and cannot be read is told to whoever asked for the store, and counts as absent: it is run again. So
is what a power cut takes of the last seconds: waiting for the disk after each unit would cost more
than a short one does, and a checksum tells what is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sim import scratch
from sim.results import RunResult
from sim.runs import unitfile
from sim.runs.unitfile import DamagedUnitError


class Store:
    """Unit results by key in one folder.

    `unreadable` is told the path of a unit that is there but cannot be read, and why, in one line.
    """

    def __init__(self, folder: Path, unreadable: Callable[[Path, str], None]) -> None:
        self.folder = folder
        self.unreadable = unreadable

    def put(self, results: Mapping[str, RunResult]) -> None:
        """Keep results by key."""
        put(self.folder, results)

    def get(self, key: str) -> RunResult | None:
        """A kept result; None if there is none, or none that can be read."""
        path = self._path(key)
        try:
            return unitfile.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except DamagedUnitError as error:
            self.unreadable(path, str(error))
        except OSError as error:
            self.unreadable(path, error.strerror or type(error).__name__)
        return None

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def sweep_up(self) -> None:
        """Remove temporary files that a kill left."""
        scratch.tidy(self.folder)

    def _path(self, key: str) -> Path:
        return self.folder / _name(key)


def put(folder: Path, results: Mapping[str, RunResult]) -> None:
    """Keep results by key in a store's folder, as any number of processes may at once."""
    folder.mkdir(exist_ok=True)  # whoever removed what it is in meant it
    scratch.put(folder, {_name(key): unitfile.dumps(each) for key, each in results.items()})


def _name(key: str) -> str:
    return f"{key}.unit"
