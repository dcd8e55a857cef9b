"""The unmodified perf reads every kind of machine: several CPUs, packed records, lost data, a task
that moves, a VM that migrates or waits for a CPU.

perf is required: without it these tests fail. Further versions are tried if the environment names
them, as in SPESKEW_PERFS=/opt/perf-6.12/bin/perf:/opt/perf-7.3/bin/perf; seen to pass: 6.12.95 and
7.3.4 of Debian's backports.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reports import rerunning
from sim.linux.aux import AuxFlag
from tests.tools import captures

MACHINES = """\
schema_version: 1
name: machines
seed: 5
replications: 1
workload: {kind: recorded, path: streams/mix.spestream, repeat: 1}
spe: {interval: 1024ops, jitter: on}
driver: {aux: 64KiB}
switch: {every: 1ms, away: 100us}
vm: {vcpus: 2, memory: 1GiB}
arms:
  - {name: moving, design: v6, overrides: {switch.vcpus: 3}}
  - name: hosted
    design: unpinned
    overrides:
      vm.vcpus: 3
      vm.physical_cpus: 2
      host.pressure:
        - {kind: live_migration, start: 2ms, rounds: 2, round: 1ms}
        - {kind: memslot_change, every: 1ms}
  - name: lossy
    design: unpinned
    overrides: {host.unmap: {poisson: 20000/s}, spe.data_loss_per_mille: 500}
  - name: partial
    design: unpinned-error
    overrides: {host.unmap: {poisson: 3000/s}, spe.data_loss_per_mille: 500}
  - {name: packed, design: baremetal, overrides: {cpu.core: kunpeng-920}}
  - name: packed-slow
    design: baremetal
    overrides:
      cpu.core: kunpeng-920
      driver.aux: 16KiB
      driver.reader: {kind: process}
      parameters: {t_reader_wakeup: 2ms}
  - name: packed-lossy
    design: unpinned
    overrides: {cpu.core: kunpeng-920, host.unmap: {poisson: 20000/s}, spe.data_loss_per_mille: 100}
  - name: packed-partial
    design: unpinned-error
    overrides: {cpu.core: kunpeng-920, host.unmap: {poisson: 2000/s}, spe.data_loss_per_mille: 500}
  - name: snapshot-lossy
    design: unpinned
    overrides:
      driver.capture: snapshot
      driver.aux: 8KiB
      host.unmap: {poisson: 20000/s}
      spe.data_loss_per_mille: 500
"""
FLAGS = {
    "moving": {0, 8},
    "hosted": {0, 8},
    "lossy": {0},
    "partial": {0, 5},
    "packed": {0},
    "packed-slow": {0, 1},
    "packed-lossy": {0},
    "packed-partial": {0, 5},
    "snapshot-lossy": {2},
}
VOIDED = {"lossy", "packed-lossy", "snapshot-lossy"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of MACHINES."""
    return captures.run(tmp_path_factory.mktemp("machines"), MACHINES)


@pytest.mark.parametrize("tool", captures.PERFS)
@pytest.mark.parametrize("arm", FLAGS)
def test_perf_decodes_what_was_delivered(machines: Path, arm: str, tool: str) -> None:
    """Each delivered record once, with all its fields; no bad packet; warnings as flags say."""
    again = rerunning.rerun(machines, arm, 0)
    packed = again.arm.settings.records == "packed"
    new = _major(tool) >= 7
    data = captures.export(machines, arm, *["--perf-format=7.x"] * new)
    found = captures.samples(data, physical=not packed, tool=tool)
    delivered = [again.delivered(vcpu) for vcpu in range(len(again.run.vcpus))]
    by_cpu: dict[int, list[captures.Sample]] = {cpu: [] for cpu in range(len(delivered))}
    for sample in captures.expected(machines, arm):
        by_cpu[sample[0]].append((*sample[:4], 0 if packed else sample[4], sample[5]))
    chosen = [s for cpu, rows in by_cpu.items() for s in rows[slice_of(delivered[cpu])]]
    if new:  # its address is a branch's target
        found = Counter((*s[:3], 0, *s[4:]) for s in found.elements())
        chosen = [(*s[:3], 0, *s[4:]) for s in chosen]
    assert found == Counter(chosen)
    assert found.total() == again.total > 100
    assert {sample[0] for sample in found} == set(by_cpu)
    dump, _ = captures.perf("script", "-D", "-i", data, cwd=data.parent, tool=tool)
    assert "bad packet" not in dump.lower()
    assert dump.count(" TOT\n") == again.total
    flags = [int(f) for vcpu in again.run.vcpus for f in vcpu.aux["flags"]]
    assert set(flags) == FLAGS[arm]
    captures.check_warnings(data, flags, tool)


def _major(tool: str) -> int:
    said, _ = captures.perf("--version", cwd=Path.cwd(), tool=tool)
    return int(said.removeprefix("perf version ").split(".")[0])


def slice_of(rows: range) -> slice:
    """The same rows as a slice."""
    return slice(rows.start, rows.stop)


def test_the_arms_are_what_they_are_called(machines: Path) -> None:
    """Control: records were voided, cut short, lost and overwritten; hosts stole and migrated."""
    arms = json.loads((machines / "result.json").read_text())["arms"]

    def ledger(arm: str, part: str, term: str) -> int:
        return int(arms[arm]["ledger"][part].get(term, 0))

    assert {a for a in FLAGS if ledger(a, "delivery", "voided_by_DL")} == VOIDED
    assert {a for a in FLAGS if ledger(a, "delivery", "overwritten")} == {"snapshot-lossy"}
    assert ledger("hosted", "time", "steal") > 0
    assert ledger("hosted", "time", "downtime") > 0
    for arm in ("partial", "packed-partial"):
        rows = np.concatenate([v.aux for v in rerunning.rerun(machines, arm, 0).run.vcpus])
        assert (rows["flags"] & AuxFlag.PARTIAL > 0).any()
    whole = rows["size"] - rows["pad"]
    assert ((whole % 8 != 0) & (rows["records"] > 0)).any()  # packed: no multiple of 8 bytes


@pytest.mark.parametrize("arm", ["moving", "packed-partial"])
def test_other_commands_run_clean(machines: Path, arm: str) -> None:
    """report names all code, mem and c2c count, annotate shows code; events and files are named."""
    data = captures.export(machines, arm)
    where = data.parent
    out, _ = captures.perf("report", "--stdio", "--itrace=i1i", "-i", data, cwd=where)
    assert "quicksort" in out
    assert "[unknown]" not in out
    out, _ = captures.perf("mem", "report", "--stdio", "-i", data, cwd=where)
    assert "[.] keys+0x" in out
    out, _ = captures.perf("c2c", "report", "--stdio", "-i", data, cwd=where)
    assert re.search(r"Load Operations\s*:\s*[1-9]", out)
    out, _ = captures.perf(
        "annotate",
        "--stdio",
        "--itrace=i1i",
        "--objdump=aarch64-linux-gnu-objdump",
        "-s",
        "quicksort",
        "-i",
        data,
        cwd=where,
    )
    assert re.search(r"\d\.\d\d\s+:?\s*[0-9a-f]+:\s+ldr", out)
    out, _ = captures.perf("evlist", "-v", "-i", data, cwd=where)
    assert out.startswith("arm_spe_0/ts_enable=1,")
    assert "sample_period, sample_freq }: 1024" in out
    out, _ = captures.perf("report", "--header-only", "-i", data, cwd=where)
    assert (" --per-thread -- ./mix" in out) == (arm == "moving")
    out, _ = captures.perf("buildid-list", "-i", data, cwd=where)
    assert re.fullmatch(r"[0-9a-f]{40} \S+/mix\n", out)


def test_diff_of_two_exports(machines: Path, tmp_path: Path) -> None:
    """perf inject and perf diff take both layouts; no symbol is invented."""
    made = []
    for arm in ("packed", "packed-lossy"):
        data = captures.export(machines, arm)
        made.append(tmp_path / f"{arm}.samples")
        captures.perf("inject", "--itrace=i1i", "--strip", "-i", data, "-o", made[-1], cwd=tmp_path)
    out, _ = captures.perf("diff", "-s", "symbol", *made, cwd=tmp_path)
    rows = re.findall(r"^\s+(\d+\.\d+)%.*\[\.\] \S+$", out, re.MULTILINE)
    assert len(rows) > 10
    assert sum(map(float, rows)) == pytest.approx(100, abs=1)
