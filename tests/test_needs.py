"""A missing tool fails in CI and is skipped elsewhere."""

from __future__ import annotations

import pytest

from tests.needs import need


@pytest.mark.parametrize(
    ("ci", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_tool(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the tool and the package that has it."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(outcome, match=r"perf missing \(apt-get install linux-perf\)"):
        need("perf")


def test_tools_that_are_there() -> None:
    """Their paths, in order."""
    assert need() == ()
