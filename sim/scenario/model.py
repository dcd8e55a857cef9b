"""The scenario as frozen models: every key, its unit, its meaning and its limits.

Text with units becomes ints here (times: picoseconds; sizes: bytes; see `sim.units`); ticks are
made when an arm's machine is built, because they need the core clock. Unknown keys are errors.
Numbers without a unit are counts. Nothing is converted silently: `"1"` and `1.0` are no ints.
Limits keep every tick count within 64 bits and refuse what no machine has. Defaults that stand for
a measured or estimated quantity are explained with their source in `parameters.toml`; see
`sim.scenario.parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sim import units
from sim.scenario import checks as checking
from sim.scenario import matrix as expansion
from sim.scenario.checks import Check, Until
from sim.scenario.designs import DESIGNS as DESIGNS
from sim.scenario.designs import Policies as Policies
from sim.scenario.matrix import Cases, Matrix
from sim.scenario.strict import Strict as Strict


@dataclass(frozen=True, slots=True)
class Unit:
    """How an int field is written again: unit names with their size, largest first."""

    sizes: tuple[tuple[str, int], ...]


_TIMES = Unit((("s", 10**12), ("ms", 10**9), ("us", 10**6), ("ns", 10**3), ("ps", 1)))
_SIZES = Unit((("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)))
_HERTZ = Unit((("GHz", 10**9), ("MHz", 10**6), ("kHz", 10**3), ("Hz", 1)))
RATE = Unit((("/s", 1),))
"""The one unit whose value is the reciprocal of what is written."""


UNLIMITED = 1 << 62
"""Bytes that stand for no limit."""
MAX_OPS = 10**13
"""Most ops of a workload or a count."""
MAX_REPEAT = 10**6
MAX_STATIC_OPS = 1 << 22
MAX_AUX = 4 << 30
"""Largest AUX area, bytes."""
MIN_INTERVALS = (256, 512, 768, 1024, 1536, 2048, 3072, 4096)
"""What PMSIDR_EL1.Interval can say, ops."""
MAX_INTERVAL = (1 << 32) - 256
"""Largest sample period, ops."""
_LEAST_GAP, _MOST_GAP = 10**5, 10**15
_MAX_TEXT = 40
_MAX_DIGITS = 20
_EXPONENT = re.compile(r"[eE]\+?[0-9]{3}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _reader(parse: Callable[[str], int], kind: str, example: str, limits: str) -> BeforeValidator:
    """Reads text with a unit into an int; 0 passes, other bare numbers do not.

    `limits` is ``LEAST to MOST``, each as a user would write it.
    """
    least, most = map(parse, limits.split(" to "))

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value == 0:
            number = 0
        elif isinstance(value, str):
            number = parse(_readable(value, kind, example))
        else:
            raise units.UnitError(
                f"needs a {kind} with its unit, e.g. {example!r}; got {_shown(value)}"
            )
        if not least <= number <= most:
            raise units.UnitError(f"{_shown(value)} is out of range: a {kind} is {limits}")
        return number

    return BeforeValidator(read)


def _readable(text: str, kind: str, example: str) -> str:
    """The text itself; raises UnitError if it has more digits than exact arithmetic keeps."""
    digits = sum(char.isdigit() for char in text)
    if len(text) > _MAX_TEXT or digits > _MAX_DIGITS or _EXPONENT.search(text):
        raise units.UnitError(
            f"{_shown(text)} is too long for a {kind}; write it like {example!r}, "
            f"with at most {_MAX_DIGITS} digits"
        )
    return text


def _gap(text: str) -> int:
    """A rate as the mean gap, picoseconds; a rate so high that its gap is 0 is refused."""
    gap = units.parse_rate(text)
    never = gap == 0 and not text.strip(" 0._/s")
    if not never and not _LEAST_GAP <= gap <= _MOST_GAP:
        raise units.UnitError(
            f"{_shown(text)} is out of range: a rate is 0/s, or 0.001/s to 10000000/s"
        )
    return gap


def _text(pattern: str, example: str) -> WithJsonSchema:
    """Schema of text with a unit; also a bare 0."""
    kinds = ["string", "integer"]
    zero = {"minimum": 0, "maximum": 0}
    return WithJsonSchema({"type": kinds, "pattern": pattern, **zero, "examples": [example]})


_NUMBER = r"^\s*[0-9][0-9_]*(\.[0-9]+)?([eE]\+?[0-9]+)?\s*"
_SIZE_TEXT = _NUMBER + r"(B|KiB|MiB|GiB|TiB)\s*$"
Time = Annotated[
    int,
    _reader(units.parse_time, "time", "4ms", "0s to 1000000s"),
    _TIMES,
    _text(_NUMBER + r"(ps|ns|us|µs|ms|s)\s*$", "4ms"),
]
"""Picoseconds."""
Slice = Annotated[
    int,
    _reader(units.parse_time, "time slice", "4ms", "1us to 1000000s"),
    _TIMES,
    _text(_NUMBER + r"(ps|ns|us|µs|ms|s)\s*$", "4ms"),
]
"""Picoseconds, long enough for a scheduler."""
Size = Annotated[
    int,
    _reader(units.parse_size, "size", "4MiB", "0B to 4194304TiB"),
    _SIZES,
    _text(_SIZE_TEXT, "4MiB"),
]
"""Bytes."""
OpCount = Annotated[
    int,
    _reader(units.parse_ops, "number of ops", "1024ops", "0ops to 10_000_000_000_000ops"),
    Unit((("ops", 1),)),
    _text(_NUMBER + r"ops\s*$", "1024ops"),
]
Cycles = Annotated[
    int,
    _reader(units.parse_cycles, "number of cycles", "600cycles", "0cycles to 1_000_000cycles"),
    Unit((("cycles", 1),)),
    _text(_NUMBER + r"cycles\s*$", "600cycles"),
]
Frequency = Annotated[
    int,
    _reader(units.parse_frequency, "core frequency", "3GHz", "1MHz to 100GHz"),
    _HERTZ,
    _text(_NUMBER + r"(Hz|kHz|MHz|GHz)\s*$", "3GHz"),
]
"""Hertz."""
Rate = Annotated[
    int,
    _reader(_gap, "rate", "1000/s", "0/s to 0.001/s"),
    RATE,
    _text(_NUMBER + r"/s\s*$", "1000/s"),
]
"""A rate is held as the mean time between events, picoseconds; 0 means never."""


def _text_default(text: str) -> Any:
    """A default written as a user would write it; it is validated like input."""
    return text


def _or_unlimited(value: object) -> object:
    return f"{UNLIMITED}B" if value == "unlimited" else value


SizeOrUnlimited = Annotated[
    Size,
    BeforeValidator(_or_unlimited),
    _text(rf"{_SIZE_TEXT}|^unlimited$", "unlimited"),
]


# --- distributions ---------------------------------------------------------------------------


class ConstantTime(Strict):
    """Always the same time."""

    kind: Literal["constant"] = Field(default="constant", description="always the same")
    value: Time = Field(description="the time")


class UniformTime(Strict):
    """Uniform between two times."""

    kind: Literal["uniform"] = Field(description="between two times")
    low: Time = Field(description="shortest time")
    high: Time = Field(description="longest time")

    @model_validator(mode="after")
    def _ordered(self) -> UniformTime:
        if self.low > self.high:
            raise ValueError("low is above high; exchange them")
        return self


class ExponentialTime(Strict):
    """Exponential with a mean."""

    kind: Literal["exponential"] = Field(description="exponential")
    mean: Time = Field(description="mean time")


def _constant(value: object) -> object:
    return {"kind": "constant", "value": value} if isinstance(value, (str, int)) else value


TimeDistribution = Annotated[
    ConstantTime | UniformTime | ExponentialTime,
    Field(discriminator="kind"),
    BeforeValidator(_constant),
]


class ConstantLatency(Strict):
    """Every op of the class is in flight for the same time."""

    kind: Literal["constant"] = Field(description="always the same")
    value: Cycles = Field(description="cycles in flight")


class ExponentialLatency(Strict):
    """Time in flight is exponential."""

    kind: Literal["exponential"] = Field(description="exponential")
    mean: Cycles = Field(description="mean cycles in flight")


class CoreLatency(Strict):
    """Time in flight as the core preset has it for the op's class and memory level."""

    kind: Literal["core"] = Field(
        default="core", description="by op class and memory level, as the core preset has it"
    )


Latency = Annotated[ConstantLatency | ExponentialLatency | CoreLatency, Field(discriminator="kind")]


# --- workload --------------------------------------------------------------------------------


class OpMix(Strict):
    """Relative frequencies of op classes in a synthetic loop."""

    other: int = Field(default=10, ge=0, le=1_000_000, description="integer ops, parts")
    load: int = Field(default=5, ge=0, le=1_000_000, description="loads, parts")
    store: int = Field(default=2, ge=0, le=1_000_000, description="stores, parts")
    branch: int = Field(default=3, ge=0, le=1_000_000, description="branches, parts")
    atomic: int = Field(default=0, ge=0, le=1_000_000, description="atomic accesses, parts")
    fp_simd: int = Field(
        default=0, ge=0, le=1_000_000, description="floating-point and SIMD ops, parts"
    )

    @model_validator(mode="after")
    def _some(self) -> OpMix:
        if not any(self.model_dump().values()):
            raise ValueError("all frequencies are 0; give at least one class, e.g. other: 1")
        return self


class LevelMix(Strict):
    """Relative frequencies of memory levels among a loop's accesses."""

    l1: int = Field(default=90, ge=0, le=1_000_000, description="hits in L1, parts")
    l2: int = Field(default=7, ge=0, le=1_000_000, description="hits in L2, parts")
    slc: int = Field(
        default=2, ge=0, le=1_000_000, description="hits in the system-level cache, parts"
    )
    dram: int = Field(default=1, ge=0, le=1_000_000, description="accesses of memory, parts")

    @model_validator(mode="after")
    def _some(self) -> LevelMix:
        if not any(self.model_dump().values()):
            raise ValueError("all frequencies are 0; give at least one level, e.g. l1: 1")
        return self


class Phase(Strict):
    """A synthetic loop: `length` static ops, run `iterations` times."""

    name: str = Field(min_length=1, max_length=80, description="name of the loop's symbol")
    length: int = Field(ge=1, le=1 << 20, description="ops of one iteration")
    iterations: int = Field(ge=1, le=MAX_OPS, description="how often the loop runs in a row")
    cpi_millis: int = Field(default=667, ge=16, le=1_000_000, description="cycles per 1000 ops")
    mix: OpMix = Field(default=OpMix(), description="op classes of the loop")
    levels: LevelMix = Field(default=LevelMix(), description="memory levels of its accesses")
    latency: Latency = Field(default=CoreLatency(), description="time in flight of its ops")
    el: Literal[0, 1] = Field(default=0, description="exception level: 0 user, 1 kernel")
    irq_masked: bool = Field(default=False, description="PSTATE.I is set in the loop; el: 1")


class KernelOverlay(Strict):
    """EL1 code inserted into a recorded EL0 stream: synthetic, counted, part of it IRQ-masked."""

    tick_every: Time = Field(
        default=_text_default("4ms"), description="period of the guest's timer tick, work time"
    )
    tick_ops: OpCount = Field(
        default=_text_default("6000ops"), description="EL1 ops of one tick; UNVERIFIED"
    )
    svc_ops: OpCount = Field(
        default=_text_default("1500ops"), description="EL1 ops of one system call; UNVERIFIED"
    )
    fault_ops: OpCount = Field(
        default=_text_default("1500ops"),
        description="EL1 ops of one page fault, at the first access to a page; UNVERIFIED",
    )
    masked_prefix: OpCount = Field(
        default=_text_default("400ops"),
        description="ops at the start of each entry with PSTATE.I set; UNVERIFIED",
    )
    cpi_millis: int = Field(
        default=1500, ge=16, le=1_000_000, description="cycles per 1000 EL1 ops; UNVERIFIED"
    )


class Recorded(Strict):
    """A recorded instruction stream."""

    kind: Literal["recorded"] = Field(description="a stream recorded or imported by speskew")
    path: str = Field(
        min_length=1, description="a .spestream, relative to the scenario file or to the stock"
    )
    repeat: int = Field(default=1, ge=1, le=MAX_REPEAT, description="how often in a row")
    kernel: KernelOverlay | None = Field(default=None, description="EL1 code to insert; null: none")


class Synthetic(Strict):
    """Loops in turn."""

    kind: Literal["synthetic"] = Field(description="loops in turn")
    phases: tuple[Phase, ...] = Field(
        min_length=1, max_length=10_000, strict=False, description="the loops, in order"
    )
    repeat: int = Field(default=1, ge=1, le=MAX_REPEAT, description="how often in a row")

    @model_validator(mode="after")
    def _bounded(self) -> Synthetic:
        ops = self.repeat * sum(phase.length * phase.iterations for phase in self.phases)
        if ops > MAX_OPS:
            raise ValueError(f"{ops:,} ops in all; at most {MAX_OPS:,}: lower repeat or iterations")
        static = sum(phase.length for phase in self.phases)
        if static > MAX_STATIC_OPS:
            raise ValueError(f"loops of {static:,} ops in all; at most {MAX_STATIC_OPS:,}")
        return self


class Profiled(Strict):
    """Operations in the proportions of a real SPE capture (`speskew import spe`)."""

    kind: Literal["profile"] = Field(description="operations in the proportions of a capture")
    path: str = Field(
        min_length=1, description="a profile, relative to the scenario file or to the stock"
    )
    repeat: int = Field(default=1, ge=1, le=MAX_REPEAT, description="how often in a row")


Workload = Annotated[Recorded | Synthetic | Profiled, Field(discriminator="kind")]


# --- SPE, driver, buffer ---------------------------------------------------------------------


class SpeFilter(Strict):
    """PMSFCR and friends; a record is kept if it passes every filter that is set."""

    load: bool = Field(default=False, description="PMSFCR.LD: keep loads")
    store: bool = Field(default=False, description="PMSFCR.ST: keep stores")
    branch: bool = Field(default=False, description="PMSFCR.B: keep branches")
    min_latency: int = Field(default=0, ge=0, le=4095, description="cycles, PMSLATFR.MINLAT")
    event_filter: int = Field(
        default=0, ge=0, lt=1 << 64, description="PMSEVFR: all these event bits must be set"
    )


class Spe(Strict):
    """The SPU as the driver programs it."""

    interval: OpCount = Field(
        default=_text_default("1024ops"), description="attr.sample_period before rounding"
    )
    jitter: Literal["off", "on", "ernd"] = Field(
        default="off",
        description="off: RND=0; on: RND=1, a random byte in the reload (accumulates); "
        "ernd: FEAT_SPE_ERnd (a grid)",
    )
    restart: Literal["hold", "resync"] = Field(
        default="hold",
        description="hold: the counter freezes while profiling is off (architecture); "
        "resync: it re-aligns at a restart (variance reduction)",
    )
    in_flight: int = Field(
        default=1, ge=1, le=4, description="sampled ops the SPU can track at once"
    )
    population: Literal["instructions", "micro_ops"] = Field(
        default="instructions", description="what the interval counter counts"
    )
    exclude_kernel: bool = Field(
        default=True, description="attr.exclude_kernel: EL1 is not profiled"
    )
    counter_bits: Literal[12, 16] = Field(
        default=12, description="PMSIDR.CountSize: latencies saturate at this width"
    )
    min_interval: OpCount = Field(
        default=_text_default("1024ops"), description="PMSIDR.Interval, caps/min_interval"
    )
    record: Literal["core", "slot64", "packed"] = Field(
        default="core",
        description="records as the core preset writes them; slots of 64 bytes; or packed: 44 "
        "bytes with an address, 32 without, which straddle pages (Kunpeng)",
    )
    target_bias_per_mille: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Neoverse N1 erratum 1694299: of 1000 selections closely after a branch "
        "target, how many sample the target instead; UNVERIFIED",
    )
    target_bias_reach: int = Field(
        default=4, ge=1, le=64, description="ops that are closely after it; UNVERIFIED"
    )
    data_loss_per_mille: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="how many of 1000 stage 2 faults say PMBSR.DL = 1, a record half written; "
        "UNVERIFIED",
    )
    filter: SpeFilter = Field(default=SpeFilter(), description="which records are kept")


class Reader(Strict):
    """`perf record`'s reader of the AUX ring."""

    kind: Literal["keeps_up", "process"] = Field(
        default="keeps_up",
        description="keeps_up: has copied everything when the next transaction begins; "
        "process: takes t_reader_wakeup, t_reader_copy and t_reader_enable",
    )
    cpu: Literal["other", "same"] = Field(
        default="other",
        description="where a process runs: on another CPU, or on the task's, preempting it",
    )


PACKED_CORES = frozenset({"kunpeng-920"})
"""Cores that write records one after the other, in two lengths; the others fill slots."""
AUX_DEFAULTS = {"default-privileged": "4MiB", "default-unprivileged": "128KiB"}
"""What perf record mmaps for arm_spe_0 without -m: privileged (or paranoid < 0), and not."""


def _named(names: dict[str, str], value: object) -> object:
    """The text that a word stands for; what has a digit is no word."""
    if not isinstance(value, str) or any(char.isdigit() for char in value):
        return value
    if value not in names:
        known = ", ".join(names)
        raise units.UnitError(f"unknown {_shown(value)}; one of {known}, or a number with its unit")
    return names[value]


def _named_aux(value: object) -> object:
    return _named(AUX_DEFAULTS, value)


AuxSize = Annotated[
    Size,
    BeforeValidator(_named_aux),
    _text(rf"{_SIZE_TEXT}|^({'|'.join(AUX_DEFAULTS)})$", "default-unprivileged"),
]


class Driver(Strict):
    """The guest's perf event."""

    aux: AuxSize = Field(
        default=_text_default("4MiB"),
        description="AUX mmap, a power of two; or default-privileged (4 MiB), "
        "default-unprivileged (128 KiB)",
    )
    watermark: Size = Field(default=0, description="attr.aux_watermark; 0 means half of the AUX")
    mode: Literal["task", "cpu"] = Field(
        default="task",
        description="task: the event follows the task, as with perf record; cpu: as with -C",
    )
    capture: Literal["full", "snapshot", "discard"] = Field(
        default="full",
        description="full: every record goes to perf; snapshot: the ring is overwritten and read "
        "once, at the end; discard: records are made and thrown away (PMBLIMITR.FM)",
    )
    version: Literal["6.1", "6.12"] = Field(
        default="6.1",
        description="Linux version of arm_spe_pmu; they differ when perf_aux_output_begin fails",
    )
    reader: Reader = Field(default=Reader(), description="perf record's side of the ring")


class Buffer(Strict):
    """State of the profiling buffer when the event starts."""

    initial_s2: Literal["warm", "cold"] = Field(
        default="warm",
        description="are its pages mapped at stage 2 at first: warm, as perf leaves them, or cold",
    )
    va: int = Field(
        default=0xFFFF_8000_8000_0000, ge=0, lt=1 << 64, description="guest VA of the AUX area"
    )


# --- machine ---------------------------------------------------------------------------------


class Cpu(Strict):
    """The core."""

    core: Literal["neoverse-n1", "neoverse-v1", "neoverse-v2", "kunpeng-920"] = Field(
        default="neoverse-n1", description="core preset: caches, costs, event bits; not the clock"
    )
    clock: Frequency = Field(default=_text_default("3GHz"), description="core clock, constant")


EXIT_RATES = {
    "none": "0/s",
    "quiet": "100/s",
    "light": "1000/s",
    "heavy": "15000/s",
    "busiest": "20000/s",
}
"""Published rates of ordinary exits per vCPU by name; sources at `ordinary_exits`."""


def _named_rate(value: object) -> object:
    return _named(EXIT_RATES, value)


ExitRate = Annotated[
    Rate,
    BeforeValidator(_named_rate),
    _text(rf"{_NUMBER}/s\s*$|^({'|'.join(EXIT_RATES)})$", "light"),
]


class Vm(Strict):
    """The virtual machine; baremetal arms use `vcpus` as CPUs and ignore the rest."""

    vcpus: int = Field(
        default=1,
        ge=1,
        le=512,
        description="vCPUs, or CPUs on baremetal, each with its own copy of the workload",
    )
    granule: Literal["4KiB", "16KiB", "64KiB"] = Field(
        default="4KiB", description="page size of guest and host"
    )
    memory: Size = Field(
        default=_text_default("16GiB"),
        description="guest memory; what v3 to v5 and guest_memfd lock or populate",
    )
    physical_cpus: int = Field(
        default=0,
        ge=0,
        le=512,
        description="CPUs of the host for these vCPUs, which take turns (t_host_slice) if "
        "there are fewer; 0: one each",
    )
    max_buffer: SizeOrUnlimited = Field(
        default=_text_default("4MiB"),
        description="KVM_ARM_VCPU_MAX_BUFFER_SIZE per vCPU, which PMBIDR_EL1 would advertise "
        "(DEN0154); today's driver does not look: a larger window gets a buffer size event",
    )
    bounce: Size = Field(
        default=_text_default("2MiB"), description="KVM's own buffer per vCPU (bounce_buffer)"
    )
    exits: ExitRate = Field(
        default=_text_default("1000/s"),
        description="ordinary exits per vCPU (timer, IPI, MMIO); or a published rate by name: "
        "none, quiet (100/s), light (1000/s), heavy (15000/s, hackbench), busiest (20000/s)",
    )

    @property
    def page_bytes(self) -> int:
        """Bytes of a translation granule: guest, stage 2 and pinning use one."""
        return units.parse_size(self.granule)


class Switch(Strict):
    """Context switches of the profiled task."""

    clock: Literal["work", "guest_wall"] = Field(
        default="work",
        description="work: the same switches in every arm; guest_wall: time slices, which starting "
        "the event eats into (an arm that makes no progress is ended)",
    )
    every: Slice = Field(description="work, or wall time, between two switches")
    away: Time = Field(description="time off the CPU at each switch")
    vcpus: int = Field(
        default=1,
        ge=1,
        le=512,
        description="vCPUs that the task comes back on in turn, with one AUX ring per thread: each "
        "is charged for what it pins",
    )
    meanwhile: Literal["other_task", "halted"] = Field(
        default="other_task",
        description="what the CPU does while the task is away: runs another one, or waits for an "
        "interrupt (a vCPU then exits to the host)",
    )


class PoissonUnmap(Strict):
    """Pages of the AUX buffer unmapped at random."""

    poisson: Rate = Field(description="pages per second and vCPU")


def _unmap_form(value: object) -> str:
    return "rate" if isinstance(value, (dict, PoissonUnmap)) else "word"


Unmap = Annotated[
    Annotated[Literal["never", "published", "per_window", "per_record"], Tag("word")]
    | Annotated[PoissonUnmap, Tag("rate")],
    Discriminator(_unmap_form),
]


class Scan(Strict):
    """Pages touched at a published rate."""

    kind: Literal["numa_balancing", "ksm", "khugepaged", "compaction", "reclaim"] = Field(
        description="numa_balancing: PROT_NONE, pinned or not (t_numa_sweep); ksm: merging, an "
        "upper bound (t_ksm_pass); khugepaged: collapse of 2 MiB (t_thp_collapse); compaction: "
        "moving pages (t_compaction); reclaim: swap-out, read back at t_swap_in (t_reclaim). All "
        "but numa_balancing pass over pinned pages",
    )


class MemslotChange(Strict):
    """The VMM replaces the memslot that holds the buffer: a real unmap."""

    kind: Literal["memslot_change"] = Field(description="the memslot is replaced")
    every: Slice = Field(description="time between two changes")


class LiveMigration(Strict):
    """The VM moves to another host while it is profiled."""

    kind: Literal["live_migration"] = Field(description="the VM moves to another host")
    start: Time = Field(description="when the dirty log is started, wall time since the vCPUs run")
    rounds: int = Field(
        default=3, ge=1, le=1000, description="pre-copy rounds; each write-protects all pages again"
    )
    round: Slice = Field(description="length of a round: dirty memory over bandwidth")
    post_copy: bool = Field(
        default=False, description="switch over after one round; pages follow at t_remote each"
    )


Pressure = Annotated[Scan | MemslotChange | LiveMigration, Field(discriminator="kind")]


class Host(Strict):
    """The host's limits and what it does to guest memory."""

    memlock: SizeOrUnlimited = Field(
        default=_text_default("8MiB"), description="RLIMIT_MEMLOCK of the VMM, soft"
    )
    memlock_hard: SizeOrUnlimited = Field(
        default=_text_default("unlimited"), description="RLIMIT_MEMLOCK of the VMM, hard"
    )
    cap_ipc_lock: bool = Field(
        default=False, description="the VMM has CAP_IPC_LOCK: no limit holds for it"
    )
    cap_sys_resource: bool = Field(
        default=False, description="may the VMM raise its limit above the hard one"
    )
    unmap: Unmap = Field(
        default="never",
        description="published: NUMA balancing at its published rate; per_window: every page, each "
        "time a window is enabled (upper bound); per_record: after every record; "
        "{poisson: RATE}: pages at random",
    )
    pressure: tuple[Pressure, ...] = Field(
        default=(),
        max_length=16,
        strict=False,
        description="more that the host does to guest memory, any number of kinds, each at most "
        "once; ballooning takes free guest pages only, never a buffer's: there is no kind for it",
    )

    @model_validator(mode="after")
    def _each_kind_once(self) -> Host:
        kinds = [p.kind for p in self.pressure]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice:
            raise ValueError(f"pressure: {twice} is there twice; keep one of them")
        return self


# --- scenario --------------------------------------------------------------------------------


class Settings(Strict):
    """Everything an arm can override."""

    workload: Workload = Field(description="what runs")
    cpu: Cpu = Field(default=Cpu(), description="the core")
    spe: Spe = Field(default=Spe(), description="how the SPU samples")
    driver: Driver = Field(default=Driver(), description="the guest's perf event")
    buffer: Buffer = Field(default=Buffer(), description="the profiling buffer at the start")
    vm: Vm = Field(default=Vm(), description="the virtual machine")
    switch: Switch | None = Field(default=None, description="context switches; null: none")
    host: Host = Field(default=Host(), description="limits, and what the host does to guest memory")
    parameters: dict[str, TimeDistribution] = Field(
        default_factory=dict, description="times of parameters.toml by name, overridden"
    )

    @property
    def records(self) -> Literal["slot64", "packed"]:
        """Layout of the records: the core's, if `spe.record` leaves it to it."""
        if self.spe.record != "core":
            return self.spe.record
        return "packed" if self.cpu.core in PACKED_CORES else "slot64"

    @model_validator(mode="after")
    def _coherent(self) -> Settings:
        found = tuple(_incoherences(self))
        if found:
            text = "; ".join(f"{keys[0]}: {why}" for keys, why in found)
            raise PydanticCustomError("incoherent", "{text}", {"text": text, "found": found})
        return self


Incoherence = tuple[tuple[str, ...], str]
"""Keys that contradict each other, the one to look at first, and why."""


def _incoherences(settings: Settings) -> Iterator[Incoherence]:
    yield from _buffer_problems(settings)
    yield from _spe_problems(settings.spe)
    yield from _driver_problems(settings.driver)
    if settings.driver.capture == "snapshot" and settings.records == "packed":
        yield (
            ("spe.record", "driver.capture"),
            "what a snapshot overwrites is counted in slots of 64 bytes; use record: slot64",
        )
    if settings.driver.mode == "cpu" and settings.switch is not None:
        yield (
            ("driver.mode", "switch"),
            "cpu profiles whatever runs on the CPU, but the stream is one task; "
            "remove `switch` or use mode: task",
        )
    if settings.host.memlock > settings.host.memlock_hard:
        yield (
            ("host.memlock", "host.memlock_hard"),
            "a soft limit is at most the hard one; raise host.memlock_hard",
        )


def _driver_problems(driver: Driver) -> Iterator[Incoherence]:
    if driver.capture != "full" and driver.reader.kind == "process":
        yield (
            ("driver.reader", "driver.capture"),
            f"in {driver.capture} mode nobody reads the ring while it fills; remove "
            "`reader` or use capture: full",
        )
    if driver.capture != "full" and driver.watermark:
        yield (
            ("driver.watermark", "driver.capture"),
            f"in {driver.capture} mode there is no wake-up; remove `watermark`",
        )
    if driver.reader.kind == "keeps_up" and driver.reader.cpu == "same":
        yield (
            ("driver.reader",),
            "a reader that keeps up takes no time on any CPU; use kind: process, or remove `cpu`",
        )


def _buffer_problems(settings: Settings) -> Iterator[Incoherence]:
    aux, page = settings.driver.aux, settings.vm.page_bytes
    pages = f"two pages of {settings.vm.granule} ({units.format_size(2 * page)})"
    if aux & (aux - 1) or aux < 2 * page:
        yield (
            ("driver.aux", "vm.granule"),
            f"must be a power of two and at least {pages}",
        )
    if aux > MAX_AUX:
        yield ("driver.aux",), f"at most {units.format_size(MAX_AUX)}"
    if settings.driver.watermark > aux:
        yield (
            ("driver.watermark", "driver.aux"),
            "above the AUX area, so that no interrupt would come; 0 means half of it",
        )
    if settings.buffer.va % page or settings.buffer.va + aux > 1 << 64:
        yield (
            ("buffer.va",),
            f"must be a multiple of the granule {settings.vm.granule}, with driver.aux bytes above",
        )
    if aux * settings.vm.vcpus > settings.vm.memory:
        yield (
            ("vm.memory", "driver.aux"),
            "less guest memory than AUX areas; each vCPU has one of driver.aux",
        )


def _spe_problems(spe: Spe) -> Iterator[Incoherence]:
    if spe.restart == "resync" and spe.jitter == "off":
        yield (
            ("spe.restart", "spe.jitter"),
            "resync needs jitter (on or ernd): without it the sequence is a "
            "constant and resynchronising hides the resonance that you would study",
        )
    if spe.min_interval not in MIN_INTERVALS:
        yield (
            ("spe.min_interval",),
            f"PMSIDR_EL1.Interval knows {', '.join(map(str, MIN_INTERVALS))} ops only",
        )
    if not 1 <= spe.interval <= MAX_INTERVAL:
        yield ("spe.interval",), f"a sample period is 1ops to {MAX_INTERVAL}ops"


class Arm(Strict):
    """One way to run the workload."""

    name: str = Field(
        min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="unique"
    )
    design: str = Field(description="the design that it is, or is closest to")
    policies: Policies = Field(description="what the design is made of")
    settings: Settings = Field(description="the scenario's settings with the arm's overrides")


class Scenario(Strict):
    """A resolved scenario: each arm with the settings that it really runs."""

    schema_version: Literal[1] = Field(default=1, description="version of this format")
    name: str = Field(
        min_length=1, max_length=200, description="names the run directory and the baseline"
    )
    question: str = Field(
        default="",
        max_length=1000,
        description="what the scenario answers; the report opens with it",
    )
    seed: int = Field(
        default=20260101, ge=0, lt=1 << 64, description="every random value follows from it"
    )
    replications: int = Field(
        default=10, ge=1, le=100_000, description="independent runs of each arm"
    )
    until: Until | None = Field(
        default=None, description="replicate further until an interval is narrow enough"
    )
    arms: tuple[Arm, ...] = Field(min_length=1, max_length=1000, strict=False)
    checks: tuple[Check, ...] = Field(
        default=(), max_length=1000, strict=False, description="what `speskew check` decides"
    )
    matrix: Matrix = Field(
        default_factory=dict,
        description="dotted setting: list of values; `speskew sweep` runs every combination; "
        "exclude: combinations to leave out, include: further ones",
    )
    cases: Cases = Field(
        default=(), strict=False, description="dotted settings that vary together, cell by cell"
    )

    @model_validator(mode="after")
    def _coherent(self) -> Scenario:
        arms = tuple(arm.name for arm in self.arms)
        found = (
            *checking.problems(self.checks, self.until, self.replications, arms),
            *expansion.problems(self.matrix, self.cases),
        )
        if found:
            text = "; ".join(f"{keys[0]}: {why}" for keys, why in found)
            raise PydanticCustomError("incoherent", "{text}", {"text": text, "found": found})
        return self
