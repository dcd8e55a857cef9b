"""Outputs that cannot be written: said before the work, as they were given, and nothing is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from reports.runs import replicating, simulating
from reports.sweeps import sweeping
from tests.rigs.swept import MATRIX
from tests.rigs.tiny import TINY, call


@pytest.mark.parametrize("out", ["file/out", "/proc/none/out", os.fsdecode(b"file/\xff")])
@pytest.mark.parametrize(
    "command",
    [
        ("run", "s.yaml", "-o"),
        ("sweep", "sweep.yaml", "-o"),
        ("baseline", "update", "s.yaml", "--baseline"),
    ],
    ids=lambda words: words[0],
)
def test_a_place_that_cannot_be(
    command: tuple[str, ...], out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before anything is simulated, by the name that the user gave."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(TINY)
    Path("sweep.yaml").write_text(TINY + MATRIX)
    Path("file").touch()
    for module, name in ((simulating, "simulate"), (replicating, "simulate"), (sweeping, "run")):
        monkeypatch.setattr(module, name, None)  # a call would be a defect, exit code 70
    done = call(*command, out)
    assert done.exit_code == ExitCode.USAGE, done.output
    shown = out.replace("\udcff", "\\udcff")
    assert f"speskew: {shown} cannot be written: " in done.stderr
    assert sorted(os.listdir()) == ["file", "s.yaml", "sweep.yaml"]
