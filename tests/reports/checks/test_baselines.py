"""Baselines: never changed silently, every change of a counter seen, hostile files refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.checks import baselines
from reports.checks.baselines import Baseline, BaselineError, changes, difference
from reports.exitcodes import ExitCode
from reports.results import lookup
from sim.runs import contents
from sim.scenario.files import loader
from tests.reports.checks.made import RESULT, made
from tests.rigs.tiny import call, scenario

pytestmark = pytest.mark.usefixtures("own_folder")


def test_round_trip() -> None:
    """Written and read, it is the same; one line per counter; provenance and tolerance inside."""
    base = made()
    baselines.write(base)
    assert baselines.read(Path("b.json")) == base
    text = Path("b.json").read_text()
    assert len(text.splitlines()) > len(base.counters) + len(base.metrics)
    document = json.loads(text)
    assert document["baseline_version"] == 1
    assert document["provenance"].keys() >= {"made", "command", "scenario_hash", "speskew"}
    assert document["tolerance"] == {"counters": 0, "metrics": 1e-9}
    assert difference(base, baselines.read(Path("b.json"))) == []


@given(st.data())
def test_any_change_of_one_counter_is_found(data: st.DataObject) -> None:
    """Positive control of `exact`: by one, in any counter and replication, up or down."""
    rows = lookup.counters(RESULT)
    base = made().counters
    name = data.draw(st.sampled_from(sorted(rows)))
    which = data.draw(st.integers(0, len(rows[name]) - 1))
    step = data.draw(st.sampled_from([1, -1, 1000]))
    moved = rows | {name: [x + step * (r == which) for r, x in enumerate(rows[name])]}
    (found,) = changes(base, moved, 10)
    assert (found.name, found.replication) == (name, which)
    assert found.new - found.old == step


def test_nothing_changed_is_never_a_change() -> None:
    """Null of `exact`: 500 results that are equal, or have a new counter that is 0, all pass."""
    rows, base = lookup.counters(RESULT), made().counters
    for k in range(500):
        assert changes(base, rows | {f"arms.v6.ledger.ops.new_{k}": [0] * 10}, 10) == []
    assert changes(base, rows, 10) == []
    assert changes(base, rows | {"arms.v6.ledger.ops.new": [0] * 9 + [1]}, 10) != []


def test_float_noise_is_within_tolerance() -> None:
    """Rounding of another machine is no change of a metric; a millionth part is."""
    base = made()
    name = "arms.v6.wall"

    def scaled(factor: float) -> Baseline:
        m = base.metrics[name]
        moved = replace(m, mean=m.value * factor)
        return replace(base, metrics=dict(base.metrics) | {name: moved})

    assert difference(base, scaled(1 + 1e-12)) == []
    (line,) = difference(base, scaled(1 + 1e-6))
    assert line.startswith(name)


def test_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older version is rewritten step by step; the present one is left alone."""
    baselines.write(made())
    before = Path("b.json").read_bytes()
    assert "already" in call("baseline", "migrate", "b.json").stderr
    assert Path("b.json").read_bytes() == before
    monkeypatch.setattr(baselines, "BASELINE_VERSION", 3)

    def step(document: dict[str, Any]) -> dict[str, Any]:
        return document | {"baseline_version": document["baseline_version"] + 1}

    for version in (1, 2):
        monkeypatch.setitem(baselines.STEPS, version, step)
    with pytest.raises(BaselineError, match=r"speskew baseline migrate b\.json"):
        baselines.read(Path("b.json"))
    assert "1 → 3" in call("baseline", "migrate", "b.json").stdout
    assert baselines.read(Path("b.json")).counters == made().counters


Break = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda d: d.pop("baseline_version"), "no baseline_version"),
        (lambda d: d.update(baseline_version=2), "upgrade speskew"),
        (lambda d: d.update(baseline_version="1"), "no baseline_version"),
        (lambda d: d.update(baseline_version=True), "no baseline_version"),
        (lambda d: d.pop("counters"), "counters is no mapping"),
        (lambda d: d.update(seed=-1), "seed is no count"),
        (lambda d: d["counters"].update(x=[1]), "counters.x"),
        (lambda d: d["counters"].update(x=[1.5] * 10), "counters.x"),
        (lambda d: d["counters"].update(x=[True] * 10), "counters.x"),
        (lambda d: d["metrics"].update(x={"mean": 1}), "metrics.x"),
        (lambda d: d["metrics"].update(x={"mean": "1", "ci95": None, "n": 1, "unit": ""}), "x"),
        (lambda d: d.update(tolerance={"metrics": 7}), "tolerance.metrics"),
        (lambda d: d.update(tolerance={"metrics": True}), "tolerance.metrics"),
    ],
    ids=map(str, range(13)),
)
def test_damaged_baselines_are_refused(broken: Break, said: str) -> None:
    """Exit code 5's error, which says what is wrong."""
    document = made().as_dict()
    broken(document)
    Path("b.json").write_text(json.dumps(document))
    with pytest.raises(BaselineError, match=said):
        baselines.read(Path("b.json"))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"a": 1e999}', "\x00"])
def test_files_that_are_no_baselines(text: str) -> None:
    """No traceback, whatever the file holds."""
    Path("b.json").write_text(text)
    with pytest.raises(BaselineError):
        baselines.read(Path("b.json"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
KEYS = tuple(made().as_dict())


@given(st.sampled_from(KEYS), JSON)
def test_hostile_fields(key: str, value: object) -> None:
    """Any field replaced by anything: read, or refused with a clear error."""
    document = made().as_dict() | {key: value}
    Path("h.json").write_text(json.dumps(document))
    try:
        found = baselines.read(Path("h.json"))
    except BaselineError:
        return
    assert found.as_dict().keys() == document.keys()


def test_a_baseline_of_another_scenario_is_refused() -> None:
    """--baseline with the wrong file compares nothing: exit 5."""
    file = scenario("counters")
    baselines.write(made("other.json"))
    done = call("check", file, "-q", "--baseline", "other.json")
    assert done.exit_code == ExitCode.BASELINE
    assert "made <up>" in done.stderr


FOLDER = loader.stock_folder()
STOCK = sorted(
    path.relative_to(FOLDER).with_suffix("").as_posix()
    for pattern in ("*.yaml", "sweeps/*.yaml")
    for path in FOLDER.glob(pattern)
)


@pytest.mark.parametrize("name", STOCK)
def test_stock_scenarios_have_checks_and_a_baseline(name: str) -> None:
    """Every one: checks, one of them of all counters, and a baseline of these arms."""
    made = loader.load(name)
    assert any(c.test == "exact" and c.metric == "arms" for c in made.checks)
    assert len(made.checks) > 1
    path = FOLDER / f"{name}.yaml"
    base = baselines.read(path.parent / "baselines" / f"{path.stem}.json")
    assert (base.scenario, base.seed) == (path.stem, made.seed)
    assert 2 <= base.replications <= made.replications
    arms = {arm.name for arm in made.arms}
    assert {k.split(".")[1] for k in base.counters} == arms
    settings = loader.settings(made) | contents.named(contents.of(made))
    assert base.settings == settings, f"speskew baseline update {name}"
    assert base.provenance["scenario_hash"] == baselines.digest(settings)


def test_quickstart_checks_v6_and_unpinned() -> None:
    """The first look covers the design that is proposed and the one that is not."""
    text = " ".join(str(check) for check in loader.load("quickstart").checks)
    assert "arms.v6." in text
    assert "arms.unpinned." in text


@pytest.mark.parametrize("name", ["synthetic", "rlimit"])
def test_a_stock_scenario_is_checked_without_naming_its_baseline(name: str) -> None:
    """`check NAME` finds it; unchanged is 0, a deviation by --set is 1."""
    assert call("check", name, "-q", "--replications", "2").exit_code == 0
    done = call(
        "check", name, "-q", "--replications", "2", "--set", "parameters.t_irq_latency=600ns"
    )
    assert done.exit_code == ExitCode.FAILED
    assert "FAIL       counters" in done.stdout
