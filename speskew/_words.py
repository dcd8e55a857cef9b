"""`speskew.explain` and the lists: what there is, and what its names mean."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from reports.reference import explaining, listing, searching
from reports.reference.explaining import Entry
from speskew import _html


class Explanation:
    """What a name means. `print` shows what `speskew explain` prints."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        """Each meaning: name, kind, meaning, unit, source."""

    def __repr__(self) -> str:
        return explaining.as_text(list(self.entries)).rstrip("\n")

    def _repr_html_(self) -> str:
        return _html.text(repr(self))


def explain(name: str) -> Explanation:
    """The meanings of a metric, column, ledger label, parameter, scenario key or design; of any
    other word, what it is about: "AUX data lost", "resonance".

    Raises ValueError for what leads nowhere, with the nearest words.
    """
    found = searching.search(name).entries
    if not found:
        raise ValueError(searching.problem_with(name))
    return Explanation(tuple(found))


def _frame(what: listing.What) -> pd.DataFrame:
    return pd.DataFrame([asdict(row) for row in listing.rows(what)])


def list_scenarios() -> pd.DataFrame:
    """Stock scenarios: name, question, arms."""
    return _frame("scenarios")


def list_designs() -> pd.DataFrame:
    """Every way to keep the buffer mapped: name, description, source, questions, policies."""
    return _frame("designs")


def list_presets() -> pd.DataFrame:
    """Processors: name, description, facts with their sources."""
    return _frame("presets")


def list_streams() -> pd.DataFrame:
    """Recorded programs: name, program, ops, size."""
    return _frame("streams")
