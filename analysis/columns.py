"""The column dictionary: every column that is written and every entry of a ledger, once.

Name, type, unit, meaning and allowed values of the columns of records, AUX transactions and
tables, and of the ledgers' entries. It drives Parquet schemas and their metadata, axis labels, the
reference pages and `speskew explain`. One name means one thing in every table. What `result.json`
holds beyond these is in `analysis.metrics`, with the same type.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column, ledger entry or metric.

    `dtype` is an Arrow type's name, or `metric` (mean, interval, n, unit). `unit` is empty where a
    value has none. `values` are all that may occur; empty: any. `axis` says what stands at an axis
    if that is not the name in words.
    """

    name: str
    dtype: str
    unit: str
    meaning: str
    values: tuple[str, ...] = ()
    axis: str = ""

    @property
    def label(self) -> str:
        """For an axis: the name in words, with the unit."""
        return self.label_with("")

    def label_with(self, note: str) -> str:
        """The label with a note on how it is drawn, such as `log`."""
        words = self.axis or self.name.rsplit(".", 1)[-1].replace("_", " ")
        inside = ", ".join(part for part in (self.unit, note) if part)
        return f"{words} ({inside})" if inside else words


RECORD_COLUMNS = (
    Column("vcpu", "uint16", "", "number of the vCPU, or of the CPU on baremetal"),
    Column("tid", "uint32", "", "thread that was profiled, as perf would report it"),
    Column("op", "int64", "ops", "index of the sampled op in the stream, from 0"),
    Column("insn", "uint32", "", "static op: index of the instruction in the stream's table"),
    Column("el", "uint8", "", "exception level", ("0", "1")),
    Column("op_payload", "uint8", "", "payload of the operation type packet"),
    Column("events", "uint32", "bits", "payload of the events packet"),
    Column(
        "issue", "uint16", "cycles", "dispatch to issue, saturated at CountSize; UNVERIFIED law"
    ),
    Column("total", "uint16", "cycles", "dispatch to complete, saturated at CountSize"),
    Column("xlat", "uint16", "cycles", "address translation, saturated; UNVERIFIED law"),
    Column("va", "uint64", "", "virtual data address, 0 for ops that access no memory"),
    Column("pa", "uint64", "", "physical data address; UNVERIFIED: a function of the virtual one"),
    Column("target", "uint64", "", "branch target, 0 for other ops"),
    Column("source", "uint8", "", "payload of the data source packet"),
    Column(
        "level",
        "uint8",
        "",
        "memory level: 0 none, 1 L1, 2 L2, 3 SLC, 4 DRAM, 5 peer core, 6 peer cluster",
    ),
    Column("t_select", "int64", "ticks", "wall time at which the op was selected"),
    Column("t_write", "int64", "ticks", "wall time at which its record was written"),
)
"""`sim.results.RECORD_DT`."""

AUX_COLUMNS = (
    Column("offset", "int64", "bytes", "where a transaction begins in the endless AUX stream"),
    Column("size", "int64", "bytes", "bytes of a transaction, padding included"),
    Column("pad", "int64", "bytes", "padding before a transaction's records"),
    Column(
        "flags", "uint8", "bits", "PERF_AUX_FLAG_*: 1 truncated, 2 overwrite, 4 partial, 8 coll."
    ),
    Column("t", "int64", "ticks", "wall time of the event"),
    Column("records", "int64", "records", "whole records of a transaction"),
)
"""`sim.results.AUX_DT` without `vcpu` and `tid`."""

TABLE_COLUMNS = (
    Column("arm", "string", "", "name of the arm"),
    Column("replication", "int64", "", "number of the replication, from 0"),
    Column(
        "by", "string", "", "view of a profile: what samples are grouped by",
        ("symbol", "pc", "op_class", "mem_level", "latency"),
    ),
    Column("group", "string", "", "name of the group: a symbol, pc, op class, level or latency"),
    Column("samples", "int64", "samples", "recorded samples of the group, all vCPUs"),
    Column("share", "double", "fraction", "share of the samples; missing without samples"),
    Column("truth_share", "double", "fraction", "exact share of executed ops that pass the filter"),
    Column("truth_ops", "double", "ops", "executed ops of the group, one replication, all vCPUs"),
    Column("lost_ops", "double", "ops", "ops of the group lost to blackouts, mean of replications"),
    Column("loss", "double", "fraction", "lost ops over executed ops of the group"),
    Column("bias", "double", "fraction", "share minus true share if only the loss acted"),
    Column("error", "double", "pp", "share minus the reference's, signed, mean of replications"),
    Column("low", "double", "", "lower end of the 95 % interval, in the unit of the mean"),
    Column("high", "double", "", "upper end of the 95 % interval, in the unit of the mean"),
    Column("mean", "double", "", "mean over replications, in the unit of its quantity"),
    Column("n", "int64", "", "replications"),
    Column("against", "string", "", "reference of an error", ("truth", "baremetal")),
    Column("differs", "bool", "", "difference found at a false discovery rate of 5 %"),
    Column(
        "ledger", "string", "", "which of the ledgers", ("ops", "selections", "delivery", "time")
    ),
    Column("entry", "string", "", "entry of a ledger: see ledger.<ledger>.<entry>"),
    Column("amount", "int64", "", "amount of an entry: ops, selections or ticks"),
    Column("cause", "string", "", "cause of a blackout or of time standing still"),
    Column("axis", "string", "", "what a length is measured in", ("ops", "ticks")),
    Column("length", "int64", "", "lower edge of a log-linear bin, at most 6.3 % below the value"),
    Column("count", "int64", "", "how many"),
    Column(
        "locked_bytes", "int64", "bytes", "memory locked for SPE after a change",
        axis="locked memory",
    ),
    Column(
        "limit_bytes", "int64", "bytes", "RLIMIT_MEMLOCK at that time", axis="RLIMIT_MEMLOCK"
    ),
    Column(
        "exits", "int64", "", "KVM_EXIT_RLIMIT that fire, the fewest there can be",
        axis="KVM_EXIT_RLIMIT",
    ),
    Column("low_ms", "double", "ms", "time added with every UNVERIFIED time at its low end"),
    Column("here_ms", "double", "ms", "time added with the times of the scenario"),
    Column("high_ms", "double", "ms", "time added with every UNVERIFIED time at its high end"),
    Column("unmapping_ms", "double", "ms", "high_ms, if unpinning removed stage 2 entries too"),
    Column("quantity", "string", "", "what is compared or predicted"),
    Column("restart", "string", "", "what the counter does at a restart", ("hold", "resync")),
    Column("unit", "string", "", "unit of a row's numbers"),
    Column("row", "string", "", "row of the theory page"),
    Column("abscissa", "string", "", "name of the quantity that a theory curve goes over"),
    Column("x", "double", "", "value of the abscissa, in its unit"),
    Column("theory", "double", "", "value of the closed form"),
    Column("simulated", "double", "", "mean over replications of the simulated value"),
    Column(
        "z", "double", "",
        "simulated minus theory in standard errors, beyond what the end of a run may add",
    ),
    Column("condition", "string", "", "empty, or why the closed form does not apply"),
)  # a column a line  # fmt: skip
"""Columns of the tables that are not columns of records."""

DATA_COLUMNS = (
    Column("share_percent", "double", "%", "amount over that of the whole ledger"),
    Column("symbol", "string", "", "name of a symbol"),
    Column(
        "truth_percent", "double", "%", "share of the executed ops", axis="share of executed ops"
    ),
    Column(
        "lost_percent", "double", "%", "ops lost of the symbol's own", axis="symbol's ops lost"
    ),
    Column("moved_by_loss_pp", "double", "pp", "change of the share if only the loss acted"),
    Column(
        "error_pp", "double", "pp", "share in the profile minus truth, mean of replications",
        axis="share in the profile minus truth",
    ),
    Column("error_low_pp", "double", "pp", "lower end of its 95 % interval"),
    Column("error_high_pp", "double", "pp", "upper end of its 95 % interval"),
    Column("replications", "int64", "", "replications that have a value"),
    Column("kind", "string", "", "what is decided: see `speskew list decisions`"),
    Column(
        "samples_per_replication", "double", "",
        "samples that decide: an arm's, or so many random ones where arm is empty",
        axis="samples",
    ),
    Column(
        "regret_percent", "double", "%", "part of the best choice's worth that is not caught",
        axis="regret",
    ),
    Column("regret_low_percent", "double", "%", "lower end of its 95 % interval"),
    Column("regret_high_percent", "double", "%", "upper end of its 95 % interval"),
    Column("answer", "string", "", "would one decide the same as on baremetal? in words"),
    Column("view", "string", "", "what samples are grouped by: see profile.<view>"),
    Column("metric", "string", "", "which number: see profile.<view>.<metric>"),
    Column("exact", "bool", "", "replications do not differ"),
    Column(
        "at_least_ops", "int64", "ops", "lower edge of a bin of blackouts, 6.3 % wide",
        axis="ops executed unsampled in a blackout",
    ),
    Column(
        "cumulative_fraction", "double", "", "blackouts of at most this length, of all",
        axis="fraction of blackouts",
    ),
    Column("lane", "string", "", "lane of the timeline"),
    Column("state", "string", "", "state of a lane"),
    Column("begin_us", "double", "µs", "wall time at which a state begins", axis="wall time"),
    Column("end_us", "double", "µs", "wall time at which a state ends"),
    Column("bytes", "int64", "bytes", "memory of the VM, or excess of an exit"),
    Column(
        "added_ms", "double", "ms", "wall time above baremetal's, per vCPU and replication",
        axis="time added per vCPU and replication",
    ),
    Column("lowest_ms", "double", "ms", "least that it may be over the UNVERIFIED times"),
    Column("highest_ms", "double", "ms", "most that it may be over the UNVERIFIED times"),
    Column("wall_ms", "double", "ms", "wall time per vCPU and replication, prefault left out"),
    Column(
        "t_us", "double", "µs", "wall time of the first replication",
        axis="wall time of the first replication",
    ),
    Column("name", "string", "", "name of a parameter"),
    Column("value", "string", "", "value in this run"),
    Column("overrides", "string", "", "arms that have another value"),
    Column("range", "string", "", "plausible range"),
    Column("unverified", "bool", "", "there is no published source"),
    Column("confidence", "string", "", "confidence in the source: H, M or L"),
    Column("meaning", "string", "", "what a parameter is"),
    Column("origin", "string", "", "where a value comes from"),
    Column("design", "string", "", "design of the arm"),
    Column("command", "string", "", "the `perf record` that an arm stands for"),
    Column("loss_percent", "double", "%", "population ops that no sample can stand for",
           axis="population ops lost"),
    Column("loss_low_percent", "double", "%", "lower end of its 95 % interval"),
    Column("loss_high_percent", "double", "%", "upper end of its 95 % interval"),
    Column("added_percent", "double", "%", "wall time above baremetal's",
           axis="time added, of baremetal's"),
    Column("added_low_percent", "double", "%", "least that it may be over the UNVERIFIED times"),
    Column("added_high_percent", "double", "%", "most that it may be over the UNVERIFIED times"),
    Column("on_front_memory", "bool", "",
           "no other arm is charged less memory without clearly more loss"),
    Column("on_front_time", "bool", "", "no other arm adds less time without clearly more loss"),
    Column("first_exit_bytes", "double", "bytes", "rlimit.first_exit_limit, mean"),
    Column("last_exit_bytes", "double", "bytes", "rlimit.last_exit_limit, mean"),
)  # a column a line  # fmt: skip
"""Columns of data/*.csv that no other table has."""

AXES = (
    Column("share_of_loss_percent", "double", "%", "ops lost to one cause, of all that are lost",
           axis="share of lost ops"),
    Column("stopped_ms", "double", "ms", "time in which the program stood still, by cause",
           axis="time standing still per vCPU and replication"),
    Column("window_ms", "double", "ms", "wall time since the beginning of a run",
           axis="wall time"),
    Column("close_up_us", "double", "µs", "wall time since the beginning of a close-up",
           axis="time"),
    Column("gap_less_interval_ops", "double", "ops", "a gap, less the programmed interval",
           axis="gap less the interval"),
    Column("gaps_at_most", "double", "fraction", "gaps of at most this length, of all",
           axis="gaps of at most this length"),
    Column("selections_later", "double", "selections", "how many selections later",
           axis="distance"),
    Column("position_variance", "double", "ops²", "variance of the ops between two selections",
           axis="variance of the ops between"),
    Column("window_bytes", "double", "bytes", "window that the driver enables", axis="window"),
    Column("page_bytes", "double", "bytes", "translation granule", axis="page"),
    Column("vcpu_count", "double", "", "vCPUs of a VM", axis="vCPUs"),
    Column("sample_count", "double", "samples", "samples of a profile", axis="size of the profile"),
    Column("over_limit", "double", "fraction",
           "runs with a KVM_EXIT_RLIMIT or an -ENOMEM at configuration",
           axis="runs with an exit or a refusal"),
    Column("accuracy", "double", "", "1 - |loads - records × gap| / loads",
           axis="accuracy of the load count"),
    Column("tvd_by_symbol", "double", "fraction", "total variation distance of symbol profiles",
           axis="TVD by symbol"),
    Column("tvd_by_pc", "double", "fraction", "total variation distance of instruction profiles",
           axis="TVD by instruction"),
    Column("interval_ops", "double", "ops", "programmed interval, PMSIRR.INTERVAL × 256",
           axis="programmed interval"),
    Column("gap_beyond_ops", "double", "ops",
           "profiled ops per selection, less the programmed interval",
           axis="mean gap beyond the interval"),
    Column("count_dispersion", "double", "",
           "variance over mean of the number of selections in equal stretches of profiled ops",
           axis="variance of counts over their mean"),
    Column("renewals", "double", "", "mean number of selections while a sample is in flight",
           axis="selections per time in flight"),
    Column("collided_fraction", "double", "", "collided over selected",
           axis="fraction of selections that collide"),
    Column("lost_per_profiled", "double", "", "ops lost for each profiled op, from complete cycles",
           axis="ops lost per profiled op, expected"),
    Column("lost_fraction", "double", "", "ops lost over population ops",
           axis="fraction of ops lost"),
    Column("bias_pp", "double", "pp", "change of the share that the loss biases most, expected",
           axis="change of a share by the loss, expected"),
    Column("biased_share_error_pp", "double", "pp",
           "share in the profile minus truth of the symbol that the loss biases most",
           axis="share in the profile minus truth"),
)  # a column a line  # fmt: skip
"""What figures draw that is no column: a function of one, or named by `quantity`."""

OPS_ENTRIES = (
    Column("executed", "int64", "ops", "ops executed; the sum of all labels"),
    Column("not_in_population", "int64", "ops", "at an exception level that is not profiled"),
    Column("before_start", "int64", "ops", "before the event starts; the start is random"),
    Column(
        "event_disabled", "int64", "ops", "LOSS: the event is off after a fatal or silent error"
    ),
    Column("pin_refused", "int64", "ops", "LOSS: the vCPU has no SPE, memory could not be locked"),
    Column("irq_masked", "int64", "ops", "LOSS: PMBIRQ at the core, held by PSTATE.I or priority"),
    Column("irq_wait_for_exit", "int64", "ops", "LOSS: PMBIRQ waits for the next ordinary exit"),
    Column("irq_delivery_full", "int64", "ops", "LOSS: S = 1 by a full buffer, PMBIRQ on its way"),
    Column("irq_delivery_fault", "int64", "ops", "LOSS: S = 1 by a fault, PMBIRQ on its way"),
    Column(
        "virq_delivery", "int64", "ops", "LOSS: virtual interrupt waits for the guest to take it"
    ),
    Column("profiled", "int64", "ops", "executed while profiling was enabled: the coordinate q"),
)
SELECTION_ENTRIES = (
    Column("selected", "int64", "selections", "ops that the interval counter selected"),
    Column("collided", "int64", "selections", "dropped: the sampler was busy; SAMPLE_COLLISION"),
    Column("discarded_in_flight", "int64", "selections", "in flight when S became 1: discarded"),
    Column("in_flight_at_end", "int64", "selections", "in flight when the run ended"),
    Column("completed", "int64", "selections", "sampled ops that finished; SAMPLE_FEED"),
    Column("filtered", "int64", "selections", "refused by a filter"),
    Column("passed", "int64", "selections", "passed the filters; SAMPLE_FILTRATE"),
    Column("lost_at_fault", "int64", "selections", "the record whose write faulted"),
    Column("discarded_by_mode", "int64", "selections", "discard mode keeps no record"),
    Column("written", "int64", "selections", "records written to the buffer"),
    Column("skipped", "int64", "selections", "points passed over by restart: resync; not selected"),
)
DELIVERY_ENTRIES = (
    Column("voided_by_DL", "int64", "records", "dropped with PMBSR.DL: data loss at a stop"),
    Column("overwritten", "int64", "records", "overwritten before anybody read them"),
    Column("unread_at_end", "int64", "records", "never read: the run was over"),
    Column("delivered", "int64", "records", "reached perf record"),
)
TIME_ENTRIES = (
    Column("wall", "int64", "ticks", "wall time; running and all causes together"),
    Column("running", "int64", "ticks", "executing the stream"),
    Column("handler", "int64", "ticks", "the driver's start, stop and interrupt handler; PMBIRQ"),
    Column("ordinary_exit", "int64", "ticks", "timer, IPI and MMIO exits"),
    Column("trap", "int64", "ticks", "trapped accesses to the buffer's registers"),
    Column("fault", "int64", "ticks", "stage 2 faults of the buffer that KVM fixes"),
    Column("walk", "int64", "ticks", "reading the guest's stage 1 tables at an enable edge"),
    Column("pin", "int64", "ticks", "charging and pinning the window"),
    Column("map", "int64", "ticks", "mapping the window at stage 2"),
    Column("unpin", "int64", "ticks", "unpinning, and unmapping if the policy says so"),
    Column("copy", "int64", "ticks", "copying out of a bounce buffer"),
    Column("prefault", "int64", "ticks", "populating all memory before the first run"),
    Column("inject", "int64", "ticks", "injecting the virtual interrupt or an error"),
    Column("vmm", "int64", "ticks", "exits to user space and the VMM's answer"),
    Column("task_off_cpu", "int64", "ticks", "the profiled task is switched out"),
    Column("guest_kernel", "int64", "ticks", "guest kernel work outside the stream"),
    Column("reader", "int64", "ticks", "perf record, if it shares the CPU"),
    Column("steal", "int64", "ticks", "the host runs something else"),
    Column("downtime", "int64", "ticks", "the VM is paused"),
    Column("idle", "int64", "ticks", "the vCPU is halted"),
)
ENTRIES = {
    "ops": OPS_ENTRIES,
    "selections": SELECTION_ENTRIES,
    "delivery": DELIVERY_ENTRIES,
    "time": TIME_ENTRIES,
}
"""Ledger entries by ledger, in the ledgers' own order."""

COLUMNS = {c.name: c for c in (*RECORD_COLUMNS, *AUX_COLUMNS, *TABLE_COLUMNS, *DATA_COLUMNS)}
"""Every column of every table by name."""

LEDGER_TABLE = ("arm", "replication", "vcpu", "ledger", "entry", "amount")
PROFILE_TABLE = ("by", "arm", "replication", "group", "samples", "share", "truth_share")
BLACKOUT_TABLE = ("arm", "replication", "vcpu", "cause", "axis", "length", "count")
LOCKED_TABLE = ("arm", "replication", "t", "locked_bytes", "limit_bytes")
LOSS_TABLE = ("arm", "by", "group", "truth_share", "truth_ops", "lost_ops", "loss", "bias")
ERROR_TABLE = (
    "arm",
    "by",
    "group",
    "truth_share",
    "against",
    "error",
    "low",
    "high",
    "n",
    "differs",
)
THEORY_TABLE = (
    "arm",
    "row",
    "abscissa",
    "quantity",
    "x",
    "theory",
    "simulated",
    "low",
    "high",
    "z",
    "n",
    "condition",
)
TABLES = {
    "profile.parquet": PROFILE_TABLE,
    "ledger.parquet": LEDGER_TABLE,
    "blackouts.parquet": BLACKOUT_TABLE,
    "locked.parquet": LOCKED_TABLE,
    "limits.parquet": ("arm", "replication", "limit_bytes", "exits"),
    "loss.parquet": LOSS_TABLE,
    "errors.parquet": ERROR_TABLE,
    "time_band.parquet": ("arm", "cause", "low_ms", "here_ms", "high_ms", "unmapping_ms"),
    "paired.parquet": ("arm", "quantity", "restart", "unit", "mean", "low", "high", "n"),
    "theory.parquet": THEORY_TABLE,
    "records.parquet": ("arm", "replication", *(c.name for c in RECORD_COLUMNS)),
    "aux.parquet": ("arm", "replication", "vcpu", "tid", *(c.name for c in AUX_COLUMNS)),
}
"""Files of a run directory and their columns, in order; the last two only if records are kept."""
DATA_TABLES = {
    "data/ledgers.csv": ("arm", "ledger", "entry", "unit", "amount", "share_percent"),
    "data/symbols.csv": (
        "arm",
        "symbol",
        "truth_percent",
        "lost_percent",
        "moved_by_loss_pp",
        "error_pp",
        "error_low_pp",
        "error_high_pp",
        "replications",
    ),
    "data/distances.csv": ("arm", "view", "metric", "mean", "low", "high", "exact"),
    "data/blackouts.csv": ("arm", "cause", "at_least_ops", "count", "cumulative_fraction"),
    "data/timeline.csv": (
        "arm",
        "replication",
        "vcpu",
        "lane",
        "state",
        "begin_us",
        "end_us",
        "bytes",
    ),
    "data/perturbation.csv": ("arm", "cause", "added_ms", "lowest_ms", "highest_ms", "wall_ms"),
    "data/locked.csv": ("arm", "t_us", "locked_bytes", "limit_bytes"),
    "data/theory.csv": THEORY_TABLE,
    "data/designs.csv": (
        "arm",
        "design",
        "loss_percent",
        "loss_low_percent",
        "loss_high_percent",
        "locked_bytes",
        "added_percent",
        "added_low_percent",
        "added_high_percent",
        "on_front_memory",
        "on_front_time",
        "first_exit_bytes",
        "last_exit_bytes",
    ),
    "data/limits.csv": ("arm", "limit_bytes", "exits"),
    "data/decisions.csv": (
        "arm",
        "kind",
        "samples_per_replication",
        "regret_percent",
        "regret_low_percent",
        "regret_high_percent",
        "answer",
    ),
    "data/parameters.csv": (
        "group",
        "name",
        "value",
        "overrides",
        "range",
        "unverified",
        "confidence",
        "meaning",
        "origin",
    ),
    "data/commands.csv": ("arm", "design", "command"),
}
"""What the report is drawn from, as CSV: an empty cell is no value, an empty `limit_bytes` no
limit, an empty `arm` of the theory or of the decisions a curve."""
