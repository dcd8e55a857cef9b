"""`export bolt`: lines against the branches that they are of; tests/tools/test_bolt.py: BOLT."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import speskew
from reports.exitcodes import ExitCode
from reports.perf.bolt import write
from reports.store.files import ExportError
from tests.rigs.tiny import command
from tests.sim.runs.shipped import small_recording

call = command("export", "bolt")
TEXT = """\
name: small
replications: 1
workload: {{kind: recorded, path: {path}, repeat: 40}}
spe: {{jitter: on{spe}}}
driver: {{aux: 64KiB}}
arms: [baremetal]
"""


def lines(*rows: tuple[int, int, int, int, int], build_id: str = "") -> str:
    """The profile of these branches."""
    file = io.BytesIO()
    write(file, np.array(rows, np.int64), build_id)
    return file.getvalue().decode()


def test_equal_branches_are_one_line() -> None:
    """Taken with their mispredictions, not taken as a stretch of two instructions."""
    taken, fell = (0, 0x4000, 0x5000, 1, 1), (1, 0x4000, 0x4004, 1, 0)
    assert lines(taken, fell, taken, (0, 0x4000, 0x5000, 3, 0)) == (
        "B 4000 5000 5 2\nF 4000 4004 1\n"
    )
    assert lines(fell, build_id="ab12") == "F ab12:4000 ab12:4004 1\n"


def test_no_branch_is_no_profile() -> None:
    """It is said so."""
    with pytest.raises(ExportError, match="nothing to lay out by"):
        lines()


def test_an_export_is_the_arm_s_branches(tmp_path: Path) -> None:
    """Every branch record is counted once, with its target, under the recording's build id."""
    text = TEXT.format(path=small_recording(tmp_path), spe="")
    run = speskew.run(text, band=False, progress=False, keep_records=True)
    folder = run.save(tmp_path / "run", report=False)
    assert call(folder, "--arm", "baremetal", "-o", tmp_path / "p").exit_code == 0
    records = run.records
    branches = records[records.target > 0]
    found: Counter[bool] = Counter()
    for line in (tmp_path / "p").read_text().splitlines():
        kind, origin, target, count, *_ = line.split()
        build, _, address = origin.partition(":")
        assert len(build) == 40
        fell = int(target.partition(":")[2], 16) == int(address, 16) + 4
        assert fell or kind == "B"
        found[kind == "F"] += int(count)
    not_taken = int(((branches.events & 64) != 0).sum())
    assert found == {False: len(branches) - not_taken, True: not_taken}
    assert call(folder, "--arm", "baremetal", "--truth", "-o", tmp_path / "t").exit_code == 0
    assert len((tmp_path / "t").read_text().splitlines()) >= len(
        (tmp_path / "p").read_text().splitlines()
    )


def test_what_cannot_be_laid_out(synthetic: Path, tmp_path: Path) -> None:
    """A synthetic workload; a filter that leaves no branch."""
    done = call(synthetic, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "is no recorded program" in done.stderr
    text = TEXT.format(path=small_recording(tmp_path), spe=", filter: {load: true}")
    folder = speskew.run(text, band=False, progress=False).save(tmp_path / "run", report=False)
    assert call(folder, "--arm", "baremetal", "-o", tmp_path / "x").exit_code == ExitCode.USAGE
    assert not (tmp_path / "x").exists()
