"""speskew explain in the words of perf, of the manual and of people."""

from __future__ import annotations

import json

import pytest

import speskew
from reports.exitcodes import ExitCode
from reports.reference.explaining import find
from reports.reference.searching import ALIASES, search
from tests.rigs.tiny import call


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("AUX data lost", "aux.lost"),
        ("AUX data lost 40 times out of 100!", "aux.lost"),
        ("COLLISION", "collided"),
        ("collisions", "collided"),
        ("TRUNCATED", "event_disabled"),
        ("throttling", "spe.interval"),
        ("resonance", "spe.jitter"),
        ("aliasing", "spe.jitter"),
        ("irq", "irq_masked"),
        ("KVM_EXIT_RLIMIT", "rlimit.exits"),
        ("erratum 1694299", "spe.target_bias_per_mille"),
        ("huge page", "vm.huge_pages"),
        ("zap", "counts.zaps"),
    ],
)
def test_words_lead_to_entries(words: str, name: str) -> None:
    """By alias, or by where a word stands in a name or a meaning."""
    assert name in {entry.name for entry in search(words).entries}
    done = call("explain", *words.split())
    assert done.exit_code == ExitCode.OK
    assert name in done.stdout
    told = json.loads(call("explain", words, "--format", "json").stdout)
    assert name in {entry["name"] for entry in told}


def test_every_alias_leads_somewhere() -> None:
    """To names that there are, and is written as it is looked up."""
    for words, names in ALIASES.items():
        assert words == " ".join(words.lower().split())
        for name in names:
            assert any(entry.name == name for entry in find(name)), (words, name)


def test_a_name_stays_what_it_is() -> None:
    """Search adds nothing to what has a name, and says so when nothing has."""
    assert call("explain", "host.memlock").stderr == ""
    assert [e.name for e in search("irq_masked").entries] == ["irq_masked"]
    assert "nothing is called 'TRUNCATED'" in call("explain", "TRUNCATED").stderr


def test_many_are_a_line_each() -> None:
    """A word of many meanings gives a list."""
    done = call("explain", "AUX")
    assert done.exit_code == ExitCode.OK
    assert len(done.stdout.splitlines()) > 12
    assert "  unit " not in done.stdout


@pytest.mark.parametrize(
    ("words", "near"),
    [("contxt swich", "context"), ("resonnce", "resonance")],
)
def test_nothing_found_says_the_nearest_words(words: str, near: str) -> None:
    """Names, aliases and words of the meanings are near."""
    done = call("explain", words)
    assert done.exit_code == ExitCode.USAGE
    assert "did you mean" in done.stderr
    assert near in done.stderr
    with pytest.raises(ValueError, match=near):
        speskew.explain(words)


def test_in_python() -> None:
    """The same search."""
    assert speskew.explain("AUX data lost").entries[0].name == "aux.lost"
