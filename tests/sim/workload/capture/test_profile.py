"""Workload profiles: what they carry comes back, their file is strict, their streams are exact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.workload.capture import profile as profiles
from sim.workload.capture.profile import ProfileError
from tests.sim.workload.capture.made import small


def test_file_round_trip(tmp_path: Path) -> None:
    """What is written is read; equal profiles have equal files; limits are in the file."""
    made = small()
    path = tmp_path / "p.json"
    path.write_text(profiles.dumps(made))
    assert profiles.load(path) == made
    assert profiles.dumps(profiles.load(path)) == path.read_text()
    assert json.loads(path.read_text())["limits"] == list(profiles.LIMITS)


BAD = [
    ("", "no JSON"),
    ("[1]", "no profile of speskew"),
    ('{"format": "x"}', "no profile"),
    ('{"format": "speskew-profile", "version": 2}', "version 2, this speskew reads 1"),
    ('{"format": "speskew-profile", "version": true}', "version True, this speskew reads 1"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_no_profile(tmp_path: Path, text: str, message: str) -> None:
    """Other files are refused with their name and a way out."""
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ProfileError, match=message) as error:
        profiles.load(path)
    assert str(error.value).startswith(str(path))
    with pytest.raises(ProfileError, match="gone: No such file"):
        profiles.load(tmp_path / "gone")
