"""The report of a sweep and the index over many runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from reports.results import sweep_result
from reports.sweeps import page, sweeping
from tests.reports.pages.test_browser import SCREENS, TEXTS
from tests.rigs.browser import Browser, overlaps
from tests.rigs.swept_result import EVIL, document, made
from tests.rigs.tiny import call

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
