"""The index over many runs and sweeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.sweeps import index, sweeping
from tests.reports import drawing
from tests.rigs.tiny import TINY, call


def test_index_of_runs_and_sweeps(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its numbers and a link that leads there; what is not whole is said to be so."""
    drawing.only(monkeypatch, "losses")
    Path("one.yaml").write_text(TINY)
    assert call("run", "one.yaml", "-o", "runs/deep/one", "--no-band").exit_code == 0
    for name, file in (("half", sweeping.MANIFEST), ("broken", "result.json")):
        Path("runs", name).mkdir()
        Path("runs", name, file).write_text("{}")
    Path("runs/empty").mkdir()
    done = call("report", "index", "runs")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(Path("runs", index.INDEX))
    found = {e.path: e for e in index.entries(Path("runs"))}
    assert sorted(found) == ["broken", "deep/one", "half", "sweep"]
    one, whole = found["deep/one"], found["sweep"]
    assert isinstance(one, index.Entry)
    assert isinstance(whole, index.Entry)
    assert (one.link, whole.link) == ("deep/one/report.html", "sweep/report.html")
    assert all(Path("runs", link).is_file() for link in (one.link, whole.link))
    assert isinstance(found["half"], index.Bad)
    assert "has not ended" in found["half"].why
    result = json.loads((swept / "result.json").read_text())
    losses = [c["arms"]["cold"]["loss.total"]["mean"] for c in result["cells"]]
    line = next(line for line in whole.lines if line[0] == "cold")
    assert line[1] == f"{100 * min(losses):.3g} to {100 * max(losses):.3g} %"
    html = Path("runs", index.INDEX).read_text()
    assert "deep/one/report.html" in html
    assert "No whole result" in html
