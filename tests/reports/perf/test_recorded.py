"""The program behind an arm, and code that is equal; test_autofdo.py in this room compiles some."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports.perf.recorded import recorded
from reports.store.files import ExportError
from sim.scenario.files import loader
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.scenario import Arm
from sim.workload.spestream import read_spestream, strip_words, write_spestream

STREAMS = stock_folder() / "streams"


def arm(path: Path, folder: Path) -> Arm:
    """An arm of a recorded stream."""
    text = f"workload: {{kind: recorded, path: {path}, repeat: 1}}\narms: [baremetal]\n"
    (folder / "s.yaml").write_text(text)
    return loader.load(folder / "s.yaml").arms[0]


def test_the_shipped_program(tmp_path: Path) -> None:
    """It lies beside its stream: all code is its own, and it has the functions of the stream."""
    found = recorded(arm(STREAMS / "pages.spestream", tmp_path), None)
    stream = read_spestream(STREAMS / "pages.spestream")
    assert found.path == STREAMS / "pages"
    assert found.bias == 0
    assert found.own(stream.pc).all()
    assert not found.own(np.array([0, 1 << 63], np.uint64)).any()
    assert {s.start for s in stream.symbols} <= found.entries.keys()


def test_equal_code_of_another_build(tmp_path: Path) -> None:
    """Where build ids differ, instructions decide; without them nothing can."""
    stream = read_spestream(STREAMS / "pages.spestream")
    other = tmp_path / "other.spestream"
    write_spestream(other, replace(stream, build_id="00" * 20))
    assert recorded(arm(other, tmp_path), STREAMS / "pages").path == STREAMS / "pages"
    changed = bytearray((STREAMS / "pages").read_bytes())
    at = changed.index(int(stream.word[0]).to_bytes(4, "little"))
    changed[at] ^= 1
    (tmp_path / "changed").write_bytes(changed)
    with pytest.raises(ExportError, match=r"its code is another from 0x4\w+ on; give the program"):
        recorded(arm(other, tmp_path), tmp_path / "changed")
    with pytest.raises(ExportError, match="its code is another"):
        recorded(arm(other, tmp_path), STREAMS / "mix")
    write_spestream(other, strip_words(replace(stream, build_id="00" * 20)))
    with pytest.raises(ExportError, match=r"build id .* but the recorded program's is 0000"):
        recorded(arm(other, tmp_path), STREAMS / "pages")


def test_no_program(tmp_path: Path) -> None:
    """None beside the stream, no recorded workload: what to do is said."""
    alone = tmp_path / "alone.spestream"
    shutil.copy(STREAMS / "pages.spestream", alone)
    with pytest.raises(ExportError, match=r"pages: the recorded program is not there; .* --binary"):
        recorded(arm(alone, tmp_path), None)
    with pytest.raises(ExportError, match="is no recorded program"):
        recorded(loader.load("synthetic").arms[0], None)
