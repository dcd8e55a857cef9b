"""`fast` and `reference` are bit-identical: ledgers, every record, every event time."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest

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


@pytest.mark.parametrize("block", BLOCKS)
def test_engines_agree(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random designs, streams and host pressure, with random chunk sizes and hints."""
    r = random.Random(block)
    for seed in range(block * SEEDS_PER_TEST, (block + 1) * SEEDS_PER_TEST):
        monkeypatch.setattr(fast, "MIN_CHUNK", r.choice([1, 2, 7, 64]))
        monkeypatch.setattr(fast, "MAX_CHUNK", r.choice([64, 1000, 65536]))
        hints(monkeypatch, known=r.choice([0, 2, 4]))
        slow, quick = made.everything(_run(seed, "reference")), made.everything(_run(seed, "fast"))
        differing = [name for name, value in slow.items() if quick[name] != value]
        assert not differing, f"seed {seed}: {differing}"


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
    flagged = 0
    for seed in range(2 * SEEDS_PER_TEST):
        for vcpu in _run(seed, engine).vcpus:
            flags = vcpu.aux["flags"]
            lost, gaps, collided = (
                int(np.count_nonzero(flags & flag))
                for flag in (AuxFlag.TRUNCATED, AuxFlag.PARTIAL, AuxFlag.COLLISION)
            )
            assert vcpu.aux_counts == AuxCounts(flags.size, lost, gaps, collided)
            flagged += lost + collided
    assert flagged


def test_the_suite_reaches_every_mechanism() -> None:
    """A control on the control: the random machines that are not deep exercise all there is."""
    seen: set[str] = set()
    for block, number in product(REPRESENTATIVE, range(SEEDS_PER_TEST)):
        result = _run(block * SEEDS_PER_TEST + number, "fast")
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
