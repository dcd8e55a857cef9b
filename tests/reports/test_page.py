"""report.html: self-contained, escaped, the same bytes each time."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from reports import page
from sim.scenario import loader
from sim.scenario.model import Scenario
from tests.reports.samples import EVIL, arms, described, scenario

VOID = {"meta", "br", "link", "img", "path", "use", "rect"}


class Outline(HTMLParser):
    """Open elements, and every attribute that could fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what is open."""
        self.tags.add(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "action")]
        self.bad += [k for k, _ in attrs if k.startswith("on")]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """What closes must be what is open."""
        if tag not in VOID and self.stack.pop() != tag:
            self.bad.append(f"</{tag}>")


@pytest.fixture(scope="module")
def made() -> Scenario:
    """The made-up scenario."""
    return scenario(arms())


@pytest.fixture(scope="module")
def html(made: Scenario) -> str:
    """The page of the made-up run."""
    return page.render(made, loader.dump(made), arms(), described())


def test_page_is_one_file_without_script_or_network(html: str) -> None:
    """No element that fetches or runs; every reference stays inside."""
    outline = Outline()
    outline.feed(html)
    assert outline.stack == []
    assert outline.bad == []
    assert not outline.tags & {"script", "link", "img", "iframe", "object", "embed", "form"}
    assert all(link.startswith("#") for link in outline.links)
    assert not re.search(r"@import|url\((?!#)", html)
    assert len(html.encode()) < 1_500_000


def test_same_bytes_each_time(html: str, made: Scenario) -> None:
    """From new objects, the same page."""
    assert page.render(made, loader.dump(made), arms(), described()) == html


def test_hostile_names_are_escaped(html: str) -> None:
    """Scenario name, question and symbols are text."""
    assert EVIL not in html
    assert "<script" not in html
    assert "made &lt;up&gt;" in html
    assert not any(not c.isprintable() and c != "\n" for c in html)


def test_prediction_and_unverified_are_badged(html: str) -> None:
    """The banner, a badge for each parameter without a source, a reading under each figure."""
    assert "Everything here is simulated" in html
    assert html.count("figcaption>Prediction:") == 4
    assert re.search(r"<code>t_map_cold</code> <span class=\"badge\">UNVERIFIED", html)
    assert not re.search(r"<code>t_trap</code> <span class=\"badge\">UNVERIFIED", html)
    assert "KVM_EXIT_ARM_SEA" in html


def test_ledgers_are_complete(html: str) -> None:
    """Every op label that occurs has a row with its total."""
    arm = described()["arms"]["v6"]
    for label, ops in arm["ledger"]["ops"].items():
        if ops:
            assert f">{label}<" in html
            assert f">{ops:,}<" in html


def test_light_dark_and_phone(html: str) -> None:
    """The style follows the reader's device."""
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_perf_command_is_that_of_the_settings(made: Scenario) -> None:
    """What a reader would type on a machine with SPE."""
    settings = made.arms[0].settings
    assert page.perf_command(settings) == (
        "perf record -e arm_spe_0/period=1024/u -m ,1024 -- PROGRAM"
    )
    spe = settings.spe.model_copy(update={"jitter": "on", "exclude_kernel": False})
    changed = settings.model_copy(update={"spe": spe})
    assert "arm_spe_0/period=1024,jitter=1/ " in page.perf_command(changed)


def test_overridden_parameters_are_shown() -> None:
    """An arm that changes a time is named beside the default."""
    from tests.analysis.fakes import Plan

    plans = (Plan(settings={"parameters": {"t_pin": "150ns"}}),)
    found = arms(plans)
    text = page.render(scenario(found), "", found, described(plans))
    assert "baremetal: 150ns" in text
