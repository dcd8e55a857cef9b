"""One verdict in every format."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from reports.exitcodes import ExitCode
from tests.rigs.tiny import call, scenario

pytestmark = pytest.mark.usefixtures("own_folder")


def test_formats_say_the_same() -> None:
    """Each format has every check with its verdict; failures are never inverted."""
    fail = "{name: bad, test: bound, metric: arms.cold.loss.total, at_most: 1%}"
    skip = "{name: none, test: equivalence, metric: arms.v6.profile.symbol.tvd_excess, within: 1%}"
    file = scenario("little", fail, skip)
    table = call("check", file, "-q")
    assert table.exit_code == ExitCode.FAILED
    assert re.findall(r"^(PASS|FAIL|SKIP) +(\w+)$", table.stdout, re.M) == [
        ("PASS", "little"),
        ("FAIL", "bad"),
        ("SKIP", "none"),
    ]
    ktap = call("check", file, "-q", "--format", "ktap").stdout.splitlines()
    assert ktap[:2] == ["TAP version 13", "1..3"]
    results = [line for line in ktap if not line.startswith("#")][2:]
    assert results == ["ok 1 little", "not ok 2 bad", "ok 3 none # SKIP"]
    suite = ElementTree.fromstring(call("check", file, "-q", "--format", "junit").stdout)
    assert suite.attrib["tests"] == "3"
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("1", "1")
    assert [c.attrib["name"] for c in suite if c.find("failure") is not None] == ["bad"]
    assert [c.attrib["name"] for c in suite if c.find("skipped") is not None] == ["none"]
    rows = call("check", file, "-q", "--format", "md").stdout.splitlines()
    assert [row.split("|")[1].strip() for row in rows if row.startswith("| ")] == [
        "verdict",
        "PASS",
        "FAIL",
        "SKIP",
    ]
