"""`speskew cache`: what is kept, and its removal while others run."""

from __future__ import annotations

import json
import os
import threading
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from reports.cli.commands import cache as cachecommand
from sim.cache import home, keeping, sealed
from sim.workload.index import Index, load_index
from sim.workload.presets import get_preset
from tests.rigs.damage import NOBODY
from tests.rigs.tiny import call

DAY = 86400
STREAM = Path(str(files("scenarios") / "streams" / "threads.2.spestream"))
NAMES = {
    "index": "index/0123456789abcdef01234567",
    "compiled": "numba-0123456789abcdef",
    "plugin": "spetrace-0123456789abcdef01234567.so",
    "program": "programs/0123456789abcdef0123456789abcdef01234567",
    "kernel": "kernel-0123456789abcdef01234567",
    "fonts": "matplotlib",
    "left-over": "index/.speskew-work-abc",
}
FOREIGN = ("notes.txt", "index/README", "numba-mine", "programs/mine", ".ssh")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with an entry of each kind, used 0, 1, 2, … days ago, and things that are not its."""
    root = tmp_path / "cache"
    monkeypatch.setenv("SPESKEW_CACHE", str(root))
    monkeypatch.setattr(home, "STATE", home.State())
    for days, name in enumerate(NAMES.values()):
        path = root / name
        if path.suffix:
            path.write_bytes(bytes(10_000))
        else:
            path.mkdir(parents=True)
            (path / "content").write_bytes(bytes(10_000))
        os.utime(path, (0, path.stat().st_mtime - days * DAY - 60))
    for name in FOREIGN:
        (root / name).write_text("mine")
    return root


def left(cache: Path) -> set[str]:
    """Kinds of which something is left."""
    assert all((cache / name).read_text() == "mine" for name in FOREIGN)
    return {kind for kind, name in NAMES.items() if (cache / name).exists()}


def test_kinds_are_those_of_the_cache() -> None:
    """The command's options know every kind."""
    assert tuple(keeping.KINDS) == cachecommand.KINDS == tuple(NAMES)
    assert {kind for kind, *_ in keeping._FORMS} == set(NAMES)


def test_the_table_tells_kind_entries_size_age_and_place(cache: Path) -> None:
    """A line a kind, for people; numbers as JSON."""
    done = call("cache")
    assert done.exit_code == 0
    head, titles, *rows = done.stdout.splitlines()
    assert head == str(cache)
    assert titles.split() == ["kind", "entries", "size", "last", "used", "where"]
    assert [row.split()[0] for row in rows] == list(NAMES)
    assert rows[0].split()[:2] == ["index", "1"]
    assert f"1 min      {cache}/index" in rows[0]
    assert f"  3 d        {cache}/programs" in rows[3]
    found = json.loads(call("cache", "--format", "json").stdout)
    assert found["folder"] == str(cache)
    assert [row["kind"] for row in found["kinds"]] == list(NAMES)
    assert all(10_000 <= row["bytes"] < 30_000 for row in found["kinds"])
    assert [row["oldest_s"] // DAY for row in found["kinds"]] == list(range(7))
    assert left(cache) == set(NAMES)


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ((), set(NAMES)),
        (("--older-than", "3d"), {"program", "kernel", "fonts", "left-over"}),
        (("--older-than", "49h"), {"program", "kernel", "fonts", "left-over"}),
        (("--older-than", "1w"), set()),
        (("--kind", "program", "--kind", "fonts"), {"program", "fonts"}),
        (("--kind", "index", "--older-than", "1d"), set()),
    ],
)
def test_clear_removes_what_was_asked(
    options: tuple[str, ...], gone: set[str], cache: Path
) -> None:
    """By age since the last use and by kind; nothing that is not of the cache."""
    done = call("cache", "clear", *options)
    assert (done.exit_code, done.stderr) == (0, "")
    assert left(cache) == set(NAMES) - gone
    counted = "1 entry" if len(gone) == 1 else f"{len(gone)} entries"
    assert done.stdout.startswith(f"{cache}: {counted} removed, ")
    assert {str(p.relative_to(cache)) for p in cache.rglob(".speskew-*")} <= {NAMES["left-over"]}


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1.5d", "3 days", "1y"])
def test_an_age_has_a_number_and_a_unit(age: str, cache: Path) -> None:
    """Anything else is a usage error, and nothing is removed."""
    done = call("cache", "clear", "--older-than", age)
    assert done.exit_code == 2
    assert "is no age; give e.g. 12h, 30d or 4w" in done.stderr
    assert left(cache) == set(NAMES)


def test_no_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept, and nothing is made by looking."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "none"))
    monkeypatch.setattr(home, "_temporary", lambda: tmp_path / "neither")
    assert call("cache").stdout == f"{tmp_path}/none: nothing is kept\n"
    assert call("cache", "clear").stdout == f"{tmp_path}/none: nothing is kept\n"
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_use_stays(cache: Path) -> None:
    """A plugin that QEMU has, and an index that is being built."""
    with sealed.in_use(cache / NAMES["plugin"]), sealed.in_use(cache / NAMES["left-over"]):
        done = call("cache", "clear")
    assert left(cache) == {"plugin", "left-over"}
    assert "2 entries in use or of another user stayed: spetrace-" in done.stderr
    call("cache", "clear")
    assert left(cache) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_what_belongs_to_another_user_stays(cache: Path) -> None:
    """Even if we could remove it."""
    os.chown(cache / NAMES["index"], NOBODY, NOBODY)
    done = call("cache", "clear")
    assert left(cache) == {"index"}
    assert "1 entry in use or of another user stayed" in done.stderr


def test_use_makes_an_entry_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages count from the last use, not from the making."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path))
    preset = get_preset("neoverse-n1")
    load_index(STREAM, preset, False)
    (entry,) = (tmp_path / "index").iterdir()
    os.utime(entry, (0, 0))
    load_index(STREAM, preset, False)
    assert call("cache", "clear", "--older-than", "1d").stdout.startswith(f"{tmp_path}: 0 entries")


def test_clearing_while_others_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every load gets the same arrays without a word, though entries vanish all the time."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path))
    monkeypatch.setattr(home, "STATE", home.State())
    preset = get_preset("neoverse-n1")
    first = load_index(STREAM, preset, False)
    done = threading.Event()
    cleared = []

    def clear() -> None:
        while not done.wait(0.02):
            cleared.append(len(keeping.clear(tmp_path, frozenset({"index"})).removed))

    thread = threading.Thread(target=clear)
    thread.start()
    deadline = time.monotonic() + 60
    try:
        while sum(cleared) <= 3:  # however fast this machine loads
            assert time.monotonic() < deadline
            assert _equal(load_index(STREAM, preset, False), first)
    finally:
        done.set()
        thread.join()
    assert home.STATE.said == set()


def _equal(one: Index, other: Index) -> bool:
    return all(np.array_equal(one.arrays[n], array) for n, array in other.arrays.items())
