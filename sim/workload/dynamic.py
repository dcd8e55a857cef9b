"""What a dynamically linked program needs to start: its loader and its libraries.

Fidelity note. Libraries are looked for where glibc's loader finds them without a cache: RUNPATH or
RPATH, then the standard folders, all below the sysroot. LD_LIBRARY_PATH and ld.so.cache are not
followed, so the search only explains why a program did not start; it never stops one that did.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError

from sim.errors import SpeskewError
from sim.workload import elfread
from sim.workload.elfread import PT_INTERP, PT_LOAD, Elf

LOADER_FAILED: Final = 127
"""Exit status of a loader that does not find a library."""
CROSS_ROOT: Final = "/usr/aarch64-linux-gnu"
"""Where Debian's packages for cross compiling put the libraries."""
_QEMU_ROOT: Final = "/etc/qemu-binfmt/aarch64"
"""Debian's QEMU looks there without -L."""
_PACKAGES: Final = {
    "ld-linux-aarch64.so.1": "libc6-arm64-cross",
    "libc.so.6": "libc6-arm64-cross",
    "libm.so.6": "libc6-arm64-cross",
    "libpthread.so.0": "libc6-arm64-cross",
    "libdl.so.2": "libc6-arm64-cross",
    "librt.so.1": "libc6-arm64-cross",
    "libgcc_s.so.1": "libgcc-s1-arm64-cross",
    "libstdc++.so.6": "libstdc++6-arm64-cross",
    "libgomp.so.1": "libgomp1-arm64-cross",
    "libatomic.so.1": "libatomic1-arm64-cross",
}
_FOLDERS: Final = ("lib", "usr/lib", "lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib64")
_PT_DYNAMIC: Final = 2
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29
_MAX_NAME, _MAX_ENTRIES = 4096, 4096


class RecorderError(SpeskewError):
    """A program cannot be recorded; says what, why and how to fix it."""


def refuse_missing_loader(program: Path, sysroot: Path | None) -> None:
    """RecorderError if the program names a loader (PT_INTERP) that QEMU will not find."""
    with elfread.opened(program) as elf:
        segments = elf.segments(PT_INTERP)
        if not segments:
            return
        loader = _text(elf, segments[0].offset)
    if any((root / loader.lstrip("/")).exists() for root in _roots(sysroot)):
        return
    where = f"neither here nor in --sysroot {sysroot}" if sysroot else "not on this machine"
    raise RecorderError(
        f"{program}: dynamically linked, and its loader {loader} is {where}; "
        f"{_advice([Path(loader).name])}, or link it with -static"
    )


def refuse_missing_libraries(program: Path, sysroot: Path | None) -> None:
    """RecorderError if a library that the program names is in none of the loader's folders."""
    try:
        with elfread.opened(program) as elf:
            needed, paths = _dynamic(elf)
    except ELFError:
        return  # it ran: then its loader knows better
    missing = [name for name in needed if not _found(name, paths, program, sysroot)]
    if missing:
        raise RecorderError(
            f"{program}: ended with status {LOADER_FAILED}: its loader did not find "
            f"{', '.join(missing)}; {_advice(missing)}"
        )


def _advice(names: list[str]) -> str:
    """The packages that hold these files, and the option that points to them."""
    packages = sorted({_PACKAGES[name] for name in names if name in _PACKAGES})
    other = [name for name in names if name not in _PACKAGES]
    parts = []
    if packages:
        parts.append(f"apt-get install {' '.join(packages)} and give --sysroot {CROSS_ROOT}")
    if other:
        which = "it" if len(other) == 1 else "them"
        parts.append(
            f"give --sysroot FOLDER with {', '.join(other)} in FOLDER/lib (Debian: the package of "
            f"arm64 that holds {which}, after dpkg --add-architecture arm64)"
        )
    return "; ".join(parts)


def _found(name: str, paths: list[str], program: Path, sysroot: Path | None) -> bool:
    if "/" in name:
        return Path(name).exists()
    origin = str(program.resolve().parent)
    own = [path.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for path in paths]
    folders = [folder.lstrip("/") for folder in own] + list(_FOLDERS)
    return any((root / folder / name).exists() for root in _roots(sysroot) for folder in folders)


def _roots(sysroot: Path | None) -> tuple[Path, ...]:
    """Where QEMU looks for absolute paths of a program: -L, or its own default, then here."""
    default = Path(os.environ.get("QEMU_LD_PREFIX", _QEMU_ROOT))
    return (default if sysroot is None else sysroot), Path("/")


def _dynamic(elf: Elf) -> tuple[list[str], list[str]]:
    """(DT_NEEDED names, folders of RPATH and RUNPATH) of a program."""
    entries = list(_entries(elf))
    strings = next((value for tag, value in entries if tag == _STRTAB), None)
    loads = elf.segments(PT_LOAD)
    at = next(
        (
            s.offset + strings - s.address
            for s in loads
            if strings is not None and s.address <= strings < s.address + s.filesz
        ),
        None,
    )
    if at is None:
        return [], []
    needed = [_text(elf, at + value) for tag, value in entries if tag == _NEEDED]
    paths = [_text(elf, at + value) for tag, value in entries if tag in (_RPATH, _RUNPATH)]
    return needed, [folder for text in paths for folder in text.split(":") if folder]


def _entries(elf: Elf) -> Iterator[tuple[int, int]]:
    """(tag, value) of the dynamic section."""
    for segment in elf.segments(_PT_DYNAMIC)[:1]:
        size = min(segment.filesz, 16 * _MAX_ENTRIES)
        end = min(segment.offset + size, len(elf.data))
        for at in range(segment.offset, end - 15, 16):
            tag, value = struct.unpack_from("<QQ", elf.data, at)
            if tag == 0:
                return
            yield tag, value


def _text(elf: Elf, at: int) -> str:
    return elf.data[at : at + _MAX_NAME].split(b"\0", 1)[0].decode("utf-8", "replace")
