"""`speskew show`: what a run printed, a scenario resolved, a refusal."""

from __future__ import annotations

import json
import re
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


def test_top_is_the_hottest_functions_of_a_run() -> None:
    """A table an arm, or JSON; of a scenario, a design or in a mail it is none."""
    call("run", "tiny.yaml", "-o", "out", "--no-report", "--no-band")
    text = call("show", "out", "--top").stdout
    assert text.count("  function") == 3
    assert re.search(r"^  loop +81.8 % ", text, re.MULTILINE)
    found = json.loads(call("show", "out", "--top", "--format", "json").stdout)
    assert [one["name"] for one in found["v6"]] == ["loop", "walk"]
    for words in (["tiny.yaml"], ["design", "v6"], ["out", "--format", "mail"]):
        assert call("show", *words, "--top").exit_code == ExitCode.USAGE


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
