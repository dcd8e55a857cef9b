"""`speskew report spe`: how good a real SPE capture is, from its records alone.

Measured numbers of the capture, not predictions. What is an estimate says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from reports.captures import opening
from reports.text import aligned, number, percent, printable, size
from sim.workload.a64 import OpClass
from sim.workload.capture.events import Event
from sim.workload.capture.profile import ops_per_record
from sim.workload.capture.source import AuxFlags
from sim.workload.capture.survey import Sanity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.decisions.stability import Stability
    from sim.workload.capture.profiling import Sampling
    from sim.workload.capture.survey import Survey

REPORT_VERSION = 1
_PERMILLES = (10, 500, 990)
"""Of the quantiles that are told: 1 %, the median, 99 %."""
_CLASSES = tuple(op_class.name.lower() for op_class in OpClass)
_LEVELS = ("none", "l1", "l2", "slc", "dram")
_FINDINGS = {
    "without_pc": "have no PC",
    "without_op": "have no operation type",
    "without_events": "have no events",
    "without_timestamp": "have no timestamp: gaps and phases cannot be told",
    "without_latency": "have no total latency",
    "access_without_address": "are accesses without a data address",
    "branch_without_target": "are branches without a target",
    "not_retired": "are of operations that did not retire",
    "issue_above_total": "have an issue latency above the total",
    "saturated": "have a total latency at the counter's end (0xfff or 0xffff)",
    "source_not_known": "have a data source of another core's encoding: levels are by events",
    "time_backwards": "come before their predecessor in time",
    "time_equal": "have their predecessor's timestamp: which came first, and how long after, "
    "cannot be told",
    "time_zero": "have a timestamp of 0, as of a timer that does not run: gaps and phases are not "
    "to be trusted",
}


# --- what was found, as --format json has it --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes of the AUX area: `bad` begin no packet, the first few at `bad_at`."""

    all: int
    bad: int
    bad_at: tuple[int, ...]
    padding: int
    missing: int


@dataclass(frozen=True, slots=True)
class Packets:
    """Packets of no architected meaning, and those that a record has twice."""

    unknown: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Damaged:
    """Damaged records, how many of them were cut, and jumps in the AUX offsets."""

    records: int
    cut: int
    jumps: int


@dataclass(frozen=True, slots=True)
class Aux(AuxFlags):
    """AUX records with their flags; `not_copied` [bytes]: announced, but not in the file."""

    not_copied: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of whole records, the commonest first: one size is a fixed layout."""

    fixed_bytes: int | None
    sizes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles of a latency counter, cycles."""

    p1: int
    median: int
    p99: int
    max: int


@dataclass(frozen=True, slots=True)
class Interval:
    """The period in operations: asked for, what the hardware does with it, and the mean over the
    whole time. The last takes the task for running through the holes, so it is an upper bound."""

    requested_ops: int | None
    jitter: bool | None
    min_interval_ops: int | None
    programmed_ops: int | None
    effective_ops_at_most: int | None


@dataclass(frozen=True, slots=True)
class Gaps:
    """Times between records of one stream, in nanoseconds where the timer is known."""

    p1: float
    median: float
    p99: float
    unit: str
    count: int
    mean: float
    longest: float
    total: float
    holes: int
    in_holes: float


@dataclass(frozen=True, slots=True)
class Described:
    """A survey in integers, names, and fractions of records."""

    report_version: int
    container: str
    command: str
    midr: int | None
    filtered: bool | None
    events: tuple[Event, ...]
    unfinished: bool
    unread_bytes: int
    exclude_kernel: bool | None
    lost_records: int | None
    records: int
    intact: int
    bytes: Bytes
    packets: Packets
    damaged: Damaged
    aux: Aux | None
    layout: Layout
    queues: int
    cpus: tuple[int, ...]
    threads: int
    by_class: dict[str, int]
    by_level: dict[str, int]
    by_el: dict[str, int]
    mispredicted: int
    latency: dict[str, Latency | None]
    sanity: Sanity
    interval: Interval
    gaps: Gaps | None

    def as_json(self, decisions: Sequence[Stability] | None = None) -> str:
        """The JSON document; `decisions` are in it if they were asked for."""
        document = asdict(self)
        if decisions is not None:
            document["decisions"] = {one.kind: asdict(one) for one in decisions}
        return json.dumps(document, indent=1, sort_keys=True) + "\n"


def describe(seen: Survey, given: Sampling) -> Described:
    """What a survey found."""
    counts, facts = seen.counts, seen.facts
    assert counts is not None
    return Described(
        report_version=REPORT_VERSION,
        container=facts.container,
        command=facts.command,
        midr=facts.midr,
        filtered=facts.filtered,
        events=facts.events,
        unfinished=facts.unfinished,
        unread_bytes=facts.unread,
        exclude_kernel=facts.exclude_kernel,
        lost_records=facts.lost_records,
        records=seen.records,
        intact=seen.intact,
        bytes=Bytes(
            counts.bytes, counts.bad, counts.bad_at, counts.pads, seen.reading.missing_bytes
        ),
        packets=Packets(counts.unknown, counts.repeated),
        damaged=Damaged(counts.damaged, counts.cut, seen.reading.gaps),
        aux=_aux(seen),
        layout=_layout(seen),
        queues=len(seen.by_queue),
        cpus=tuple(sorted(seen.cpus)),
        threads=len(seen.tids),
        by_class=_named(seen.by_class, _CLASSES),
        by_level=_named(seen.by_level, _LEVELS),
        by_el={f"el{k}": int(n) for k, n in enumerate(seen.by_el) if n},
        mispredicted=seen.mispredicted,
        latency={name: _latency(seen, name) for name in seen.latency},
        sanity=seen.sanity,
        interval=_interval(seen, given),
        gaps=_gaps(seen, given),
    )


def _named(counts: NDArray[Any], names: tuple[str, ...]) -> dict[str, int]:
    return {name: int(n) for name, n in zip(names, counts, strict=False)}


def _aux(seen: Survey) -> Aux | None:
    aux, counts = seen.facts.aux, seen.counts
    if aux is None or aux.records == 0 or counts is None:
        return None
    snapshot = aux.overwrite > 0
    missing = 0 if snapshot else max(0, aux.bytes - counts.bytes)
    return Aux(**asdict(aux), not_copied=missing)


def _layout(seen: Survey) -> Layout:
    sizes = sorted(seen.sizes.items(), key=lambda item: (-item[1], item[0]))
    fixed = len(sizes) == 1 and sizes[0][0] & (sizes[0][0] - 1) == 0
    return Layout(sizes[0][0] if fixed else None, {str(size): n for size, n in sizes[:16]})


def _latency(seen: Survey, counter: str) -> Latency | None:
    if seen.quantile(counter, 0) is None:
        return None
    return Latency(*(seen.quantile(counter, permille) or 0 for permille in (*_PERMILLES, 1000)))


def _interval(seen: Survey, given: Sampling) -> Interval:
    requested = seen.facts.interval or given.interval
    jitter = given.jitter if seen.facts.jitter is None else seen.facts.jitter
    programmed = ops_per_record(requested, jitter=jitter) if requested else None
    count, ticks = seen.gaps.ordinary()
    effective = None
    if programmed and ticks > 0:
        effective = programmed * seen.gaps.ticks * count // (ticks * seen.gaps.count)
    return Interval(
        requested_ops=requested,
        jitter=jitter if requested else None,
        min_interval_ops=seen.facts.min_interval,
        programmed_ops=programmed,
        effective_ops_at_most=effective,
    )


def _gaps(seen: Survey, given: Sampling) -> Gaps | None:
    gaps = seen.gaps
    if gaps.count == 0:
        return None
    clock = seen.facts.clock or given.clock
    scale = clock.fs_per_tick / 1e6 if clock else 1.0
    holes, in_holes = gaps.holes()
    count, ticks = gaps.ordinary()
    low, middle, high = (gaps.quantile(permille) * scale for permille in _PERMILLES)
    return Gaps(
        p1=low,
        median=middle,
        p99=high,
        unit="ns" if clock else "timer ticks",
        count=gaps.count,
        mean=ticks * scale / count if count else 0.0,
        longest=gaps.longest * scale,
        total=gaps.ticks * scale,
        holes=holes,
        in_holes=in_holes * scale,
    )


# --- text ------------------------------------------------------------------------------------


def render(found: Described, name: str) -> str:
    """A described survey for people: what there is, then what to think of."""
    numbers = [f"  {line}" for line in aligned(_numbers(found), least=len(_BETWEEN))]
    lines = [*_heading(found, name), "", *numbers, ""]
    findings = list(_findings(found))
    lines.append("What to think of:" if findings else "Nothing is wrong with the records.")
    lines += [f"  * {text}" for text in findings]
    return "\n".join(lines) + "\n"


def _heading(found: Described, name: str) -> Iterator[str]:
    yield f"{name}: {found.records:,} records in {found.container}"
    if found.command:
        yield f"  {printable(found.command, 160)}"
    cpus, threads = len(found.cpus), found.threads
    streams = _counted(found.queues, "AUX stream")
    yield f"  {streams}; CPUs: {cpus or 'unknown'}; threads: {threads or 'unknown'}"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _numbers(found: Described) -> list[tuple[str, str]]:
    memory = {k: n for k, n in found.by_level.items() if k != "none"}
    fixed, padding = found.layout.fixed_bytes, size(found.bytes.padding)
    layout = f"fixed, {fixed} B" if fixed else "variable"
    rows = [
        ("operations", _mix(found.by_class)),
        ("data from", _mix(memory)),
        ("level", _mix(found.by_el)),
        *(
            (
                counter,
                f"{row.p1} / {row.median} / {row.p99} cycles (1 %, median, 99 %), "
                f"at most {row.max}",
            )
            for counter, row in found.latency.items()
            if row
        ),
        ("layout", f"{layout}; {padding} of PAD bytes, in records and between them"),
        ("interval", _interval_text(found.interval)),
    ]
    gaps = found.gaps
    if gaps:
        times = " / ".join(number(time) for time in (gaps.p1, gaps.median, gaps.p99))
        longest = number(gaps.longest)
        rows.append((_BETWEEN, f"{times} {gaps.unit} (1 %, median, 99 %), at most {longest}"))
    return rows


_BETWEEN = "between two"
"""The widest head of a number: where the numbers stand does not hang on which there are."""


def _mix(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    if total == 0:
        return "none"
    return ", ".join(f"{k} {percent(n / total)}" for k, n in counts.items() if n)


def _interval_text(interval: Interval) -> str:
    if interval.requested_ops is None:
        return "not known; --interval gives it"
    text = (
        f"{interval.requested_ops:,} ops asked for, {interval.programmed_ops:,} from "
        f"record to record{' with jitter' if interval.jitter else ''}"
    )
    effective = interval.effective_ops_at_most
    if effective is None:
        return text
    return f"{text}; over the whole time at most {effective:,} (if the task ran in the holes too)"


def _findings(found: Described) -> Iterator[str]:
    yield from _file_findings(found)
    yield from _aux_findings(found)
    yield from _byte_findings(found)
    yield from _gap_findings(found)
    yield from _interval_findings(found)
    for key, text in _FINDINGS.items():
        n = getattr(found.sanity, key)
        if n:
            yield f"{n:,} records ({percent(n / max(1, found.intact))}) {text}"


def _file_findings(found: Described) -> Iterator[str]:
    """What the file says of how it came about."""
    if found.unfinished:
        yield opening.unfinished(found.unread_bytes)
    events = found.events
    if len(events) > 1:
        asked = "; ".join(
            f"{printable(e.name, 40)}: {e.period:,} ops"
            f"{', jitter' if e.jitter else ''}{', no kernel' if e.exclude_kernel else ''}"
            for e in events
        )
        yield f"{len(events)} SPE events, all counted together ({asked})"
    for event in events:
        if event.filters:
            which = f"{printable(event.name, 40)}: " if len(events) > 1 else ""
            yield (
                f"{which}the event had a filter ({'; '.join(event.filters)}): shares are of "
                "what passed, and collisions came before it"
            )
    if found.filtered and not events:
        yield "not all kinds of records are here: shares are of what is"


def _aux_findings(found: Described) -> Iterator[str]:
    aux = found.aux
    if found.lost_records:
        yield f"{found.lost_records:,} side-band records lost: threads and symbols may be wrong"
    if aux is None:
        if found.container == "perf.data":
            yield "no AUX records: truncation and collisions cannot be told"
        return
    of = f"of {aux.records:,} AUX records"
    if aux.no_room:
        yield (
            f"{aux.no_room:,} {of} are TRUNCATED: no room in the AUX area; sampling was "
            "off until perf had copied and enabled the event again. A larger AUX area "
            "(-m ,SIZE) or period helps"
        )
    if aux.partial:
        yield (
            f"{aux.partial:,} {of} are PARTIAL: a record was cut short (PMBSR_EL1.DL); "
            "sampling was off until perf enabled the event again"
        )
    if aux.overwrite:
        yield (
            f"{aux.overwrite:,} {of} are of a snapshot (OVERWRITE): the AUX area was written "
            "over and read now and then, so only the last of each round is here"
        )
    if aux.collision:
        yield (
            f"{aux.collision:,} {of} saw a COLLISION: an operation was selected while "
            "another was in flight, and is missing. The flag is a lower bound, looked at when "
            "the buffer is full only; count SAMPLE_COLLISION for numbers"
        )
    if aux.not_copied:
        yield f"{size(aux.not_copied)} that AUX records announce are not in the file"


def _byte_findings(found: Described) -> Iterator[str]:
    sizes, damaged = found.bytes, found.damaged
    if sizes.bad:
        yield (
            f"{sizes.bad:,} bytes begin no packet, the first at {sizes.bad_at[0]:#x} of "
            "its AUX stream"
        )
    if damaged.jumps:
        yield f"{damaged.jumps:,} jumps in the AUX offsets, {size(sizes.missing)} missing"
    if damaged.records:
        share = percent(damaged.records / max(1, found.records))
        yield f"{damaged.records:,} records ({share}) are damaged: cut, or with bad bytes"
    if found.packets.unknown:
        yield (f"{found.packets.unknown:,} packets of no architected meaning were passed over")


def _gap_findings(found: Described) -> Iterator[str]:
    gaps = found.gaps
    if gaps and gaps.holes:
        share = percent(gaps.in_holes / gaps.total) if gaps.total else "0 %"
        holes = _counted(gaps.holes, "hole")
        yield (
            f"{holes} (longer than 16 medians): {share} of the time; the task was away, or "
            "sampling was off: records alone do not tell which"
        )


def _interval_findings(found: Described) -> Iterator[str]:
    interval = found.interval
    asked, least = interval.requested_ops, interval.min_interval_ops
    if asked and least and asked < least:
        yield (
            f"the period {asked:,} is below the hardware's recommendation {least:,}: collisions "
            "are likely"
        )
    if asked and not interval.jitter:
        yield "no jitter: loops whose length shares a factor with the period are sampled unevenly"
