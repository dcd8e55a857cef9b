"""result.json: names, laws, schema, bytes."""

from __future__ import annotations

import re

import pytest

from reports.results import result
from reports.results.damage import DamagedError
from tests.rigs.fakes import Plan
from tests.rigs.samples import PLANS, broken_at, described


@pytest.mark.parametrize("plans", [PLANS, PLANS[:1], (Plan(vcpus=2, replications=1),)])
def test_what_is_read_is_what_was_written(plans: tuple[Plan, ...]) -> None:
    """A result that is read and written again has the same bytes, whatever ran."""
    text = result.dumps(described(plans))
    assert result.dumps(result.parse(text)) == text


NOTHING = {"mean": None, "ci95": None, "n": 0, "unit": "fraction"}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("arm_order",), ["v6"], "arm_order: must name every arm once"),
        (("arm_order", 0), "v6", "arm_order: must name every arm once"),
        (("reference_arm",), "none", "reference_arm: must name an arm"),
        (("arms", "v6", "wall", "mean"), None, "arms.v6.wall: has an interval but no mean"),
        (("seed",), 10**40, "seed: is too large"),
        (("arms", "v6", "loss", "pin_refused"), NOTHING, "loss.pin_refused.mean: has a value only"),
        (
            ("arms", "v6", "profile", "pc", "tvd_truth_floor"),
            NOTHING,
            "pc.tvd_truth_floor.mean: has",
        ),
        (("arms", "v6", "profile", "pc", "tvd_noise_floor"), NOTHING, "tvd_noise_floor.mean: has"),
    ],
)
def test_what_does_not_go_together_is_refused(
    path: tuple[str | int, ...], value: object, said: str
) -> None:
    """What no schema can say, the classes do."""
    with pytest.raises(DamagedError, match=re.escape(said)):
        result.of_json(broken_at(path, value))


def test_equal_input_gives_equal_bytes() -> None:
    """Built twice from new objects, the file is the same; there is no NaN in it."""
    text = result.dumps(described())
    assert text == result.dumps(described())
    assert "NaN" not in text
    assert text.isascii()


def test_interrupted_result_has_the_finished_arms() -> None:
    """Fewer arms, and the mark."""
    found = described(PLANS[:2], interrupted=True)
    assert found.interrupted
    assert found.arm_order == ("baremetal", "v6")
