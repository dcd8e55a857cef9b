"""Batches: every (arm, replication) of a scenario, in any number of processes, in one order.

A unit's result depends on the scenario, its arm and its replication only, so the number of workers
changes nothing; results are reduced in replication order from integers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sim import draws
from sim.cache.identity import by_identity
from sim.collecting import usual
from sim.linux.tree import programming
from sim.machine import resolve
from sim.machine.machine import simulate
from sim.machine.run import Run
from sim.results import FIRST_TID, ROW_FIELDS, RunResult
from sim.runs import counterparts
from sim.runs.pool import DiedError, Pool
from sim.runs.seen.sightings import Sightings, Visits, visits
from sim.runs.truth import latency_counts, latency_truth, truth
from sim.scenario.models.scenario import Arm, Scenario, Settings
from sim.spe.record import expand
from sim.workload.arrays import Stream

I64 = NDArray[np.int64]
Progress = Callable[[int, int, str], None]
"""progress(done, total, what)"""


@dataclass(frozen=True, slots=True)
class StreamTables:
    """What a profile needs to know of a stream; S static ops."""

    name: str
    kind: str
    ops: int
    """Of the longest thread, if there are several."""
    static_pc: NDArray[np.uint64]
    static_class: NDArray[np.uint8]
    static_symbol: NDArray[np.int32]
    symbols: tuple[str, ...]
    build_seconds: float
    """Of the host that built it: a measurement, no simulated time."""
    remarks: tuple[str, ...] = ()
    """Of the import, about what in the recording is in doubt."""
    lengths: tuple[int, ...] = ()
    """Ops of each thread, in the order of vCPUs, if there are several."""

    def length(self, vcpu: int) -> int:
        """Ops that a vCPU has to execute."""
        return self.lengths[vcpu] if self.lengths else self.ops


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency view of runs that kept their records: samples and truth by bucket [R, B]."""

    sampled: I64
    truth: I64


@dataclass(frozen=True, slots=True)
class Prefix:
    """What an arm that ended early is compared with: its own ops, replication by replication.

    `reference[r]` is baremetal's replication r, run again and stopped at the ops at which the arm's
    replication r ended; `independent[r]` is its replication r + 1, stopped there too (empty with
    one replication). `truth` [R, cells] counts exactly those ops. Latencies as in `Latency`.
    """

    truth: I64
    reference: tuple[RunResult, ...]
    independent: tuple[RunResult, ...]
    latency: Latency | None = None
    independent_latency: Latency | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """Replication 0 at the ends of every UNVERIFIED time that the scenario leaves open.

    `unmapping` is the high end with stage 2 entries removed at each unpin; None if nothing is
    unpinned, or the arm does so anyway.
    """

    moved: tuple[str, ...]
    low: RunResult
    high: RunResult
    unmapping: RunResult | None


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm: its runs in replication order, and the truth that they sample.

    `truth` counts population members that pass the filters among the ops that replication 0
    executed, summed over vCPUs, by static × LEVEL_STRIDE + level; it is that of every replication
    unless the arm ended early: then see `prefix`. With a latency filter it is the expected number,
    from the same quantile tables. `hold` is the twin of an arm with `restart: resync`; `latency`
    exists only if records were kept, `visits` only if the scenario asks for decisions.
    """

    arm: Arm
    stream: StreamTables
    runs: tuple[RunResult, ...]
    truth: I64
    clock_hz: int
    latency: Latency | None = None
    prefix: Prefix | None = None
    hold: ArmResult | None = None
    band: Band | None = None
    visits: Visits | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """One replication of one arm: all that its result depends on, and what is kept of it."""

    arm: Arm
    seed: int
    replication: int
    engine: str
    keep_records: bool
    stop_at: tuple[int, ...] = ()
    keep_log: bool = False
    sightings: tuple[str, ...] = ()
    """What its records are reduced to as they are made, by names of `sim.runs.seen.sightings`."""
    locate_losses: bool = True
    """As in `Run`: runs beside an arm's own are asked how much they lose at most, not where."""

    @property
    def key(self) -> str:
        """Hash of everything in it: equal keys, equal results."""
        tree = self.arm.settings.driver.kernel_tree
        sources = programming.identity(tree) if tree else ""
        others = [getattr(self, each.name) for each in fields(self) if each.name != "arm"]
        told = f"{_told(self.arm)} {others!r} {sources}"
        return hashlib.sha256(told.encode()).hexdigest()

    def __str__(self) -> str:
        """What a person calls it."""
        return f"arm {self.arm.name}, replication {self.replication}"


@by_identity(64)
def _told(arm: Arm) -> str:
    """Everything in an arm; its replications and who looks for their results ask again."""
    return repr(arm)


Execute = Callable[[Sequence[Unit]], Iterator[tuple[int, RunResult]]]
"""execute(units): (index of the unit, its result) in any order, each once."""


def run(
    scenario: Scenario,
    *,
    engine: str = "fast",
    jobs: int = 1,
    keep_records: bool = False,
    band: bool = False,
    progress: Progress | None = None,
    execute: Execute | None = None,
) -> tuple[ArmResult, ...]:
    """Run every arm and replication; raises LawBrokenError if a conservation law breaks."""
    return tuple(
        run_arms(
            scenario,
            engine=engine,
            jobs=jobs,
            keep_records=keep_records,
            band=band,
            progress=progress,
            execute=execute,
        )
    )


def run_arms(
    scenario: Scenario,
    *,
    engine: str = "fast",
    jobs: int = 1,
    keep_records: bool = False,
    band: bool = False,
    progress: Progress | None = None,
    execute: Execute | None = None,
) -> Iterator[ArmResult]:
    """Like `run`, yielding each arm when all of its replications are there.

    With `band`, replication 0 of each arm also runs at the ends of the UNVERIFIED times. `execute`
    runs the units in place of `jobs` processes. If a unit's process dies each time, the other arms
    come first, then DiedError.
    """
    told = _telling(progress)
    for arm in scenario.arms:  # streams are built once, here, and found in the cache by workers
        _stream(arm.settings, told)
        resolve.kernel_driver(arm.settings)  # as are drivers of kernel trees
    with Pool(jobs if execute is None else 1) as pool:
        run_units = execute or partial(pool.apply, run_unit)
        with _Batch(scenario, engine, keep_records, band, run_units, progress) as batch:
            yield from batch.arms()


def _telling(progress: Progress | None) -> resolve.Told | None:
    """Progress of what comes before the first unit."""
    if progress is None:
        return None

    def told(done: int, total: int) -> None:
        progress(0, 0, f"who gives the threads their lines, {100 * done // max(1, total)} %")

    return told


@dataclass(frozen=True, slots=True)
class _Part:
    """Units whose results are wanted together, and what progress calls them."""

    label: str
    units: tuple[Unit, ...]


class _Batch:
    """The units of one scenario, run in a pool or here, with progress.

    Those that are known beforehand are asked for in one go, arm after arm, so no process waits for
    an arm's last one; what only results ask for is run when the others are done.
    """

    def __init__(
        self,
        scenario: Scenario,
        engine: str,
        keep_records: bool,
        band: bool,
        execute: Execute,
        progress: Progress | None,
    ) -> None:
        self._scenario, self._engine, self._keep = scenario, engine, keep_records
        self._band, self._execute, self._progress = band, execute, progress
        parts = (part for arm in scenario.arms for part in self._parts_of(arm))
        self._parts = {part.label: part for part in parts}
        self._found: dict[str, dict[int, RunResult]] = {label: {} for label in self._parts}
        self._done = 0
        self._total = sum(len(part.units) for part in self._parts.values())
        self._ahead = self._begun()
        self._died: DiedError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_why: object) -> None:
        """Units that have begun are given up."""
        self._ahead.close()

    def _parts_of(self, arm: Arm) -> Iterator[_Part]:
        twin = counterparts.hold_twin(arm)
        if twin is not None:
            yield self._own(twin, _hold(arm))
        yield self._own(arm, arm.name)
        if self._band:
            ends = counterparts.band_ends(arm).values()
            yield _Part(_ends(arm), tuple(aside(self._unit(end, 0)) for end in ends))

    def _own(self, arm: Arm, label: str) -> _Part:
        return _Part(label, tuple(self._unit(arm, r) for r in range(self._scenario.replications)))

    def _unit(self, arm: Arm, replication: int, stop_at: tuple[int, ...] = ()) -> Unit:
        asked = self._scenario.decisions
        sees = () if asked is None else asked.needs
        seed = self._scenario.seed
        return Unit(arm, seed, replication, self._engine, self._keep, stop_at, sightings=sees)

    def _begun(self) -> Generator[bool]:
        """Each step files another result of a part, until all are there or a unit cannot be run."""
        where = [(part, index) for part in self._parts.values() for index in range(len(part.units))]
        units = [part.units[index] for part, index in where]
        try:
            for at, result in self._execute(units):
                part, index = where[at]
                found = self._found[part.label]
                found[index] = result
                self._done += 1
                self._tell(part, len(found))
                yield True
        except DiedError as error:
            self._died = error

    def _tell(self, part: _Part, finished: int) -> None:
        if self._progress is not None:
            text = f"{part.label} {finished}/{len(part.units)}"
            self._progress(self._done, self._total, text)

    def _runs(self, label: str) -> _Runs:
        """Results of a part, waited for, in the order of its units."""
        found, wanted = self._found[label], len(self._parts[label].units)
        while len(found) < wanted:
            if not next(self._ahead, False):
                assert self._died is not None
                raise self._died
        return tuple(found[index] for index in range(wanted))

    def _aside(self, part: _Part) -> _Runs:
        """Results of units that were not known beforehand, in their order."""
        for _ in self._ahead:  # or there would be more processes than were asked for
            pass
        found: dict[int, RunResult] = {}
        for index, result in self._execute(part.units):
            found[index] = result
            self._tell(part, len(found))
        return tuple(found[index] for index in range(len(part.units)))

    def arms(self) -> Iterator[ArmResult]:
        """Each arm when it has its results; those that a death leaves without are left out."""
        for arm in self._scenario.arms:
            try:
                made = self._arm(arm)
            except DiedError as error:
                self._died = error
            else:
                yield made
        if self._died is not None:
            raise self._died

    def _arm(self, arm: Arm) -> ArmResult:
        """An arm and everything that is run beside it."""
        twin = counterparts.hold_twin(arm)
        hold = None if twin is None else self._result(twin, _hold(arm), None, None)
        return self._result(arm, arm.name, hold, self._band_ends(arm) if self._band else None)

    def _result(self, arm: Arm, label: str, hold: ArmResult | None, band: Band | None) -> ArmResult:
        runs = self._runs(label)
        stream = _stream(arm.settings)
        return ArmResult(
            arm=arm,
            stream=_tables(_keyed(arm.settings)),
            runs=runs,
            truth=truth(stream, resolve.machine_spec(arm, stream), runs[0]),
            clock_hz=arm.settings.cpu.clock,
            latency=self._latency(arm, runs),
            visits=self._visits(arm, stream),
            prefix=self._prefix(arm, runs),
            hold=hold,
            band=band,
        )

    def _visits(self, arm: Arm, stream: Stream) -> Visits | None:
        if self._scenario.decisions is None:
            return None
        return visits_of(arm, stream)

    def _latency(self, arm: Arm, runs: _Runs) -> Latency | None:
        if not self._keep or not runs:
            return None
        stream = _stream(arm.settings)
        spec = resolve.machine_spec(arm, stream)
        seed = self._scenario.seed
        return Latency(
            np.stack([latency_counts(stream, arm.settings, seed, run) for run in runs]),
            np.stack([latency_truth(stream, spec, arm.settings, run) for run in runs]),
        )

    def _prefix(self, arm: Arm, runs: _Runs) -> Prefix | None:
        """Baremetal on the ops of an arm that ended early; None if there is nothing to run."""
        stream = _stream(arm.settings)
        base = counterparts.reference_arm(self._scenario.arms)
        stops = [tuple(vcpu.ended_at_op for vcpu in run.vcpus) for run in runs]
        early = any(op < stream.of(v).ops for row in stops for v, op in enumerate(row))
        if not early or base is None or base.name == arm.name:
            return None
        if not counterparts.same_stream(arm, base):
            return None
        base = base.model_copy(update={"settings": _restarting_like(base, arm)})
        label = f"{base.name} on the prefix of {arm.name}"
        same = self._stopped(base, stops, 0, label)
        other = self._stopped(base, stops, 1, label) if len(runs) > 1 else ()
        executed = [tuple(v.ended_at_op for v in run.vcpus) for run in same + other]
        mine = self._truths(arm, runs)
        if executed != (stops + stops)[: len(executed)]:
            return None  # baremetal ended before that
        if not np.array_equal(mine, self._truths(base, same)):
            return None  # another population or filter
        return Prefix(mine, same, other, self._latency(base, same), self._latency(base, other))

    def _stopped(self, base: Arm, stops: list[tuple[int, ...]], shift: int, label: str) -> _Runs:
        n = len(stops)
        units = (aside(self._unit(base, (r + shift) % n, stops[r])) for r in range(n))
        return self._aside(_Part(label, tuple(units)))

    def _truths(self, arm: Arm, runs: _Runs) -> I64:
        stream = _stream(arm.settings)
        spec = resolve.machine_spec(arm, stream)
        return np.stack([truth(stream, spec, run) for run in runs])

    def _band_ends(self, arm: Arm) -> Band:
        found = dict(zip(counterparts.band_ends(arm), self._runs(_ends(arm)), strict=True))
        low, high = found["low"], found["high"]
        return Band(counterparts.moved(arm), low, high, found.get("unmapping"))


def _hold(arm: Arm) -> str:
    return f"{arm.name} (hold)"


def _ends(arm: Arm) -> str:
    return f"{arm.name} (band)"


_Runs = tuple[RunResult, ...]


def _restarting_like(base: Arm, arm: Arm) -> Settings:
    """A hold twin is compared with baremetal under hold too."""
    spe = base.settings.spe.model_copy(update={"restart": arm.settings.spe.restart})
    return base.settings.model_copy(update={"spe": spe})


def aside(unit: Unit) -> Unit:
    """Of a run that stands beside an arm's own: nobody asks for more than profile and ledgers."""
    return replace(unit, sightings=(), locate_losses=False)


def run_unit(unit: Unit) -> RunResult:
    """Simulate one unit."""
    with usual():  # a machine's garbage holds its arrays
        return _run_unit(unit)


def _run_unit(unit: Unit) -> RunResult:
    stream = _stream(unit.arm.settings)
    spec = resolve.machine_spec(unit.arm, stream)
    seen = _sightings(unit, stream, spec.vcpus)
    run = Run(
        arm=unit.arm.name,
        seed=unit.seed,
        replication=unit.replication,
        keep_records=unit.keep_records,
        keep_log=unit.keep_log,
        stop_at=unit.stop_at,
        locate_losses=unit.locate_losses,
        watch=None if seen is None else seen.of,
    )
    made = simulate(spec, stream.threads, run, unit.engine)
    return made if seen is None else replace(made, sightings=seen.tables())


def _sightings(unit: Unit, stream: Stream, vcpus: int) -> Sightings | None:
    """Who is to count what a unit's records show, if that is asked for."""
    if not unit.sightings:
        return None
    facts = resolve.core_facts(unit.arm.settings)
    keys = [draws.key(unit.seed, unit.replication, vcpu, "latency") for vcpu in range(vcpus)]
    return Sightings(stream, unit.sightings, facts, keys)


def without_records(run: RunResult) -> RunResult:
    """The result of a run that keeps no records."""
    # copies: an empty view of an array would keep all of it
    none = np.empty((0, ROW_FIELDS), np.int64)
    vcpus = tuple(replace(v, written=none.copy(), aux=v.aux[:0].copy()) for v in run.vcpus)
    return replace(run, vcpus=vcpus)


def visits_of(arm: Arm, stream: Stream) -> Visits:
    """What an arm's whole stream visits; arms that sample one population share it."""
    settings = arm.settings
    spe = settings.spe
    parts = (spe.filter, spe.population, spe.exclude_kernel, spe.counter_bits, settings.cpu.core)
    key = f"{resolve.stream_key(settings)} {settings.vm.vcpus} {parts!r}"
    if key not in _VISITS:
        spec = resolve.machine_spec(arm, stream)
        counter_max = resolve.core_facts(settings).counter_max
        while len(_VISITS) >= MAX_VISITS:
            _VISITS.pop(next(iter(_VISITS)))
        _VISITS[key] = visits(stream, spec, counter_max)
    return _VISITS[key]


MAX_VISITS = 16
_VISITS: dict[str, Visits] = {}


@lru_cache(maxsize=16)
def _stream_of(keyed: _Keyed) -> Stream:
    return resolve.stream_of(keyed.settings, keyed.told)


class _Keyed:
    """Settings that compare by the key of their stream."""

    def __init__(self, key: str, settings: Settings, told: resolve.Told | None) -> None:
        self.key, self.settings, self.told = key, settings, told

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


def _keyed(settings: Settings, told: resolve.Told | None = None) -> _Keyed:
    return _Keyed(resolve.stream_key(settings), settings, told)


def _stream(settings: Settings, told: resolve.Told | None = None) -> Stream:
    return _stream_of(_keyed(settings, told))


@lru_cache(maxsize=16)
def _tables(keyed: _Keyed) -> StreamTables:
    """Arms that run one stream share its tables."""
    stream = _stream_of(keyed)
    return StreamTables(
        name=stream.name,
        kind=keyed.settings.workload.kind,
        ops=stream.longest,
        static_pc=stream.static_pc,
        static_class=stream.static_class,
        static_symbol=stream.static_symbol,
        symbols=stream.symbols,
        build_seconds=stream.build_seconds,
        remarks=stream.remarks,
        lengths=tuple(thread.ops for thread in stream.threads) if stream.siblings else (),
    )


def records(arm: Arm, seed: int, run: RunResult) -> list[NDArray[np.void]]:
    """Full SPE records of a run that kept them, per vCPU."""
    return [
        expand_rows(arm, seed, run.replication, index, vcpu.written)
        for index, vcpu in enumerate(run.vcpus)
    ]


def expand_rows(
    arm: Arm, seed: int, replication: int, vcpu: int, rows: NDArray[np.int64]
) -> NDArray[np.void]:
    """Full SPE records of some of a vCPU's written rows; a record depends on its row alone."""
    facts = resolve.core_facts(arm.settings)
    key = draws.key(seed, replication, vcpu, "latency")
    return expand(_stream(arm.settings).of(vcpu), rows, facts, key, vcpu, FIRST_TID + vcpu)


def stream_of(arm: Arm) -> Stream:
    """The stream of an arm, built once."""
    return _stream(arm.settings)


def rerun(arm: Arm, seed: int, replication: int) -> RunResult:
    """One replication once more, with its records, AUX transactions and log kept."""
    return run_unit(Unit(arm, seed, replication, "fast", keep_records=True, keep_log=True))
