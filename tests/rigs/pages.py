"""The pages of the documentation, and the commands that are printed in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import run

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
in_checkout = pytest.mark.skipif(
    os.environ.get("SPESKEW_INSTALLED") == "1", reason="the documentation is part of the checkout"
)


NOT_RUN = "not-run: "
"""What a fence says behind its language if nobody can run it here; the reason follows."""


def fences(page: Path) -> list[tuple[str, str, str]]:
    """(language, note, text) of every fenced block of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)[ \t]*([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(language, note, block) for language, note, block in found]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return [block for name, _, block in fences(page) if name == language]


def session(block: str) -> tuple[str, list[str]]:
    """Commands behind `$`, as a script, and the lines that they print."""
    lines = block.splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return "\n".join(commands), [line for line in lines if not line.startswith("$ ")]


def shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run by bash in a folder, with `speskew` and our packages' commands on the PATH; the first
    failure ends it."""
    (folder / "bin").mkdir(exist_ok=True)
    command = folder / "bin" / "speskew"
    # the guard: -j spawns
    code = "from reports.cli.main import main\nif __name__ == '__main__':\n    main()\n"
    command.write_text(f"#!{sys.executable}\n{code}")
    command.chmod(0o755)
    path = f"{command.parent}:{os.environ['PATH']}:{Path(sys.executable).parent}"
    ours = {"PATH": path, "PYTHONPATH": str(ROOT)}
    return run(
        "bash",
        "-c",
        "set -euo pipefail\n" + script,
        check=False,
        cwd=folder,
        env=os.environ | ours | environment,
        capture_output=True,
    )
