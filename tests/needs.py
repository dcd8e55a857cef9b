"""Other people's programs that a test runs."""

from __future__ import annotations

import os
import shutil

import pytest

PACKAGES = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "aarch64-linux-gnu-as": "gcc-aarch64-linux-gnu",
    "aarch64-linux-gnu-objcopy": "gcc-aarch64-linux-gnu",
    "gcc": "gcc libc6-dev",
    "git": "git",
    "jq": "jq",
    "perf": "linux-perf",
    "prlimit": "util-linux",
    "qemu-aarch64": "qemu-user",
}
"""Tool → Debian packages."""


def need(*tools: str) -> tuple[str, ...]:
    """Paths of tools; without one of them a test fails in CI and is skipped elsewhere."""
    paths = [shutil.which(tool) for tool in tools]
    missing = [tool for tool, path in zip(tools, paths, strict=True) if path is None]
    if missing:
        packages = " ".join(PACKAGES[tool] for tool in missing)
        message = f"{', '.join(missing)} missing (apt-get install {packages})"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return tuple(path for path in paths if path is not None)
