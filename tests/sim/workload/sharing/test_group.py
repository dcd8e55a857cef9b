"""Groups of streams: written, read, refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sim.workload.sharing.group import (
    MAX_THREADS,
    group_of,
    group_path,
    headers_of,
    stamps,
    streams_of,
    write_group,
)
from sim.workload.spestream import StreamError, read_spestream, write_spestream
from tests.sim.workload.recorded import THREAD

GOOD = {"format": "speskew threads", "version": 1, "streams": ["a.0.spestream", "a.1.spestream"]}


def written(folder: Path, document: object) -> Path:
    """A group file that says this."""
    path = folder / "a.threads.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_round_trip(tmp_path: Path) -> None:
    """Names beside the file, in order; read again once it has changed."""
    path = group_path(tmp_path / "a.spestream")
    assert path.name == "a.threads.json"
    write_group(path, [tmp_path / "a.0.spestream", tmp_path / "a.1.spestream"])
    assert json.loads(path.read_text()) == GOOD
    assert streams_of(path) == (tmp_path / "a.0.spestream", tmp_path / "a.1.spestream")
    before = stamps(path)
    write_group(path, [tmp_path / "a.1.spestream"])
    assert streams_of(path) == (tmp_path / "a.1.spestream",)
    assert stamps(path) != before


def test_one_stream_is_no_group(tmp_path: Path) -> None:
    """Nor are more than can have a bit each."""
    many = [tmp_path / f"a.{k}.spestream" for k in range(MAX_THREADS + 1)]
    assert group_of(tmp_path / "a.spestream", many[:1]) is None
    assert group_of(tmp_path / "a.spestream", many) is None
    assert list(tmp_path.iterdir()) == []
    assert group_of(tmp_path / "a.spestream", many[1:]) == tmp_path / "a.threads.json"


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """What, and why."""
    with pytest.raises(StreamError, match=r"a\.threads\.json: not written: No such file"):
        write_group(tmp_path / "gone" / "a.threads.json", [])


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("{", r"no JSON; wanted is \{"),
        ([], "no group of streams"),
        ({}, '"format": "speskew threads"'),
        (GOOD | {"version": 2}, "another version"),
        (GOOD | {"version": True}, "another version"),
        (GOOD | {"streams": "a"}, "no list of streams"),
        (GOOD | {"streams": [1]}, "no list of streams"),
        (GOOD | {"streams": [""]}, "a name that no file has"),
        (GOOD | {"streams": ["a\0b"]}, "a name that no file has"),
        (GOOD | {"streams": []}, "names 0 streams; wanted is 1 to 64"),
        (GOOD | {"streams": [f"{k}" for k in range(MAX_THREADS + 1)]}, "names 65 streams"),
        (GOOD | {"streams": ["a", "a"]}, "a stream twice"),
        (GOOD | {"streams": ["a", "./b/../a"]}, "a stream twice"),
        (GOOD | {"streams": ["a\ud800"]}, "a name that no file has"),
        ("[" * 100_000, "no JSON"),
        (" " * (1 << 20) + "{}", "too long"),
    ],
)
def test_what_is_refused(tmp_path: Path, document: object, why: str) -> None:
    """With what is wrong, and what would be right."""
    with pytest.raises(StreamError, match=why):
        streams_of(written(tmp_path, document))


def test_no_file(tmp_path: Path) -> None:
    """Neither the group nor its streams."""
    with pytest.raises(StreamError, match="cannot be read: No such file"):
        streams_of(tmp_path / "a.threads.json")
    with pytest.raises(StreamError, match=r"a\.0\.spestream"):
        headers_of(written(tmp_path, GOOD))


def test_two_programs_share_no_memory(tmp_path: Path) -> None:
    """By their build ids."""
    recording = read_spestream(THREAD)
    for number, build_id in enumerate((recording.build_id, "00" * 20)):
        other = replace(recording, build_id=build_id)
        write_spestream(tmp_path / f"a.{number}.spestream", other)
    with pytest.raises(StreamError, match="of two programs; wanted is one process"):
        headers_of(written(tmp_path, GOOD))


def test_a_copy_of_a_stream_is_no_other_thread(tmp_path: Path) -> None:
    """Under whichever name; a thread that did the same is another one by its number."""
    recording = read_spestream(THREAD)
    for number in range(2):
        write_spestream(tmp_path / f"a.{number}.spestream", recording)
    with pytest.raises(
        StreamError, match=r"a\.0\.spestream and a\.1\.spestream are one stream; want"
    ):
        headers_of(written(tmp_path, GOOD))
    write_spestream(tmp_path / "a.1.spestream", replace(recording, tid=recording.tid + 1))
    assert len(headers_of(written(tmp_path, GOOD))) == 2
