"""Export, then import: the records come back, from perf.data and from the tables.

The importer decodes on its own, for real captures; it shares no code with the exporter.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.captures.opening import open_any
from reports.captures.spe_parser_writer import paths
from reports.perf.writer import BASE_NS
from reports.rerunning import nanoseconds
from sim.workload.capture.records import Packet, code_address, exception_level, has
from sim.workload.capture.source import Reading
from tests.tools import captures

SCENARIO = """\
schema_version: 1
name: both-ways
seed: 11
replications: 1
workload:
  kind: synthetic
  repeat: 2
  phases:
    - name: user
      length: 97
      iterations: 9000
      mix: {other: 5, load: 5, store: 3, branch: 3, atomic: 1}
      levels: {l1: 4, l2: 2, slc: 1, dram: 1}
    - {name: kernel, length: 50, iterations: 2000, el: 1}
spe: {jitter: on, exclude_kernel: false}
driver: {aux: 16KiB}
switch: {every: 200us, away: 20us}
vm: {vcpus: 2}
arms:
  - design: baremetal
  - {design: unpinned, overrides: {host.unmap: per_window}}
  - {name: packed, design: baremetal, overrides: {cpu.core: kunpeng-920}}
  - name: packed-errors
    design: unpinned-error
    overrides: {cpu.core: kunpeng-920, host.unmap: {poisson: 20000/s}, spe.data_loss_per_mille: 500}
  - name: slow
    design: baremetal
    overrides:
      driver.aux: 8KiB
      driver.reader: {kind: process}
      parameters: {t_reader_wakeup: 300us}
"""
TOP = np.uint64(0xFF << 56)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every class of op, two exception levels and two vCPUs."""
    return captures.run(tmp_path_factory.mktemp("both-ways"), SCENARIO)


def _wanted(run: Path, arm: str) -> pd.DataFrame:
    """The run's own records as a capture shows them, by CPU and time of writing."""
    pc, op_class, hz = captures.code_of(run, arm)
    kept = captures.kept(run, arm)
    kind = op_class[kept["insn"]]
    packed = arm.startswith("packed")  # without physical address and data source
    loads = np.isin(kind, (1, 3)) & (kept["level"] > 0) & (not packed)
    target = kept["target"].to_numpy()
    return pd.DataFrame(
        {
            "cpu": kept["vcpu"].astype(np.int64),
            "tid": kept["tid"].astype(np.int64),
            "ts": nanoseconds(kept["t_select"].to_numpy(), hz) + BASE_NS,
            "pc": np.where(kept["el"] > 0, pc[kept["insn"]] | TOP, pc[kept["insn"]]),
            "el": kept["el"],
            "op_class": np.array([0, 1, 1, 1, 2])[kind],
            "op_payload": kept["op_payload"],
            "events": kept["events"].astype(np.uint64),
            "total": kept["total"],
            "issue": kept["issue"],
            "xlat": kept["xlat"],
            "va": kept["va"],
            "pa": 0 if packed else kept["pa"],
            "target": np.where((kept["el"] > 0) & (target > 0), target | TOP, target),
            "source": np.where(loads, kept["source"], 255),
        }
    )


def _imported(path: Path) -> pd.DataFrame:
    """What the importer makes of a file."""
    parts = []
    for batch in open_any(path).batches(Reading()):
        records = batch.records
        target = np.where(records["target"] > 0, code_address(records["target"]), 0)
        parts.append(
            pd.DataFrame(
                {
                    "cpu": np.full(records.size, batch.cpu, np.int64),
                    "tid": batch.tid,
                    "ts": records["ts"].astype(np.int64),
                    "pc": code_address(records["pc"]),
                    "el": exception_level(records["pc"]),
                    "op_class": records["op_class"].astype(np.int64),
                    "op_payload": records["op_payload"],
                    "events": records["events"],
                    "total": records["total"],
                    "issue": records["issue"],
                    "xlat": records["xlat"],
                    "va": records["va"],
                    "pa": records["pa"] & np.uint64((1 << 56) - 1),
                    "target": target,
                    "source": np.where(has(records, Packet.SOURCE), records["source"], 255),
                }
            )
        )
    found = pd.concat(parts, ignore_index=True)
    return found.sort_values("cpu", kind="stable").reset_index(drop=True)


@pytest.mark.parametrize("arm", ["baremetal", "unpinned", "packed", "packed-errors", "slow"])
@pytest.mark.parametrize("form", ["6.1", "7.x"])
def test_records_come_back_from_perf_data(run: Path, arm: str, form: str) -> None:
    """Every field of every record, in order, with its CPU and thread."""
    wanted = _wanted(run, arm)
    assert len(wanted) > 200
    assert {0, 1, 2} == set(wanted["op_class"])
    assert {0, 1} == set(wanted["cpu"])
    if arm not in ("packed-errors", "slow"):  # these lose the kernel's phase
        assert {0, 1} == set(wanted["el"])
    data = captures.export(run, arm, f"--perf-format={form}")
    pd.testing.assert_frame_equal(_imported(data), wanted, check_dtype=False)


def test_the_capture_says_what_was_asked_for(run: Path) -> None:
    """Interval, jitter, population, clock and flags come back from the header."""
    facts = open_any(captures.export(run, "baremetal", "--perf-format=7.x")).facts
    assert (facts.interval, facts.jitter, facts.filtered) == (1024, True, False)
    assert (facts.exclude_kernel, facts.midr) == (False, 0x413F_D0C1)
    assert facts.clock is not None
    assert facts.clock.fs_per_tick == 10**6
    assert facts.aux is not None
    assert facts.aux.bytes == 64 * len(_wanted(run, "baremetal"))


def test_records_come_back_from_the_tables(run: Path, tmp_path: Path) -> None:
    """What spe-parser's columns hold: everything but payload bits without a column."""
    captures.speskew("export", "tables", run, "--arm", "baremetal", "-o", tmp_path / "spe")
    wanted = _wanted(run, "baremetal")
    found = _imported(paths(tmp_path / "spe")["ldst"])
    columns = ["cpu", "tid", "ts", "el", "op_payload", "total", "issue", "xlat", "va", "pa"]
    order = ["cpu", "ts", "total"]
    memory = wanted[wanted["op_class"] == 1]
    pd.testing.assert_frame_equal(
        found[found["op_class"] == 1].sort_values(order)[columns].reset_index(drop=True),
        memory.sort_values(order)[columns].reset_index(drop=True),
        check_dtype=False,
    )
