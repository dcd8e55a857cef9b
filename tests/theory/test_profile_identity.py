"""A profile taken of a simulated baremetal run, simulated again, gives that run's shares back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from analysis.statistics.answers import Kind, answer
from analysis.statistics.intervals import F64, t_interval
from sim.runs import batch
from sim.scenario.files import loader
from sim.workload.capture import profile as profiles
from sim.workload.capture.container import RawCapture
from sim.workload.capture.profile import Phase, Profile
from sim.workload.capture.profiling import Sampling, profile
from sim.workload.capture.source import Clock
from tests.rigs.spe_bytes import of_simulation

REPLICATIONS = 6
MARGIN = 1.5
"""Percentage points: three standard errors of a share of one half among 10,000 records."""
SOURCE = """\
workload:
  kind: synthetic
  repeat: 6
  phases:
    - {name: hot, length: 997, iterations: 500, cpi_millis: 500}
    - {name: warm, length: 499, iterations: 400, levels: {l1: 50, dram: 50}, cpi_millis: 2500}
    - {name: cold, length: 211, iterations: 1500, cpi_millis: 1000}
spe: {jitter: on}
seed: 11
"""


@dataclass(frozen=True)
class PhaseNames:
    """Symbols by address, as the synthetic stream has them."""

    pc: tuple[int, ...]
    symbol: tuple[str, ...]

    def name(self, pid_or_tid: int, address: int) -> str:
        """The loop that holds an address."""
        return self.symbol[self.pc.index(address)]


def shares(arm: batch.ArmResult, replication: int, names: tuple[str, ...]) -> F64:
    """Share of each symbol among one replication's records, percent."""
    counts = sum(v.profile for v in arm.runs[replication].vcpus)
    per_static = np.asarray(counts).reshape(-1, 8).sum(axis=1)
    symbol = np.array([arm.stream.symbols[k] for k in arm.stream.static_symbol])
    out = np.array([per_static[symbol == name].sum() for name in names], float)
    return np.asarray(100 * out / out.sum())


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[batch.ArmResult, list[Profile], Path]:
    """A baremetal run, and the profile of each of its replications."""
    folder = tmp_path_factory.mktemp("identity")
    path = folder / "source.yaml"
    path.write_text(f"{SOURCE}replications: {REPLICATIONS}\narms: [baremetal]\n")
    (arm,) = batch.run(loader.load(path), keep_records=True)
    stream = arm.stream
    names = PhaseNames(
        tuple(map(int, stream.static_pc)), tuple(stream.symbols[k] for k in stream.static_symbol)
    )
    made = []
    for run in arm.runs:
        (rows,) = batch.records(arm.arm, 11, run)
        data = of_simulation(rows, stream.static_pc, stream.static_class, arm.clock_hz)
        raw = folder / "raw"
        raw.write_bytes(data)
        sampling = Sampling(interval=1024, jitter=True, clock=Clock.of_frequency(10**9))
        made.append(profile(RawCapture(raw), names, sampling, "raw")[0])
    return arm, made, folder


def again(folder: Path, made: Profile, seed: int) -> batch.ArmResult:
    """A baremetal run of a profile."""
    (folder / "p.json").write_text(profiles.dumps(made))
    path = folder / f"again-{seed}.yaml"
    path.write_text(
        "workload: {kind: profile, path: p.json}\nspe: {jitter: on}\nreplications: 1\n"
        f"seed: {seed}\narms: [baremetal]\n"
    )
    batch._stream_of.cache_clear()
    (arm,) = batch.run(loader.load(path))
    return arm


def differences(taken: tuple[batch.ArmResult, list[Profile], Path], *, twist: bool) -> F64:
    """Shares of the second run minus those of the first [replications, symbols], pp."""
    source, made, folder = taken
    names = source.stream.symbols
    rows = []
    for r, one in enumerate(made):
        arm = again(folder, twisted(one) if twist else one, 100 + r)
        rows.append(shares(arm, 0, names) - shares(source, r, names))
    return np.array(rows)


def twisted(made: Profile) -> Profile:
    """The profile with every fourth operation of its first symbol counted twice."""
    mine = {k for k, s in enumerate(made.statics) if s.symbol == 0 and k % 4 == 0}
    phases = (
        Phase(p.fs_per_op, tuple((s, level, n * (1 + (s in mine))) for s, level, n in p.cells))
        for p in made.phases
    )
    return replace(made, phases=tuple(phases))


def answers(table: F64) -> list[Kind]:
    """The answer of each symbol, by the 90 % interval that two one-sided tests go by."""
    found = (answer(float(c.mean()), t_interval(c, 0.9), MARGIN, n=c.size) for c in table.T)
    return [one.kind for one in found]


def test_shares_come_back(taken: tuple[batch.ArmResult, list[Profile], Path]) -> None:
    """Every symbol's share is equivalent within the margin."""
    assert answers(differences(taken, twist=False)) == [Kind.SAME] * 3


def test_an_injected_bias_is_flagged(taken: tuple[batch.ArmResult, list[Profile], Path]) -> None:
    """The positive control: a symbol with a quarter more records fails the same test."""
    assert Kind.SKEWED in answers(differences(taken, twist=True))


def test_time_and_levels_come_back(taken: tuple[batch.ArmResult, list[Profile], Path]) -> None:
    """Work time of the whole stream and the share of DRAM accesses agree within 3 %."""
    source, made, folder = taken
    arm = again(folder, made[0], 7)
    walls = [a.runs[0].vcpus[0].ledgers.time.running for a in (source, arm)]
    assert walls[1] == pytest.approx(walls[0], rel=0.03)
    dram = [np.asarray(a.truth).reshape(-1, 8)[:, 4].sum() / a.truth.sum() for a in (source, arm)]
    assert dram[1] == pytest.approx(dram[0], abs=0.01)
