"""vCPUs that share processors: turns, and what stolen time costs."""

from __future__ import annotations

import pytest

from sim.engine import Engine
from sim.host.scheduler import share_cpus
from sim.ledger import TimeCause
from tests.rigs.small_machine import WORK, ran, stopped

# --- fewer CPUs than vCPUs -------------------------------------------------------------------


class _Turns:
    """A vCPU that notes when it is kept from running."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.out = engine, list[tuple[int, int]]()

    def pause(self, cause: TimeCause, until: int) -> None:
        assert cause is TimeCause.STEAL
        self.out.append((self.engine.now, until))


@pytest.mark.parametrize(("vcpus", "physical"), [(2, 1), (3, 2), (4, 2), (5, 3), (7, 2)])
def test_vcpus_take_turns(vcpus: int, physical: int) -> None:
    """At any instant as many run as there are CPUs, and all get the same share."""
    engine = Engine()
    turns = [_Turns(engine) for _ in range(vcpus)]
    engine.process(share_cpus(engine, turns, physical, 100))
    engine.run(vcpus * 100 * 10 - 50)
    for middle in range(50, vcpus * 100 * 9, 100):
        out = sum(any(a <= middle < b for a, b in t.out) for t in turns)
        assert vcpus - out == physical
    shares = {sum(b - a for a, b in t.out if b <= vcpus * 900) for t in turns}
    assert max(shares) - min(shares) <= vcpus * 100


def test_stolen_time_loses_nothing() -> None:
    """Two vCPUs on one CPU: half of the wall time is stolen, and the same ops are sampled."""
    alone = ran("v6", vcpus=2, interval=4096, period=4096)
    shared = ran("v6", vcpus=2, interval=4096, period=4096, physical_cpus=1, host_slice=WORK // 40)
    for one, two in zip(alone.vcpus, shared.vcpus, strict=True):
        stolen = two.ledgers.time.stopped[TimeCause.STEAL]
        assert 0.8 * one.ledgers.time.wall < stolen < 1.2 * one.ledgers.time.wall
        assert two.ledgers.ops == one.ledgers.ops
        assert two.written[:, 0].tolist() == one.written[:, 0].tolist()
    assert stopped(alone, TimeCause.STEAL) == 0
