"""The calibration program's loops in its ELF file, and what is said of another file."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.captures import calibrating
from reports.captures.loops import PREFIX, loops_of
from sim.workload.a64 import OpClass
from sim.workload.capture.source import CaptureError
from tests import needs


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped program."""
    path = tmp_path_factory.mktemp("calibrate") / calibrating.SOURCE
    path.write_bytes(calibrating.source_text())
    return path


def _built(source: Path, name: str, *flags: str) -> Path:
    out = source.with_name(name)
    needs.run(needs.CROSS, "-Wall", "-Werror", "-O1", *flags, "-o", out, source)
    return out


def test_each_class_stands_at_each_distance(source: Path) -> None:
    """Over the loops, up to the two ops that close them; at two alignments."""
    loops = loops_of(_built(source, "calibrate", "-no-pie"))
    assert len(loops) == 10
    assert all(loop.classes.size == 24 for loop in loops)
    for distance in range(22):
        assert {int(loop.classes[distance]) for loop in loops} == set(OpClass)
    assert {loop.address % 64 for loop in loops} == {0, 20}
    assert all(loop.name.startswith(PREFIX) for loop in loops)


def test_other_files_are_refused(source: Path, tmp_path: Path) -> None:
    """What is wrong, and what to do."""
    pie = _built(source, "pie", "-pie", "-fPIE")
    with pytest.raises(CaptureError, match=r"position-independent.*-no-pie"):
        loops_of(pie)
    plain = tmp_path / "plain.c"
    plain.write_text("int main(void) { return 0; }\n")
    with pytest.raises(CaptureError, match=r"has no loops called speskew_loop_.*--source"):
        loops_of(_built(plain, "plain", "-no-pie"))
    with pytest.raises(CaptureError, match=r"plain\.c: not an ELF file"):
        loops_of(plain)
    with pytest.raises(CaptureError, match="cannot be read"):
        loops_of(tmp_path / "none")


def test_a_symbol_that_is_no_loop_is_refused(tmp_path: Path) -> None:
    """It must end in a branch to its begin."""
    file = tmp_path / "straight.c"
    file.write_text("int speskew_loop_0(int x) { return x + 1; }\nint main(void) { return 0; }\n")
    with pytest.raises(CaptureError, match="does not end in a branch to its begin"):
        loops_of(_built(file, "straight", "-no-pie"))
