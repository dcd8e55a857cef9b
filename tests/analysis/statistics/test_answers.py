"""Three answers: which one, with what size, and in what words."""

from __future__ import annotations

import pytest

from analysis.statistics.answers import Answer, Kind, Terms, answer, short, worst
from analysis.statistics.intervals import Interval


def of(effect: float, low: float, high: float) -> Answer:
    """Against a margin of 1 %, eight replications."""
    return answer(effect, (low, high), 0.01, n=8)


@pytest.mark.parametrize(
    ("found", "cell", "words"),
    [
        (of(0.03, 0.02, 0.04), "skewed by 3 %", "skewed by 3.0 % [2.0, 4.0]"),
        (of(-0.03, -0.04, -0.02), "skewed by -3 %", "skewed by -3.0 % [-4.0, -2.0]"),
        (of(0.001, -0.002, 0.004), "the same within ±1 %", "the same within ±1 %"),
        (
            of(0.003, 0.002, 0.004),
            "the same within ±1 %",
            "the same within ±1 % (skewed by 0.30 % [0.20, 0.40], less than matters)",
        ),
        (
            of(0.004, -0.002, 0.031),
            "cannot tell: ≤ 3.1 %",
            "cannot tell (it could be as much as 3.1 %; about {n} replications would, or a longer "
            "run)",
        ),
        (
            of(0.014, 0.004, 0.024),
            "cannot tell: ≤ 2.4 %",
            "cannot tell whether it matters (skewed by 1.4 % [0.4, 2.4], where 1 % would; about "
            "{n} replications would, or a longer run)",
        ),
    ],
)
def test_answers(found: Answer, cell: str, words: str) -> None:
    """Each kind with its size."""
    assert found.cell() == cell
    assert found.words() == words.replace("{n}", str(found.needed))


def test_an_answer_is_certain_or_it_is_none() -> None:
    """An end of the interval on the wrong side of the margin leaves it open; needed is dropped."""
    assert of(0.02, 0.0101, 0.03).kind is Kind.SKEWED
    assert of(0.02, 0.0099, 0.03).kind is Kind.OPEN
    assert of(0.0, -0.01, 0.01).kind is Kind.SAME
    assert of(0.0, -0.01, 0.0101).kind is Kind.OPEN
    assert of(0.0, -0.01, 0.01).needed is None


def test_more_replications_are_named_only_where_they_would_tell() -> None:
    """Twice as wide asks for about four times as many; on the edge no number does."""
    few, many = of(0.0, -0.02, 0.02).needed, of(0.0, -0.04, 0.04).needed
    assert few is not None
    assert many is not None
    assert 3 < many / few < 4.5
    assert 8 < few < 80
    edge = of(0.01, 0.005, 0.015)
    assert edge.needed is None
    assert edge.words().endswith("a longer run would)")


@pytest.mark.parametrize("interval", [None, "exact"])
def test_without_spread(interval: Interval) -> None:
    """One replication tells nothing; the same number in all of them is that number."""
    found = answer(0.02, interval, 0.01, n=1 if interval is None else 4)
    assert found.kind is (Kind.OPEN if interval is None else Kind.SKEWED)
    assert ("run 2 or more" in found.words()) == (interval is None)
    assert answer(None, None, 0.01, n=0).words() == "cannot tell (no samples)"


def test_too_few_events_undo_every_answer_but_a_certain_one() -> None:
    """What is skewed stays so."""
    why = "2 full buffers; workload.repeat: 80 would do"
    assert short(of(0.0, 0.0, 0.001), why).words() == f"too short to tell ({why})"
    assert short(of(0.0, 0.0, 0.1), why).cell() == "too short to tell"
    assert short(of(0.05, 0.04, 0.06), why).kind is Kind.SKEWED


def test_the_worst_answer_is_told_first() -> None:
    """Skewed, then open, then too short; the larger of two alike."""
    same, open_, skewed = of(0.0, 0.0, 0.0), of(0.0, 0.0, 0.1), of(0.03, 0.02, 0.04)
    brief = short(same, "no full buffer")
    assert worst(same, brief, open_) is open_
    assert worst(brief, same) is brief
    assert worst(skewed, of(0.05, 0.02, 0.08), open_).effect == 0.05


def test_other_terms_and_units() -> None:
    """The words of another question, in another unit."""
    terms = Terms(differs="costs", same="costs nothing, within")
    assert answer(3.0, (2.0, 4.0), 1.0, n=4, unit="ms", terms=terms).cell() == "costs 3 ms"
    found = answer(0.0, (-0.5, 0.5), 1.0, n=4, unit="pp", terms=terms)
    assert found.words() == "costs nothing, within ±1 pp"
