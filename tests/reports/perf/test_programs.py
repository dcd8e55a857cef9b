"""Programs that exports name: made files in the cache, put right if harmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.cache import home
from tests.rigs.damage import DAMAGES
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario, and a cache of its own."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(home, "STATE", home.State())
    Path("tiny.yaml").write_text(TINY)
    done = call("run", "tiny.yaml", "-o", "out", "-q", "--no-report", "--no-band")
    assert done.exit_code == 0, done.output


def export() -> Path:
    """The program's file of an exported arm."""
    done = call("export", "perf", "out", "--arm", "baremetal", "-o", "p.data", "--force")
    assert done.exit_code == 0, done.output
    assert "not used" not in done.stderr
    (made,) = Path("cache/programs").glob("*/[!.]*")
    return made


def test_a_harmed_program_is_made_again() -> None:
    """perf takes code from it, so what lies there is what was made: any damage is put right."""
    made = export()
    content = made.read_bytes()
    for name in ("cut to half", "a bit flipped", "missing", "a link to nothing", "a folder"):
        DAMAGES[name](made)
        assert export().read_bytes() == content, name
        assert not made.is_symlink(), name
    inode = made.stat().st_ino
    assert export().stat().st_ino == inode


def test_no_place_for_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export names a file, so without a place for it there is none, and the error says why."""
    monkeypatch.setattr(home, "root", lambda *_: None)
    done = call("export", "perf", "out", "--arm", "baremetal", "-o", "p.data")
    assert done.exit_code == 2
    assert "set SPESKEW_CACHE to a folder" in done.stderr
    assert not Path("p.data").exists()
