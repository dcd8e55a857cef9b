"""`result.json` as a class: everything a run says, as plain numbers under the contract's names.

Attributes are named as the keys are, so that `result.arms["v6"].loss.total.mean` reads as the path
in the file does. Integers are totals over replications and vCPUs, time in ticks; metrics are means
over replications. `reports.results.build` makes a result from arms, `parse` reads one, and refuses
what is not of these classes. The published schema, `result.schema.json` beside this file, is made
from them: `python -m reports.results.schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from reports.results import shapes, written
from reports.results.compared import Paired, Profile, ShareError, Skew, together
from reports.results.damage import DamagedError, Json, loads
from reports.results.decision import Decision
from reports.results.fields import Keys
from reports.results.metric import Metric
from sim.ledger import DeliveryLedger, OpsLedger, SelectionsLedger, TimeLedger
from sim.machine.effective import Adjusted

RESULT_VERSION: Literal[5] = 5
Entries = Mapping[str, int]
"""Entries of a ledger by name."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a reader needs of an arm's settings to read its numbers; bytes, Hz, ops."""

    virtual: bool
    backing: str
    clock_hz: Annotated[int, 1]
    vcpus: Annotated[int, 1]
    stream: str
    stream_kind: Literal["profile", "recorded", "synthetic", "threads"]
    stream_ops: int
    interval_ops: int
    jitter: str
    restart: Literal["hold", "resync"]
    aux_bytes: int
    page_bytes: int
    limit_bytes: Annotated[int | None, "RLIMIT_MEMLOCK at the start; null: none"]
    unmap: str
    pressure: str
    upper_bound: bool
    adjusted: Annotated[tuple[Adjusted, ...], "settings that are not run as asked for"] = ()
    remarks: Annotated[tuple[str, ...], "what the import of the stream found in doubt"] = ()
    selection: Annotated[str, "source of the weights of hardware-like selection; empty: off"] = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The three ledgers, and what became of written records."""

    ops: Annotated[Entries, Keys(tuple(OpsLedger().as_dict()))]
    selections: Annotated[Entries, Keys(tuple(SelectionsLedger().as_dict()))]
    delivery: Annotated[Entries, Keys(tuple(DeliveryLedger().as_dict()))]
    time: Annotated[Entries, Keys(tuple(TimeLedger().as_dict()))]


@dataclass(frozen=True, slots=True)
class Each:
    """What one replication has of what is a metric over all."""

    loss: float | None
    wall_ticks: int
    locked_bytes_peak: int
    rlimit_exits: int
    zaps: int


@dataclass(frozen=True, slots=True)
class Replication:
    """One replication of an arm."""

    replication: int
    ledger: Ledger
    metrics: Each
    ended_at_op: Annotated[tuple[int, ...], 1]
    ended_because: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Fraction of population ops that were lost: any cause, then each label of a loss."""

    total: Metric
    event_disabled: Metric
    pin_refused: Metric
    irq_masked: Metric
    irq_wait_for_exit: Metric
    irq_delivery_full: Metric
    irq_delivery_fault: Metric
    virq_delivery: Metric

    def __post_init__(self) -> None:
        for name, metric in self.labels.items():
            together(name, metric, "total", self.total)

    @property
    def labels(self) -> Mapping[str, Metric]:
        """Without the total."""
        return {name: m for name, m in shapes.items(self) if name != "total"}


@dataclass(frozen=True, slots=True)
class SymbolLoss:
    """A symbol whose share the loss biases; all are fractions."""

    symbol: str
    share: float
    loss: float
    bias: float


@dataclass(frozen=True, slots=True)
class Blackouts:
    """Stops of profiling with one cause."""

    count: int
    ops: int
    ticks: int
    ops_mean: float | None
    ops_p50: int
    ops_p99: int
    ops_max: int
    ticks_mean: float | None
    ticks_p50: int
    ticks_p99: int
    ticks_max: int


@dataclass(frozen=True, slots=True)
class Rlimit:
    """Locked memory, and the exits that ask for more of it."""

    exits: int
    enables: int
    pinned_pages: int
    config_enomem: int
    oversize_windows: int
    excess_bytes_max: int
    locked_bytes_peak: int
    exits_per_enable: Metric
    exits_per_second: Metric
    exits_per_run: Metric
    exits_per_vcpu: Metric
    locked_bytes_mean: Metric
    excess_bytes: Metric
    first_exit_limit: Metric
    last_exit_limit: Metric
    locked_per_enable: Annotated[
        Metric | None, "locked memory times time; absent in results of before"
    ] = None


@dataclass(frozen=True, slots=True)
class ComparedOn:
    """Equal executed ops: the whole stream, or the ops of an arm that ended early."""

    basis: Literal["whole", "prefix"] | None
    ops: int | None


@dataclass(frozen=True, slots=True)
class Band:
    """Time added by a cause, ms per vCPU: here, and at the ends of the UNVERIFIED times."""

    here_ms: float
    low_ms: float | None
    high_ms: float | None
    unmapping_ms: float | None

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """The lowest and the highest that it may be; None without a band."""
        found = [x for x in (self.low_ms, self.high_ms, self.unmapping_ms) if x is not None]
        return (min(found), max(found)) if found else (None, None)


@dataclass(frozen=True, slots=True)
class PerEnable:
    """Time per enable edge, µs: here, and at the ends of the UNVERIFIED times; null: no band.

    `high_us` is with unpinning that removes stage 2 entries, where the design leaves that open.
    """

    here_us: float
    low_us: float | None
    high_us: float | None


@dataclass(frozen=True, slots=True)
class Ends:
    """A fraction at the ends of the UNVERIFIED times: the least and the most that it may be."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Events over replications and vCPUs."""

    stops: int
    traps: int
    ordinary_exits: int
    zaps: int
    full_buffers: int


@dataclass(frozen=True, slots=True)
class Life:
    """Events that died of all, one per vCPU and replication: mean life and its 95 % interval, s."""

    died: Annotated[int, 1]
    events: Annotated[int, 1]
    mean_s: float
    low_s: float
    high_s: float


@dataclass(frozen=True, slots=True)
class Aux:
    """PERF_RECORD_AUX records, as perf report counts them: all, and those with each flag."""

    records: int
    lost: Annotated[int, 0, "TRUNCATED: AUX data lost"]
    gaps: Annotated[int, 0, "PARTIAL: AUX data had gaps in it"]
    collisions: Annotated[int, 0, "COLLISION: AUX data detected collision"]


@dataclass(frozen=True, slots=True)
class Arm:
    """Everything that is said of one arm."""

    design: str
    setup: Setup
    ledger: Ledger
    replications: Annotated[tuple[Replication, ...], 1]
    loss: Loss
    loss_skew: Metric
    loss_by_symbol: tuple[SymbolLoss, ...]
    blackouts: Mapping[str, Blackouts]
    rlimit: Rlimit
    profile: Profile
    share_errors: tuple[ShareError, ...]
    skew: Skew
    compared_on: ComparedOn
    wall: Metric
    time_added: Metric
    time_band: Annotated[Mapping[str, Band], "by cause, and total; empty if not compared"]
    time_band_moved: tuple[str, ...]
    paired: Paired
    counts: Counts
    unmap_rate_per_s: float | None
    ended_at_op: int
    ended_because: str
    hold: Annotated[Arm | None, "the twin of an arm with restart: resync"]
    aux: Annotated[Aux | None, "absent in results of before it was counted"] = None
    loss_band: Annotated[Ends | None, "loss over the UNVERIFIED times; null: no band"] = None
    skew_band: Annotated[Ends | None, "symbol TVD vs truth, the same"] = None
    life: Annotated[Life | None, "null: no event died for good"] = None
    per_enable: Annotated[
        Mapping[str, PerEnable], "walk, charge, pin, map, unpin, all; empty: no edge that pins"
    ] = field(default_factory=dict)
    decisions: Annotated[
        Mapping[str, Decision], "by kind; absent if the scenario does not ask for them"
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.hold is not None and self.hold.hold is not None:
            raise DamagedError("must be null: a twin has no twin", "hold.hold")


@dataclass(frozen=True, slots=True)
class Result:
    """A run."""

    result_version: Literal[5]
    kind: Literal["prediction"]
    scenario: str
    question: str
    seed: int
    replications: Annotated[int, 1]
    reference_arm: str | None
    interrupted: bool
    arm_order: Annotated[tuple[str, ...], 1]
    arms: Mapping[str, Arm]

    def __post_init__(self) -> None:
        if sorted(self.arm_order) != sorted(self.arms):
            raise DamagedError("must name every arm once", "arm_order")
        if self.reference_arm is not None and self.reference_arm not in self.arms:
            raise DamagedError("must name an arm", "reference_arm")


def dumps(result: Result) -> str:
    """The bytes of result.json: sorted keys, no NaN, one trailing newline."""
    return written.text(result)


def parse(text: str) -> Result:
    """The result that a result.json holds; raises DamagedError."""
    return of_json(loads(text))


def of_json(document: Json) -> Result:
    """The result that a JSON object is; raises DamagedError."""
    return shapes.read(Result, document)
