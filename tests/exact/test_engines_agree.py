"""`fast` and `reference` are bit-identical: ledgers, every record, every event time."""

from __future__ import annotations

import random
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.engine import Engine
from sim.linux.aux import AuxFlag
from sim.machine.machine import simulate
from sim.machine.run import Run
from sim.results import AuxCounts, RunResult
from sim.spe import fast
from tests.exact import random_machines as made
from tests.exact.mutants import hints

SEEDS_PER_TEST = 50
REPRESENTATIVE = (0, 1, 5, 9)
"""Blocks of seeds that reach every mechanism; the other blocks, deep, reach the same in others."""
BLOCKS = [
    pytest.param(block, marks=() if block in REPRESENTATIVE else pytest.mark.deep)
    for block in range(12)
]


def _run(seed: int, engine: str) -> RunResult:
    r = random.Random(seed)
    dense = seed % 2 == 0
    stream = made.stream(r, dense)
    return simulate(made.spec(r, stream, dense), (stream,), Run("x", seed, 0, True, True), engine)


class Seen(NamedTuple):
    """What is left of a block of machines for other tests; they need not run them again."""

    mechanisms: set[str]
    aux: dict[str, list[tuple[AuxCounts, AuxCounts]]]
    """By engine: a vCPU's counts, and those of its rows."""


@cache
def _agreed(block: int) -> Seen:
    """Runs a block of seeds under both engines, which agree."""
    r, seen = random.Random(block), Seen(set(), {"fast": [], "reference": []})
    for seed in range(block * SEEDS_PER_TEST, (block + 1) * SEEDS_PER_TEST):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fast, "MIN_CHUNK", r.choice([1, 2, 7, 64]))
            patch.setattr(fast, "MAX_CHUNK", r.choice([64, 1000, 65536]))
            hints(patch, known=r.choice([0, 2, 4]))
            results = {engine: _run(seed, engine) for engine in seen.aux}
        quick, slow = map(made.everything, results.values())
        differing = [name for name, value in slow.items() if quick[name] != value]
        assert not differing, f"seed {seed}: {differing}"
        seen.mechanisms.update(_mechanisms(results["fast"]))
        for engine, result in results.items():
            seen.aux[engine] += [(vcpu.aux_counts, _counted(vcpu.aux)) for vcpu in result.vcpus]
    return seen


def _counted(rows: NDArray[np.void]) -> AuxCounts:
    """AUX records by flag, as rows that were kept have them."""
    lost, gaps, collided = (
        int(np.count_nonzero(rows["flags"] & flag))
        for flag in (AuxFlag.TRUNCATED, AuxFlag.PARTIAL, AuxFlag.COLLISION)
    )
    return AuxCounts(rows.size, lost, gaps, collided)


def _mechanisms(result: RunResult) -> set[str]:
    """Names of all that happened in a run."""
    seen: set[str] = set()
    for vcpu in result.vcpus:
        for ledger in vcpu.ledgers.as_dict().values():
            seen |= {name for name, value in ledger.items() if value}
        seen |= set(vcpu.blackouts)
        events = {what for _, what, _ in vcpu.log}
        seen |= events & {"LATE_PMBIRQ"}
        seen |= {"switched off and on"} if "ENABLE" in events else set()
        flags = int(np.bitwise_or.reduce(vcpu.aux["flags"])) if vcpu.aux.size else 0
        seen |= {"truncated"} if flags & AuxFlag.TRUNCATED else set()
        seen |= {"partial"} if flags & AuxFlag.PARTIAL else set()
        seen |= {"collision"} if flags & AuxFlag.COLLISION else set()
    seen |= {"rlimit_exits"} if result.rlimit.exits else set()
    seen |= {"killed"} if "destroyed" in result.ended_because else set()
    seen |= {"no progress"} if "no progress" in result.ended_because else set()
    return seen


@pytest.mark.parametrize("block", BLOCKS)
def test_engines_agree(block: int) -> None:
    """Random designs, streams and host pressure, with random chunk sizes and hints."""
    _agreed(block)


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_time_that_passes_at_once_is_time_that_was_waited(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages with an event each, which let everything of their instants come between: the same."""
    really, went_by = Engine.passes, list[bool]()

    def noted(of: Engine, delay: int) -> bool:
        went_by.append(really(of, delay))
        return went_by[-1]

    monkeypatch.setattr(Engine, "passes", noted)
    at_once = [_run(seed, engine) for seed in range(SEEDS_PER_TEST)]
    assert 0.1 < sum(went_by) / len(went_by) < 0.99  # both happen
    monkeypatch.setattr(Engine, "passes", lambda *delay: False)
    for seed, result in enumerate(at_once):
        assert made.everything(_run(seed, engine)) == made.everything(result), seed


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_aux_records_are_counted_as_their_rows_say(engine: str) -> None:
    """With rows kept, the counts without them are those of the rows, flag by flag."""
    counts = [pair for block in (0, 1) for pair in _agreed(block).aux[engine]]
    assert all(said == counted for said, counted in counts)
    assert any(said.lost + said.collisions for said, _ in counts)


def test_the_suite_reaches_every_mechanism() -> None:
    """A control on the control: the random machines that are not deep exercise all there is."""
    seen = set[str]().union(*(_agreed(block).mechanisms for block in REPRESENTATIVE))
    wanted = {
        "collided",
        "filtered",
        "lost_at_fault",
        "discarded_in_flight",
        "skipped",
        "delivered",
        "irq_masked",
        "irq_wait_for_exit",
        "irq_delivery_full",
        "irq_delivery_fault",
        "virq_delivery",
        "event_disabled",
        "pin_refused",
        "not_in_population",
        "before_start",
        "trap",
        "walk",
        "pin",
        "map",
        "unpin",
        "fault",
        "inject",
        "vmm",
        "task_off_cpu",
        "ordinary_exit",
        "handler",
        "guest_kernel",
        "full",
        "disabled",
        "rlimit_exits",
        "killed",
        "overwritten",
        "discarded_by_mode",
        "reader",
        "idle",
        "no progress",
        "truncated",
        "collision",
        "switched off and on",
        "LATE_PMBIRQ",
        "voided_by_DL",
        "partial",
    }
    assert wanted <= seen, wanted - seen
