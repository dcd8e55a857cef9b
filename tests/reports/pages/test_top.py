"""The ten hottest functions, arm by arm: shares, errors, marks; names in both spellings."""

from __future__ import annotations

import json
from dataclasses import replace

from reports.pages import top
from reports.results.metric import Metric
from reports.results.result import Result
from tests.rigs.samples import described

PUSH = "_ZNSt6vectorIiSaIiEE9push_backERKi"
SHOWN = "std::vector<int, std::allocator<int> >::push_back(int const&)"


def mangled() -> Result:
    """The made-up run, whose first function is one of C++ and is off in v6."""
    result = described()
    arms = dict(result.arms)
    for name, arm in arms.items():
        if arm.share_errors:
            first = replace(
                arm.share_errors[0],
                symbol=PUSH,
                share=0.5,
                vs_truth=Metric(1.5, (1.0, 2.0), 10, "pp"),
                differs_from_truth=name == "v6",
            )
            arms[name] = replace(arm, share_errors=(first, *arm.share_errors[1:]))
    return replace(result, arms=arms)


def test_a_row_has_both_shares_and_the_error() -> None:
    """50 % in the truth, 51.5 % here: +1.5 pp with its interval, marked where it is found."""
    result = mangled()
    name, *numbers = top.rows(result.arms["v6"])[0]
    assert name.startswith("std::vector<…>::push_back(int const&)")
    assert numbers == ["50 %", "51.5 %", "+1.50 *", "[1.00, 2.00]"]
    assert top.rows(result.arms["baremetal"])[0][3] == "+1.50"


def test_arms_without_samples_say_so() -> None:
    """No table, and none of its numbers."""
    result = described()
    none = tuple(
        replace(one, vs_truth=Metric(None, None, 0, "pp"))
        for one in result.arms["silent"].share_errors
    )
    assert none
    arms = {**result.arms, "silent": replace(result.arms["silent"], share_errors=none)}
    assert top.rows(arms["silent"]) == []
    assert f"silent: {top.NOTHING}" in top.render(replace(result, arms=arms))


def test_text_is_printable_and_fits() -> None:
    """Hostile names are harmless; no line is longer than a hundred characters."""
    text = top.render(mangled())
    assert all(line.isprintable() for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= top.WIDTH


def test_json_loses_no_name() -> None:
    """The symbol as it is beside the one for people."""
    first = json.loads(top.as_json(mangled()))["v6"][0]
    assert (first["symbol"], first["name"]) == (PUSH, SHOWN)
    assert first["error"]["ci95"] == [1.0, 2.0]
    assert first["differs"] is True
