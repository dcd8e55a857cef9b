"""The first screen of a sweep: ranges, and the setting that decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.results import sweep_result
from reports.results.sweep_result import SweepResult
from reports.sweeps import page, sweeping
from reports.sweeps.firstscreen import Line, lines
from tests.rigs.swept_result import EVIL, document, made
from tests.rigs.tiny import TINY, call

ASKED = [(shown.key, shown.metric, shown.title) for shown in page.METRICS]


def first(result: SweepResult) -> dict[str, Line]:
    """As the page has it, by arm."""
    ranks = {section.shown.key: section.ranks for section in page.sections(result)}
    return {line.arm: line for line in lines(result, ASKED, ranks)}


def test_what_varies_has_ends_and_a_place() -> None:
    """The least and the most are those of the cells; a complete grid tells what decides."""
    changed = document()
    changed["cells"][3] = changed["cells"][5] | {
        "settings": {"spe.interval": "4096ops", "driver.mode": "cpu", "vm.vcpus": 1}
    }
    result = sweep_result.of_json(changed)
    found = first(result)
    spans = {span.title: span for line in found.values() for span in line.spans if span.decides}
    assert spans["Time added"].decides == "driver.mode"
    assert "driver.mode = " in spans["Time added"].worst
    assert any("(driver.mode decides most)" in line.sentence for line in found.values())


def test_what_does_not_vary_is_one_number() -> None:
    """No place, nothing decides."""
    for line in first(made(vary=0.0)).values():
        assert all(
            (span.worst, span.decides) == ("", "") for span in line.spans if span.low == span.high
        )
        assert "decides" not in line.sentence
        assert " to " not in line.spans[0].text


def test_it_is_on_the_page_before_any_figure() -> None:
    """A sentence and a row an arm, escaped."""
    html = page.page(made())
    assert html.index('id="answer"') < html.index('class="glance"') < html.index("<svg")
    assert EVIL not in html


@pytest.fixture
def sampled(own_folder: Path) -> SweepResult:
    """A sweep that draws its cells, of which one setting decides."""
    samples = """\
samples:
  method: morris
  points: 4
  over:
    parameters.t_fault: {low: 1us, high: 100us}
    parameters.t_copy: {low: 20ns, high: 500ns}
"""
    Path("drawn.yaml").write_text(TINY + samples)
    done = call("sweep", "drawn.yaml", "-o", "out", "-q", "--no-report")
    assert done.exit_code == 0, done.stderr
    return sweeping.read_result(Path("out"))


def test_of_samples_only_what_is_clear_decides(sampled: SweepResult) -> None:
    """What a fault costs decides the time of an unpinned guest."""
    time = next(span for span in first(sampled)["cold"].spans if span.title == "Time added")
    assert time.decides == "t_fault"
    assert time.worst == ""
