"""report.html in a real browser: desktop and phone, light and dark."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.browser import Browser, overlaps
from tests.rigs.samples import KEYS

DESKTOP, PHONE = (1280, 900), (390, 844)
SCREENS = [(s, dark) for s in (DESKTOP, PHONE) for dark in (False, True)]
WHITE = "rgb(255, 255, 255)"
TEXTS = """
[...document.querySelectorAll('figure svg')].map(svg => ({
  figure: svg.closest('figure').id,
  box: (b => ({left: b.left, right: b.right, top: b.top, bottom: b.bottom}))(
    svg.getBoundingClientRect()),
  texts: [...svg.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => {
    const b = t.getBoundingClientRect();
    return {text: t.textContent, left: b.left, right: b.right, top: b.top, bottom: b.bottom};
  })}))
"""
CONTRAST = """
[...document.querySelectorAll('p, td, th, dt, dd, small, caption, .mark, h1, h2, h3')].concat(
 [...document.querySelectorAll('figcaption, summary, svg text')]).map(e => {
  const s = getComputedStyle(e);
  return e.tagName === 'text' ? s.fill : s.color;
})
"""


@pytest.fixture(scope="module")
def report(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the made-up run, as a file."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with Browser() as opened:
        yield opened


def test_a_browser_that_does_not_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, no descriptor, no process, which would be an error in some later test."""
    made = tmp_path / "chromium"
    made.write_text("#!/bin/sh\nexit 1\n")
    made.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises((AssertionError, BrokenPipeError)), Browser():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["chromium"]
    assert set(os.listdir("/proc/self/fd")) == before


def _opened(browser: Browser, report: Path, screen: tuple[int, int], dark: bool) -> Browser:
    browser.messages.clear()
    browser.device(*screen, dark=dark, phone=screen == PHONE)
    browser.open(report)
    return browser


@pytest.mark.parametrize(("screen", "dark"), SCREENS)
def test_page_is_silent_and_whole(
    browser: Browser, report: Path, screen: tuple[int, int], dark: bool
) -> None:
    """No console message, no request, every figure with a size, no label on another."""
    _opened(browser, report, screen, dark)
    found = browser.evaluate(TEXTS)
    assert [f["figure"].removeprefix("figure-") for f in found] == KEYS
    for figure in found:
        box = figure["box"]
        assert box["right"] - box["left"] > 300
        assert box["bottom"] - box["top"] > 60
        assert len(figure["texts"]) > 5
        assert overlaps(figure["texts"]) == [], figure["figure"]
        for text in figure["texts"]:
            assert box["left"] - 2 <= text["left"], (figure["figure"], text)
            assert text["right"] <= box["right"] + 2, (figure["figure"], text)
    assert browser.messages == []


@pytest.mark.parametrize(("screen", "dark"), SCREENS)
def test_page_fits_the_screen(
    browser: Browser, report: Path, screen: tuple[int, int], dark: bool
) -> None:
    """The page never scrolls sideways; wide tables and figures do, in their own frames."""
    _opened(browser, report, screen, dark)
    assert browser.evaluate("document.documentElement.scrollWidth") <= screen[0]
    assert browser.evaluate("getComputedStyle(document.querySelector('p')).fontSize") == "16px"


@pytest.mark.parametrize(("screen", "most"), [(DESKTOP, 1200), (PHONE, 2600)])
def test_the_answer_is_on_the_first_screens(
    browser: Browser, report: Path, screen: tuple[int, int], most: int
) -> None:
    """Five arms: answers and glance end so soon, and no cell of the glance is cut off."""
    _opened(browser, report, screen, dark=False)
    end = "document.querySelector('.glance').getBoundingClientRect().bottom + scrollY"
    assert browser.evaluate(end) < most
    frame = "document.querySelector('.whole')"
    assert browser.evaluate(f"{frame}.scrollWidth <= {frame}.clientWidth + 1")


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_in_both_themes(browser: Browser, report: Path, dark: bool) -> None:
    """Every text has a contrast of at least 4.5 with the page (WCAG 2 AA)."""
    _opened(browser, report, DESKTOP, dark)
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (_luminance(paper) < 0.5) is dark
    colours = set(browser.evaluate(CONTRAST))
    assert colours
    for colour in colours:
        light, shade = sorted((_luminance(paper), _luminance(colour)), reverse=True)
        assert (light + 0.05) / (shade + 0.05) >= 4.5, colour


def _luminance(colour: str) -> float:
    """Relative luminance of an ``rgb(r, g, b)``."""
    channels = [int(x) / 255 for x in colour.split("(")[1].rstrip(")").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_page_prints(browser: Browser, report: Path) -> None:
    """A PDF of several pages without a message: black on white, in dark mode too."""
    _opened(browser, report, DESKTOP, dark=True)
    browser.emulate("print")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == WHITE
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") >= 5
    assert browser.messages == []


def test_messages_and_overlaps_are_seen(browser: Browser, tmp_path: Path) -> None:
    """Positive control: a page that logs, throws, fetches, and writes one label on another."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!DOCTYPE html><script>console.log('said'); fetch('http://127.0.0.1:9/')</script>"
        "<figure id='figure-x'><svg width='100' height='50'><text x='5' y='20'>one</text>"
        "<text x='8' y='22'>two</text></svg></figure>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
        "<script>throw new Error('thrown')</script>"
    )
    _opened(browser, bad, DESKTOP, dark=False)
    (figure,) = browser.evaluate(TEXTS)
    assert overlaps(figure["texts"]) == [("two", "one")]
    said = "\n".join(browser.messages)
    assert "said" in said
    assert "127.0.0.1:9" in said


def test_all_screens_are_tried() -> None:
    """Two widths in two themes."""
    assert len(set(SCREENS)) == len(list(itertools.product((DESKTOP, PHONE), (False, True))))
