"""The commands of docs/how-to/open-in-perf.md run as they are printed, and say what it says."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.needs import need, programs
from tests.rigs.pages import DOCS, blocks, in_checkout, shell
from tests.rigs.tiny import call

HOW_TO = DOCS / "how-to" / "open-in-perf.md"

pytestmark = in_checkout


def test_commands_run(tmp_path: Path) -> None:
    """Every `sh` block, in order, in one folder; perf diff shows the printed differences."""
    script = "\n".join(blocks(HOW_TO, "sh"))
    need(*programs(script))
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    done = shell(
        script,
        tmp_path,
        HOME=str(tmp_path),
        XDG_CACHE_HOME=cache,
        PERF_CONFIG="/dev/null",
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "records.txt").read_text().splitlines()) > 300_000
    tables = re.findall(r"Event 'instructions'.*?(?=\n# Event|\Z)", done.stdout, re.DOTALL)
    cold, again = (_deltas(table) for table in tables[-2:])
    printed = _deltas(blocks(HOW_TO, "")[0])
    assert len(printed) == 4
    assert printed.items() <= cold.items()
    moved = re.search(r"no symbol moves by more than (\S+) %", HOW_TO.read_text(encoding="utf-8"))
    assert moved is not None
    assert max(abs(delta) for _, delta in again.values()) == float(moved[1])


def _deltas(text: str) -> dict[str, tuple[float, float]]:
    """(baseline, delta) in percent by symbol, of perf diff's table."""
    rows = re.findall(r"^\s+(\d+\.\d+)%\s+([+-]\d+\.\d+)%\s+\[\.\] (\S+)", text, re.MULTILINE)
    return {symbol: (float(base), float(delta)) for base, delta, symbol in rows}


def test_options_exist() -> None:
    """Options that the text names exist."""
    shown = call("export", "perf", "--help").output
    text = HOW_TO.read_text(encoding="utf-8")
    for option in ("--replication", "--force", "--perf-format", "--program"):
        assert option in shown
        assert f"`{option}" in text
