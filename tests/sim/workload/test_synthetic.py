"""Synthetic streams: proportions, times and levels of their phases, and nothing else."""

from __future__ import annotations

import numpy as np

from sim.scenario.models.workloads import LevelMix, OpMix, Phase, Synthetic
from sim.workload.a64 import OpClass
from sim.workload.arrays import OP, POP, TICK, Stream
from sim.workload.synthetic import MICRO_OPS_PER_ATOMIC, synthetic_stream
from tests.rigs.machines import synthetic

MIX = OpMix(other=50, load=30, store=10, branch=5, atomic=5, fp_simd=0)


def phase(name: str, *, length: int = 100, cpi: int = 1000, el: int = 0) -> Phase:
    """A loop of mixed ops, its loads in L1 and DRAM."""
    return Phase.model_validate(
        {
            "name": name,
            "length": length,
            "iterations": 30,
            "cpi_millis": cpi,
            "el": el,
            "mix": MIX,
            "levels": LevelMix(l1=3, l2=0, slc=0, dram=1),
        }
    )


def classes(stream: Stream) -> dict[int, int]:
    """Static ops by class."""
    found, counts = np.unique(stream.static_class, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def test_ops_are_dealt_in_the_phases_proportions() -> None:
    """A body of 100 ops has exactly the mix, and its memory ops the levels' shares."""
    stream = synthetic(phase("a"))
    assert classes(stream) == {
        OpClass.OTHER: 50,
        OpClass.LOAD: 30,
        OpClass.STORE: 10,
        OpClass.BRANCH: 5,
        OpClass.ATOMIC: 5,
    }
    levels = stream.pass_counts.reshape(100, -1).sum(axis=0) // 30
    assert levels[[0, 1, 2, 3]].tolist() == [55, 34, 0, 0]
    assert levels.sum() == 100


def test_time_is_the_cpi() -> None:
    """64 ticks a cycle, spread over the body; whole ticks a body, an op at least one."""
    assert synthetic(phase("a", cpi=1500)).size(TICK) == 30 * 100 * 96
    assert synthetic(phase("a", cpi=16)).size(TICK) == 30 * (100 * 64 * 16 // 1000)


def test_a_phase_does_not_depend_on_the_others_size() -> None:
    """Names and places decide the deal: another length of a second phase changes no first."""
    one, two = (synthetic(phase("a"), phase("b", length=n)) for n in (37, 73))
    assert one.static_class[:100].tolist() == two.static_class[:100].tolist()
    assert one.symbols == ("a", "b")


def test_the_population() -> None:
    """EL1 is taken out on request; as micro-ops an atomic counts more than once."""
    workload = Synthetic(kind="synthetic", phases=(phase("user"), phase("kernel", el=1)))

    def made(*, exclude: bool, micro: bool) -> Stream:
        return synthetic_stream(
            workload, core="neoverse-n1", exclude_kernel=exclude, micro_ops=micro
        )

    assert made(exclude=True, micro=False).size(POP) == 3000
    whole = made(exclude=False, micro=True)
    assert whole.size(OP) == 6000
    assert whole.size(POP) == 6000 + 2 * 5 * 30 * (MICRO_OPS_PER_ATOMIC - 1)
