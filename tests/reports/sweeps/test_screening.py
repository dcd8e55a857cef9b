"""Sampled sweeps as a user has them: a setting that matters, one that cannot, what is said."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.sweeps.responses import RESPONSES
from reports.exitcodes import ExitCode
from reports.results.sweep_result import Indices, Influence
from reports.sweeps import page, screening
from sim.runs import backends
from sim.scenario.files import loader
from tests.reports.pages.test_browser import SCREENS, TEXTS
from tests.rigs.browser import Browser, overlaps
from tests.rigs.swept import COPY, MAP, SAMPLES, TIME, results, units
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with a scenario of a few cells."""
    Path("s.yaml").write_text(TINY + SAMPLES % "morris")


def result(folder: str = "out") -> dict[str, Any]:
    """The sweep's result."""
    found: dict[str, Any] = json.loads(Path(folder, "result.json").read_text())
    return found


@pytest.mark.parametrize(("method", "weight"), [("morris", "mu_star"), ("sobol", "ST")])
def test_one_that_matters_and_one_that_cannot(method: str, weight: str) -> None:
    """v6 maps pages and never copies: the cost of mapping is everything, of copying nothing."""
    Path("s.yaml").write_text(TINY + SAMPLES % method)
    done = call("sweep", "s.yaml", "-o", "out", "-q", "--no-report")
    assert done.exit_code == 0, done.output
    effects = result()["sensitivity"]["v6"][TIME]["effects"]
    assert effects[MAP][weight] > 0.01
    assert effects[MAP]["clear"]
    assert effects[COPY][weight] == effects[COPY]["noise"] == 0
    assert not effects[COPY]["clear"]
    assert "v6, time added: t_map_present alone decides" in done.stdout
    assert "1 of 2 do nothing" in done.stdout
    assert result()["sensitivity"]["cold"][TIME]["why"] == "it is the same in every cell"
    assert "cold, operations lost, time added" in done.stdout


def test_what_it_leaves() -> None:
    """Ranges and points, each with its cell; values of every replication; a table of indices."""
    call("sweep", "s.yaml", "-o", "out", "-q", "--no-report")
    found = result()
    made = found["samples"]
    assert made["method"] == "morris"
    assert made["ranges"][0] == {"setting": MAP, "low": "10ns", "high": "100ns", "scale": "log"}
    assert len(made["points"]) == 4 * 3
    ids = [row["id"] for row in found["cells"]]
    assert len(set(ids)) == len(ids) <= 12
    assert {point["cell"] for point in made["points"]} == set(ids)
    for row in found["cells"]:
        each = row["each"]["v6"][TIME]
        assert len(each) == 3
        assert sum(each) / 3 == pytest.approx(row["arms"]["v6"][TIME]["mean"])
    with Path("out/sensitivity.csv").open() as file:
        rows = list(csv.DictReader(file))
    mine = {r["setting"]: r for r in rows if (r["arm"], r["metric"]) == ("v6", TIME)}
    effects = found["sensitivity"]["v6"][TIME]["effects"]
    assert float(mine[MAP]["mu_star"]) == effects[MAP]["mu_star"]
    assert (mine[MAP]["range_low"], mine[MAP]["clear"], mine[COPY]["clear"]) == (
        "10ns",
        "true",
        "false",
    )
    assert any(r["why"] for r in rows if r["arm"] == "cold")


def test_neither_jobs_nor_order_nor_attempts_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """One job, two, in reverse order, resumed with half of the units gone: the same bytes."""
    Path("s.yaml").write_text((TINY + SAMPLES % "morris").replace("points: 4", "points: 2"))
    call("sweep", "s.yaml", "-o", "out", "-q")
    first = results()
    assert {"result.json", "sensitivity.csv", "report.html"} < set(first)
    call("sweep", "s.yaml", "-o", "two", "-q", "-j", "2")
    assert results("two") == first
    for name in sorted(units())[::2]:
        Path("out/units", name).unlink()
    before = units()
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--resume").exit_code == 0
    assert before.items() < units().items()
    assert results() == first
    forward = backends.Here.run
    monkeypatch.setattr(
        backends.Here, "run", lambda self, tasks, into: reversed(list(forward(self, tasks, into)))
    )
    call("sweep", "s.yaml", "-o", "back", "-q")
    assert results("back") == first


def test_another_seed_draws_other_cells() -> None:
    """--seed moves the points too; --dry-run lists them and runs nothing."""
    lines = call("sweep", "s.yaml", "-n").stdout.splitlines()
    assert re.match(r"\d+ cells, about", lines[-1])
    other = call("sweep", "s.yaml", "-n", "--seed", "8").stdout.splitlines()
    assert set(lines[:-1]) != set(other[:-1])
    assert [p.name for p in Path().iterdir()] == ["s.yaml"]


def test_the_command_of_a_cell_gives_its_bytes() -> None:
    """`speskew run` takes a scenario with samples, without its cells."""
    call("sweep", "s.yaml", "-o", "out", "-q", "--no-report")
    row = result()["cells"][0]
    done = call(*row["reproduce"].split()[1:], "-o", "run", "--no-report", "--no-band")
    assert done.exit_code == 0, done.output
    stored = Path("out/cells", row["id"], "result.json").read_bytes()
    assert stored == Path("run/result.json").read_bytes()


def test_a_failing_cell_leaves_no_indices() -> None:
    """An AUX area that is no power of two cannot run: no number instead of a wrong one, and why."""
    over = "driver.aux: {low: 8KiB, high: 64KiB}\n"
    Path("s.yaml").write_text(TINY + (SAMPLES % "morris").replace(COPY, over + f"    {COPY}"))
    done = call("sweep", "s.yaml", "-o", "out", "-q")
    assert done.exit_code == ExitCode.USAGE
    found = result()
    failed = sum(row["status"] == "failed" for row in found["cells"])
    assert 0 < failed < len(found["cells"])
    why = found["sensitivity"]["v6"][TIME]["why"]
    assert why == f"{failed} of {len(found['cells'])} cells failed, and indices need every point"
    assert f"no indices, {why}" in done.stdout
    assert why in Path("out/report.html").read_text()
    assert "power of two" in done.stderr


def test_stopping_rule() -> None:
    """Cells that `until` replicated further are compared over the replications that all have."""
    rule = "until: {metric: arms.v6.time_added, half_width: 0.001%, batch: 2, max: 5}\n"
    Path("s.yaml").write_text(TINY + SAMPLES % "morris" + rule)
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--no-report").exit_code == 0
    found = result()
    least = min(row["replications"] for row in found["cells"])
    assert found["sensitivity"]["v6"][TIME]["replications"] == least


def test_nothing_open_is_said_with_its_place() -> None:
    """`over: unverified` with every time set: exit 2 at the key."""
    arms = "arms: [{design: baremetal}]\nsamples: {method: morris, points: 2, over: unverified}\n"
    known = ("t_driver_start", "t_driver_stop", "t_irq_retract", "t_irq_latency", "t_irq_handler")
    times = f"parameters: {{{', '.join(f'{name}: 1us' for name in known)}}}\n"
    Path("s.yaml").write_text(TINY[: TINY.index("arms:")] + times + arms)
    done = call("sweep", "s.yaml")
    assert done.exit_code == ExitCode.USAGE
    assert re.search(r"s\.yaml:\d+:\d+: samples\.over: no arm spends", done.stderr)


# --- words


def entry(*weights: float, noise: float | None = 0.0, conf: float = 0.0) -> Indices:
    """Settings a, b, … of a Morris sample with these mu*."""
    effects = {
        name: Influence(noise, w > 2 * (noise or 0), mu_star=w, mu_star_conf=conf)
        for name, w in zip("abcdef", weights, strict=False)
    }
    return Indices(unit="fraction", effects=effects)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            entry(0.04, 0.01, 0.0),
            "a decides: its whole range moves time by 4 ± 0 percentage "
            "points, on average, 4 times the next, b; 1 of 3 do nothing.",
        ),
        (entry(0.04, 0.03, conf=0.02), "a and b matter most, and the points cannot tell"),
        (
            entry(0.04, 0.001, noise=0.001),
            "a alone decides: its whole range moves time by 4 ± 0 "
            "percentage points, on average; 1 cannot be told from noise.",
        ),
        (entry(0.04, 0.03, noise=0.03), "The noise of replications swamps the indices"),
        (entry(0.04, 0.0, noise=None), "one replication: what is noise is unknown."),
        (Indices("of this"), "No indices: of this."),
    ],
)
def test_sentences(made: Indices, said: str) -> None:
    """One sentence that claims no more than the numbers hold."""
    assert said in screening.sentence(made, "morris", "time")


def test_metrics_of_the_page_have_values_per_replication() -> None:
    """What the page shows is what indices are made of."""
    assert [shown.metric for shown in page.METRICS] == list(RESPONSES)


def test_stock_sweep_takes_every_cost_of_its_arms() -> None:
    """unverified-map asks about UNVERIFIED times, and loads in every cell."""
    made = loader.load("sweeps/unverified-map")
    assert made.samples is not None
    assert made.samples.over == "unverified"
    done = call("sweep", "sweeps/unverified-map", "-n", "--format", "json")
    rows = json.loads(done.stdout)
    assert len(rows) > 50
    assert [row["problem"] for row in rows] == [""] * len(rows)
    assert {"parameters.t_copy", "parameters.t_map_cold"} < set(rows[0]["settings"])


# --- the page


def test_page_and_figures() -> None:
    """Readings, ranges, a figure, a table; built again with equal bytes from result.json alone."""
    call("sweep", "s.yaml", "-o", "out", "-q")
    html = Path("out/report.html").read_text()
    assert 'id="figure-effects-time"' in html
    assert "<strong>v6</strong>: t_map_present alone decides" in html
    assert "Morris: 4 trajectories through 2 settings." in html
    assert '<td class="name">parameters.t_copy</td>' in html
    Path("out/report.html").unlink()
    assert call("report", "out", "--figures").exit_code == 0
    assert Path("out/report.html").read_text() == html
    assert Path("out/figures/effects-time.png").read_bytes().startswith(b"\x89PNG")
    assert call("report", "index", ".").exit_code == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all screens."""
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of either method, of a sweep with several arms."""
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for method in ("morris", "sobol"):
        arms = "  - {name: other, design: v6, policies: {unmap_on_unpin: true}}\n"
        text = (TINY + arms + SAMPLES % method).replace("replications: 3", "replications: 2")
        text = text.replace("points: 4", "points: 2")
        path = folder / f"{method}.yaml"
        path.write_text(text)
        assert call("sweep", str(path), "-o", str(folder / method), "-q").exit_code == 0
        made[method] = folder / method / "report.html"
    return made


@pytest.mark.parametrize("method", ["morris", "sobol"])
@pytest.mark.parametrize(("screen", "dark"), SCREENS)
def test_in_a_browser(
    browser: Browser, pages: dict[str, Path], method: str, screen: tuple[int, int], dark: bool
) -> None:
    """Silent, no wider than the screen, and no text of a figure lies on another."""
    browser.messages.clear()
    browser.device(*screen, dark=dark, phone=screen[0] < 500)
    browser.open(pages[method])
    assert browser.messages == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= screen[0]
    drawn = browser.evaluate(TEXTS)
    assert drawn
    assert [overlaps(figure["texts"]) for figure in drawn] == [[]] * len(drawn)
