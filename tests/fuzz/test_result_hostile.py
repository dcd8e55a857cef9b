"""A damaged result.json: refused by the path of the field, or harmless; never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.exitcodes import ExitCode
from reports.results import result
from reports.results.damage import DamagedError
from tests.fuzz.targets import say
from tests.rigs.samples import PLANS, plain
from tests.rigs.tiny import call

WHOLE = plain(PLANS[:3])
Steps = tuple[str | int, ...]


def places(node: Any, at: Steps = ()) -> Iterator[Steps]:
    """Every field of a document, the branches too."""
    if at:
        yield at
    if isinstance(node, (dict, list)):
        for step, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(inner, (*at, step))


PLACES = sorted(places(WHOLE), key=str)
NOTHING = {"mean": None, "ci95": None, "n": 0, "unit": "fraction"}
VALUES: st.SearchStrategy[object] = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        2**63,
        10**400,
        0.5,
        -1e308,
        1e308,
        1e-308,
        "",
        "exact",
        [],
        {},
        [0, 1],
        NOTHING,
    ]
) | st.text(max_size=3)
GONE = object()


def damaged(at: Steps, value: object) -> Any:
    """The document with something else in one place, or without it."""
    found = json.loads(json.dumps(WHOLE))
    node = found
    for step in at[:-1]:
        node = node[step]
    if value is GONE:
        del node[at[-1]]
    else:
        node[at[-1]] = value
    return found


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_field_may_be_anything(data: st.DataObject) -> None:
    """One or two fields exchanged or taken away: refused with a path, or all is said as usual."""
    at = data.draw(st.sampled_from(PLACES))
    document = damaged(at, data.draw(VALUES | st.just(GONE)))
    refused = None
    try:
        found = result.of_json(document)
    except DamagedError as error:
        refused = error
    if refused is not None:
        assert refused.path
        return
    say(found)
    assert result.parse(result.dumps(found)) == found


@pytest.mark.parametrize("command", ["show", "compare", "report", "check"])
@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (("arms", "v6", "loss", "total", "mean"), "?", "arms.v6.loss.total.mean: must be a number"),
        (("arms", "v6", "setup"), GONE, "arms.v6.setup: is missing"),
        (("arms", "v6", "time_band"), [], "arms.v6.time_band: must be an object"),
        (("arm_order",), [], "arm_order: must have 1 or more"),
    ],
)
def test_every_command_names_the_field(
    command: str, at: Steps, value: object, said: str, tmp_path: Path
) -> None:
    """File, path and what must be there, on stderr; exit code 2."""
    (tmp_path / "result.json").write_text(json.dumps(damaged(at, value)))
    arguments = [str(tmp_path)] * (2 if command == "compare" else 1)
    done = call(command, *arguments)
    assert done.exit_code == ExitCode.USAGE, done.output
    assert done.stderr.startswith(f"speskew: {tmp_path / 'result.json'}: {said}")
    assert not done.stdout
