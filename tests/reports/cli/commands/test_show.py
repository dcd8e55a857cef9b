"""`speskew show`: what a run printed, a scenario resolved, a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_show_prints_what_run_printed() -> None:
    """The summary again from the directory, or its JSON."""
    done = call("run", "tiny.yaml", "-o", "out", "--replications", "2", "--no-report")
    assert call("show", "out").stdout == done.stdout
    shown = call("show", "out", "--format", "json").stdout
    assert shown == Path("out/result.json").read_text()


def test_show_resolves_a_scenario() -> None:
    """A scenario is printed as it resolves, overrides included."""
    done = call("show", "tiny.yaml", "--set", "seed=11")
    assert done.exit_code == 0
    assert "seed: 11" in done.stdout
    assert "3GHz" in done.stdout


@pytest.mark.parametrize(
    ("text", "code"),
    [("[]", ExitCode.USAGE), ("{", ExitCode.USAGE), ('{"result_version": 99}', ExitCode.BASELINE)],
)
def test_show_refuses_what_it_cannot_read(text: str, code: ExitCode) -> None:
    """Not a result: 2. Another version: 5."""
    Path("other").mkdir()
    Path("other/result.json").write_text(text)
    assert call("show", "other").exit_code == code
