"""report.html: self-contained, escaped, the same bytes each time."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from reports import figures
from reports.pages import page
from reports.results import shapes
from reports.store.csvdata import dumps
from tests.reports import drawing
from tests.rigs.fakes import Plan
from tests.rigs.samples import EVIL, described, source

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


@pytest.fixture
def drawn_before(drawn: dict[str, figures.Drawn], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages have these: they take ten times as long as the rest of a page."""
    monkeypatch.setattr(figures, "draw", lambda *_: list(drawn.values()))


def test_page_is_one_file_without_script_or_network(html: str) -> None:
    """No element that fetches or runs; every reference stays inside."""
    outline = Outline()
    outline.feed(html)
    assert outline.stack == []
    assert outline.bad == []
    assert not outline.tags & {"script", "link", "img", "iframe", "object", "embed", "form"}
    data = "data:text/csv;charset=utf-8;base64,"
    assert all(link.startswith(("#", data)) for link in outline.links)
    assert {link for link in outline.links if link.startswith("#")} <= {
        f"#{name}" for name in re.findall(r'\bid="([^"]+)"', html)
    }
    assert not re.search(r"@import|url\((?!#)", html)
    assert len(html.encode()) < 1_500_000


@pytest.mark.usefixtures("drawn_before")
def test_same_bytes_each_time(html: str) -> None:
    """From new objects, the same page."""
    assert page.render(source()) == html


def test_hostile_names_are_escaped(html: str) -> None:
    """Scenario name, question and symbols are text."""
    assert EVIL not in html
    assert "<script" not in html
    assert "made &lt;up&gt;" in html
    assert not any(not c.isprintable() and c not in "\n\u00a0" for c in html)


@pytest.mark.usefixtures("drawn_before")
def test_the_scenario_text_cannot_turn_round() -> None:
    """A mark that reverses what follows is shown as YAML's escape of it, line by line."""
    made = replace(source(), resolved='name: "\u202ex<b>"\nseed: 1\n')
    assert "name: &#34;\\u202ex&lt;b&gt;&#34;\nseed: 1\n</code>" in page.render(made)


def test_prediction_and_unverified_are_badged(html: str) -> None:
    """The banner, a badge for each parameter without a source, a reading under each figure."""
    assert "Everything here is simulated" in html
    assert html.count("figcaption>Prediction:") == 11
    assert re.search(r"<code>t_map_cold</code> <span class=\"badge\">UNVERIFIED", html)
    assert not re.search(r"<code>t_trap</code> <span class=\"badge\">UNVERIFIED", html)
    assert "KVM_EXIT_ARM_SEA" in html


def test_ledgers_are_complete(html: str) -> None:
    """Every op label that occurs has a row with its total."""
    for label, ops in described().arms["v6"].ledger.ops.items():
        if ops:
            assert f">{label}<" in html
            assert f">{ops:,}<" in html


def test_light_dark_and_phone(html: str) -> None:
    """The style follows the reader's device."""
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_every_table_can_be_taken_home(html: str) -> None:
    """One link a table, whose bytes are the CSV that the figures are drawn from."""
    links = re.findall(r'download="([a-z]+)\.csv" href="data:[^,]+,([^"]*)"', html)
    tables = source().tables
    assert sorted(name for name, _ in links) == sorted(n for n, t in tables.items() if t.rows)
    for name, data in links:
        assert base64.b64decode(data).decode() == dumps(tables[name])


def test_page_stays_small_with_many_arms() -> None:
    """Thirty arms: at most 1.5 MB; the largest tables are then named, not carried along."""
    symbols = tuple(f"{'function_' * 20}{k}" for k in range(40))
    shares = tuple(1 / 40 for _ in symbols)
    plans = [
        Plan(
            name=f"arm{k}",
            design="v6" if k else "baremetal",
            seed=k,
            symbols=symbols,
            shares=shares,
            truth=shares,
            lost=100,
            replications=2,
        )
        for k in range(30)
    ]
    text = page.render(source(plans))
    assert len(text.encode()) < 1_500_000
    assert "<code>data/symbols.csv</code> in the run directory" in text
    assert 'download="locked.csv"' in text or 'download="commands.csv"' in text


@pytest.mark.usefixtures("drawn_before")
def test_tables_take_the_room_that_figures_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is one for the whole page: with less of it fewer tables come along."""
    whole = len(page.render(source()).encode())
    monkeypatch.setattr(page, "LARGEST", whole - 20_000)
    less = page.render(source())
    assert whole - 80_000 < len(less.encode()) <= whole - 20_000
    assert "in the run directory" in less


def test_the_answer_comes_first(html: str) -> None:
    """Before any table or figure one sentence an arm; then the glance; then three sentences."""
    answers, glance = html.index('id="answer"'), html.index('<table class="glance">')
    assert answers < glance < html.index("<svg")
    assert html[answers:glance].count("<dd>") == 5
    said = re.findall(r'<p class="short">(.*?)</p>', html[glance : html.index("<svg")])
    assert len(said) == 5
    assert "loses" in said[0]
    assert "upper bound" in said[2]


def test_tables_and_frames_can_be_heard_and_reached(html: str) -> None:
    """Every head has a scope, every frame that scrolls can be reached by keyboard."""
    assert not re.search(r"<th(?![^>]*scope=)[ >]", html.replace("<thead", ""))
    assert html.count('<div class="scroll') == len(
        re.findall(r'<div class="scroll[^>]* tabindex="0"', html)
    )
    assert '<a class="skip" href="#answer">' in html
    assert "<caption>" in html


def test_kernel_overlay_is_badged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The overlay's lengths have no source, and the page says so."""
    drawing.only(monkeypatch)
    workload = {"kind": "recorded", "path": "streams/mix.spestream", "kernel": {}}
    text = page.render(source((Plan(settings={"workload": workload}),)))
    for name in ("tick_ops", "svc_ops", "masked_prefix", "cpi_millis"):
        assert re.search(rf"<code>{name}</code> <span class=\"badge\">UNVERIFIED", text), name
    assert not re.search(r"<code>tick_every</code> <span class=\"badge\">", text)


def test_every_distance_and_agreement_is_shown(html: str) -> None:
    """All three distances with floors, overlap and ranks, a row an arm and view."""
    result = described()
    for words in ("Total variation distance", "Jensen-Shannon divergence", "Hellinger distance"):
        assert f"<summary>{words}" in html
    found = page._agreement(result)
    assert len(found) == 4 * len(result.arm_order)  # no records were kept, so no latencies
    first = dict(shapes.items(result.arms["baremetal"].profile.symbol))
    assert found[0][2:] == tuple(page._mean(first[k]) for k in page.AGREEMENT)
    assert set(page.AGREEMENT) < set(first)
    for cell in found[0][2:]:
        assert f'<td class="n">{cell}</td>' in html
