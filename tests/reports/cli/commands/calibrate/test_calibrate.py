"""speskew calibrate: known weights come back from our own exports, within their errors."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from reports.exitcodes import ExitCode
from sim.scenario.files.document import read_document
from sim.scenario.models.selection import ClassRows, SelectionTable
from tests import needs
from tests.rigs.tiny import call

KNOWN: dict[str, list[float]] = {
    "other": [1.1] * 9,
    "load": [1.9, 0.6, 0.8, 1.0, 1.2, 1.3, 1.4, 1.5, 1.6],
    "store": [0.6, 0.3, 0.6, 0.6, 0.6, 0.5, 0.5, 0.5, 0.5],
    "atomic": [1.0] * 9,
    "branch": [0.2, 1, 1, 1, 1, 1, 1, 1, 2],
}
SCENARIO = """\
workload: {kind: recorded, path: calibrate.spestream, repeat: 25}
spe: {interval: 256ops, min_interval: 256ops, jitter: on, selection: known.yaml}
replications: 1
arms:
  - design: baremetal
  - {name: even, design: baremetal, overrides: {spe.selection: null}}
  - {name: loads, design: baremetal, overrides: {spe.filter.load: true}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program by the lines that the command prints, recorded, run and exported."""
    home = tmp_path_factory.mktemp("calibration")
    needs.need(*needs.RECORDING)
    done = call("calibrate", "--source", home)
    assert done.exit_code == ExitCode.OK
    build, record, read = done.stdout.splitlines()
    assert record.startswith("perf record -e arm_spe_0/period=4096,jitter=1/u -o calibrate.data ")
    assert read == "speskew calibrate calibrate.data --program calibrate -o selection.yaml"
    flags = build.removeprefix("gcc ").replace("-o calibrate", f"-o {home / 'calibrate'}").split()
    needs.run(needs.CROSS, "-static", *flags)
    stream = home / "calibrate.spestream"
    assert call("record", "-o", stream, "--", home / "calibrate", "10000").exit_code == 0
    table = {"selection_table": 1, "source": "known", "window": 32}
    table |= {"distances": [0, 1, 2, 3, 4, 6, 8, 12, 16], "weights": KNOWN}
    with (home / "known.yaml").open("w") as file:
        YAML().dump(table, file)
    (home / "cal.yaml").write_text(SCENARIO)
    assert call("run", home / "cal.yaml", "-o", home / "run", "-q", "--no-report").exit_code == 0
    for arm in ("baremetal", "even", "loads"):
        out = home / f"{arm}.data"
        assert call("export", "perf", home / "run", "--arm", arm, "-o", out).exit_code == 0
    return home


def _calibrated(folder: Path, arm: str) -> tuple[str, SelectionTable]:
    out = folder / f"{arm}.yaml"
    program = folder / "calibrate"
    done = call("calibrate", folder / f"{arm}.data", "--program", program, "-o", out, "--force")
    assert done.exit_code == ExitCode.OK, done.output
    return done.output, SelectionTable.model_validate(read_document(out, []).plain())


def _standardised(table: SelectionTable, known: dict[str, list[float]]) -> np.ndarray:
    """(found - known) / error of every cell, at the scale that fits best."""
    assert table.errors is not None
    found, errors = (np.array(rows.rows(), float) for rows in (table.weights, table.errors))
    true = np.array([known[name] for name in ClassRows.model_fields], float)
    scale = float((found * true / errors**2).sum() / (true**2 / errors**2).sum())
    return np.asarray((found - scale * true) / errors)


def test_known_weights_come_back(folder: Path) -> None:
    """45 cells, each within 4 standard errors, together as far off as their errors say; and what
    was written is a table that a scenario can use."""
    text, table = _calibrated(folder, "baremetal")
    z = _standardised(table, KNOWN)
    assert np.abs(z).max() < 4
    assert 0.6 < z.std() < 1.4
    dispersion = float(re.search(r"([\d.]+) for the table", text)[1])  # type: ignore[index]
    assert dispersion < 1.4
    assert "speskew calibrate, " in table.source
    made = call("validate", folder / "cal.yaml", "--set", f"spe.selection={folder}/baremetal.yaml")
    assert made.exit_code == ExitCode.OK, made.output


def test_even_choice_comes_back_even(folder: Path) -> None:
    """A control: no cell stands out."""
    text, table = _calibrated(folder, "even")
    even = {name: [1.0] * 9 for name in KNOWN}
    assert np.abs(_standardised(table, even)).max() < 4
    dispersion = float(re.search(r"χ²/df ([\d.]+) for equal weights", text)[1])  # type: ignore[index]
    assert dispersion < 1.4


def test_what_cannot_calibrate_is_refused(folder: Path) -> None:
    """A filter, a file of another program, half of the arguments; an output that is there."""
    program = folder / "calibrate"
    done = call("calibrate", folder / "loads.data", "--program", program)
    assert done.exit_code == ExitCode.USAGE
    assert "recorded with a filter" in done.output
    stream = folder / "known.yaml"
    assert call("calibrate", folder / "even.data", "--program", stream).exit_code == ExitCode.USAGE
    assert "--program" in call("calibrate", folder / "even.data").output
    assert "needs --source DIR" in call("calibrate").output
    done = call(
        "calibrate", folder / "even.data", "--program", program, "-o", folder / "known.yaml"
    )
    assert done.exit_code == ExitCode.USAGE
    assert "exists; give --force" in done.output
    done = call("calibrate", "--source", folder)
    assert "exists; give --force" in done.output
    done = call("calibrate", folder / "even.data", "--source", folder, "--force")
    assert "writes the program only" in done.output
