"""Every kept input of the fuzz campaigns, and that what guards them works."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import campaign, targets

CORPUS = Path(__file__).with_name("corpus")
KEPT = sorted(CORPUS.glob("*/*"))
MOST_BYTES = 512 << 20
MOST_SECONDS = 10


def peak_bytes() -> int:
    """Most memory of this process since this was last called."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): begin the peak anew
    return next(1024 * int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))


def test_memory_is_seen() -> None:
    """Control: what was taken and given back counts."""
    peak_bytes()
    before = peak_bytes()
    size = len(b"x" * (100 << 20))
    assert peak_bytes() - before > 90 << 20
    assert size == 100 << 20


@pytest.mark.parametrize("name", sorted(targets.TARGETS))
def test_corpus(name: str, tmp_path: Path) -> None:
    """No input crashes, hangs, swamps the memory or writes elsewhere; some are accepted."""
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs, f"no corpus of {name}"

    def timed(path: Path) -> tuple[float, bool]:
        began = time.perf_counter()
        accepted = targets.run(name, path.read_bytes(), tmp_path)
        return time.perf_counter() - began, accepted

    peak_bytes()
    before = peak_bytes()
    first = {path: timed(path) for path in inputs}
    assert peak_bytes() - before < MOST_BYTES
    for path in (path for path, (seconds, _) in first.items() if seconds > 1):  # compiled by now
        assert timed(path)[0] < MOST_SECONDS, path
    assert any(accepted for _, accepted in first.values()), (
        "nothing in the corpus is valid: it only tests the first check"
    )


def test_every_input_has_a_target() -> None:
    """No folder of the corpus is forgotten."""
    assert {path.parent.name for path in KEPT} == set(targets.TARGETS)


@pytest.mark.parametrize(
    "act",
    [
        lambda folder: (folder.parent / "elsewhere").write_bytes(b"x"),
        lambda folder: (folder / "input.unit").rename(folder.parent / "moved"),
        lambda folder: (folder.parent / "made").mkdir(),
        lambda folder: subprocess.run([sys.executable, "-c", ""], check=True),
    ],
    ids=["open", "rename", "mkdir", "process"],
)
def test_a_write_elsewhere_is_seen(
    act: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: a parser that leaves its folder, or begins a process, does not get away with it."""
    inside = tmp_path / "inside"
    inside.mkdir()
    assert callable(act)
    monkeypatch.setitem(targets.TARGETS, "bad", (lambda _file, _out: act(inside), ValueError))
    with pytest.raises(targets.StrayError):
        targets.run("bad", b"", inside)


def test_other_errors_and_leftovers_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: an undocumented error comes through; a refusal that leaves a file is an error."""

    def leaves(_file: Path, out: Path) -> None:
        (out / "half").write_bytes(b"x")
        raise ValueError("no")

    monkeypatch.setitem(targets.TARGETS, "leaves", (leaves, ValueError))
    with pytest.raises(AssertionError, match="left a file"):
        targets.run("leaves", b"", tmp_path)
    monkeypatch.setitem(targets.TARGETS, "raises", (leaves, KeyError))
    with pytest.raises(ValueError, match="no"):
        targets.run("raises", b"", tmp_path)


@pytest.mark.parametrize(
    "name", ["baseline", "manifest", "profile", "result", "sweep-result", "unit", "unit-body"]
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_changed_inputs(name: str, tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of a kept input exchanged, cut out or doubled: refused or accepted, nothing else."""
    raw = bytearray(data.draw(st.sampled_from(sorted((CORPUS / name).iterdir()))).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        piece = data.draw(st.binary(max_size=4) | st.sampled_from([b"-1", b"null", b"[", b"1e999"]))
        raw[at : at + data.draw(st.integers(0, 6))] = piece
    targets.run(name, bytes(raw), tmp_path)


@pytest.mark.parametrize("name", campaign.JSON)
def test_changed_documents_are_documents(name: str) -> None:
    """What the campaign makes of a document is another one most of the time, and fits a seed."""
    seed = max((CORPUS / name).iterdir(), key=lambda path: path.stat().st_size).read_bytes()
    most = campaign.most_length(name)
    assert len(seed) <= most
    made = [campaign.mutated(seed, most, k) for k in range(50)]
    assert len(set(made)) > 25
    assert sum(map(is_json, made)) > 25


def test_changes_of_changes_stay_documents() -> None:
    """A value put into a document is its own: it is never put into itself, and the next is new."""
    odd = repr(campaign.ODD)
    document = b"[[], [[]]]"
    for k in range(20_000):
        document = campaign.mutated(document, 1 << 12, k)
    assert repr(campaign.ODD) == odd


def is_json(data: bytes) -> bool:
    """Whether it is a document."""
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
