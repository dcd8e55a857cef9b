"""Exit codes: one meaning each, one for every kind of error, and those for `git bisect`."""

from __future__ import annotations

import pytest

from reports import exitcodes
from reports.exitcodes import ExitCode
from sim.errors import Kind, SpeskewError


def test_each_code_is_explained_once() -> None:
    """All of them, in order, in the table that `--help` shows."""
    assert list(exitcodes.MEANING) == list(ExitCode)
    lines = exitcodes.table().splitlines()[2:]
    assert [int(line.split()[0]) for line in lines] == [code.value for code in ExitCode]


def test_no_error_looks_like_a_verdict() -> None:
    """1 says that a check FAILED and 4 that nothing was decided: no kind of error may say so."""
    for kind in Kind:
        error = type("Made", (SpeskewError,), {"kind": kind})("x")
        code = exitcodes.of_error(error)
        assert code not in (ExitCode.OK, ExitCode.FAILED, ExitCode.UNDECIDED), kind


@pytest.mark.parametrize("code", ExitCode)
def test_a_commit_is_good_bad_or_skipped(code: ExitCode) -> None:
    """Pass and fail are kept, Ctrl-C ends the bisection; git takes 125 for "cannot be tested"."""
    kept = {ExitCode.OK: 0, ExitCode.FAILED: 1, ExitCode.INTERRUPTED: 130}
    assert exitcodes.bisect_code(code) == kept.get(code, 125)
