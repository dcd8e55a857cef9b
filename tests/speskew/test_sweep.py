"""Sweeps: those of the command line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import speskew
from tests.reports import drawing
from tests.rigs.tiny import TINY, call


def test_a_sweep_is_the_command_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same results; a frame with a row per cell, arm and metric; continued, and refused."""
    drawing.of_sweep(monkeypatch, 1)
    Path("s.yaml").write_text(TINY + "matrix: {vm.vcpus: [1, 2]}\n")
    found = speskew.sweep("s.yaml", out="swept", replications=2)
    done = call("sweep", "s.yaml", "-o", "swept-cli", "--replications", "2", "-q")
    assert (str(found), done.exit_code) == (done.stdout, 0)
    for name in ("result.json", "cells.csv", "report.html"):
        assert Path("swept", name).read_bytes() == Path("swept-cli", name).read_bytes()
    frame = found.frame
    assert list(frame.columns) == list(pd.read_csv("swept/cells.csv").columns)
    assert len(frame) == len(pd.read_csv("swept/cells.csv"))
    assert set(frame["vm.vcpus"]) == {1, 2}
    mine = frame[(frame["metric"] == "loss.total") & (frame["arm"] == "cold")]
    assert mine["mean"].between(mine["low"], mine["high"]).all()
    assert (len(found.cells), found.failed) == (2, {})
    with pytest.raises(speskew.RunDirError) as caught:
        speskew.sweep("s.yaml", out="swept", replications=2)
    refused = call("sweep", "s.yaml", "-o", "swept", "--replications", "2")
    assert refused.stderr == f"speskew: {caught.value}\n"
    assert "resume=True" in caught.value.__notes__[0]
    again = speskew.sweep("s.yaml", out="swept", replications=2, resume=True)
    assert again.result == speskew.load_sweep("swept").result == found.result
    assert speskew.check("swept").findings == ()
    with pytest.raises(TypeError, match="a stock name or a path"):
        speskew.sweep(TINY)
