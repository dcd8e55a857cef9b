"""`export pages`: rows against the records that they are of, by window and page."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest

import speskew
from reports.exitcodes import ExitCode
from reports.traces.pages import COLUMNS
from tests.rigs.tiny import command
from tests.sim.runs.shipped import small_recording

call = command("export", "pages")
TEXT = """\
name: small
replications: 1
workload: {{kind: recorded, path: {path}, repeat: 40}}
spe: {{jitter: on}}
driver: {{aux: 64KiB}}
arms: [baremetal, {{name: "=v6", design: v6}}]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> speskew.Run:
    """A run of a recorded program, with its records."""
    folder = tmp_path_factory.mktemp("pages")
    text = TEXT.format(path=small_recording(folder)).replace('"=v6"', "v6")
    made = speskew.run(text, band=False, progress=False, keep_records=True)
    made.save(folder / "run", report=False)
    return made


def table(run: speskew.Run, target: Path, *more: str) -> list[dict[str, object]]:
    """An export's rows."""
    done = call(str(run.folder), "-o", target, *more)
    assert done.exit_code == 0, done.output
    rows: list[dict[str, object]] = pyarrow.parquet.read_table(target).to_pylist()
    return rows


@pytest.mark.parametrize("window", [0, 100_000])
def test_rows_are_the_records(run: speskew.Run, tmp_path: Path, window: int) -> None:
    """Loads, stores, first and last time of each arm, window and page, record by record."""
    more = ("--window", f"{window}ns") if window else ()
    found = table(run, tmp_path / "p.parquet", *more)
    counts: Counter[object] = Counter()
    times: dict[object, list[int]] = {}
    records = run.records
    touched = records[(records.level > 0) & (records.va >= 4096)]
    for r in touched[["arm", "t_select", "va"]].to_dict("records"):
        at = r["t_select"] // 192  # ticks of 1/64 cycle at 3 GHz
        key = (r["arm"], at // window * window if window else 0, r["va"] & ~4095)
        counts[key] += 1
        times.setdefault(key, []).append(at)
    assert len(counts) > 10
    got = {(r["arm"], r["window_ns"], r["page"]): r for r in found}
    assert {k: r["loads"] + r["stores"] for k, r in got.items()} == dict(counts)  # type: ignore[operator]
    assert all(r["first_ns"] == min(times[k]) for k, r in got.items())
    assert all(r["last_ns"] == max(times[k]) for k, r in got.items())
    stores = sum(int(str(r["stores"])) for r in found)
    assert 0 < stores < len(touched)


def test_larger_pages_and_one_arm(run: speskew.Run, tmp_path: Path) -> None:
    """Sums over 64 KiB of what 4 KiB pages have."""
    small = table(run, tmp_path / "a.parquet", "--arm", "v6")
    large = table(run, tmp_path / "b.parquet", "--arm", "v6", "--page", "64KiB")
    assert {r["arm"] for r in small} == {"v6"}
    sums: Counter[int] = Counter()
    for r in small:
        sums[int(str(r["page"])) & ~0xFFFF] += int(str(r["loads"]))
    assert {r["page"]: r["loads"] for r in large} == {k: n for k, n in sums.items()}


def test_csv_has_the_same_rows(run: speskew.Run, tmp_path: Path) -> None:
    """Addresses as a person writes them."""
    rows = table(run, tmp_path / "a.parquet")
    assert call(str(run.folder), "-o", tmp_path / "a.csv").exit_code == 0
    with (tmp_path / "a.csv").open() as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == list(COLUMNS)
    assert [int(r["page"], 16) for r in found] == [r["page"] for r in rows]
    assert [int(r["loads"]) for r in found] == [r["loads"] for r in rows]


def test_columns_say_their_unit(run: speskew.Run, tmp_path: Path) -> None:
    """In the Parquet schema."""
    table(run, tmp_path / "a.parquet")
    schema = pyarrow.parquet.read_schema(tmp_path / "a.parquet")
    assert schema.field("first_ns").metadata[b"unit"] == b"ns"


def test_what_has_no_pages(synthetic: Path, run: speskew.Run, tmp_path: Path) -> None:
    """A synthetic stream; a window that is no time."""
    done = call(synthetic, "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "has no addresses" in done.stderr
    assert call(str(run.folder), "--window", "5pages", "-o", tmp_path / "x").exit_code == 2
    assert not (tmp_path / "x").exists()
