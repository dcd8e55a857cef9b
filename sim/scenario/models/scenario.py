"""The scenario as frozen models: every key, its unit, its meaning and its limits.

Text with units becomes ints here (times: picoseconds; sizes: bytes; see `sim.units`); ticks are
made when an arm's machine is built, because they need the core clock. Unknown keys are errors.
Numbers without a unit are counts. Nothing is converted silently: `"1"` and `1.0` are no ints.
Limits keep every tick count within 64 bits and refuse what no machine has. Defaults that stand for
a measured or estimated quantity are explained with their source in `parameters.toml`; see
`sim.scenario.parameters`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from sim import units
from sim.scenario.models import checks as checking
from sim.scenario.models import matrix as expansion
from sim.scenario.models import pmsevfr
from sim.scenario.models import samples as sampling
from sim.scenario.models import selection as weighing
from sim.scenario.models.checks import Check, Until
from sim.scenario.models.decisions import Decisions
from sim.scenario.models.designs import DESIGNS as DESIGNS
from sim.scenario.models.designs import Policies as Policies
from sim.scenario.models.host import Host
from sim.scenario.models.matrix import Cases, Matrix
from sim.scenario.models.quantities import (
    MAX_AUX,
    MAX_INTERVAL,
    MIN_INTERVALS,
    NUMBER_TEXT,
    SIZE_TEXT,
    Frequency,
    OpCount,
    Rate,
    Share,
    Size,
    SizeOrUnlimited,
    Slice,
    Time,
    TimeDistribution,
    quoted,
    text_default,
    text_schema,
)
from sim.scenario.models.samples import Samples
from sim.scenario.models.selection import SelectionTable
from sim.scenario.models.strict import Strict as Strict
from sim.scenario.models.workloads import Workload
from sim.scenario.words import Incoherence

# --- SPE, driver, buffer ---------------------------------------------------------------------


class SpeFilter(Strict):
    """PMSFCR and friends; a record is kept if it passes every filter that is set."""

    load: bool = Field(default=False, description="PMSFCR.LD: keep loads")
    store: bool = Field(default=False, description="PMSFCR.ST: keep stores")
    branch: bool = Field(default=False, description="PMSFCR.B: keep branches")
    min_latency: int = Field(default=0, ge=0, le=4095, description="cycles, PMSLATFR.MINLAT")
    event_filter: int = Field(
        default=0,
        ge=0,
        lt=1 << 64,
        description="PMSEVFR: all these event bits must be set; bits "
        "that spe.version or driver.version reserve are refused, as perf_event_open does",
    )
    inv_data_src_filter: int = Field(
        default=0,
        ge=0,
        lt=1 << 64,
        description="PMSDSFR inverted, as perf has it (config4): loads whose data source is a bit "
        "that is set are not kept; what has no data source is. driver.version: 7.x, on a core with "
        "FEAT_SPE_FDS",
    )


def _or_a_file(schema: JsonDict) -> None:
    """A person writes the table's file."""
    forms = schema["anyOf"]
    assert isinstance(forms, list)
    forms.insert(0, {"type": "string", "description": "the file of a table"})


class Spe(Strict):
    """The SPU as the driver programs it."""

    interval: OpCount = Field(
        default=text_default("1024ops"), description="attr.sample_period before rounding"
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
    version: Literal["v1p0", "v1p1", "v1p2"] = Field(
        default="v1p0",
        description="ID_AA64DFR0_EL1.PMSVer: which event bits can be filtered, see "
        "spe.filter.event_filter; v1p0 as Neoverse N1",
    )
    min_interval: OpCount = Field(
        default=text_default("1024ops"), description="PMSIDR.Interval, caps/min_interval"
    )
    record: Literal["core", "slot64", "packed"] = Field(
        default="core",
        description="records as the core preset writes them; slots of 64 bytes; or packed: 44 "
        "bytes with an address, 32 without, which straddle pages (Kunpeng)",
    )
    flag_updates: Literal["core", "on", "off"] = Field(
        default="core",
        description="PMBIDR_EL1.F: on: the SPU's own accesses set the access flag and the dirty "
        "state of a stage 2 entry, as a CPU's do; off: they fault (see host.pressure: ageing, "
        "vm.dirty_log); core: as the core preset has it, UNVERIFIED for each",
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
    selection: SelectionTable | None = Field(
        default=None,
        description="weights of the ops that are tracked, by op class and distance from the last "
        "taken branch: the file of a table (`speskew calibrate` makes one), or the table; null: "
        "every op alike; a hypothesis, UNVERIFIED",
        json_schema_extra=_or_a_file,
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
MAX_WATERMARK = (1 << 32) - 1
"""U32_MAX: what perf_event_attr.aux_watermark holds, and rb_alloc_aux sets at most by itself."""
AUX_DEFAULTS = {"default-privileged": "4MiB", "default-unprivileged": "128KiB"}
"""What perf record mmaps for arm_spe_0 without -m: privileged (or paranoid < 0), and not."""


def _named(names: dict[str, str], value: object) -> object:
    """The text that a word stands for; what has a digit is no word."""
    if not isinstance(value, str) or any(char.isdigit() for char in value):
        return value
    if value not in names:
        known = ", ".join(names)
        raise units.UnitError(f"unknown {quoted(value)}; one of {known}, or a number with its unit")
    return names[value]


def _named_aux(value: object) -> object:
    return _named(AUX_DEFAULTS, value)


AuxSize = Annotated[
    Size,
    BeforeValidator(_named_aux),
    text_schema(rf"{SIZE_TEXT}|^({'|'.join(AUX_DEFAULTS)})$", "default-unprivileged"),
]


class Driver(Strict):
    """The guest's perf event."""

    aux: AuxSize = Field(
        default=text_default("4MiB"),
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
    version: Literal["6.1", "6.12", "7.x"] = Field(
        default="6.1",
        description="Linux version of arm_spe_pmu. From 6.12 on an event is stopped when "
        "perf_aux_output_begin fails; 7.x (7.3) programs periods below spe.min_interval, with a "
        "warning, and filters by data source",
    )
    kernel_tree: str = Field(
        default="",
        max_length=4096,
        description="folder of Linux sources (6.1 or newer) whose own arm_spe_pmu.c and AUX "
        "functions of ring_buffer.c are compiled and run in place of speskew's model of them; "
        "relative to the scenario's file, with --set to the current folder; version is then "
        "not looked at; needs gcc",
    )
    reader: Reader = Field(default=Reader(), description="perf record's side of the ring")


class Buffer(Strict):
    """State of the profiling buffer when the event starts."""

    initial_s2: Literal["warm", "cold"] = Field(
        default="warm",
        description="are its pages mapped at stage 2 at first: warm, as perf leaves them, or cold",
    )
    physical: Literal["driver", "contiguous", "scattered"] = Field(
        default="driver",
        description="where its pages lie in guest memory: driver: as perf allocates them, in "
        "pieces as large as the watermark (6.1) or page by page (from 6.12 on); contiguous: in one "
        "piece; scattered: every page alone. What lies together goes together under NUMA "
        "balancing, and has no neighbours for ballooning",
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
    clock: Frequency = Field(default=text_default("3GHz"), description="core clock, constant")


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
    text_schema(rf"{NUMBER_TEXT}/s\s*$|^({'|'.join(EXIT_RATES)})$", "light"),
]


class Vm(Strict):
    """The virtual machine; baremetal arms use `vcpus` as CPUs and ignore the rest."""

    vcpus: int = Field(
        default=1,
        ge=1,
        le=512,
        description="vCPUs, or CPUs on baremetal, each with its own copy of the workload, or with "
        "one of its threads",
    )
    granule: Literal["4KiB", "16KiB", "64KiB"] = Field(
        default="4KiB", description="page size of guest and host"
    )
    memory: Size = Field(
        default=text_default("16GiB"),
        description="guest memory; what v3 to v5 and guest_memfd lock or populate",
    )
    memory_kind: Literal["anonymous", "shared"] = Field(
        default="anonymous",
        description="what backs guest memory: anonymous memory, or a memfd or shmem, whose pages "
        "compaction and reclaim unmap before they notice a pin",
    )
    dirty_log: Literal["write_protect", "hardware"] = Field(
        default="write_protect",
        description="what a live migration's dirty log does to a page: write_protect: its stage 2 "
        "entry becomes read-only; hardware: FEAT_HAFDBS at stage 2 (VTCR_EL2.HD), a write sets the "
        "dirty state; the SPU's does with spe.flag_updates, and takes a permission fault without",
    )
    huge_pages: bool = Field(
        default=False,
        description="is guest memory transparent huge pages on the host, which KVM maps as blocks "
        "(2 MiB, 32 MiB, 512 MiB with 4, 16, 64 KiB pages); matters to ballooning only",
    )
    physical_cpus: int = Field(
        default=0,
        ge=0,
        le=512,
        description="CPUs of the host for these vCPUs, which take turns (t_host_slice) if "
        "there are fewer; 0: one each",
    )
    max_buffer: SizeOrUnlimited = Field(
        default=text_default("4MiB"),
        description="KVM_ARM_VCPU_MAX_BUFFER_SIZE per vCPU, which PMBIDR_EL1 would advertise "
        "(DEN0154); today's driver does not look: a larger window gets a buffer size event, if "
        "the design has a maximum (window_limit)",
    )
    bounce: Size = Field(
        default=text_default("2MiB"), description="KVM's own buffer per vCPU (bounce_buffer)"
    )
    exits: ExitRate = Field(
        default=text_default("1000/s"),
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


def _incoherences(settings: Settings) -> Iterator[Incoherence]:
    yield from _buffer_problems(settings)
    yield from _spe_problems(settings.spe)
    biased, ordered = settings.spe.target_bias_per_mille > 0, settings.workload.kind != "profile"
    yield from weighing.problems(settings.spe.selection, biased, ordered)
    yield from _driver_problems(settings.driver)
    yield from _data_source_problems(settings)
    refused = pmsevfr.problem(
        settings.spe.filter.event_filter, settings.spe.version, settings.driver.version
    )
    if refused and not settings.driver.kernel_tree:  # the tree's own event_init decides
        yield ("spe.filter.event_filter", "spe.version", "driver.version"), refused
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


def _data_source_problems(settings: Settings) -> Iterator[Incoherence]:
    driver = settings.driver
    wanted = settings.spe.filter.inv_data_src_filter
    if wanted and driver.version != "7.x" and not driver.kernel_tree:
        yield (
            ("spe.filter.inv_data_src_filter", "driver.version"),
            f"the driver of {driver.version} has no filter by data source; use driver.version: 7.x",
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
    if settings.driver.watermark > MAX_WATERMARK:
        yield (
            ("driver.watermark",),
            f"attr.aux_watermark has 32 bits: at most {MAX_WATERMARK}B",
        )
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


class Verdicts(Strict):
    """What the verdicts about profiles go by."""

    margin: Share = Field(
        default=text_default("1%"),
        description="how much of a profile may be in the wrong place before it matters: one sample "
        "of a hundred by default",
    )
    events: int = Field(
        default=10,
        ge=0,
        le=1_000_000,
        description="full buffers, and unmapped pages where the host unmaps any, that a virtual "
        "arm must have met in all before it is called the same; with 10 the number is known to a "
        "third",
    )


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
    verdicts: Verdicts = Field(
        default=Verdicts(), description="what the verdicts about profiles go by"
    )
    arms: tuple[Arm, ...] = Field(min_length=1, max_length=1000, strict=False)
    checks: tuple[Check, ...] = Field(
        default=(), max_length=1000, strict=False, description="what `speskew check` decides"
    )
    decisions: Decisions | None = Field(
        default=None,
        description="what is decided from the profile: would an arm's decide the same as "
        "baremetal's? null: not asked, see `speskew decide`",
    )
    matrix: Matrix = Field(
        default_factory=dict,
        description="dotted setting: list of values; `speskew sweep` runs every combination; "
        "exclude: combinations to leave out, include: further ones",
    )
    cases: Cases = Field(
        default=(), strict=False, description="dotted settings that vary together, cell by cell"
    )
    samples: Samples | None = Field(
        default=None,
        description="ranges of settings from which `speskew sweep` draws its cells, to tell which "
        "one matters; a scenario has one of matrix, cases and samples",
    )

    @model_validator(mode="after")
    def _coherent(self) -> Scenario:
        arms = tuple(arm.name for arm in self.arms)
        found = (
            *checking.problems(self.checks, self.until, self.replications, arms),
            *expansion.problems(self.matrix, self.cases),
            *sampling.problems(self.samples, (self.matrix, self.cases)),
        )
        if found:
            text = "; ".join(f"{keys[0]}: {why}" for keys, why in found)
            raise PydanticCustomError("incoherent", "{text}", {"text": text, "found": found})
        return self
