"""Stops and exits served inside the kernel: the same result as through CPU, driver and KVM."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import product
from types import ModuleType

import pytest

from sim.host.migration import Migration
from sim.linux.aux import AuxFlag, Geometry
from sim.machine.machine import Machine, simulate
from sim.machine.rounds import exit_costs
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.results import RunResult
from sim.scenario.models.designs import DESIGNS
from sim.spe import fast
from sim.workload.arrays import Stream
from tests.exact import random_machines as made
from tests.exact.mutants import MACHINE_SECONDS, Mutant, at_most, build, hints, install
from tests.exact.mutants import mutant as _m
from tests.rigs.machines import table, vary

SEEDS_PER_TEST = 75
REPRESENTATIVE = 3
"""Blocks of seeds that do all there is to do; those behind them do it again, and are deep."""
BLOCKS = [
    pytest.param(block, marks=() if block < REPRESENTATIVE else pytest.mark.deep)
    for block in range(8)
]
ROUNDS, FUSED = "sim.machine.rounds", "sim.machine.compiled"


@lru_cache(maxsize=8)
def _machine(seed: int) -> tuple[Stream, MachineSpec]:
    r = random.Random(seed)
    dense = seed % 2 == 0
    stream = made.stream(r, dense)
    spec = made.round_after_round(r, stream, dense)
    return stream, _faults_and_exits(spec) if seed % 5 == 4 else spec


def _faults_and_exits(spec: MachineSpec) -> MachineSpec:
    """A fault every few records, between exits as close. Tables would need pages of 4 KiB."""
    words = {"notifiers": "honour_all", "pointers": "ipa"}
    return vary(
        spec,
        policies=DESIGNS["unpinned"].policies.model_copy(update=words),
        aux=Geometry(2048, 256, 1024),
        granule=256,
        unmap=UnmapSpec("per_window"),
        exits=made.close_exits(spec),
    )


def _run(seed: int, engine: str) -> RunResult:
    """Records are kept; a log of all state changes would keep every stop out of the kernel."""
    stream, spec = _machine(seed)
    return simulate(spec, (stream,), Run("x", seed, 0, keep_records=True), engine)


@cache
def _agreed(block: int) -> set[str]:
    """Runs a block of seeds under both engines, which agree; what happened inside the kernel."""
    r, seen = random.Random(block), set[str]()
    for seed in range(block * SEEDS_PER_TEST, (block + 1) * SEEDS_PER_TEST):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fast, "MIN_CHUNK", r.choice([1, 7, 64]))
            patch.setattr(fast, "MAX_CHUNK", r.choice([64, 1000, 65536]))
            hints(patch, known=r.choice([0, 2, 4]))
            slow, quick = (_run(seed, engine) for engine in ("reference", "fast"))
        told, untold = made.everything(quick), made.everything(slow)
        differing = [name for name, value in untold.items() if told[name] != value]
        assert not differing, f"seed {seed}: {differing}"
        seen |= _inside(*_machine(seed), quick)
    return seen


def _inside(stream: Stream, spec: MachineSpec, result: RunResult) -> set[str]:
    """Names of what a run did inside the kernel."""
    if not result.fused_rounds:
        return set()
    seen = {"full"} if not spec.policies.virtual else {"fault"}
    seen |= {"collided in flight"} if spec.spu.in_flight > 1 else set()
    seen |= {f"jitter {spec.spu.jitter.name}", "resync" if spec.spu.resync else "hold"}
    seen |= {"per record"} if spec.host.unmap.kind == "per_record" else set()
    seen |= {"masked"} if not (stream.never_masked or spec.policies.virtual) else set()
    seen |= {"two vCPUs"} if spec.vcpus == 2 else set()
    seen |= {"ordinary exits"} if spec.vm.exits and spec.policies.virtual else set()
    seen |= {"exits"} if result.fused_rounds > sum(v.stops for v in result.vcpus) else set()
    seen |= {"part of the ops"} if not stream.all_counted else set()
    for vcpu in result.vcpus:
        seen |= {"many"} if result.fused_rounds > 20 else set()
        seen |= {"through the CPU too"} if vcpu.stops > result.fused_rounds > 0 else set()
        seen |= {"collision"} if (vcpu.aux["flags"] & AuxFlag.COLLISION).any() else set()
        seen |= {"padding"} if (vcpu.aux["pad"] > 0).any() else set()
    return seen


@pytest.mark.parametrize("block", BLOCKS)
def test_engines_agree(block: int) -> None:
    """Bare metal's full buffers and KVM's faults, with ties, masks, exits and small chunks."""
    _agreed(block)


def _exiting(seed: int) -> tuple[Stream, MachineSpec]:
    """A random machine of any design, host and reader, with ordinary exits."""
    r = random.Random(seed)
    dense = seed % 2 == 0
    stream = made.stream(r, dense)
    spec = made.spec(r, stream, dense)
    return stream, vary(
        spec,
        exits=table([r.choice([64, 640, 3000, 20_000]) for _ in range(8)]),
        memlock=r.choice([spec.vm.memlock, 1 << 40]),
    )


@pytest.mark.parametrize(
    "block", [0, *(pytest.param(n, marks=pytest.mark.deep) for n in range(1, 4))]
)
def test_exits_ahead_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every design, beside whatever else is due, with records kept and without."""
    r = random.Random(block)
    ahead = []
    for seed in range(1000 * block, 1000 * block + 2 * SEEDS_PER_TEST):
        stream, spec = _exiting(seed)
        monkeypatch.setattr(fast, "MIN_CHUNK", r.choice([1, 7, 64]))
        monkeypatch.setattr(fast, "MAX_CHUNK", r.choice([64, 1000, 65536]))
        hints(monkeypatch, known=r.choice([0, 2, 4]))
        run = Run("x", seed, 0, keep_records=r.random() < 0.7)
        quick = simulate(spec, (stream,), run, "fast")
        told, untold = made.everything(quick), simulate(spec, (stream,), run, "reference")
        differing = [name for name, value in made.everything(untold).items() if told[name] != value]
        assert not differing, f"seed {seed}: {differing}"
        ahead += [(spec.policies.backing, spec.vcpus > 1)] * (quick.fused_rounds > 0)
    assert len({backing for backing, _ in ahead}) > 3
    assert any(several for _, several in ahead)


@pytest.mark.parametrize(
    ("design", "told", "served"),
    [
        ("v6", {"vcpus": 1, "memlock": 0}, True),
        ("v6", {"vcpus": 3, "memlock": 3 * 12 * 4096}, True),
        ("v6", {"vcpus": 3, "memlock": 3 * 12 * 4096 - 1}, False),
        ("v6", {"vcpus": 3, "memlock": 0, "cap_ipc_lock": True}, True),
        ("unpinned", {"vcpus": 3, "memlock": 0}, True),
        ("unpinned", {"vcpus": 3, "physical_cpus": 2}, False),
        ("unpinned", {"vcpus": 3, "migration": Migration(0, 1, 64, 0, 0, False)}, False),
        ("unpinned", {"vcpus": 1, "migration": Migration(0, 1, 64, 0, 0, False)}, True),
        ("unpinned", {"vcpus": 3, "data_loss_per_mille": 1}, False),
        ("unpinned", {"vcpus": 3, "exits": None}, False),
        ("baremetal", {"vcpus": 1}, False),
    ],
)
def test_who_is_served_ahead(design: str, told: dict[str, object], served: bool) -> None:
    """Nobody whom another vCPU, or the host for all of them, may stop at any time."""
    ring = Geometry(8 * 4096, 4096, 4 * 4096)  # and four levels of tables
    base = vary(
        _machine(0)[1],
        policies=DESIGNS[design].policies,
        exits=(3000,),
        aux=ring,
        aux_va=0xFFFF_8000_8000_0000,
        granule=4096,
        max_buffer=1 << 62,
        cap_ipc_lock=False,
        unmap=UnmapSpec("never"),
        **made.CALM,
    )
    assert bool(exit_costs(vary(base, **told))) is served


def test_rounds_happen_in_every_way() -> None:
    """A control on the control: what the machines above that are not deep do inside the kernel."""
    seen = set[str]().union(*(_agreed(block) for block in range(REPRESENTATIVE)))
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
        "exits",
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
    _m(
        "ends with the next event",
        FUSED,
        "if ended >= min(v[UNTIL], v[EXIT])",
        "if ended >= v[UNTIL] + 5000",
    ),
    _m("an event's wall time for its work time", FUSED, "else due - v[OFFSET]", "else due"),
    _m("masking ignored", FUSED, "if v[MASKLESS] == 0 and", "if False and"),
    _m("a latency drawn twice", FUSED, "v[KEY_IRQ], v[ORDINAL] + 1", "v[KEY_IRQ], v[ORDINAL]"),
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
        "v[OFFSET] += _ticks(v, status)",
    ),
    _m("records keep their work time", FUSED, "K.rows[r, k.ROW_WRITE] += offset"),
    _m("a speculation goes back too far", FUSED, "_copy(K.state, K.saved)"),
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
    _m("an exit ends with the next event", FUSED, "if ended >= v[ALONE]:", "if False:"),
    _m(
        "an exit in a round forgotten",
        FUSED,
        "if ended >= min(v[UNTIL], v[EXIT]) or",
        "if ended >= v[UNTIL] or",
    ),
    _m("a round over a position", FUSED, " or taken >= v[ALARM]:", ":"),
    _m("an exit on a position", FUSED, "v[EXIT] - v[OFFSET] < v[ALARM]", "True"),
    _m("in flight over an exit", FUSED, "if k.flush(", "if k.HORIZON != k.HORIZON and k.flush("),
    _m("a stop at an exit kept", FUSED, "_copy(F.before, state)"),
    _m("an exit's ops get no label", FUSED, "_label(S, v, v[FROM], op, PROFILED)"),
    _m("no restart after an exit", FUSED, "_restart(S, K, v, op, op)"),
    _m("running before an exit not counted", FUSED, "v[RUNNING] += work - v[RESUMED]"),
    _m("exits not counted", FUSED, "v[EXITS] += 1"),
    _m("a gap drawn twice", FUSED, "v[NTH_EXIT] += 1"),
    _m("exits while out", FUSED, "if v[EXIT] >= ended:", "if True:"),
    _m("an exit at the end of one lost", FUSED, "if v[EXIT] >= ended:", "if v[EXIT] > ended:"),
    _m("an exit takes no time", FUSED, "return v[EXIT_TICKS]", "return 0"),
    _m("exits happen again", ROUNDS, "self._exits.after_rounds(v[c.NTH_EXIT], v[c.EXIT])"),
    _m("no exit after rounds", ROUNDS, "self._exits.arm()"),
    _m("the position passed over", ROUNDS, "self._parts.cpu.alarm.arm()"),
    _m("a handler's exits not told", ROUNDS, "lost, v[c.EXITS])", "lost, 0)"),
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
