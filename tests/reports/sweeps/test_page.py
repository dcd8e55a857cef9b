"""The report of a sweep and the index over many runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.exitcodes import ExitCode
from reports.results import sweep_result
from reports.results.damage import DamagedError
from reports.results.sweep_result import SweepResult
from reports.store import grid
from reports.sweeps import index, maps, page, sweeping
from tests.reports.pages.test_browser import SCREENS, TEXTS
from tests.rigs.browser import Browser, overlaps
from tests.rigs.swept import MATRIX
from tests.rigs.tiny import TINY, call

EVIL = "<script>x</script>"


def metric(mean: float | None, half: float = 0.0, unit: str = "fraction") -> dict[str, Any]:
    """A metric of four replications."""
    ci = None if mean is None else [mean - half, mean + half] if half else "exact"
    return {"mean": mean, "ci95": ci, "n": 4 if mean is not None else 0, "unit": unit}


def document(vary: float = 1.0) -> dict[str, Any]:
    """Two axes and a third of one level, two arms, one failed cell, names that are hostile."""
    cells = []
    for a, interval in enumerate(("1024ops", "4096ops", "16384ops")):
        for b, mode in enumerate(("task", "cpu")):
            loss = 0.0 if a == b == 0 else vary * 1e-5 * 10 ** (a + b)
            row: dict[str, Any] = {
                "id": f"cell-{a}{b}",
                "status": "finished",
                "reproduce": "speskew run x",
                "replications": 4,
                "settings": {"spe.interval": interval, "driver.mode": mode, "vm.vcpus": 1},
                "arms": {
                    "baremetal": {"loss.total": metric(0.0), "time_added": metric(0.0)},
                    EVIL: {"loss.total": metric(loss, loss / 10), "time_added": metric(b - 0.5)},
                },
            }
            cells.append(row)
    cells[3] = {k: v for k, v in cells[3].items() if k not in ("arms", "replications")} | {
        "status": "failed",
        "why": f"no luck {EVIL}",
    }
    return {
        "sweep_version": 1,
        "kind": "prediction",
        "scenario": EVIL,
        "question": "Why?",
        "seed": 1,
        "arm_order": ["baremetal", EVIL],
        "cells": cells,
        "axes": {
            "driver.mode": ["task", "cpu"],
            "spe.interval": ["1024ops", "4096ops", "16384ops"],
            "vm.vcpus": [1],
        },
    }


def made(vary: float = 1.0) -> SweepResult:
    """The same, as it is read."""
    return sweep_result.of_json(document(vary))


# --- the grid


def test_grid_of_a_result() -> None:
    """Axes of two levels or more in order; numbers in their places; NaN where a cell failed."""
    whole = grid.grid(made())
    assert [axis.name for axis in whole.axes] == ["driver.mode", "spe.interval"]
    assert [axis.at for axis in whole.axes] == [None, (1024.0, 4096.0, 16384.0)]
    got = whole.response(EVIL, "loss.total")
    assert got.mean == pytest.approx(np.array([[0, 1e-4, 1e-3], [1e-4, np.nan, 1e-2]]), nan_ok=True)
    assert got.error[0, 2] == pytest.approx(1e-4 / 3.182, rel=1e-3)  # t with 3 degrees of freedom
    assert np.isnan(whole.response(EVIL, "rlimit.exits_per_vcpu").mean).all()


def test_settings_that_only_some_cells_have() -> None:
    """Cases without a key stand at a level of their own."""
    result = document()
    for row in result["cells"][:2]:
        del row["settings"]["spe.interval"]
    axis = grid.grid(sweep_result.of_json(result)).axes[1]
    assert axis.levels[-1] == grid.DEFAULT
    assert axis.at is None


@pytest.mark.parametrize(
    ("values", "kind", "least", "most"),
    [
        ([0.0, 1.0, 3.0], "from 0", 0, 3),
        ([1e-5, 0.0, 3.0], "logarithmic; 0 is grey", 1e-5, 3),
        ([-1.0, 0.0, 3.0], "around 0", -3, 3),
        ([2.0, 2.1, np.nan], "from 0", 0, 2.1),
        ([0.0, 0.0], "from 0", 0, 1),
    ],
)
def test_scales_are_honest(values: list[float], kind: str, least: float, most: float) -> None:
    """A scale begins at 0, is even about 0, or says that it is logarithmic; never cut."""
    norm, words = maps._norm(np.array(values))
    assert words == kind
    assert (norm.vmin, norm.vmax) == (least, most)


def test_further_axes_are_panels_or_held_at_their_middle() -> None:
    """Few combinations get a row each; many are held, and the text says at what."""
    few = [grid.Axis(name, ("a", "b", "c"), None) for name in ("x.p", "q", "r")]
    assert [s.text(few) for s in maps.slices(few, (0, 1))] == ["r = a", "r = b", "r = c"]
    many = [*few, grid.Axis("s", ("1", "2"), None)]
    assert [s.text(many) for s in maps.slices(many, (1, 2))] == ["p = b\ns = 2"]
    values = np.arange(27.0).reshape(3, 3, 3)
    assert maps.slices(few, (0, 1))[1].of(values).tolist() == values[:, :, 1].tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sweep_version": 2}, "sweep_version: must be 1"),
        ({"axes": {}}, "cells[0].settings.spe.interval: is no value of its axis"),
        ({"cells": []}, "cells: must have 1 or more"),
        ({"samples": {"method": "morris", "ranges": [], "points": []}}, "samples.ranges: must ha"),
        ({"sensitivity": {}}, "samples: goes with sensitivity"),
        ({"surprise": 1}, "surprise: is not a key"),
        ({"axes": {"vm.vcpus": [10**400]}}, "axes.vm.vcpus[0]: must be a number of a size"),
    ],
)
def test_damage_is_refused_where_it_is(change: dict[str, Any], said: str) -> None:
    """What is said begins with the path of the field."""
    with pytest.raises(DamagedError) as caught:
        sweep_result.of_json(document() | change)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("id", "../..", "cells[3].id: must be the name of a folder"),
        ("status", "idle", "cells[3].status: must be one of finished, failed"),
        ("arms", {"x": {"loss.total": metric(0.0)}}, "cells[3].arms: must not be there"),
        ("arms", {"x": {"loss.total": "0"}}, "cells[3].arms.x.loss.total: must be an object or"),
    ],
)
def test_damaged_cells_are_refused(key: str, value: object, said: str) -> None:
    """A failed cell with numbers, one that leads elsewhere."""
    damaged = document()
    damaged["cells"][3][key] = value
    with pytest.raises(DamagedError) as caught:
        sweep_result.of_json(damaged)
    assert str(caught.value).startswith(said)


# --- the page


def test_page_is_self_contained_and_escaped() -> None:
    """No script, picture or address; hostile names are text; equal bytes each time."""
    html = page.page(made())
    assert html == page.page(made())
    assert "<script" not in html
    assert "<image" not in html
    assert "http" not in html.replace("http-equiv", "").replace("http://www.w3.org/", "")
    assert "no luck &lt;script&gt;" in html
    for key in ("map-loss", "curves-loss", "map-time"):
        assert f'id="figure-{key}"' in html
    assert "matters-loss" not in html, "the grid is not complete"
    assert "The same in every cell: baremetal: 0 %." in html


def test_which_setting_matters() -> None:
    """A complete grid is ranked: the mode alone moves the time."""
    changed = document()
    changed["cells"][3] = changed["cells"][5] | {
        "settings": {"spe.interval": "4096ops", "driver.mode": "cpu", "vm.vcpus": 1}
    }
    result = sweep_result.of_json(changed)
    time = next(s for s in page.sections(result) if s.shown.key == "time")
    assert time.ranks == (
        (EVIL, "driver.mode", "100 %", "100 %", "0 %"),
        (EVIL, "spe.interval", "0 %", "0 %", "0 %"),
    )
    assert 'id="figure-matters-time"' in page.page(result)


def test_nothing_varies() -> None:
    """Constant metrics are a sentence, not a figure."""
    result = made(vary=0.0)
    loss = page.sections(result)[0]
    assert loss.pictures == ()
    assert loss.constant == f"baremetal: 0 %, {EVIL}: 0 %"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all screens."""
    with Browser() as opened:
        yield opened


@pytest.mark.parametrize(("screen", "dark"), SCREENS)
def test_in_a_browser(
    browser: Browser, tmp_path: Path, screen: tuple[int, int], dark: bool
) -> None:
    """Silent, no wider than the screen, and no text of a figure lies on another."""
    path = tmp_path / "report.html"
    path.write_text(page.page(made()), encoding="utf-8")
    browser.messages.clear()
    browser.device(*screen, dark=dark, phone=screen[0] < 500)
    browser.open(path)
    assert browser.messages == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= screen[0]
    drawn = browser.evaluate(TEXTS)
    assert len(drawn) == 4
    assert [overlaps(figure["texts"]) for figure in drawn] == [[]] * 4


# --- as a user


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep's folder beside a run's."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(TINY + MATRIX)
    assert call("sweep", "s.yaml", "-o", "runs/sweep", "-q").exit_code == 0
    return Path("runs/sweep")


def test_report_and_figures_again(swept: Path) -> None:
    """`report` makes the page of a sweep again, the same bytes, and its figures as files."""
    first = (swept / "report.html").read_bytes()
    (swept / "report.html").unlink()
    done = call("report", str(swept), "--figures")
    assert done.exit_code == 0, done.output
    assert (swept / "report.html").read_bytes() == first
    pngs = sorted((swept / "figures").glob("*.png"))
    assert pngs
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in pngs)
    assert all(p.with_suffix(".svg").is_file() for p in pngs)


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, ExitCode.USAGE), ("{", ExitCode.USAGE), ('{"sweep_version": 99}', ExitCode.BASELINE)],
)
def test_no_report_of_half_a_sweep(text: str | None, code: int, tmp_path: Path) -> None:
    """Not ended, damaged, or of another version: said so, no traceback."""
    (tmp_path / sweeping.MANIFEST).write_text("{}")
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    done = call("report", str(tmp_path))
    assert done.exit_code == code
    assert done.stderr.startswith("speskew: ")


def test_index_of_runs_and_sweeps(swept: Path) -> None:
    """Each with its numbers and a link that leads there; what is not whole is said to be so."""
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
