"""`speskew baseline` as a verb."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.checks import baselines
from reports.exitcodes import ExitCode
from tests.reports.checks.made import made
from tests.rigs.tiny import call, scenario

pytestmark = pytest.mark.usefixtures("own_folder")


def test_update_says_old_and_new_and_nothing_is_silent() -> None:
    """Made once; untouched if equal; with a change: old → new; --dry-run writes nothing."""
    file = scenario("counters")
    path = Path("baselines/tiny.json")
    assert "new" in call("baseline", "update", file, "-q").stdout
    first = path.read_bytes()
    again = call("baseline", "update", file, "-q")
    assert "nothing changed" in again.stderr
    assert (again.stdout, path.read_bytes()) == ("", first)
    change = ("--set", "parameters.t_irq_latency=600ns")
    said = call("baseline", "update", file, "-q", *change, "--dry-run")
    assert "→" in said.stdout
    assert "not written" in said.stderr
    assert path.read_bytes() == first
    assert call("check", file, "-q").exit_code == 0
    assert path.read_bytes() == first, "check never writes"
    assert call("baseline", "update", file, "-q", *change).stdout == said.stdout
    assert path.read_bytes() != first
    assert call("check", file, "-q").exit_code == ExitCode.FAILED
    assert list(path.parent.iterdir()) == [path]


def test_update_writes_beside_its_own_scenario() -> None:
    """A namesake's baseline elsewhere (here in ./scenarios) is another's: read by none, kept."""
    file = scenario("counters")
    Path("scenarios").mkdir()
    baselines.write(made("scenarios/baselines/tiny.json"))
    before = Path("scenarios/baselines/tiny.json").read_bytes()
    assert call("baseline", "update", file, "-q").exit_code == 0
    assert Path("baselines/tiny.json").is_file()
    assert Path("scenarios/baselines/tiny.json").read_bytes() == before


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/b", "..", "x" * 200])
def test_a_name_leads_nowhere_else(name: str) -> None:
    """Whatever a scenario is called, its baseline stays in baselines/ and is found again."""
    path = baselines.beside(name, Path("here"))
    assert path.parent == Path("here/baselines")
    assert len(path.name) < 120
    file = scenario("counters")
    Path(file).write_text(Path(file).read_text().replace("name: tiny", f"name: {name}"))
    assert call("baseline", "update", file, "-q").exit_code == 0
    assert [p.parent for p in Path().rglob("*.json")] == [Path("baselines")]
    assert call("check", file, "-q").exit_code == 0


def test_update_keeps_the_number_of_replications() -> None:
    """As many as it has, unless told; the command that it records makes it again."""
    file = scenario("counters")
    call("baseline", "update", file, "-q", "--replications", "2")
    call("baseline", "update", file, "-q", "--set", "parameters.t_irq_latency=600ns")
    found = baselines.read(Path("baselines/tiny.json"))
    assert found.replications == 2
    assert found.provenance["command"].endswith(
        "--replications 2 --set parameters.t_irq_latency=600ns"
    )


def test_show() -> None:
    """Provenance and numbers as text; the document as JSON."""
    baselines.write(made())
    text = call("baseline", "show", "b.json").stdout
    assert "scenario_hash" in text
    assert "arms.v6.ledger.ops.executed" in text
    assert json.loads(call("baseline", "show", "b.json", "--format", "json").stdout) == json.loads(
        Path("b.json").read_text()
    )
    assert call("baseline", "show", "none.json").exit_code == ExitCode.BASELINE
