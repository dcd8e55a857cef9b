"""A kernel tree's driver as a program: compiled by gcc, once per content, kept in the cache.

The sources are compiled for the machine that simulates, in user space, against `shim.h`; `shim.c`
is the program around them. Nothing of the tree is kept but the program. What does not compile is
said in the tree's own places, and what the shim does not know is named.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

from sim import children, scratch
from sim.cache import home, programs
from sim.linux.tree import sources
from sim.linux.tree.sources import Tree, TreeError

SHIM = tuple(Path(__file__).with_name(name) for name in ("shim.h", "shim.c"))
COMPILER = "gcc"
OPTIONS = (
    *("-std=gnu11", "-D_GNU_SOURCE", "-O1", "-gdwarf-4", "-no-pie", "-fno-inline"),
    *("-fno-strict-aliasing", "-fwrapv", "-finstrument-functions"),  # as the kernel; who calls whom
    *("-Werror=implicit-function-declaration", "-Werror=implicit-int"),
    *("-Werror=incompatible-pointer-types", "-Werror=int-conversion"),
)
_DRIVER = programs.Kind("driver", most=1 << 24, mode=0o700)
_SHOWN = 5
"""Errors of the compiler that are shown."""

_ERROR = re.compile(r"^(?P<place>[\w./-]+:\d+)(?::\d+)?: error: (?P<what>.*)$", re.M)
_UNKNOWN = (
    ("function", re.compile(r"implicit declaration of function '(\w+)'")),
    ("name", re.compile(r"'(\w+)' undeclared")),
    ("type", re.compile(r"unknown type name '(\w+)'")),
    ("type", re.compile(r"(?:undefined|incomplete) type '(?:const )?(struct \w+)'")),
    ("member", re.compile(r"'(?:struct \w+|\w+)' has no member named '(\w+)'")),
    ("function", re.compile(r"undefined reference to `(\w+)'")),
)
_LINKED = re.compile(r"^.*?(?P<place>[\w./-]+:\d+): (?P<what>undefined reference to `\w+')$", re.M)


def digest(tree: Tree) -> str:
    """Of everything that the program is made of, the compiler's version included."""
    parts = [tree.version, tree.driver, tree.ring, tree.buffer, tree.registers, *OPTIONS]
    parts += [path.read_text(encoding="utf-8") for path in SHIM]
    parts.append(_compiler_version(_compiler(tree)))
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def program(tree: Tree) -> Path:
    """The program of a tree's driver, compiled unless it is in the cache; raises TreeError."""
    name = f"kernel-{digest(tree)}"

    def make() -> bytes:
        home.say(name, f"compiling the SPE driver of {tree.name} ({tree.path})")
        return _compiled(tree)

    return programs.program(_DRIVER, name, make, _spare)


def place(path: Path, address: int) -> str:
    """Function, file and line of an address in the program, as far as they can be told."""
    tool = shutil.which("addr2line")
    if tool is None:
        return f"address {address:#x} (binutils has addr2line, which says where that is)"
    found = children.run([tool, "-f", "-e", str(path), hex(address)]).stdout.split("\n")
    function, at = [*found, "??", "??"][:2]
    return (
        function if at.startswith("??") else f"{function} ({at.split(' ')[0].removeprefix('./')})"
    )


@lru_cache(maxsize=1)
def _spare() -> Path:
    """Where nothing can be kept: a folder that goes with this process."""
    made = ExitStack()
    atexit.register(made.close)
    return made.enter_context(scratch.folder(Path(tempfile.gettempdir())))


def _compiler(tree: Tree) -> str:
    found = shutil.which(COMPILER)
    if found is None:
        raise TreeError(
            f"driver.kernel_tree: {COMPILER} is needed to compile the driver of {tree.name}, and "
            "is not installed; run: apt-get install gcc libc6-dev"
        )
    return found


@lru_cache(maxsize=4)
def _compiler_version(compiler: str) -> str:
    return children.run([compiler, "--version"]).stdout


def _compiled(tree: Tree) -> bytes:
    units = {
        "driver.c": tree.driver,
        "ring.c": tree.ring,
        "perf_buffer.h": tree.buffer,
        "sysregs.h": tree.registers,
    }
    with scratch.folder(Path(tempfile.gettempdir())) as folder:
        for name, text in units.items():
            (folder / name).write_text(text, encoding="utf-8")
        out = folder / "program"
        own = ["-I", str(SHIM[0].parent), "-I", str(folder), "-include", "shim.h"]
        own.append(f"-fdebug-prefix-map={folder}=.")
        local = ["-iquote", str((tree.path / sources.DRIVER).parent)]
        files = [str(folder / "driver.c"), str(folder / "ring.c"), str(SHIM[1])]
        command = [_compiler(tree), *OPTIONS, *own, *local, *files, "-o", str(out)]
        result = children.run(command, env={**os.environ, "LC_ALL": "C"}, cwd=folder)
        if result.returncode:
            raise TreeError(_explained(tree, result.stderr))
        return out.read_bytes()


def _explained(tree: Tree, errors: str) -> str:
    """What the compiler said, with what the shim lacks first."""
    lacking = dict.fromkeys(_unknown(errors))
    if lacking:
        return (
            f"driver.kernel_tree: the driver of {tree.name} ({tree.path}) uses what speskew's shim "
            f"does not know: {'; '.join(list(lacking)[:_SHOWN])}; if the tree compiles for arm64, "
            f"declare it in {SHIM[0]}, or report it with the version"
        )
    said = [f"{found['place']}: {found['what']}" for found in _ERROR.finditer(errors)]
    shown = "; ".join(said[:_SHOWN]) or errors.strip()[-500:] or "no message"
    return f"driver.kernel_tree: the driver of {tree.name} ({tree.path}) does not compile: {shown}"


def _unknown(errors: str) -> Iterator[str]:
    for found in (*_ERROR.finditer(errors), *_LINKED.finditer(errors)):
        for kind, pattern in _UNKNOWN:
            match = pattern.search(found["what"])
            if match:
                name = next(filter(None, match.groups()))
                yield f"{kind} {name} ({found['place']})"
