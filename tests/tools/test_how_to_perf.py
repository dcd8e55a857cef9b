"""The commands of docs/how-to/open-in-perf.md run as they are printed, and say what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from reports.cli import main

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "open-in-perf.md"

pytestmark = pytest.mark.skipif(
    os.environ.get("SPESKEW_INSTALLED") == "1", reason="the how-to is part of the checkout"
)


def _blocks(language: str) -> list[str]:
    """The fenced blocks of the how-to in a language."""
    text = HOW_TO.read_text(encoding="utf-8")
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in fences if name == language]


def test_commands_run(tmp_path: Path) -> None:
    """Every `sh` block, in order, in one folder; perf diff shows the printed differences."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "speskew"
    command.write_text(f"#!{sys.executable}\nfrom reports.cli import main\nmain()\n")
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(HOW_TO.parents[2]),
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "PERF_CONFIG": "/dev/null",
    }
    done = subprocess.run(
        ["bash", "-c", "set -eu\n" + "\n".join(_blocks("sh"))],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "records.txt").read_text().splitlines()) > 300_000
    tables = re.findall(r"Event 'instructions'.*?(?=\n# Event|\Z)", done.stdout, re.DOTALL)
    cold, again = (_deltas(table) for table in tables[-2:])
    printed = _deltas(_blocks("")[0])
    assert len(printed) == 4
    assert printed.items() <= cold.items()
    assert max(abs(delta) for _, delta in again.values()) <= 0.02


def _deltas(text: str) -> dict[str, tuple[float, float]]:
    """(baseline, delta) in percent by symbol, of perf diff's table."""
    rows = re.findall(r"^\s+(\d+\.\d+)%\s+([+-]\d+\.\d+)%\s+\[\.\] (\S+)", text, re.MULTILINE)
    return {symbol: (float(base), float(delta)) for base, delta, symbol in rows}


def test_options_exist() -> None:
    """Options that the text names exist."""
    shown = CliRunner().invoke(main, ["export", "perf", "--help"]).output
    text = HOW_TO.read_text(encoding="utf-8")
    for option in ("--replication", "--force", "--perf-format", "--program"):
        assert option in shown
        assert f"`{option}" in text
