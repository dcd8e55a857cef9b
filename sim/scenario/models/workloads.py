"""What CPUs execute: recorded, synthetic and captured workloads, as scenario models."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.models.quantities import (
    MAX_OPS,
    MAX_REPEAT,
    MAX_STATIC_OPS,
    CoreLatency,
    Latency,
    OpCount,
    Time,
    text_default,
)
from sim.scenario.models.strict import Strict


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
        default=text_default("4ms"), description="period of the guest's timer tick, work time"
    )
    tick_ops: OpCount = Field(
        default=text_default("6000ops"), description="EL1 ops of one tick; UNVERIFIED"
    )
    svc_ops: OpCount = Field(
        default=text_default("1500ops"), description="EL1 ops of one system call; UNVERIFIED"
    )
    fault_ops: OpCount = Field(
        default=text_default("1500ops"),
        description="EL1 ops of one page fault, at the first access to a page; UNVERIFIED",
    )
    masked_prefix: OpCount = Field(
        default=text_default("400ops"),
        description="ops at the start of each entry with PSTATE.I set; UNVERIFIED",
    )
    cpi_millis: int = Field(
        default=1500, ge=16, le=1_000_000, description="cycles per 1000 EL1 ops; UNVERIFIED"
    )


class Lasting(Strict):
    """How long a workload runs: in passes, or in operations, whatever the length of a pass."""

    repeat: int | None = Field(
        default=None, ge=1, le=MAX_REPEAT, description="passes in a row; 1 if ops is not given"
    )
    ops: OpCount = Field(
        default=0,
        description="as many passes as come nearest to so many operations, at least one: another "
        "program in the same scenario runs as long (EL1 code of `kernel` is not counted); 0: see "
        "repeat",
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.repeat is not None and self.ops:
            raise ValueError(
                "repeat and ops both say how long the run is; give one (repeat: null or ops: 0 "
                "takes the other away)"
            )
        return self

    def passes(self, operations: int) -> int:
        """Passes in a row, of so many operations each."""
        if not self.ops:
            return self.repeat or 1
        return min(MAX_REPEAT, max(1, round(Fraction(self.ops, max(1, operations)))))


class Recorded(Lasting):
    """A recorded instruction stream."""

    kind: Literal["recorded"] = Field(description="a stream recorded or imported by speskew")
    path: str = Field(
        min_length=1, description="a .spestream, relative to the scenario file or to the stock"
    )
    kernel: KernelOverlay | None = Field(default=None, description="EL1 code to insert; null: none")


class Synthetic(Lasting):
    """Loops in turn."""

    kind: Literal["synthetic"] = Field(description="loops in turn")
    phases: tuple[Phase, ...] = Field(
        min_length=1, max_length=10_000, strict=False, description="the loops, in order"
    )

    @property
    def pass_ops(self) -> int:
        """Operations of one pass."""
        return sum(phase.length * phase.iterations for phase in self.phases)

    @model_validator(mode="after")
    def _bounded(self) -> Synthetic:
        ops = self.passes(self.pass_ops) * self.pass_ops
        if ops > MAX_OPS:
            raise ValueError(f"{ops:,} ops in all; at most {MAX_OPS:,}: lower repeat or iterations")
        static = sum(phase.length for phase in self.phases)
        if static > MAX_STATIC_OPS:
            raise ValueError(f"loops of {static:,} ops in all; at most {MAX_STATIC_OPS:,}")
        return self


class Profiled(Lasting):
    """Operations in the proportions of a real SPE capture (`speskew import spe`)."""

    kind: Literal["profile"] = Field(description="operations in the proportions of a capture")
    path: str = Field(
        min_length=1, description="a profile, relative to the scenario file or to the stock"
    )


class Threads(Lasting):
    """The recorded threads of one process, which share memory."""

    kind: Literal["threads"] = Field(
        description="the threads of one process, each on a vCPU of its own (vm.vcpus as many)"
    )
    path: str = Field(
        min_length=1,
        description="a group (.threads.json), relative to the scenario file or to the stock",
    )


Workload = Annotated[Recorded | Synthetic | Profiled | Threads, Field(discriminator="kind")]
