"""What can go wrong that a user can do something about: one base, and what kind of thing it is.

The command line turns the kind into an exit code (`reports.exitcodes`); a script catches
`SpeskewError`. Whatever else is raised is a defect of speskew.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """Whose turn it is."""

    INPUT = "what was given cannot be used: a scenario, stream, capture, folder, option"
    BASELINE = "a baseline is missing, or it or a result is of another schema version"
    DIED = "processes that simulate are killed: memory is short, or somebody ends them"
    LAW = "a ledger's law is broken: the model is wrong, and its numbers with it"


class SpeskewError(Exception):
    """Base of every error whose message is meant for a user: what, why, how to go on."""

    kind: ClassVar[Kind] = Kind.INPUT
