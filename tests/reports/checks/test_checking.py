"""`speskew check`: verdicts, formats, exit codes, stopping rule, bisection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.exitcodes import ExitCode
from tests.rigs.tiny import CHECKS, call, scenario

pytestmark = pytest.mark.usefixtures("own_folder")


def checked(*args: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and each check of the JSON output by name."""
    done = call("check", *args, "-q", "--format", "json")
    assert done.stdout, done.output
    return done.exit_code, {c["name"]: c for c in json.loads(done.stdout)["checks"]}


def test_every_test_passes_with_effect_interval_margin_and_sentence() -> None:
    """All kinds at once: PASS, each verdict whole, exit 0."""
    file = scenario(*CHECKS)
    assert call("baseline", "update", file, "-q").exit_code == 0
    code, found = checked(file)
    assert code == 0
    assert set(found) == set(CHECKS)
    for check in found.values():
        assert check["status"] == "PASS", check
        assert check["n"] == 3
        assert check["unit"] or check["name"] in ("counters", "exits")
        assert check["effect"] is not None
        assert check["interval"] == "exact" or check["interval"][0] < check["interval"][1]
        assert len(check["sentence"]) > 20
    assert found["little"]["margin"] == pytest.approx(0.1)
    assert "Holm, 4 checks" in found["little"]["sentence"]


@pytest.mark.parametrize(
    ("check", "bias"),
    [
        ("counters", "parameters.t_irq_latency=501ns"),
        ("little", "parameters.t_irq_latency=3us"),
        ("time", "parameters.t_fault=20us"),
        ("gaps", "driver.aux=16KiB"),
    ],
)
def test_injected_bias_fails(check: str, bias: str) -> None:
    """A known change of the model is FAIL = 1 against the baseline that is there, never 5."""
    file = scenario(check)
    call("baseline", "update", file, "-q")
    assert checked(file)[0] == 0
    if check == "gaps":
        file = scenario("{name: gaps, test: distribution, arm: odd, of: gaps, within: 10%}")
        odd = "  - {name: odd, design: baremetal, overrides: {spe.interval: 1536ops}}\nchecks:"
        Path(file).write_text(Path(file).read_text().replace("checks:", odd))
        code, found = checked(file)
    else:
        code, found = checked(file, "--set", bias)
    assert (code, found[check]["status"]) == (1, "FAIL"), found


def test_harmless_change_stays_green() -> None:
    """A question, a seed of the manifest's, more replications: nothing that is compared changes."""
    file = scenario(*CHECKS)
    call("baseline", "update", file, "-q")
    assert checked(file, "--set", "question=Is it harmless?")[0] == 0
    code, found = checked(file, "--replications", "5")
    assert code == 0, found
    assert found["counters"]["n"] == 3, "compared on the replications that both have"


def test_another_seed_leaves_counters_undecided() -> None:
    """Counters are exact at the baseline's seed; elsewhere SKIP says so, statistics go on."""
    file = scenario("counters", "time")
    call("baseline", "update", file, "-q")
    code, found = checked(file, "--seed", "8")
    assert found["counters"]["status"] == "SKIP"
    assert "seed 7" in found["counters"]["sentence"]
    assert found["time"]["status"] in ("PASS", "UNDECIDED")
    assert code == (0 if found["time"]["status"] == "PASS" else 4)


def test_no_variance_is_skip_and_alone_undecided() -> None:
    """v6's samples are baremetal's: SKIP with the reason, and exit 4 if there is nothing else."""
    file = scenario("{test: equivalence, metric: arms.v6.profile.symbol.tvd_excess, within: 1%}")
    code, found = checked(file)
    (check,) = found.values()
    assert (code, check["status"]) == (4, "SKIP")
    assert "no variance" in check["sentence"]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{test: bound, metric: arms.cold.loss.totall, at_most: 1%}", "arms.cold.loss.total"),
        ("{test: bound, metric: arms.cold.loss.total, at_most: 1ms}", "a percentage"),
        ("{test: bound, metric: arms.cold.rlimit.exits, at_most: 1}", "use test: exact"),
        ("{test: equivalence, metric: arms.cold.loss.total, within: 0%}", "holds nothing"),
        ("{test: exact, metric: arms.cold.loss, equals: 1}", "name one below it"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(check: str, said: str) -> None:
    """Unknown metrics and units that do not fit: exit 2, and what would do."""
    done = call("check", scenario(check), "-q")
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr


def test_baseline_is_missing() -> None:
    """Exit 5, and the command that makes it; no simulation before that."""
    done = call("check", scenario("counters"))
    assert done.exit_code == ExitCode.BASELINE
    assert "speskew baseline update" in done.stderr
    assert "arms" not in done.stderr


CELLS = "matrix: {driver.aux: [8KiB, 16KiB], spe.interval: [1024ops, 2048ops]}\n"
ASKED = (
    "counters",
    "little",
    "exits",
    "{name: some, test: exact, metric: arms.cold.loss.total, at_least: 0.001%}",
)


def swept(*checks: str, cells: str = CELLS) -> Path:
    """The folder of a sweep with these checks."""
    call("sweep", scenario(*checks, more=cells), "-o", "out", "-q", "--no-report")
    return Path("out")


def test_checks_of_a_sweep_hold_in_every_cell() -> None:
    """Each in each cell, one family; what needs the baseline of the scenario is skipped once."""
    folder = swept(*ASKED)
    code, found = checked(str(folder))
    assert code == 0
    ids = {path.name for path in (folder / "cells").iterdir()}
    assert len(ids) == 4
    names = ("little", "exits", "some")
    assert set(found) == {f"{id}: {name}" for id in ids for name in names} | {"counters"}
    assert found.pop("counters")["status"] == "SKIP"
    assert {check["status"] for check in found.values()} == {"PASS"}
    assert all("Holm, 4 checks" in v["sentence"] for k, v in found.items() if "little" in k)
    done = call("check", str(folder))
    assert "tiny: 4 cells, 3 replications" in done.stdout
    assert "PASS  " not in done.stdout
    assert "13 checks: 12 PASS, 1 SKIP" in done.stdout


def test_a_check_that_fails_in_one_cell_fails() -> None:
    """Positive control: exit 1, and the cell is named with its number."""
    folder = swept(
        "{name: equal, test: exact, metric: arms.v6.setup.aux_bytes, equals: 8192}",
        cells=CELLS.replace("[1024ops, 2048ops]", "[1024ops]"),
    )
    code, found = checked(str(folder))
    assert code == ExitCode.FAILED
    statuses = {name.split(",")[0]: check["status"] for name, check in found.items()}
    assert statuses == {"driver.aux=8KiB": "PASS", "driver.aux=16KiB": "FAIL"}
    assert "FAIL       driver.aux=16KiB" in call("check", str(folder)).stdout


def test_a_cell_without_a_result_is_skipped_with_its_reason() -> None:
    """What could not run proves nothing."""
    folder = swept("exits", cells="matrix: {driver.aux: [8KiB, 9KiB]}\n")
    code, found = checked(str(folder))
    assert code == 0
    (skipped,) = (check for check in found.values() if check["status"] == "SKIP")
    assert "has no result: driver.aux: must be a power of two" in skipped["sentence"]


def test_a_sweep_is_checked_as_it_ended() -> None:
    """Options of a scenario are refused, and so is a sweep that has not ended."""
    folder = swept("exits")
    assert call("check", str(folder), "--seed", "1").exit_code == ExitCode.USAGE
    (folder / "result.json").unlink()
    done = call("check", str(folder))
    assert done.exit_code == ExitCode.USAGE
    assert "has not ended" in done.stderr


@pytest.mark.parametrize(
    "cells", [CELLS, "samples: {method: morris, points: 2, over: {vm.vcpus: {low: 1, high: 2}}}\n"]
)
def test_a_scenario_with_cells_is_checked_without_them(cells: str) -> None:
    """Once, as `run` takes it, and it says so; without cells it does not."""
    done = call("check", scenario("exits", more=cells), "-q")
    assert done.exit_code == 0
    assert "1 checks: 1 PASS" in done.stdout
    assert "the scenario without its cells" in done.stderr
    assert "cells" not in call("check", scenario("exits"), "-q").stderr


def test_a_scenario_without_checks_decides_nothing() -> None:
    """Exit 4, and it says so."""
    done = call("check", scenario(), "-q")
    assert done.exit_code == ExitCode.UNDECIDED
    assert "the scenario has none" in done.stdout


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_results_do_not_depend_on_jobs(jobs: str) -> None:
    """Equal bytes for any -j, a distribution and a stopping rule included."""
    more = "until: {metric: arms.cold.loss.total, half_width: 0.05%, batch: 2, max: 9}\n"
    file = scenario("little", "gaps", more=more)
    first = call("check", file, "-q", "--format", "json").stdout
    assert call("check", file, "-q", "--format", "json", "-j", jobs).stdout == first
    assert 3 < json.loads(first)["replications"] <= 9


def test_a_run_directory_is_checked_as_the_scenario_is() -> None:
    """Verdicts from stored results and records are those of a fresh simulation."""
    file = scenario(*CHECKS)
    call("baseline", "update", file, "-q")
    assert call("run", file, "-o", "out", "--keep-records", "--no-report").exit_code == 0
    stored = checked("out", "--baseline", "baselines/tiny.json")
    assert stored == checked(file) == checked("out")
    assert call("run", file, "-o", "bare", "--no-report").exit_code == 0
    code, found = checked("bare", "--baseline", "baselines/tiny.json")
    assert code == 0
    assert found["gaps"]["status"] == "SKIP"
    assert "--keep-records" in found["gaps"]["sentence"]
