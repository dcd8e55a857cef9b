"""What the host unmaps, when, and which designs let it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from sim import draws
from sim.engine import Engine
from sim.host.pressure import Host, Pressure, Random, Sweep, Touch
from sim.machine.machine import simulate
from sim.machine.spec import UnmapSpec
from tests.rigs.machines import mean_of
from tests.rigs.small_machine import RUN, STREAM, WORK, faults_of, ran, spec

KEY = draws.key(1, 2, 3, "numa")


@dataclass
class _Target:
    """An AUX buffer that notes every zap; odd pages refuse if `picky`."""

    engine: Engine
    pages: int
    picky: bool = False
    zapped: list[tuple[int, int]] = field(default_factory=list)
    how: list[Touch] = field(default_factory=list)

    def touch(self, page: int, how: Touch) -> bool:
        self.zapped.append((self.engine.now, page))
        self.how.append(how)
        return not (self.picky and page % 2)

    def zap(self, first: int, last: int) -> int:
        return sum(self.touch(page, Touch.ZAP) for page in range(first, last))

    def movable(self, pages: Iterable[int]) -> bool:
        return not (self.picky and any(page % 2 for page in pages))

    def gone(self) -> int:
        self.zapped.append((self.engine.now, -1))
        return self.pages


def _press(pressure: Pressure, pages: int, until: int) -> _Target:
    engine = Engine()
    target = _Target(engine, pages)
    Host(engine, per_window=False).add(0, target, [pressure])
    engine.run(until)
    return target


@pytest.mark.parametrize("pages", [1, 7, 64])
def test_published_takes_each_page_once_per_sweep(pages: int) -> None:
    """NUMA balancing: after the first, partial sweep every page goes once in every period."""
    period, sweeps = 10_000, 12
    target = _press(Sweep((period,), KEY), pages, period * (sweeps + 1))
    times = [t for t, _ in target.zapped]
    assert times == sorted(times)
    assert times[0] >= 0
    skip = draws.below(KEY, 1 << 40, period)
    turns = Counter((t + skip) // period for t, _ in target.zapped)
    assert turns[0] <= pages
    for turn in range(1, sweeps):
        begin = turn * period - skip
        pages_of_turn = [page for t, page in target.zapped if begin <= t < begin + period]
        assert sorted(pages_of_turn) == list(range(pages))


def test_published_has_the_rate_of_its_period() -> None:
    """Pages per period, over many sweeps whose periods vary."""
    law = draws.uniform_table(5_000, 20_000, 256)
    target = _press(Sweep(law, KEY), 32, 5_000_000)
    mean = mean_of(law)
    assert len(target.zapped) == pytest.approx(32 * 5_000_000 / mean, rel=0.06)


def test_sweeps_differ_by_key_only() -> None:
    """A page's turn is where it lies in guest memory: the same in every sweep, another for another
    vCPU's buffer."""
    period = 10_000
    one, other = (_press(Sweep((period,), key), 16, 4 * period) for key in (KEY, KEY + 1))
    assert one.zapped != other.zapped
    skip = draws.below(KEY, 1 << 40, period)
    first, second = (
        [page for t, page in one.zapped if turn == (t + skip) // period] for turn in (1, 2)
    )
    assert sorted(first) == list(range(16))
    assert first == second


def test_pages_that_lie_together_go_together() -> None:
    """A piece is hit in one instant, at a step of the sweep; every piece once per sweep."""
    period = 64_000
    target = _press(Sweep((period,), KEY, piece=4, scans=64), 16, 3 * period)
    skip = draws.below(KEY, 1 << 40, period)
    whole = [(t, page) for t, page in target.zapped if (t + skip) // period == 1]
    assert sorted(page for _, page in whole) == list(range(16))
    for first in range(0, 16, 4):
        assert len({t for t, page in whole if page // 4 == first // 4}) == 1
    assert all((t + skip) % (period // 64) == 0 for t, _ in whole)


def test_a_burst_makes_runs_differ_more() -> None:
    """The same pages go in each sweep, in one piece or one by one."""
    lost = {}
    for piece in (1, 32):
        unmap = UnmapSpec("published", (WORK // 3,), piece=piece, scans=64)
        machine = spec("unpinned", unmap=unmap)
        runs = [simulate(machine, (STREAM,), replace(RUN, replication=k)) for k in range(12)]
        lost[piece] = np.array([faults_of(run) for run in runs])
        assert all(32 <= run.zaps <= 160 for run in runs)
    assert lost[32].std() > lost[1].std()


def test_poisson_takes_random_pages_at_its_gaps() -> None:
    """One page a gap; pages are uniform."""
    target = _press(Random((100,), KEY), 8, 80_001)
    assert [t for t, _ in target.zapped] == list(range(100, 80_001, 100))
    pages = Counter(page for _, page in target.zapped)
    assert set(pages) == set(range(8))
    assert all(60 <= n <= 145 for n in pages.values())  # 100 ± 4 σ


def test_poisson_gaps_follow_the_law() -> None:
    """Mean gap = the table's mean; gaps and pages use different draws."""
    target = _press(Random(draws.exponential_table(1_000), KEY), 4, 2_000_000)
    assert len(target.zapped) == pytest.approx(2_000, abs=4 * 2_000**0.5)


@pytest.mark.parametrize("per_window", [True, False])
def test_per_window_takes_the_window_when_it_is_enabled(per_window: bool) -> None:
    """Every page of the window, at that instant, and only if the host is told to."""
    engine = Engine()
    host, target = Host(engine, per_window), _Target(engine, 16)
    host.add(5, target, [])
    host.window_enabled(5, 3, 7)
    assert target.zapped == [(0, page) for page in range(3, 7) if per_window]
    assert host.zaps == 4 * per_window


def test_zaps_counts_only_pages_that_went() -> None:
    """A page that the design keeps is no zap."""
    engine = Engine()
    host, target = Host(engine, per_window=True), _Target(engine, 16, picky=True)
    host.add(0, target, [])
    host.window_enabled(0, 0, 16)
    assert (len(target.zapped), host.zaps) == (16, 8)


# --- real runs -------------------------------------------------------------------------------


def test_a_page_that_is_gone_cannot_be_unmapped_again() -> None:
    """published on an unpinned design: zaps are first hits and re-hits of pages that came back."""
    run = ran("unpinned", unmap=UnmapSpec("published", (WORK // 4,)))
    faults = run.vcpus[0].ledgers.selections.lost_at_fault
    assert 0 < faults <= run.zaps <= 32 + faults


@pytest.mark.parametrize(("design", "faults_per_window"), [("unpinned", 2), ("v6", 0)])
def test_per_window_faults_every_page_of_every_unpinned_window(
    design: str, faults_per_window: int
) -> None:
    """Always cold: 2-page windows fault twice each; v6 has pinned them, so nothing goes."""
    run = ran(design, unmap=UnmapSpec("per_window"))
    vcpu = run.vcpus[0]
    log = Counter(what for _, what, _ in vcpu.log)
    assert log["FULL"] >= 3
    windows = log["FULL"] + 1
    assert run.zaps == faults_per_window * windows
    assert faults_per_window * log["FULL"] <= log["FAULT"] <= faults_per_window * windows


@pytest.mark.parametrize("kind", ["never", "published", "per_window", "per_record"])
def test_baremetal_has_no_host(kind: str) -> None:
    """Nothing is unmapped where there is no stage 2."""
    run = ran("baremetal", unmap=UnmapSpec(kind, (WORK // 4,)))
    assert run.zaps == run.vcpus[0].ledgers.selections.lost_at_fault == 0
