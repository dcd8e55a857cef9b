"""Compiled functions on disk: numba's own results, in files that are checked before they are used.

Numba's cache unpickles and runs what it finds, a cut file is a traceback, and two processes that
compile one function for different types can take each other's code. Here a file holds one function
for one signature, with its key inside and a seal behind it; its name is a hash of the key. What
cannot be used is compiled again. Only the cache is ours: numba compiles functions and calls them.
"""

from __future__ import annotations

import fcntl
import gc
import hashlib
import os
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.environment import Environment, lookup_environment
from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]  # compiled, no stubs
from numba.core.serialize import dumps

from sim.cache import home, linked, sealed
from sim.cache.sealed import BrokenSealError
from sim.collecting import SELDOM

SUFFIX = ".nbc"
_FORMAT = 3
"""Of what a file holds: its key, then `MachineCode`, or the parts of code that is linked only."""
_dumps: Callable[[Any], bytes] = dumps
_lookup: Callable[[str], Any] = lookup_environment
_rebuild: Callable[..., Any] = CompileResult._rebuild
_FOLDERS: set[str] = set()
_ENVIRONMENT = home.environment()
_MOST = 1 << 28
"""Bytes of a compiled function."""


@dataclass(frozen=True, slots=True)
class MachineCode:
    """Of one function: what it calls, whose environments it needs, numba's result without those."""

    called: tuple[str, ...]
    environments: list[Any]
    reduced: list[Any]


@dataclass(slots=True)
class Compiling:
    """What compiling has cost this process, and will not cost the next one."""

    nanoseconds: int = 0
    """Of the processor."""
    _began: list[int] = field(default_factory=list)
    _collected: tuple[int, int, int] = (700, 10, 10)

    def begin(self) -> None:
        """A function is not kept; numba compiles it, and first of all those that it calls."""
        if not self._began:
            self._collected = gc.get_threshold()
            gc.set_threshold(*SELDOM)  # numba makes objects by the million
        self._began.append(time.process_time_ns())

    def end(self) -> None:
        """It is kept now."""
        if self._began:
            began = self._began.pop()
            if not self._began:
                gc.set_threshold(*self._collected)
                self.nanoseconds += time.process_time_ns() - began


COMPILING = Compiling()


class CodeCache(NullCache):
    """The cache of one function, as numba's dispatcher wants it."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        """`name` is the folder's in the cache: the address of the code."""
        self._function, self._name, self._enabled = function, name, True
        self._turns: dict[Path, int | None] = {}
        _FOLDERS.add(name)

    @property
    def cache_path(self) -> str | None:
        """The folder of the compiled code, as text; None if nothing is kept."""
        folder = _folder(self._name)
        return None if folder is None else str(folder)

    def enable(self) -> None:
        """Read and write files."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The function compiled for a signature; None if it must be compiled."""
        folder = _folder(self._name)
        if folder is None or not self._enabled:
            return None
        key = self._key(sig, target_context.codegen())
        path = folder / self._file(key)
        found = _kept(path, key, target_context)
        if found is None:
            self._turns[path] = _turn(path)
            found = _kept(path, key, target_context)  # by whoever had the turn before us
            if found is None:
                COMPILING.begin()
            else:
                self._over(path)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function."""
        folder = _folder(self._name)
        if folder is None or not self._enabled:
            return
        COMPILING.end()
        key = self._key(sig, data.codegen)
        path = folder / self._file(key)
        try:
            if _can_be_kept(data):
                self._write(path, key, data)
        finally:
            self._over(path)

    def _write(self, path: Path, key: tuple[Any, ...], data: Any) -> None:
        try:
            kept = _dumps((key, linked.reduced(data) or _machine_code(data)))
            sealed.write(path, sealed.sealed(kept, _sealed_name(path)), lasting=False)
        except OSError as error:
            home.say("compiled", f"{path}: {error.strerror}; compiled code is not kept")

    def _over(self, path: Path) -> None:
        """Our turn at a function is over, if it was ours."""
        turn = self._turns.pop(path, None)
        if turn is not None:
            _turn_path(path).unlink(missing_ok=True)
            os.close(turn)

    def _key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """What the compiled code depends on, apart from what its folder's name tells."""
        code = self._function.__code__
        cells = [cell.cell_contents for cell in self._function.__closure__ or ()]
        source = _source_digest(code.co_filename)
        enclosed = hashlib.sha256(_dumps(cells)).hexdigest() if cells else ""
        own = hashlib.sha256(code.co_code).hexdigest()
        return _FORMAT, sig, codegen.magic_tuple(), source, code.co_firstlineno, own, enclosed

    def _file(self, key: tuple[Any, ...]) -> str:
        where = f"{self._function.__module__}.{self._function.__qualname__}"
        python = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
        digest = hashlib.sha256(f"{where} {python} {key!r}".encode()).hexdigest()[:24]
        readable = "".join(c for c in where if c.isalnum() or c in "._")[-80:]
        return f"{readable}-{digest}{SUFFIX}"


def keeps() -> bool:
    """Whether there is a place where compiled code can be kept."""
    return all(_folder(name) is not None for name in _FOLDERS)


def holds(function: str) -> bool:
    """Whether a function, by its module and name, is kept for today's sources."""
    folders = [folder for folder in map(_folder, _FOLDERS) if folder is not None]
    return any(True for folder in folders for _ in folder.glob(f"{function}-*{SUFFIX}"))


def check() -> None:
    """Remove what cannot be used, before there are workers: each would stumble over it."""
    folders = [folder for folder in map(_folder, _FOLDERS) if folder is not None]
    for path in sorted(path for folder in folders for path in folder.glob(f"*{SUFFIX}")):
        try:
            _payload(path)
        except FileNotFoundError:
            continue  # cleared meanwhile
        except BrokenSealError as error:
            _complain(path, error)


def _kept(path: Path, key: tuple[Any, ...], target_context: Any) -> Any:
    """A function that is kept; None if there is none, or none that can be used."""
    try:
        found, parts = pickle.loads(_payload(path))
        if found != key:
            raise BrokenSealError(f"{path.name} holds another function")
        if not isinstance(parts, MachineCode):
            return linked.rebuilt(target_context, parts)
        _define(parts.called, target_context)
        environments = tuple(map(_environment, parts.environments))
        return _rebuild(target_context, *parts.reduced, environments)
    except FileNotFoundError:
        return None
    except Exception as error:  # numba's own, of another build: compile again, whatever it is
        _complain(path, error)
        return None


def _machine_code(result: Any) -> MachineCode:
    """A function's, without the text of its types, which takes long and nobody reads."""
    data = result._replace(type_annotation="")
    *reduced, environments = data._reduce()
    return MachineCode(_called(result.library), [*map(_named, environments)], reduced)


def _called(library: Any) -> tuple[str, ...]:
    """What compiled code calls and does not hold, by name."""
    module = library._get_module_for_linking()
    named = (*module.functions, *module.global_variables)
    return tuple(x.name for x in named if x.is_declaration and not x.name.startswith("llvm."))


def _define(called: tuple[str, ...], target_context: Any) -> None:
    """See to it that code finds what it calls: the process would end where it does not.

    To make itself ready for compiling takes numba longer than to load all code of a run, and is
    hardly ever needed: of what our code calls, only the counting of references is not known yet.
    """
    _count_references()
    if not all(map(llvm.address_of_symbol, called)):
        target_context.refresh()


@lru_cache(maxsize=1)
def _count_references() -> None:
    """As numba does it, but without compiling anything."""
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def _named(environment: Any) -> Any:
    """A function's environment, by its name and its module's if it holds nothing."""
    if environment.consts:
        return environment
    return environment.env_name, environment.globals["__name__"]


def _environment(named: Any) -> Any:
    """Undo `_named`, without importing a module of numba's for what nothing is read from."""
    if not isinstance(named, tuple):
        return named
    name, module = named
    found = _lookup(name)
    if found is None:
        holds = sys.modules[module].__dict__ if module in sys.modules else {"__name__": module}
        found = Environment(holds)
        found.env_name = name
    return found


def _turn(path: Path) -> int | None:
    """Wait until nobody else compiles a function; a lock says that we do now.

    Callers take their turn before what they call, so nobody waits in a circle. None where there
    are no locks, and after a time in which nothing compiles: then two do the same work.
    """
    try:
        sealed.make_folder(path.parent)
        turn = os.open(_turn_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    until = time.monotonic() + _LONGEST
    while True:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(_LOOK)
                continue
            os.close(turn)
            return None
        except OSError:
            os.close(turn)
            return None
        return turn


def _turn_path(path: Path) -> Path:
    return path.with_suffix(".turn")


_LOOK, _LONGEST = 0.02, 120.0
"""Seconds between two looks at another's turn, and of the longest that one waits."""


def _complain(path: Path, error: Exception) -> None:
    """Say that a file is not used, and take it away if we may."""
    home.say("compiled", f"{path.parent}: {error}; this code is not used, but compiled again")
    try:
        sealed.remove(path)
    except OSError:
        return  # it is another user's, or gone


def _payload(path: Path) -> bytes:
    return sealed.unsealed(sealed.read(path, _MOST), _sealed_name(path))


def _sealed_name(path: Path) -> str:
    """Of a file: its own and its folder's, so that code of another version is not taken either."""
    return f"{path.parent.name}/{path.name}"


@lru_cache(maxsize=1)
def _folder(name: str) -> Path | None:
    """The folder for the life of this process: that of the environment in which it began."""
    root = home.root(_ENVIRONMENT)
    if root is None:
        return None
    home.touch(root / name)
    return root / name


@lru_cache
def _source_digest(path: str) -> str:
    """Of the file a function stands in: the folder's name covers those of this package only."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def _can_be_kept(result: Any) -> bool:
    """False for code that holds addresses of this process."""
    lifted = all(inner.can_cache for inner in result.lifted)
    return lifted and not result.library.has_dynamic_globals
