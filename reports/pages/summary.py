"""One screen per arm: what is lost and why, whether it skews, what the cure costs.

A pure function of `result.json`, so that `run` and `show` print the same. Every number is labelled
as a prediction: no KVM support for SPE can be measured today.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from analysis.cost.edges import ALL, PARTS
from reports.pages import glance
from reports.results import shapes
from reports.results.arms import (
    LEVELS,
    answer_at,
    brief,
    causes_of,
    harmless_loss,
    other_settings,
    reference_arm,
    time_added,
    time_by_cause,
    verdict_words,
)
from reports.results.result import Arm, Ends, Life, PerEnable, Result
from reports.text import aligned, hanging, number, percent, printable, size, with_interval
from sim.policies.backings import BACKINGS

WIDTH = 100
HEAD = 21
NUMA_FAST_S, NUMA_SLOW_S = 6.4, 60.0
"""NUMA balancing visits each page of a 16 GiB guest once in so many seconds (published range)."""
ENABLE_BAND_US = (55.0, 1500.0)
"""Walk, pin and map of 512 pages on an enable edge: warm, and with unmapping on unpin."""
BAND_PAGES = 512
PIN_CAUSES = ("walk", "pin", "map", "unpin")
HOTTEST = 450
"""Characters of who moved among the ten hottest: six names, each cut by itself."""
LOSS_NOTE = (
    "Loss is not skew: where it falls on random code it makes a profile noisier, not biased."
)
EXIT_NUMBER_NOTE = (
    "KVM_EXIT_RLIMIT is number 41 in the RFC; later headers use 41 for KVM_EXIT_ARM_SEA."
)
THREADS_NOTE = (
    "Threads that share memory take turns as on baremetal without a profile, in all arms alike; "
    "what a line from another core costs is UNVERIFIED"
)

HARDWARE_LIKE = "hardware-like selection, UNVERIFIED"
INTERRUPTED = "INTERRUPTED: only the arms that had finished are here."


def render(result: Result) -> str:
    """The summary of a run as text: each arm, then all of them in one table."""
    head = f"{printable(result.scenario)}: prediction of {len(result.arms)} arms, "
    head += f"{result.replications} replications, seed {result.seed}"
    blocks = [*hanging("", head, WIDTH), *hanging("  ", printable(result.question), WIDTH)]
    blocks += hanging("  ", "Simulated, not measured. Intervals are 95 % over replications.", WIDTH)
    if result.interrupted:
        blocks += hanging("  ", INTERRUPTED, WIDTH)
    for doubt in doubts(result):
        blocks += hanging("  ", doubt, WIDTH, indent="    ")
    for name in result.arm_order:
        blocks += ["", *_block(name, result)]
    return "\n".join([*blocks, "", *_glance_lines(result)]) + "\n"


def doubts(result: Result) -> list[str]:
    """What the import of each workload found in doubt, how threads take turns, and unproven
    weights, each once."""
    setups = [arm.setup for arm in result.arms.values()]
    found = [(setup.stream, remark) for setup in setups for remark in setup.remarks]
    return [
        *(
            f"In doubt in the workload {printable(stream, 60)}: {printable(remark)}"
            for stream, remark in dict.fromkeys(found)
        ),
        *([THREADS_NOTE] if any(setup.stream_kind == "threads" for setup in setups) else []),
        *_weighted(result),
    ]


def _weighted(result: Result) -> Iterator[str]:
    """Where the weights of hardware-like selection come from, and in which arms they are."""
    by_source: dict[str, list[str]] = {}
    for name in result.arm_order:
        if source := result.arms[name].setup.selection:
            by_source.setdefault(source, []).append(name)
    for source, names in by_source.items():
        who = "" if len(names) == len(result.arms) else f" in {', '.join(names)}"
        yield f"{HARDWARE_LIKE}{printable(who, 200)}: weights from {printable(source)}"


def sections(name: str, result: Result) -> list[tuple[str, list[str]]]:
    """What there is to say about an arm: titles, each with its lines."""
    arm, base = result.arms[name], reference_arm(result)
    rows = [
        ("not run as asked", asked_lines(arm)),
        ("not the design's", other_lines(arm, base)),
        ("predicted loss", loss_lines(arm, base)),
        ("predicted skew", skew_lines(arm, base)),
        ("predicted time", time_lines(arm, base)),
        ("predicted edges", enable_lines(arm)),
        ("predicted memory", memory_lines(arm)),
        ("predicted exits", exit_lines(arm)),
        ("predicted records", record_lines(arm)),
        ("predicted unmapping", unmap_lines(arm)),
        ("predicted end", end_lines(arm)),
        ("hold and resync", paired_lines(arm, base)),
    ]
    return [(title, found) for title, lines in rows if (found := list(lines))]


def of_arm(name: str, result: Result) -> str:
    """What the summary says of one arm."""
    return "\n".join(_block(name, result)) + "\n"


def _block(name: str, result: Result) -> Iterator[str]:
    arm = result.arms[name]
    yield heading(name, arm, arm is reference_arm(result))
    for title, lines in sections(name, result):
        for k, line in enumerate(lines):
            start = f"  {'' if k else title:<{HEAD}}"
            yield from hanging(start, line, WIDTH, indent=" " * (HEAD + 2))


def _glance_lines(result: Result) -> list[str]:
    """One table, or two where one is too wide: what the profile is, what that costs."""
    rows = [glance.HEAD, *glance.rows(result)]
    whole = aligned(rows, right=True)
    if max(map(len, whole)) <= WIDTH:
        return whole
    halves = (
        [row[: glance.PROFILE] for row in rows],
        [(row[0], *row[glance.PROFILE :]) for row in rows],
    )
    first, second = (aligned(half, right=True) for half in halves)
    return [*first, "", *second]


def heading(name: str, arm: Arm, is_reference: bool) -> str:
    """Name, design and what the reader must know first."""
    marks = ["reference"] if is_reference else []
    if arm.setup.upper_bound:
        marks.append("UPPER BOUND, not an expectation")
    if arm.setup.selection:
        marks.append(HARDWARE_LIKE)
    if arm.design != name:
        marks.insert(0, f"design {arm.design}")
    return printable(name) + (f"  ({'; '.join(marks)})" if marks else "")


def asked_lines(arm: Arm) -> Iterator[str]:
    """Settings that were clamped, rounded or passed over: what was asked for, what is run, why."""
    for one in arm.setup.adjusted:
        yield printable(str(one))


def other_lines(arm: Arm, base: Arm | None) -> Iterator[str]:
    """Settings that differ from the reference arm's besides the design."""
    found = other_settings(arm, base)
    if found:
        yield f"differs from the reference arm in {printable('; '.join(found), 300)}"


def enable_lines(arm: Arm) -> Iterator[str]:
    """What an enable edge and the disable edge after it cost, each with its band."""
    found = arm.per_enable
    if not found:
        return
    pages = number(arm.rlimit.pinned_pages / arm.rlimit.enables)
    shown = ", ".join(f"{part} {edge(found[part])}" for part in PARTS if part in found)
    yield f"{edge(found[ALL])} µs per enable edge, {pages} pages pinned: {shown}"
    locked = arm.rlimit.locked_per_enable
    if locked is not None and locked.mean is not None:
        yield f"{number(locked.mean)} MiB·ms of locked memory × time per enable edge"


def edge(time: PerEnable) -> str:
    """Time per enable edge, µs, with its band if that is one: ``31 [31, 831]``."""
    here = number(time.here_us)
    if time.low_us is None or time.high_us is None:
        return here
    low, high = number(time.low_us), number(time.high_us)
    return here if low == here == high else f"{here} [{low}, {high}]"


def loss_lines(arm: Arm, base: Arm | None) -> Iterator[str]:
    """Loss in all, then by cause, then how it compares."""
    ops = arm.ledger.ops
    total = arm.loss.total
    if total.mean is None:
        yield "no op of the population was executed"
        return
    causes = [k for k in arm.loss.labels if ops[k]]
    lost = sum(ops[k] for k in causes)
    population = ops["executed"] - ops["not_in_population"]
    yield (
        f"{with_interval(total, 100, '%')} of population ops: {lost:,} of {population:,} ops, "
        "all replications"
    )
    yield from _band_lines(arm.loss_band, "lost")
    for cause in sorted(causes, key=lambda k: (-ops[k], k)):
        yield f"{cause} {percent(arm.loss.labels[cause].value)} ({ops[cause]:,} ops)"
    if arm.life is not None:
        yield (
            f"the event dies after {life_text(arm.life)}; what is lost depends on how long the run "
            "is"
        )
    if base is not None and arm is not base and harmless_loss(arm, base):
        yield f"The loss is of baremetal's order. {LOSS_NOTE}"


def life_text(life: Life) -> str:
    """``0.31 s of profiling [0.16, 0.81] (6 of 8 events)``."""
    return (
        f"{number(life.mean_s)} s of profiling [{number(life.low_s)}, {number(life.high_s)}] "
        f"({life.died:,} of {life.events:,} events)"
    )


def _band_lines(band: Ends | None, what: str) -> Iterator[str]:
    if band is not None and band.low != band.high:
        low, high = percent(band.low), percent(band.high)
        yield f"{low} to {high} {what} over the ranges of the UNVERIFIED times"


def skew_lines(arm: Arm, base: Arm | None) -> Iterator[str]:
    """The verdict, its numbers, what may be the cause; then single profiles."""
    view = arm.profile.symbol
    if view.tvd_vs_truth.mean is None:
        yield "no samples, so no profile"
        return
    yield printable(verdict_words(arm))
    if arm.setup.virtual:
        yield f"met {arm.counts.full_buffers:,} full buffers, {arm.counts.zaps:,} unmapped pages"
    yield f"from the truth: {_levels(arm, 'truth')}"
    if arm is not base and arm.skew.baremetal.pc.mean is not None:
        own = "; its samples are baremetal's own" if arm.skew.identical else ""
        yield f"mean profile from baremetal's: {_levels(arm, 'baremetal')}{own}"
    yield from map(printable, causes_of(arm))
    if arm.skew.hottest.symbol:
        yield (
            f"ten hottest functions: {printable(arm.skew.hottest.symbol, HOTTEST)}; instructions: "
            f"{printable(arm.skew.hottest.pc, HOTTEST)}"
        )
    if arm.loss_skew.mean is not None:
        yield (
            f"what was lost moves {with_interval(arm.loss_skew, 100, '%')} of the profile "
            "between symbols, sampling noise aside"
        )
    yield from _band_lines(arm.skew_band, "symbol TVD vs truth")
    pc = arm.profile.pc
    yield (
        f"TVD vs truth: symbols {number(view.tvd_vs_truth.value)} (random sampling of as "
        f"many: {number(view.tvd_truth_floor.value)}), instructions "
        f"{number(pc.tvd_vs_truth.value)} ({number(pc.tvd_truth_floor.value)})"
    )


def _levels(arm: Arm, against: Literal["truth", "baremetal"]) -> str:
    """Skew with its interval by symbol and by instruction."""
    sizes = [(words, answer_at(arm, level, against)) for level, words in LEVELS.items()]
    return ", ".join(f"{one.size()} {words}" for words, one in sizes)


def time_lines(arm: Arm, base: Arm | None) -> Iterator[str]:
    """Wall time, what was added by cause, and the band that v6 times are."""
    wall = f"{with_interval(arm.wall, 1, 'ms')} wall per vCPU"
    if base is None or arm is base:
        yield wall
    elif arm.time_added.mean is None:
        yield f"{wall}; not compared (other ops than baremetal)"
    else:
        added = with_interval(arm.time_added, 100, "%")
        yield f"{wall}, {glance.TOO_BRIEF if brief(arm) else f'{added} above baremetal'}"
        extra = time_added(arm)
        before = extra.pop("prefault", 0.0)
        parts = [f"{cause} {ms:+.3g} ms" for cause, ms in extra.items()]
        if parts:
            yield "by cause: " + ", ".join(parts)
        if before:
            yield (
                f"populating guest memory takes {before:.3g} ms, once, before the guest first runs "
                "(prefault): in no total"
            )
    yield from end_of_band_lines(arm)
    backing = BACKINGS.get(arm.setup.backing)
    if arm.setup.virtual and (backing is None or backing.holds):
        yield band_line(arm)


def end_of_band_lines(arm: Arm) -> Iterator[str]:
    """Time added with every UNVERIFIED time at the ends of its range."""
    total = arm.time_band.get("total")
    if total is None or total.low_ms is None or total.high_ms is None:
        return
    text = f"{total.low_ms:.3g} to {total.high_ms:.3g} ms added over the ranges of the "
    text += "UNVERIFIED times"
    if total.unmapping_ms is not None:
        text += f"; {total.unmapping_ms:.3g} ms if unpinning removes the stage 2 entries too"
    yield text


def band_ms(arm: Arm) -> tuple[float, float]:
    """What walk, pin, map and unpin may cost, ms per replication and vCPU: the published band."""
    share = max(1, len(arm.replications) * arm.setup.vcpus)
    batches = arm.rlimit.pinned_pages / share / BAND_PAGES / 1000
    return batches * ENABLE_BAND_US[0], batches * ENABLE_BAND_US[1]


def band_line(arm: Arm) -> str:
    """The pin costs of this run inside the band that is all anybody knows."""
    times = time_by_cause(arm)
    here = sum(times[c] for c in PIN_CAUSES)
    low, high = band_ms(arm)
    return (
        f"walk + pin + map + unpin is {here:.3g} ms here. The costs of mapping are UNVERIFIED: "
        f"estimates of 55 to 1,500 µs per 512 pages enabled make it {low:.3g} to {high:.3g} ms"
    )


def memory_lines(arm: Arm) -> Iterator[str]:
    """Locked memory at its peak against the limit."""
    if not arm.setup.virtual:
        return
    peak, limit = arm.rlimit.locked_bytes_peak, arm.setup.limit_bytes
    against = "no limit" if limit is None else f"RLIMIT_MEMLOCK {size(limit)} at the start"
    yield f"{size(peak)} locked for SPE at the peak; {against}"


EXACT_NOTE = (
    "limits.parquet counts the exits at each limit; with one vCPU, a VMM that raises by the excess "
    "and whole charges they are exact: a run with that limit has as many"
)
FEWEST_NOTE = (
    "limits.parquet counts the exits at each limit, the fewest there can be: vCPUs that are over "
    "the limit at once are told one excess and set one limit, so one fits and the others exit "
    "again; after a live migration the old limit is met once more. Who is over it at once depends "
    "on when each charge falls, and every exit delays the next one of its vCPU; so the exact "
    "number is that of a run with that limit"
)
"""Why a trace of the account bounds the exits of several vCPUs, and does not give them."""


def exit_lines(arm: Arm) -> Iterator[str]:
    """RLIMIT exits and refused configurations."""
    if not arm.setup.virtual:
        return
    r = arm.rlimit
    yield (
        f"{with_interval(r.exits_per_run)} KVM_EXIT_RLIMIT per VM and run ({r.exits:,} in "
        f"{r.enables:,} enables, all replications); {r.config_enomem:,} times -ENOMEM at "
        "configuration"
    )
    if r.exits:
        yield f"excess at most {size(r.excess_bytes_max)}. {EXIT_NUMBER_NOTE}"
    if r.oversize_windows:
        yield (
            f"{r.oversize_windows:,} of these enables had a window larger than vm.max_buffer, "
            "which today's driver does not look up in PMBIDR; the buffer size event is fatal to it "
            "(raise vm.max_buffer, or take a smaller driver.aux or driver.watermark)"
        )
    first, last = r.first_exit_limit.mean, r.last_exit_limit.mean
    if first is not None and last is not None:
        yield (
            f"at another limit: from {size(round(last))} on none; below it at least one; below "
            f"{size(round(first))} already at the first charge"
        )
        moves = "live_migration" in arm.setup.pressure
        yield FEWEST_NOTE if arm.setup.vcpus > 1 or moves else EXACT_NOTE


def record_lines(arm: Arm) -> Iterator[str]:
    """Records delivered, and every way a selected op failed to become one."""
    s, d = arm.ledger.selections, arm.ledger.delivery
    yield f"{d['delivered']:,} delivered of {s['selected']:,} selected, all replications"
    gone = {
        name: part[name]
        for part, names in (
            (s, ("collided", "discarded_in_flight", "in_flight_at_end", "filtered")),
            (s, ("lost_at_fault", "discarded_by_mode")),
            (d, ("voided_by_DL", "overwritten", "unread_at_end")),
        )
        for name in names
        if part[name]
    }
    if gone:
        yield "not delivered: " + ", ".join(f"{k} {v:,}" for k, v in gone.items())
    yield from perf_lines(arm)


def perf_lines(arm: Arm) -> Iterator[str]:
    """What perf report would warn of, in its words, over all replications and vCPUs."""
    if arm.aux is None:
        return
    said = [
        f"{text} {times:,} times out of {arm.aux.records:,}"
        for text, times in (
            ("AUX data lost", arm.aux.lost),
            ("AUX data had gaps in it", arm.aux.gaps),
            ("AUX data detected collision", arm.aux.collisions),
        )
        if times
    ]
    yield f"perf report: {'; '.join(said) or f'no warning of {arm.aux.records:,} AUX records'}"


def numa_band(arm: Arm) -> tuple[float, float]:
    """Pages per second that NUMA balancing zaps of a vCPU's AUX buffer: slowest, fastest."""
    pages = arm.setup.aux_bytes / arm.setup.page_bytes
    return pages / NUMA_SLOW_S, pages / NUMA_FAST_S


def unmap_lines(arm: Arm) -> Iterator[str]:
    """The zap rate that an arm implies, beside the published one."""
    rate = arm.unmap_rate_per_s
    setup = arm.setup
    if not setup.virtual or rate is None:
        return
    if setup.pressure:
        yield f"{number(rate)} pages/s and vCPU, with {setup.pressure.replace('_', ' ')}"
    if setup.unmap == "never":
        return
    slow, fast = numa_band(arm)
    pages = arm.setup.aux_bytes // arm.setup.page_bytes
    yield (
        f"{number(rate)} pages/s and vCPU implied; published NUMA balancing: {number(slow)} to "
        f"{number(fast)} pages/s ({pages:,} pages per 60 s … 6.4 s)"
    )
    if arm.setup.upper_bound:
        yield f"UPPER BOUND: {number(rate / fast)} times the fastest published rate"


def end_lines(arm: Arm) -> Iterator[str]:
    """Why an arm ended before its stream did."""
    at, whole = arm.ended_at_op, arm.setup.stream_ops
    if at < whole or arm.ended_because:
        reason = f": {printable(arm.ended_because)}" if arm.ended_because else ""
        yield f"ended at op {at:,} of {whole:,}{reason}"
    if arm.compared_on.basis == "prefix":
        yield "compared with baremetal stopped at the same op in each replication"


def paired_lines(arm: Arm, base: Arm | None) -> Iterator[str]:
    """Differences from baremetal of a resync arm, each beside that of its hold twin."""
    if arm.setup.restart != "resync" or arm is base:
        return
    for quantity, sides in shapes.items(arm.paired):
        texts = [f"{side} {with_interval(m, 1, m.unit)}" for side, m in shapes.items(sides)]
        yield f"{quantity} minus baremetal's: {', '.join(texts)}"
    yield "resync pairs arms artificially; hold is what the architecture does"
