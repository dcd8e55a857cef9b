"""The scenario as frozen models: every key, its unit, its meaning and its limits.

Text with units becomes ints here (times: picoseconds; sizes: bytes; see `sim.units`); ticks are
made when an arm's machine is built, because they need the core clock. Unknown keys are errors.
Numbers without a unit are counts or fractions. Defaults that stand for a measured or estimated
quantity live in `parameters.toml` with their source; see `sim.scenario.parameters`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from sim import units

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Unit:
    """How an int field is written again: unit names with their size, largest first."""

    sizes: tuple[tuple[str, int], ...]


_TIMES = Unit((("s", 10**12), ("ms", 10**9), ("us", 10**6), ("ns", 10**3), ("ps", 1)))
_SIZES = Unit((("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)))
_HERTZ = Unit((("GHz", 10**9), ("MHz", 10**6), ("kHz", 10**3), ("Hz", 1)))
RATE = Unit((("/s", 1),))
"""The one unit whose value is the reciprocal of what is written."""


def _reader(parse: Callable[[str], int], kind: str, example: str) -> BeforeValidator:
    """Reads text with a unit into an int; a bare 0 passes, any other bare number does not."""

    def read(value: object) -> int:
        if isinstance(value, str):
            return parse(value)
        if isinstance(value, int) and not isinstance(value, bool) and value == 0:
            return 0
        raise units.UnitError(f"needs a {kind} with its unit, e.g. {example!r}; got {value!r}")

    return BeforeValidator(read)


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


_NUMBER = r"^\s*[0-9][0-9_.eE+]*\s*"
_SIZE_TEXT = _NUMBER + r"(B|KiB|MiB|GiB|TiB)\s*$"
Time = Annotated[
    int,
    _reader(units.parse_time, "time", "4ms"),
    _TIMES,
    _text(_NUMBER + r"(ps|ns|us|µs|ms|s)\s*$", "4ms"),
]
"""Picoseconds."""
Size = Annotated[int, _reader(units.parse_size, "size", "4MiB"), _SIZES, _text(_SIZE_TEXT, "4MiB")]
"""Bytes."""
OpCount = Annotated[
    int,
    _reader(units.parse_ops, "number of ops", "1024ops"),
    Unit((("ops", 1),)),
    _text(_NUMBER + r"ops\s*$", "1024ops"),
]
Cycles = Annotated[
    int,
    _reader(units.parse_cycles, "number of cycles", "600cycles"),
    Unit((("cycles", 1),)),
    _text(_NUMBER + r"cycles\s*$", "600cycles"),
]
Frequency = Annotated[
    int,
    _reader(units.parse_frequency, "frequency", "3GHz"),
    _HERTZ,
    _text(_NUMBER + r"(Hz|kHz|MHz|GHz)\s*$", "3GHz"),
]
"""Hertz."""
Rate = Annotated[
    int, _reader(units.parse_rate, "rate", "1000/s"), RATE, _text(_NUMBER + r"/s\s*$", "1000/s")
]
"""A rate is held as the mean time between events, picoseconds; 0 means never."""

UNLIMITED = 1 << 62


def _text_default(text: str) -> Any:
    """A default written as a user would write it; it is validated like input."""
    return text


def _or_unlimited(value: object) -> object:
    return f"{UNLIMITED}B" if value == "unlimited" else value


SizeOrUnlimited = Annotated[
    Size,
    BeforeValidator(_or_unlimited),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _SIZE_TEXT}, {"const": "unlimited"}]}),
]


class Strict(BaseModel):
    """Frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


# --- distributions ---------------------------------------------------------------------------


class ConstantTime(Strict):
    """Always the same time."""

    kind: Literal["constant"] = "constant"
    value: Time


class UniformTime(Strict):
    """Uniform between two times."""

    kind: Literal["uniform"]
    low: Time
    high: Time


class ExponentialTime(Strict):
    """Exponential with a mean."""

    kind: Literal["exponential"]
    mean: Time


def _constant(value: object) -> object:
    return {"kind": "constant", "value": value} if isinstance(value, (str, int)) else value


TimeDistribution = Annotated[
    ConstantTime | UniformTime | ExponentialTime,
    Field(discriminator="kind"),
    BeforeValidator(_constant),
]


class ConstantLatency(Strict):
    """Every op of the class is in flight for the same time."""

    kind: Literal["constant"]
    value: Cycles


class ExponentialLatency(Strict):
    """Time in flight is exponential."""

    kind: Literal["exponential"]
    mean: Cycles


class CoreLatency(Strict):
    """Time in flight as the core preset has it for the op's class and memory level."""

    kind: Literal["core"] = "core"


Latency = Annotated[ConstantLatency | ExponentialLatency | CoreLatency, Field(discriminator="kind")]


# --- workload --------------------------------------------------------------------------------


class OpMix(Strict):
    """Relative frequencies of op classes in a synthetic loop."""

    other: int = Field(default=10, ge=0)
    load: int = Field(default=5, ge=0)
    store: int = Field(default=2, ge=0)
    branch: int = Field(default=3, ge=0)
    atomic: int = Field(default=0, ge=0)
    fp_simd: int = Field(default=0, ge=0)


class LevelMix(Strict):
    """Relative frequencies of memory levels among a loop's accesses."""

    l1: int = Field(default=90, ge=0)
    l2: int = Field(default=7, ge=0)
    slc: int = Field(default=2, ge=0)
    dram: int = Field(default=1, ge=0)


class Phase(Strict):
    """A synthetic loop: `length` static ops, run `iterations` times."""

    name: str = Field(min_length=1, max_length=80)
    length: int = Field(ge=1, le=1 << 20, description="ops of one iteration")
    iterations: int = Field(ge=1)
    cpi_millis: int = Field(default=667, ge=16, le=1_000_000, description="cycles per 1000 ops")
    mix: OpMix = OpMix()
    levels: LevelMix = LevelMix()
    latency: Latency = CoreLatency()
    el: Literal[0, 1] = 0
    irq_masked: bool = False


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
    masked_prefix: OpCount = Field(
        default=_text_default("400ops"),
        description="ops at the start of each entry with PSTATE.I set; UNVERIFIED",
    )
    cpi_millis: int = Field(default=1500, ge=16, description="cycles per 1000 EL1 ops; UNVERIFIED")


class Recorded(Strict):
    """A recorded instruction stream."""

    kind: Literal["recorded"]
    path: str = Field(description="a .spestream, relative to the scenario file or to the stock")
    repeat: int = Field(default=1, ge=1)
    kernel: KernelOverlay | None = None


class Synthetic(Strict):
    """Loops in turn."""

    kind: Literal["synthetic"]
    phases: tuple[Phase, ...] = Field(min_length=1)
    repeat: int = Field(default=1, ge=1)


Workload = Annotated[Recorded | Synthetic, Field(discriminator="kind")]


# --- SPE, driver, buffer ---------------------------------------------------------------------


class SpeFilter(Strict):
    """PMSFCR and friends; a record is kept if it passes every filter that is set."""

    load: bool = False
    store: bool = False
    branch: bool = False
    min_latency: int = Field(default=0, ge=0, le=4095, description="cycles, PMSLATFR.MINLAT")
    event_filter: int = Field(
        default=0, ge=0, description="PMSEVFR: all these event bits must be set"
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
    restart: Literal["hold", "resync"] = "hold"
    in_flight: int = Field(
        default=1, ge=1, le=4, description="sampled ops the SPU can track at once"
    )
    population: Literal["instructions", "micro_ops"] = "instructions"
    exclude_kernel: bool = True
    counter_bits: Literal[12, 16] = 12
    min_interval: OpCount = Field(
        default=_text_default("1024ops"), description="PMSIDR.Interval, caps/min_interval"
    )
    filter: SpeFilter = SpeFilter()


class Reader(Strict):
    """`perf record`'s reader of the AUX ring."""

    kind: Literal["keeps_up"] = "keeps_up"


class Driver(Strict):
    """The guest's perf event."""

    aux: Size = Field(default=_text_default("4MiB"), description="AUX mmap, a power of two")
    watermark: Size = Field(default=0, description="attr.aux_watermark; 0 means half of the AUX")
    mode: Literal["task", "cpu"] = "task"
    reader: Reader = Reader()


class Buffer(Strict):
    """State of the profiling buffer when the event starts."""

    initial_s2: Literal["warm", "cold"] = "warm"
    va: int = Field(default=0xFFFF_8000_8000_0000, ge=0, description="guest VA of the AUX area")


# --- machine ---------------------------------------------------------------------------------


class Cpu(Strict):
    """The core."""

    core: str = "neoverse-n1"
    clock: Frequency = Field(default=_text_default("3GHz"))


class Vm(Strict):
    """The virtual machine; baremetal arms use `vcpus` as CPUs and ignore the rest."""

    vcpus: int = Field(default=1, ge=1, le=512)
    granule: Literal["4KiB", "16KiB", "64KiB"] = "4KiB"
    memory: Size = Field(default=_text_default("16GiB"))
    max_buffer: SizeOrUnlimited = Field(
        default=_text_default("4MiB"), description="KVM_ARM_VCPU_MAX_BUFFER_SIZE per vCPU"
    )
    exits: Rate = Field(
        default=_text_default("1000/s"), description="ordinary exits per vCPU (timer, IPI, MMIO)"
    )

    @property
    def page_bytes(self) -> int:
        """Bytes of a translation granule: guest, stage 2 and pinning use one."""
        return units.parse_size(self.granule)


class Switch(Strict):
    """Context switches of the profiled task."""

    clock: Literal["work"] = "work"
    every: Time
    away: Time


class PoissonUnmap(Strict):
    """Pages of the AUX buffer unmapped at random."""

    poisson: Rate = Field(description="pages per second and vCPU")


class Host(Strict):
    """The host's limits and what it does to guest memory."""

    memlock: SizeOrUnlimited = Field(
        default=_text_default("8MiB"), description="RLIMIT_MEMLOCK of the VMM, soft"
    )
    memlock_hard: SizeOrUnlimited = Field(default=_text_default("unlimited"))
    cap_ipc_lock: bool = False
    unmap: Literal["never", "published", "per_window", "per_record"] | PoissonUnmap = "never"


# --- designs ---------------------------------------------------------------------------------


class Policies(Strict):
    """A design as a bundle of policies (design §3). `virtual: false` is baremetal."""

    virtual: bool = True
    backing: Literal["none", "on_enable"] = "none"
    unpin: Literal["on_disable", "never"] = "on_disable"
    stage2_fault: Literal["fix_and_resume", "inject_error"] = "fix_and_resume"
    fix_scope: Literal["page", "walk"] = "walk"
    notifiers: Literal["honour_all", "unmap_only"] = "honour_all"
    unmap_on_unpin: bool = False
    interrupt: Literal["forced_exit", "next_exit"] = "forced_exit"
    accounting: Literal["high_water_mark", "per_pin", "none"] = "none"
    accounting_scope: Literal["vm", "vcpu"] = "vcpu"
    charge: Literal["whole", "incremental"] = "whole"
    retry: Literal["reexecute", "pending_on_entry"] = "reexecute"
    vmm: Literal["raise", "refuse_kill"] = "raise"
    vmm_raise: Literal["by_excess", "double"] = "by_excess"


DESIGNS: dict[str, tuple[Policies, str]] = {
    "baremetal": (
        Policies(virtual=False),
        "No hypervisor: the buffer is mapped, PMBIRQ is taken at EL1.",
    ),
    "unpinned": (
        Policies(backing="none", stage2_fault="fix_and_resume"),
        "Option 2 of the 2022 thread: nothing is pinned; KVM maps the faulting page and resumes, "
        "the guest never knows. An idea, called not feasible there; no series implements it.",
    ),
    "unpinned-error": (
        Policies(backing="none", stage2_fault="inject_error"),
        "The answer of RFC v3 to v5 to an unexpected fault: a synthetic external abort, which "
        "today's guest driver treats as fatal.",
    ),
    "v6": (
        Policies(
            backing="on_enable",
            notifiers="unmap_only",
            accounting="high_water_mark",
        ),
        "RFC v6 (Nov 2025): walk, charge, pin and map buffer and stage 1 tables when the guest "
        "enables the buffer; unpin when it disables it (indirect evidence); high-water mark. Its "
        "stage 2 fault response, batching and refusal behaviour are not public: parameters.",
    ),
}
"""Preset name → (policies, what it is and where it comes from)."""


# --- scenario --------------------------------------------------------------------------------


class Settings(Strict):
    """Everything an arm can override."""

    workload: Workload
    cpu: Cpu = Cpu()
    spe: Spe = Spe()
    driver: Driver = Driver()
    buffer: Buffer = Buffer()
    vm: Vm = Vm()
    switch: Switch | None = None
    host: Host = Host()
    parameters: dict[str, TimeDistribution] = Field(
        default_factory=dict, description="times of parameters.toml by name, overridden"
    )

    @model_validator(mode="after")
    def _coherent(self) -> Settings:
        if self.driver.mode == "cpu" and self.switch is not None:
            raise ValueError(
                "driver.mode: cpu profiles whatever runs on the CPU, but the stream is one task; "
                "remove `switch` or use mode: task"
            )
        aux, page = self.driver.aux, self.vm.page_bytes
        if aux & (aux - 1) or aux < 2 * page:
            raise ValueError(
                f"driver.aux must be a power of two and at least two pages ({2 * page} B)"
            )
        if self.spe.restart == "resync" and self.spe.jitter == "off":
            raise ValueError(
                "spe.restart: resync needs jitter (on or ernd): without it the sequence is a "
                "constant and resynchronising hides the resonance that you would study"
            )
        return self


class Arm(Strict):
    """One way to run the workload."""

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    design: str
    policies: Policies
    settings: Settings


class Scenario(Strict):
    """A resolved scenario: each arm with the settings that it really runs."""

    schema_version: Literal[1] = 1
    name: str
    question: str = ""
    seed: int = Field(default=20260101, ge=0)
    replications: int = Field(default=10, ge=1, le=100_000)
    arms: tuple[Arm, ...] = Field(min_length=1)
