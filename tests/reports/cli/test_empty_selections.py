"""Arms without records, filters that pass nothing, programs without loads or user code: every
command says so, and none ends in a traceback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports.perf.writer import FORMATS
from sim.scenario.files.loader import stock_folder
from sim.workload.spestream import Recording, read_spestream, write_spestream
from tests.rigs.tiny import call

KERNEL = 0xFFFF_8000_0000_0000
MIX = "{other: 1, load: 0, store: 0, branch: 0}"
EMPTY = """\
name: empty
replications: 2
seed: 3
workload: {kind: synthetic, phases: [{name: a, length: 50, iterations: 2000, mix: MIX}]}
spe: {jitter: on}
driver: {aux: 8KiB}
arms:
  - design: baremetal
  - {name: rare, design: v6, overrides: {spe.interval: 10000000ops}}
  - {name: latency, design: v6, overrides: {spe.filter: {min_latency: 4095}}}
  - {name: events, design: unpinned, overrides: {spe.filter: {event_filter: 0x8000000000000000}}}
  - {name: loads, design: unpinned-error, overrides: {spe.filter: {load: true}}}
checks:
  - {name: same, test: equivalence, metric: arms.loads.profile.symbol.tvd_excess, within: 5%}
  - {name: gaps, test: distribution, arm: latency, of: gaps, within: 10%}
  - {name: times, test: distribution, arm: rare, of: latencies, distance: wasserstein,
     within: 50cycles}
""".replace("MIX", MIX)
ARMS = ("rare", "latency", "events", "loads")


def done(*args: object, codes: tuple[int, ...] = (0,)) -> str:
    """Run a command that must end well; all it printed."""
    result = call(*map(str, args))
    assert result.exception is None or isinstance(result.exception, SystemExit), args
    assert result.exit_code in codes, (args, result.output)
    assert "nan" not in result.output.lower().split(), (args, result.output)
    return result.output


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which only the first arm has records."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "empty.yaml").write_text(EMPTY)
    done("run", folder / "empty.yaml", "-o", folder / "run", "--keep-records", "--no-report")
    return folder / "run"


def test_results_of_arms_without_records(empty: Path) -> None:
    """Summary, page, comparison and verdicts of checks come out."""
    done("show", empty)
    done("report", empty, "--figures")  # all of them, painted
    for form in ("table", "json"):
        done("decide", empty, "--format", form)
    for form in ("table", "json", "md"):
        done("compare", f"{empty}:baremetal", f"{empty}:events", "--format", form, "-v")
    said = " ".join(done("check", empty, codes=(4,)).split())
    for why in ("latency has no gaps", "rare has no latencies", "3 checks: 3 SKIP"):
        assert why in said


@pytest.mark.parametrize("arm", ARMS)
def test_exports_of_arms_without_records(empty: Path, tmp_path: Path, arm: str) -> None:
    """All exports are whole files; reading the empty capture says why there is nothing."""
    for form in FORMATS:
        data = tmp_path / f"{form}.data"
        done("export", "perf", empty, "--arm", arm, "-o", data, "--perf-format", form)
        assert "gave no data" in done("report", "spe", data, codes=(2,))
        assert "gave no data" in done("import", "spe", data, codes=(2,))
    done("export", "tables", empty, "--arm", arm, "-o", tmp_path / "t")
    assert "no rows" in done("report", "spe", tmp_path / "t-br.parquet", codes=(2,))
    done("export", "perfetto", empty, "--arm", arm, "-o", tmp_path / "t.pftrace")


def test_a_sweep_of_cells_without_records(tmp_path: Path) -> None:
    """Cells, their page and their checks come out."""
    (tmp_path / "s.yaml").write_text(EMPTY + "matrix: {spe.interval: [2000000ops, 1024ops]}\n")
    done("sweep", tmp_path / "s.yaml", "-o", tmp_path / "s")
    done("report", tmp_path / "s")
    done("check", tmp_path / "s", codes=(0, 1, 4))


def short(recording: Recording) -> Recording:
    """Its first 20,000 blocks."""
    ids = recording.ids[:20_000]
    slots = int(recording.block_slots[ids].sum())
    ends = recording.discontinuities[recording.discontinuities < ids.size]
    return replace(recording, ids=ids, addresses=recording.addresses[:slots], discontinuities=ends)


@pytest.mark.parametrize("symbols", [True, False])
def test_a_stream_in_the_kernels_half(tmp_path: Path, symbols: bool) -> None:
    """Code at kernel addresses has no file to map: exports name none, and are whole."""
    user = short(read_spestream(stock_folder() / "streams/mix.spestream"))
    named = tuple(replace(s, start=s.start | KERNEL) for s in user.symbols) if symbols else ()
    kernel = replace(user, pc=user.pc | np.uint64(KERNEL), symbols=named)
    write_spestream(tmp_path / "k.spestream", kernel)
    (tmp_path / "k.yaml").write_text(
        "workload: {kind: recorded, path: k.spestream}\nreplications: 1\n"
        "spe: {jitter: on}\narms: [baremetal, v6]\n"
    )
    done("run", tmp_path / "k.yaml", "-o", tmp_path / "run")
    for arm in ("baremetal", "v6"):
        data = tmp_path / f"{arm}.data"
        done("export", "perf", tmp_path / "run", "--arm", arm, "-o", data)
        assert "records in perf.data" in done("report", "spe", data)
        done("import", "spe", data, "-o", tmp_path / f"{arm}.json")
        done("export", "tables", tmp_path / "run", "--arm", arm, "-o", tmp_path / arm)
    done("export", "perfetto", tmp_path / "run", "-o", tmp_path / "t.pftrace")
