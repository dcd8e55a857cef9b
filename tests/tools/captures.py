"""Small runs and their exports, and the unmodified perf of the system to read them with."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from reports.perf.writer import BASE_NS
from reports.rerunning import nanoseconds
from sim.linux.aux import AuxFlag
from sim.runs import batch
from sim.scenario.files import loader
from tests import needs
from tests.rigs.tiny import call

RECORDED = """\
schema_version: 1
name: recorded
seed: 7
replications: 2
workload: {kind: recorded, path: streams/mix.spestream, repeat: 1}
spe: {interval: 1024ops, jitter: on}
driver: {aux: 128KiB, mode: task}
switch: {every: 1ms, away: 100us}
vm: {vcpus: 2, max_buffer: 4MiB}
arms:
  - design: baremetal
  - {design: unpinned, overrides: {host.unmap: per_window}}
  - {design: unpinned-error, overrides: {host.unmap: per_window}}
"""
SYNTHETIC = """\
schema_version: 1
name: two-loops
seed: 3
replications: 1
workload:
  kind: synthetic
  phases:
    - {name: hot, length: 50, iterations: 20000, latency: {kind: exponential, mean: 900cycles}}
    - {name: cold, length: 70, iterations: 5000}
spe: {interval: 1024ops, jitter: on}
driver: {aux: 16KiB, mode: cpu}
arms:
  - design: baremetal
"""
MODES = """\
schema_version: 1
name: modes
seed: 7
replications: 1
workload: {kind: recorded, path: streams/mix.spestream, repeat: 1}
spe: {interval: 1024ops, jitter: on}
driver: {aux: 16KiB, mode: task}
switch: {every: 1ms, away: 100us}
arms:
  - {name: snapshot, design: baremetal, overrides: {driver.capture: snapshot}}
  - {name: discard, design: baremetal, overrides: {driver.capture: discard}}
  - name: slow
    design: baremetal
    overrides: {driver.reader: {kind: process}, parameters: {t_reader_wakeup: 2ms}}
  - name: killed
    design: v6
    policies: {vmm: refuse_kill}
    overrides: {host.memlock: 4KiB, vm.max_buffer: unlimited, driver.aux: 32KiB}
"""
PERFS = ("perf", *filter(None, os.environ.get("SPESKEW_PERFS", "").split(os.pathsep)))
"""The system's perf, and further versions if the environment names their paths."""
Sample = tuple[int, int, int, int, int, int]
"""cpu, time, ip, addr, phys addr, weight."""


def speskew(*args: str | Path) -> str:
    """Run a command that must succeed; its standard error."""
    done = call(*args)
    assert done.exit_code == 0, done.stderr or done.exception
    return done.stderr


def run(folder: Path, text: str) -> Path:
    """The run directory of a scenario, its records kept."""
    source = folder / "scenario.yaml"
    source.write_text(text)
    speskew("run", source, "-o", folder / "run", "--keep-records", "--no-report", "--no-band")
    return folder / "run"


def export(folder: Path, arm: str, *options: str) -> Path:
    """perf.data of one arm, exported once."""
    out = folder.parent / f"{arm}{''.join(options)}.data"
    if not out.exists():
        speskew("export", "perf", folder, "--arm", arm, "-o", out, *options)
    return out


def perf(*args: str | Path, cwd: Path, tool: str = "perf") -> tuple[str, str]:
    """(stdout, stderr) of a perf command; a failing perf fails the test."""
    env = os.environ | {"HOME": str(cwd), "PERF_CONFIG": "/dev/null", "LC_ALL": "C"}
    done = needs.run(tool, *args, check=False, cwd=cwd, env=env, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def samples(data: Path, *, physical: bool = True, tool: str = "perf") -> Counter[Sample]:
    """What perf decodes, one sample per record; packed records have no physical address: 0."""
    fields = "cpu,time,addr,weight,ip" + ",phys_addr" * physical
    args = ("script", "--ns", "--itrace=i1i", "-F", fields, "-i", data)
    out, _ = perf(*args, cwd=data.parent, tool=tool)
    return Counter(_sample(line) for line in out.splitlines())


def _sample(line: str) -> Sample:
    cpu, time, addr, weight, ip, *rest = line.split()
    (pa,) = rest or ("0",)
    seconds, nanos = time.rstrip(":").split(".")
    ns = int(seconds) * 10**9 + int(nanos)
    return int(cpu.strip("[]")), ns, int(ip, 16), int(addr, 16), int(pa, 16), int(weight)


def kept(folder: Path, arm: str, replication: int = 0) -> pd.DataFrame:
    """The run's own records of one arm and replication."""
    table = pd.read_parquet(folder / "records.parquet")
    chosen = (table["arm"] == arm) & (table["replication"] == replication)
    return table[chosen].reset_index(drop=True)


def code_of(folder: Path, arm: str) -> tuple[NDArray[np.uint64], NDArray[np.uint8], int]:
    """(pc, op class) by static op, and ticks per second of an arm."""
    scenario = loader.load(folder / "scenario.resolved.yaml")
    found = next(a for a in scenario.arms if a.name == arm)
    stream = batch.stream_of(found)
    return stream.static_pc, stream.static_class, 64 * found.settings.cpu.clock


def expected(folder: Path, arm: str) -> Iterator[Sample]:
    """What perf must decode, from records.parquet."""
    pc, _, hz = code_of(folder, arm)
    table = kept(folder, arm)
    time = nanoseconds(table["t_select"].to_numpy(), hz) + BASE_NS
    columns = (table["vcpu"], time, pc[table["insn"]], table["va"], table["pa"], table["total"])
    for row in zip(*columns, strict=True):
        yield tuple(int(v) for v in row)  # type: ignore[misc]


def check_warnings(data: Path, flags: Sequence[int], tool: str = "perf") -> None:
    """perf warns of losses, gaps and collisions exactly as often as the transactions' flags say."""
    args = ("report", "--stdio", "--itrace=i1i", "-i", data)
    _, err = perf(*args, cwd=data.parent, tool=tool)
    for flag, text in (
        (AuxFlag.TRUNCATED, "AUX data lost"),
        (AuxFlag.PARTIAL, "AUX data had gaps in it"),
        (AuxFlag.COLLISION, "AUX data detected collision "),
    ):
        times = sum(bool(f & flag) for f in flags)
        said = re.findall(rf"{text} (\d+) times out of (\d+)", err)
        assert said == ([(str(times), str(len(flags)))] if times else []), text


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of two loops, one with collisions; not to be changed."""
    return run(tmp_path_factory.mktemp("synthetic"), SYNTHETIC)
