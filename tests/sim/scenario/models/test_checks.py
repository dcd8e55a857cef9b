"""Checks of a scenario: what is wrong with one is found at its place."""

from __future__ import annotations

import pytest

from reports.exitcodes import ExitCode
from tests.rigs.tiny import call, scenario

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{test: bound, metric: arms.v7.loss.total, at_most: 1%}", "tiny.yaml:18:27"),
        ("{test: bond, metric: arms.v6.loss.total}", "did you mean 'bound'"),
        ("{test: bound, metric: arms.v6.loss.total}", "at_most or at_least"),
        ("{test: bound, metrik: arms.v6.loss.total, at_most: 1%}", "did you mean 'metric'"),
        ("{test: distribution, arm: no, of: gaps, within: 1%}", "no arm 'no'"),
        ("{test: bound, metric: arms.v6.loss.total, at_most: many}", "cannot read 'many'"),
    ],
)
def test_wrong_checks_are_found_at_their_place(check: str, said: str) -> None:
    """Before anything runs: file:line:col, what and how to fix it."""
    done = call("validate", scenario(check))
    assert done.exit_code == ExitCode.USAGE
    assert "tiny.yaml:18:" in done.stderr
    assert said in done.stderr
