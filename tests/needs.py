"""The one door to other people's programs: a test that runs one asks here for it.

Without the program the test is skipped, and the suite ends with a line that says how many were,
and what to install. In CI it fails. `tests/conftest.py` prints the lines, and
`tests/test_needs.py` sees to it that no test goes another way.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

CROSS = "aarch64-linux-gnu-gcc"
CROSS_CXX = "aarch64-linux-gnu-g++"
PACKAGES = {
    CROSS: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    CROSS_CXX: "g++-aarch64-linux-gnu",
    "aarch64-linux-gnu-as": "binutils-aarch64-linux-gnu",
    "aarch64-linux-gnu-objcopy": "binutils-aarch64-linux-gnu",
    "bash": "bash",
    "c++filt": "binutils",
    "chromium": "chromium",
    "clang-19": "clang-19",
    "gcc": "gcc libc6-dev",
    "git": "git",
    "jq": "jq",
    "llvm-bolt-19": "bolt-19",
    "llvm-profdata-19": "llvm-19",
    "llvm-profgen-19": "llvm-19",
    "llvm-symbolizer-19": "llvm-19",
    "mount": "mount",
    "openssl": "openssl",
    "perf": "linux-perf",
    "perf2bolt-19": "bolt-19",
    "prlimit": "util-linux",
    "qemu-aarch64": "qemu-user",
    "tar": "tar xz-utils",
    "umount": "mount",
}
"""Tool → Debian packages."""
SOURCES = {version: f"linux-source-{version}" for version in ("6.1", "6.12")}
"""Linux version → Debian package of its sources; 6.12 comes with bookworm-security."""
SOURCE_FOLDER = Path("/usr/src")
EXTRAS = {"distributed": "cluster"}
"""Optional package of Python → our extra that brings it."""
RECORDING = (CROSS, "qemu-aarch64", "gcc")
"""What compiles a program and records it: the recorder builds its plugin by gcc."""

_MISSING = "not installed: "


def need(*tools: str) -> tuple[str, ...]:
    """Paths of tools; without one of them a test fails in CI and is skipped elsewhere."""
    paths = [shutil.which(tool) for tool in tools]
    missing = [Path(tool).name for tool, path in zip(tools, paths, strict=True) if path is None]
    if missing:
        reason = _MISSING + ", ".join(dict.fromkeys(missing))
        if os.environ.get("CI"):
            pytest.fail(f"{reason} (apt-get install {_packages(missing)})")
        pytest.skip(reason)
    return tuple(path for path in paths if path is not None)


def module(name: str) -> None:
    """An optional package of Python; without it a test fails in CI and is skipped elsewhere."""
    if importlib.util.find_spec(name) is None:
        reason = f"no Python package {name}: pip install 'speskew[{EXTRAS[name]}]'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def kernel_source(version: str) -> Path:
    """The archive of a kernel's sources; without it a test fails in CI and is skipped elsewhere."""
    package = SOURCES[version]
    archive = SOURCE_FOLDER / f"{package}.tar.xz"
    if not archive.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"{_MISSING}{package} (apt-get install {package})")
        pytest.skip(f"{_MISSING}{package}")
    return archive


def found(tool: str) -> bool:
    """Whether a tool is there, for what does without it."""
    return shutil.which(tool) is not None


def run(
    tool: str, *arguments: str | Path, check: bool = True, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end; its output is text."""
    command = [*need(tool), *map(str, arguments)]
    return subprocess.run(command, check=check, text=True, **options)


def programs(script: str) -> tuple[str, ...]:
    """Tools that stand in a shell script where a command does, and those that speskew runs itself:
    for `record`, and for a kernel tree.
    """
    commands = re.findall(r"(?:^|[|;&(])\s*(?:\$ )?([\w.-]+)", script, re.MULTILINE)
    found = [word for word in commands if word in PACKAGES]
    if CROSS in found:  # what it makes is recorded
        found += RECORDING
    if "kernel_tree" in script:
        found.append("gcc")
    return tuple(dict.fromkeys(found))


def _packages(tools: Iterable[str]) -> str:
    """Packages of tools, each once."""
    words = [word for tool in tools for word in PACKAGES.get(tool, tool).split()]
    return " ".join(dict.fromkeys(words))


def missing_lines(reasons: Sequence[str]) -> Iterator[str]:
    """A line for each missing tool, of the reasons why tests were skipped."""
    counts: Counter[str] = Counter()
    for reason in reasons:
        _, found, tools = reason.partition(_MISSING)
        if found:
            counts.update(tools.split(", "))
    for tool, count in sorted(counts.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        yield f"no {tool}: {tests} skipped; apt-get install {_packages([tool])}"
