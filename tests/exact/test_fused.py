"""Stops served inside the kernel: the same result as through the CPU, the driver and KVM."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import product
from types import ModuleType

import pytest

from sim.linux.aux import AuxFlag
from sim.machine.machine import Machine, simulate
from sim.machine.run import Run
from sim.machine.spec import MachineSpec
from sim.results import RunResult
from sim.spe import fast
from sim.workload.arrays import Stream
from tests.exact import random_machines as made
from tests.exact.mutants import MACHINE_SECONDS, Mutant, at_most, build, hints, install
from tests.exact.mutants import mutant as _m

SEEDS_PER_TEST = 75
ROUNDS, FUSED = "sim.machine.rounds", "sim.machine.compiled"


@cache
def _machine(seed: int) -> tuple[Stream, MachineSpec]:
    r = random.Random(seed)
    dense = seed % 2 == 0
    stream = made.stream(r, dense)
    return stream, made.round_after_round(r, stream, dense)


def _run(seed: int, engine: str) -> RunResult:
    """Records are kept; a log of all state changes would keep every stop out of the kernel."""
    stream, spec = _machine(seed)
    return simulate(spec, (stream,), Run("x", seed, 0, keep_records=True), engine)


@pytest.mark.parametrize("block", range(8))
def test_engines_agree(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bare metal's full buffers and KVM's faults, with ties, masks, exits and small chunks."""
    r = random.Random(block)
    for seed in range(block * SEEDS_PER_TEST, (block + 1) * SEEDS_PER_TEST):
        monkeypatch.setattr(fast, "MIN_CHUNK", r.choice([1, 7, 64]))
        monkeypatch.setattr(fast, "MAX_CHUNK", r.choice([64, 1000, 65536]))
        hints(monkeypatch, known=r.choice([0, 2, 4]))
        slow, quick = made.everything(_run(seed, "reference")), made.everything(_run(seed, "fast"))
        differing = [name for name, value in slow.items() if quick[name] != value]
        assert not differing, f"seed {seed}: {differing}"


def test_rounds_happen_in_every_way() -> None:
    """A control on the control: what the machines above do inside the kernel."""
    seen: set[str] = set()
    for seed in range(8 * SEEDS_PER_TEST):
        stream, spec = _machine(seed)
        result = _run(seed, "fast")
        if not result.fused_rounds:
            continue
        seen |= {"full"} if not spec.policies.virtual else {"fault"}
        seen |= {"collided in flight"} if spec.spu.in_flight > 1 else set()
        seen |= {f"jitter {spec.spu.jitter.name}", "resync" if spec.spu.resync else "hold"}
        seen |= {"per record"} if spec.host.unmap.kind == "per_record" else set()
        seen |= {"masked"} if not (stream.never_masked or spec.policies.virtual) else set()
        seen |= {"two vCPUs"} if spec.vcpus == 2 else set()
        seen |= {"ordinary exits"} if spec.vm.exits and spec.policies.virtual else set()
        seen |= {"part of the ops"} if not stream.all_counted else set()
        for vcpu in result.vcpus:
            seen |= {"many"} if result.fused_rounds > 20 else set()
            seen |= {"through the CPU too"} if vcpu.stops > result.fused_rounds > 0 else set()
            seen |= {"collision"} if (vcpu.aux["flags"] & AuxFlag.COLLISION).any() else set()
            seen |= {"padding"} if (vcpu.aux["pad"] > 0).any() else set()
    assert seen == {
        "full",
        "fault",
        "collided in flight",
        "jitter OFF",
        "jitter RND",
        "jitter ERND",
        "hold",
        "resync",
        "per record",
        "masked",
        "two vCPUs",
        "ordinary exits",
        "part of the ops",
        "many",
        "through the CPU too",
        "collision",
        "padding",
    }


def test_a_log_sees_every_stop() -> None:
    """Whoever wants to know each state change gets the slow path, with the same result."""
    for seed in range(40):
        stream, spec = _machine(seed)
        logged = simulate(spec, (stream,), Run("x", seed, 0, keep_records=True, keep_log=True))
        assert logged.fused_rounds == 0
        told, untold = made.everything(logged), made.everything(_run(seed, "fast"))
        assert all(told[name] == value for name, value in untold.items() if "log" not in name)


MUTANTS = [
    _m(
        "a stop more than there was",
        ROUNDS,
        "parts.spu.after_rounds(n,",
        "parts.spu.after_rounds(n + 1,",
    ),
    _m("ends with the next event", FUSED, "if ended >= v[UNTIL]:", "if ended >= v[UNTIL] + 5000:"),
    _m("an event's wall time for its work time", FUSED, "v[BOUND] - v[OFFSET]", "v[BOUND]"),
    _m("masking ignored", FUSED, "if v[MASKLESS] == 0 and", "if False and"),
    _m("a latency drawn twice", FUSED, "_latency(F, v[ORDINAL] + 1)", "_latency(F, v[ORDINAL])"),
    _m("latencies forgotten", ROUNDS, "parts.gic.after_rounds(v[c.ORDINAL])"),
    _m("a counter at 0 goes on", FUSED, "(1 if saved == state[k.LAST] + 1 else 0)", "0"),
    _m("COUNT runs through a blackout", FUSED, "state[k.CANDIDATE] += moved"),
    _m("ECOUNT's grid stays", FUSED, "state[k.PRIMARY] += moved"),
    _m("the sequence stays", FUSED, "k.resync(K.config, state, pop)"),
    _m("population ops not counted", FUSED, "v[label] += members"),
    _m("other ops not counted", FUSED, "v[OTHERS] += end - begin - members"),
    _m("running not counted", FUSED, "v[RUNNING] += taken - v[RESUMED]"),
    _m("running time forgotten", ROUNDS, "(at, ops, v[c.RUNNING],", "(at, ops, 0,"),
    _m("handler time forgotten", ROUNDS, "stopped[cause] = stopped.get(cause, 0) + rounds * ticks"),
    _m(
        "the handler takes no time",
        FUSED,
        "v[OFFSET] += v[FULL_TICKS] if status == k.FULL else v[FAULT_TICKS]",
    ),
    _m("records keep their work time", FUSED, "K.rows[r, k.ROW_WRITE] += offset"),
    _m("a speculation goes back too far", FUSED, "K.saved[:] = K.state"),
    _m("zapped pages come back", FUSED, "K.pages_before[page] = K.pages[page]"),
    _m("tables not looked at", FUSED, "if F.mapped[table] == 0:", "if False:"),
    _m("the page stays away", FUSED, "F.mapped[page] = K.pages[page] = 1", "F.mapped[page] = 1"),
    _m("stage 2 not told", FUSED, "F.mapped[page] = K.pages[page] = 1", "K.pages[page] = 1"),
    _m("lost code not counted", ROUNDS, "rows[:, c.STOP :", "rows[:0, c.STOP :"),
    _m("blackouts not counted", FUSED, "account[COUNT] += 1"),
    _m(
        "the longest blackout forgotten",
        FUSED,
        "account[TICKS_MAX] = max(account[TICKS_MAX], ticks)",
    ),
    _m(
        "head does not move", FUSED, "v[HEAD] = head + window.pad", "v[HEAD] = v[HEAD] + window.pad"
    ),
    _m("records not delivered", FUSED, "v[BYTES] += written"),
    _m("collisions not flagged", FUSED, "_COLLISION if state[k.COLLIDED] > v[CLEARED] else 0", "0"),
    _m("COLL never cleared", FUSED, "v[CLEARED] = state[k.COLLIDED]"),
    _m("COLL of the next window", ROUNDS, "(n, v[c.CLEARED])", "(n, parts.spu.collisions_cleared)"),
    _m(
        "AUX records without their window", ROUNDS, "yield (tid, *closed, records)", "yield from ()"
    ),
    _m("the driver keeps its old window", ROUNDS, "parts.event.after_rounds(v[c.WINDOW], written)"),
]


@pytest.fixture
def plain_numpy() -> Iterator[None]:
    """numpy scalars warn where compiled integers wrap."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@cache
def _busy() -> list[tuple[int, dict[str, object]]]:
    """Seeds of machines with rounds, the shortest first, and what `reference` says of them."""
    found = []
    for seed in range(8 * SEEDS_PER_TEST):
        stream, _ = _machine(seed)
        rounds = _run(seed, "fast").fused_rounds if stream.ops <= 4000 else 0
        if rounds:
            found.append((rounds, seed))
    return [(seed, made.everything(_run(seed, "reference"))) for _, seed in sorted(found)]


def _rounds(one: str, module: ModuleType) -> ModuleType:
    """`sim.machine.rounds` with this copy of it, or of its compiled part."""
    if one == ROUNDS:
        return module
    host = build(ROUNDS)
    host.__dict__["c"] = module
    return host


def _differs(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Does some machine differ, with every event a surprise, or with each announced?"""
    install("Rounds", module.__dict__["Rounds"], monkeypatch)
    for known, (seed, expected) in product((0, 4), _busy()):
        hints(monkeypatch, known)
        stream, spec = _machine(seed)
        run = Run("x", seed, 0, keep_records=True)
        try:
            with at_most(MACHINE_SECONDS):
                said = made.everything(Machine(spec, (stream,), run, fast.MacroSampler).run())
        except Exception:  # a mutant may break in any way; the control shows that a copy does not
            return True
        if said != expected:
            return True
    return False


@pytest.mark.usefixtures("plain_numpy")
@pytest.mark.deep
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded bug in the rounds changes a record, a time or a ledger, or breaks a law."""
    _busy()
    module = build(mutant.module, mutant.old, mutant.new)
    assert _differs(_rounds(mutant.module, module), monkeypatch)


@pytest.mark.usefixtures("plain_numpy")
@pytest.mark.parametrize("module", [ROUNDS, FUSED])
def test_an_unchanged_copy_passes(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a copy made and run in the same way differs from nothing."""
    assert len(_busy()) > 50
    assert not _differs(_rounds(module, build(module)), monkeypatch)
