"""Every number of `result.json` by name: the second half of the column dictionary.

Names are paths below `arms.<arm>`; `<…>` stands for any one name. The first half, columns and
ledger entries, is in `analysis.columns`. A test holds the two and `result.json` to each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from analysis.columns import ENTRIES, Column
from analysis.fidelity.distances import DISTANCES
from analysis.fidelity.profiles import VIEWS
from analysis.fidelity.skew import LEVELS
from analysis.paired import QUANTITIES, RESTARTS
from analysis.statistics.answers import Kind
from sim.policies.backings import BACKINGS

ANSWERS = tuple(kind.value for kind in Kind)


def _m(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "metric", unit, meaning)


def _i(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "int64", unit, meaning)


_SETUP = (
    Column("setup.virtual", "bool", "", "the arm runs in a VM"),
    Column("setup.backing", "string", "", "what keeps the buffer mapped", BACKINGS.words),
    _i("setup.clock_hz", "Hz", "core clock; a tick is 1/64 cycle of it"),
    _i("setup.vcpus", "", "vCPUs, or CPUs on baremetal"),
    Column("setup.stream", "string", "", "instruction stream"),
    Column(
        "setup.stream_kind",
        "string",
        "",
        "how it was made",
        ("profile", "recorded", "synthetic", "threads"),
    ),
    _i("setup.stream_ops", "ops", "length of the stream, per vCPU; of threads, the longest"),
    _i("setup.interval_ops", "ops", "attr.sample_period, before rounding"),
    Column("setup.jitter", "string", "", "PMSIRR.RND and FEAT_SPE_ERnd", ("off", "on", "ernd")),
    Column("setup.restart", "string", "", "what the counter does at a restart", RESTARTS),
    _i("setup.aux_bytes", "bytes", "AUX area per CPU"),
    _i("setup.page_bytes", "bytes", "translation granule"),
    _i("setup.limit_bytes", "bytes", "RLIMIT_MEMLOCK at the start; null: none"),
    Column("setup.unmap", "string", "", "what the host does to the buffer's pages"),
    Column("setup.pressure", "string", "", "what else the host does to guest memory"),
    Column("setup.adjusted[].setting", "string", "", "setting that is not run as asked for"),
    Column("setup.adjusted[].requested", "string", "", "as it was asked for"),
    Column("setup.adjusted[].effective", "string", "", "as it is run: clamped, rounded, ignored"),
    Column("setup.adjusted[].why", "string", "", "whose rule that is"),
    Column("setup.remarks[]", "string", "", "what the import of the stream found in doubt"),
    Column("setup.upper_bound", "bool", "", "unmaps as no host has been seen to: an upper bound"),
)
_LOSS = (
    _m("loss.total", "fraction", "population ops that no sample can stand for, any cause"),
    _m("loss.<label>", "fraction", "population ops with this loss label"),
    _m("loss_skew", "fraction", "TVD from the truth of a noise-free profile of what was not lost"),
    Column("loss_by_symbol[].symbol", "string", "", "symbol; those that the loss biases most"),
    Column("loss_by_symbol[].share", "double", "fraction", "share of the symbol in the truth"),
    Column("loss_by_symbol[].loss", "double", "fraction", "ops lost of those in the symbol"),
    Column("loss_by_symbol[].bias", "double", "fraction", "share changed by the loss alone"),
)
_BLACKOUTS = (
    _i(
        "blackouts.<cause>.count",
        "",
        "stops of profiling with this cause: full, fault (no "
        "stage 2 entry), access_flag or permission (of one that is there), bounce_full, disabled",
    ),
    _i("blackouts.<cause>.ops", "ops", "population ops executed unsampled in them"),
    _i("blackouts.<cause>.ticks", "ticks", "wall time from S = 1 to sampling again"),
    *(
        Column(f"blackouts.<cause>.{axis}_{what}", dtype, axis, f"{words}, per blackout")
        for axis in ("ops", "ticks")
        for what, dtype, words in (
            ("mean", "double", "mean"),
            ("p50", "int64", "median, at most 6.3 % too low"),
            ("p99", "int64", "99th percentile, at most 6.3 % too low"),
            ("max", "int64", "largest"),
        )
    ),
)
_RLIMIT = (
    _i("rlimit.exits", "", "KVM_EXIT_RLIMIT returned to the VMM, sum over replications"),
    _i("rlimit.enables", "", "times that the guest enabled the buffer"),
    _i("rlimit.pinned_pages", "pages", "pages pinned at enable edges, each time they are"),
    _i("rlimit.config_enomem", "", "-ENOMEM at configuration"),
    _i("rlimit.oversize_windows", "", "enables with a window over vm.max_buffer: an event each"),
    _i("rlimit.excess_bytes_max", "bytes", "largest excess that an exit reported"),
    _i("rlimit.locked_bytes_peak", "bytes", "most memory locked for SPE"),
    _m("rlimit.exits_per_enable", "exits/enable", "exits per enable edge"),
    _m("rlimit.exits_per_second", "1/s", "exits per second of the VM's wall time"),
    _m("rlimit.exits_per_run", "exits/run", "exits of the VM in one replication"),
    _m("rlimit.exits_per_vcpu", "exits/vcpu", "exits per vCPU"),
    _m("rlimit.excess_bytes", "bytes", "largest excess of a replication"),
    _m("rlimit.locked_bytes_mean", "bytes", "locked memory averaged over wall time"),
    _m(
        "rlimit.first_exit_limit",
        "bytes",
        "below this RLIMIT_MEMLOCK already the first charge at an enable edge exits",
    ),
    _m(
        "rlimit.last_exit_limit",
        "bytes",
        "no enable edge exits at this RLIMIT_MEMLOCK or above; below it one does",
    ),
    _m(
        "rlimit.locked_per_enable",
        "MiB*ms",
        "locked memory times the time that it is locked, per enable edge",
    ),
)
_WORDS = {
    "tvd": "total variation distance",
    "js": "Jensen-Shannon divergence",
    "hellinger": "Hellinger distance",
}


def distances() -> list[tuple[str, str, str]]:
    """Short name, words and unit of each distance."""
    return [(name, _WORDS[name], unit) for name, (_, _, unit) in DISTANCES.items()]


def _distance(name: str, unit: str) -> Iterator[Column]:
    words, at = _WORDS[name], f"profile.<view>.{name}"
    yield _m(f"{at}_vs_truth", unit, f"{words} from the exact profile of the executed ops")
    yield _m(f"{at}_truth_floor", unit, f"{words} from it of a perfect profile of as many samples")
    yield _m(f"{at}_vs_baremetal", unit, f"{words} from an independent baremetal replication")
    yield _m(f"{at}_noise_floor", unit, f"{words} of two independent baremetal replications")
    yield _m(f"{at}_excess", unit, f"{words} from baremetal in excess of the noise floor, signed")


_PROFILE = (
    *(c for name, (_, _, unit) in DISTANCES.items() for c in _distance(name, unit)),
    _m("profile.<view>.overlap_vs_truth", "fraction", "1 - TVD from the truth"),
    _m("profile.<view>.overlap_vs_baremetal", "fraction", "1 - TVD from baremetal"),
    *(
        _m(f"profile.<view>.{name}_{part}", "fraction", f"{words} {against}")
        for name, words in (
            ("top10", "Jaccard index of the ten largest groups:"),
            ("hottest", "replications in which the largest group agrees:"),
        )
        for part, against in (
            ("vs_truth", "arm and truth"),
            ("vs_baremetal", "arm and an independent baremetal replication"),
            ("baremetal_pair", "two independent baremetal replications"),
        )
    ),
    Column("share_errors[].symbol", "string", "", "symbol; the largest of the truth first"),
    Column("share_errors[].share", "double", "fraction", "share of the symbol in the truth"),
    _m("share_errors[].vs_truth", "pp", "share in the profile minus share in the truth, signed"),
    _m("share_errors[].vs_baremetal", "pp", "share minus share in baremetal, paired, signed"),
    Column(
        "share_errors[].differs_from_truth",
        "bool",
        "",
        "error found at a false discovery rate of 5 % over all symbols",
    ),
    Column(
        "share_errors[].differs_from_baremetal",
        "bool",
        "",
        "difference found at a false discovery rate of 5 % over all symbols",
    ),
)
_VERDICT = (
    Column(
        "skew.answer",
        "string",
        "",
        "the verdict about the profile: is it skewed from the truth by more than the margin?",
        ANSWERS,
    ),
    Column("skew.level", "string", "", "where that is so: by symbol or by instruction", LEVELS),
    Column("skew.words", "string", "", "the verdict in words"),
    Column("skew.margin", "double", "fraction", "verdicts.margin: skew below it does not matter"),
    _i("skew.needed", "", "replications that would tell; null: none, or it is told"),
    _m(
        "skew.truth.<level>",
        "fraction",
        "share of the samples in the wrong place, sampling noise aside: bias and scatter; low ends "
        "of intervals hold for all arms and levels at once",
    ),
    _m(
        "skew.baremetal.<level>",
        "fraction",
        "distance of the mean profile from baremetal's, sampling noise aside",
    ),
    Column(
        "skew.identical",
        "bool",
        "",
        "every replication has as many samples as baremetal's in every instruction",
    ),
    Column("skew.short", "string", "", "what the run met too little of; empty if it met enough"),
    Column(
        "skew.hottest.<level>",
        "string",
        "",
        "the ten hottest of the mean profile: the truth's in its order, or who moved; and in how "
        "many replications one profile alone says so, unless in all",
    ),
    Column("skew.causes[]", "string", "", "what may put samples in the wrong place, and its cure"),
    Column(
        "compared_on.basis",
        "string",
        "",
        "equal executed ops: what is compared with baremetal",
        ("whole", "prefix"),
    ),
    _i("compared_on.ops", "ops", "ops per vCPU compared; of a prefix, the shortest replication's"),
)
_TIME = (
    _m("wall", "ms", "wall time per vCPU"),
    _m("time_added", "fraction", "wall time above baremetal's over equal executed ops"),
    *(
        Column(f"time_band.<cause>.{end}_ms", "double", "ms", f"time added per vCPU, {words}")
        for end, words in (
            ("here", "as the scenario has it"),
            ("low", "every UNVERIFIED time at the low end of its range"),
            ("high", "every UNVERIFIED time at the high end of its range"),
            ("unmapping", "as high, if unpinning removed the stage 2 entries too"),
        )
    ),
    *(
        Column(
            f"per_enable.<part>.{end}_us",
            "double",
            "us",
            f"time per enable edge, {words}; parts: walk, charge, pin, map, unpin, all",
        )
        for end, words in (
            ("here", "mean"),
            ("low", "UNVERIFIED times at their low ends"),
            ("high", "UNVERIFIED times at their high ends, unmapping where that is open"),
        )
    ),
    Column("time_band_moved[]", "string", "", "UNVERIFIED times that the band moves"),
    *(
        Column(f"{what}_band.{end}", "double", "fraction", f"{words}, {most} over these times")
        for what, words in (("loss", "population ops lost"), ("skew", "symbol TVD vs truth"))
        for end, most in (("low", "least"), ("high", "most"))
    ),
)
_DECISIONS = (
    Column("decisions.<kind>.chosen", "string", "", "what the choice takes, or why there is none"),
    Column(
        "decisions.<kind>.best", "double", "fraction", "part of all worth that the best one catches"
    ),
    _m(
        "decisions.<kind>.regret",
        "fraction",
        "part of the best choice's worth that the choice by the profile does not catch",
    ),
    _m(
        "decisions.<kind>.bias",
        "fraction",
        "regret beyond that of baremetal thinned to as many samples",
    ),
    _m(
        "decisions.<kind>.sampling",
        "fraction",
        "regret of baremetal thinned to as many samples beyond that of all its samples",
    ),
    _m("decisions.<kind>.worse", "fraction", "regret beyond baremetal's: bias and sampling"),
    _m(
        "decisions.<kind>.effective_samples",
        "samples",
        "how few random samples of the program decide as well on average",
    ),
    _m("decisions.<kind>.samples", "samples", "samples that the arm has"),
    Column("decisions.<kind>.margin", "double", "fraction", "less than this does not matter"),
    Column(
        "decisions.<kind>.answer",
        "string",
        "",
        "would one decide the same as on baremetal?",
        ("worse", "same", "cannot tell", "not judged"),
    ),
    Column("decisions.<kind>.words", "string", "", "the answer in words"),
    Column("decisions.<kind>.why", "string", "", "what makes it worse, if it is"),
)
_PAIRED_WORDS = {
    "loss": "population ops lost",
    "delivered": "records delivered",
    "wall": "wall time per vCPU",
    "tvd_vs_truth": "TVD of the symbol profile from the truth",
}
_PAIRED = tuple(
    _m(
        f"paired.{name}.{restart}",
        unit,
        f"{_PAIRED_WORDS[name]} minus baremetal's, paired by replication, restart: {restart}",
    )
    for name, (_, unit) in QUANTITIES.items()
    for restart in RESTARTS
)
_REST = (
    Column("design", "string", "", "the arm's design"),
    _i("counts.stops", "", "times that PMBSR.S was set by hardware"),
    _i("counts.traps", "", "trapped accesses to the buffer's registers"),
    _i("counts.ordinary_exits", "", "exits for timer, IPI and MMIO"),
    _i("counts.zaps", "pages", "pages of the AUX buffers that the host unmapped"),
    _i("counts.full_buffers", "", "times that the SPU found the buffer full, KVM's own included"),
    _i("aux.records", "", "PERF_RECORD_AUX records that perf would read, of any flags"),
    _i("aux.lost", "", 'those with TRUNCATED: perf\'s "AUX data lost N times out of M"'),
    _i("aux.gaps", "", 'those with PARTIAL: perf\'s "AUX data had gaps in it"'),
    _i("aux.collisions", "", 'those with COLLISION: perf\'s "AUX data detected collision"'),
    Column("unmap_rate_per_s", "double", "pages/s", "pages unmapped per second and vCPU"),
    _i("ended_at_op", "ops", "first op that some vCPU did not execute"),
    Column("ended_because", "string", "", "why the arm ended early or has no SPE; empty otherwise"),
    _i("replications[].replication", "", "number of the replication"),
    Column("replications[].metrics.loss", "double", "fraction", "loss.total of the replication"),
    _i("replications[].metrics.wall_ticks", "ticks", "wall time of its slowest vCPU"),
    _i("replications[].metrics.locked_bytes_peak", "bytes", "rlimit.locked_bytes_peak of it"),
    _i("replications[].metrics.rlimit_exits", "", "rlimit.exits of the replication"),
    _i("replications[].metrics.zaps", "pages", "counts.zaps of the replication"),
    _i("replications[].ended_at_op[]", "ops", "ops that each vCPU executed"),
    Column(
        "replications[].ended_because",
        "string",
        "",
        "why the replication ended early or has no SPE; empty otherwise",
    ),
    _i("life.died", "", "events that were disabled for good; life is null if none was"),
    _i("life.events", "", "events in all: one per vCPU and replication"),
    *(
        Column(f"life.{end}_s", "double", "s", f"profiled time per event that died, {words}")
        for end, words in (
            ("mean", "mean"),
            ("low", "low end of its 95 % interval"),
            ("high", "high end of its 95 % interval"),
        )
    ),
    Column("hold", "arm", "", "the twin of a resync arm with restart: hold; null: it is hold"),
)
_LEDGER = tuple(
    _i(f"{at}ledger.{part}.{c.name}", c.unit, c.meaning)
    for at in ("", "replications[].")
    for part, entries in ENTRIES.items()
    for c in entries
)

METRICS: dict[str, Column] = {
    c.name: c
    for c in (
        *_SETUP,
        *_LOSS,
        *_BLACKOUTS,
        *_RLIMIT,
        *_PROFILE,
        *_VERDICT,
        *_TIME,
        *_PAIRED,
        *_DECISIONS,
        *_LEDGER,
        *_REST,
    )
}
"""Every number below `arms.<arm>` by its name."""


def find(path: str) -> Column | None:
    """The metric of a path such as `profile.pc.tvd_excess`; exact names first."""
    if path in METRICS:
        return METRICS[path]
    return next((c for name, c in METRICS.items() if _pattern(name).fullmatch(path)), None)


def _pattern(name: str) -> re.Pattern[str]:
    """A name as a pattern: `<…>` is one name, but `<view>` only a view."""
    text = re.escape(name).replace("<view>", f"({'|'.join(VIEWS)})")
    return re.compile(re.sub(r"<[a-z]+>", r"[^.\\[\\]]+", text))
