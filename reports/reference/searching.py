"""`speskew explain` for words that name nothing here: perf's, the manual's, and people's.

An alias leads to the names that say what a word is about; the rest is found where it stands, in a
name, a value or a meaning. What is found nowhere gets the nearest words that are.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache

from reports.reference.explaining import Entry, entries, find
from reports.text import printable

COUNT_OF_HINTS = 5
_LOST = ("aux.lost", "event_disabled", "driver.reader", "t_reader_wakeup", "driver.aux")
_COLLISION = ("aux.collisions", "collided", "spe.in_flight", "spe.interval")
_INTERRUPT = (
    "irq_masked",
    "irq_wait_for_exit",
    "irq_delivery_full",
    "irq_delivery_fault",
    "virq_delivery",
    "t_irq_latency",
    "t_irq_handler",
    "interrupt",
)
_LOCKSTEP = ("spe.jitter", "spe.interval", "setup.jitter", "profile.<view>.tvd_vs_truth")
_ERRATUM = ("spe.target_bias_per_mille", "spe.target_bias_reach", "spe.selection")
_LOCKED = ("host.memlock", "rlimit.exits", "rlimit.config_enomem", "rlimit.locked_bytes_peak")
_EXCEPTION = ("exceptions", "t_profiling_exception", "irq_masked", "virq_delivery")
_FLAGS = ("spe.flag_updates", "host.pressure", "t_ageing", "t_access_flag")
ALIASES: dict[str, tuple[str, ...]] = {
    "aux data lost": _LOST,
    "lost": _LOST,
    "truncated": _LOST,
    "aux data had gaps in it": ("aux.gaps", "voided_by_DL"),
    "partial": ("aux.gaps", "voided_by_DL"),
    "gaps": ("aux.gaps", "voided_by_DL"),
    "aux data detected collision": _COLLISION,
    "collision": _COLLISION,
    "collisions": _COLLISION,
    "sample_collision": _COLLISION,
    "overwrite": ("overwritten", "driver.capture"),
    "sample_feed": ("completed",),
    "sample_filtrate": ("passed",),
    "sample_pop": ("profiled", "spe.population"),
    "throttling": ("collided", "spe.interval", "event_disabled", "driver.reader"),
    "throttled": ("collided", "spe.interval", "event_disabled", "driver.reader"),
    "resonance": _LOCKSTEP,
    "aliasing": _LOCKSTEP,
    "lockstep": _LOCKSTEP,
    "lock step": _LOCKSTEP,
    "harmonics": _LOCKSTEP,
    "moire": _LOCKSTEP,
    "irq": _INTERRUPT,
    "interrupts": _INTERRUPT,
    "pmbirq": _INTERRUPT,
    "ppi": _INTERRUPT,
    "sample_period": ("spe.interval", "setup.interval_ops", "spe.min_interval"),
    "frequency": ("spe.interval", "spe.min_interval"),
    "pmsirr": ("spe.interval", "spe.jitter"),
    "mmap pages": ("driver.aux", "driver.watermark"),
    "aux buffer": ("driver.aux", "driver.watermark", "setup.aux_bytes"),
    "aux_watermark": ("driver.watermark",),
    "buffer full": ("irq_delivery_full", "blackouts.<cause>.count"),
    "black hole": ("blackouts.<cause>.ops", "irq_delivery_full", "irq_delivery_fault"),
    "blackout": ("blackouts.<cause>.ops", "irq_delivery_full", "irq_delivery_fault"),
    "feat_spe_exc": _EXCEPTION,
    "spe_exc": _EXCEPTION,
    "profiling exception": _EXCEPTION,
    "pmbsr_el2": _EXCEPTION,
    "pstate.pm": _EXCEPTION,
    "feat_spe_nvm": ("pointers",),
    "nvm": ("pointers",),
    "access flag": _FLAGS,
    "pmbidr": _FLAGS,
    "damon": ("host.pressure", "t_ageing", "spe.flag_updates"),
    "idle page tracking": ("host.pressure", "t_ageing", "spe.flag_updates"),
    "ageing": ("host.pressure", "t_ageing", "spe.flag_updates", "t_access_flag"),
    "aging": ("host.pressure", "t_ageing", "spe.flag_updates", "t_access_flag"),
    "hafdbs": ("vm.dirty_log", "spe.flag_updates"),
    "dbm": ("vm.dirty_log", "spe.flag_updates"),
    "dirty log": ("vm.dirty_log", "host.pressure", "spe.flag_updates"),
    "dirty logging": ("vm.dirty_log", "host.pressure", "spe.flag_updates"),
    "permission fault": ("vm.dirty_log", "stage2_fault", "blackouts.<cause>.count"),
    "fault status": ("stage2_fault", "blackouts.<cause>.count"),
    "page fault": ("irq_delivery_fault", "t_fault", "stage2_fault"),
    "erratum": _ERRATUM,
    "1694299": _ERRATUM,
    "skid": _ERRATUM,
    "calibrate": ("spe.selection",),
    "hardware-like": ("spe.selection",),
    "weights": ("spe.selection",),
    "overhead": ("time_added", "wall", "time_band.<cause>.here_ms"),
    "slowdown": ("time_added", "wall", "time_band.<cause>.here_ms"),
    "accuracy": ("profile.<view>.tvd_vs_truth", "profile.<view>.overlap_vs_truth"),
    "skew": ("skew.answer", "skew.truth.<level>", "loss_skew", "verdicts.margin"),
    "dropped": ("loss.total", "collided", "lost_at_fault", "overwritten"),
    "kvm_exit_rlimit": ("rlimit.exits", "rlimit.excess_bytes", "vmm"),
    "rlimit_memlock": _LOCKED,
    "enomem": _LOCKED,
    "mlock": _LOCKED,
    "vmlck": ("rlimit.locked_bytes_peak",),
    "pinned": ("backing", "unpin", "rlimit.pinned_pages"),
    "pinning": ("backing", "unpin", "rlimit.pinned_pages"),
    "numa balancing": ("host.unmap", "host.pressure", "t_numa_sweep"),
    "huge pages": ("vm.huge_pages",),
    "thp": ("vm.huge_pages", "t_thp_collapse"),
    "max_buff_size": ("vm.max_buffer", "window_limit"),
}
"""Words of perf, of the manual and of mails, in small letters, and what they are about here."""


@dataclass(frozen=True, slots=True)
class Found:
    """What words lead to; `called` if something has that name."""

    entries: list[Entry]
    called: bool


def search(words: str) -> Found:
    """Entries of that name, those that the word is about, else those in which it stands."""
    named = find(words)
    about = [entry for name in _alias(_plain(words)) for entry in find(name)[:1]]
    found = list(dict.fromkeys([*named, *about]))
    return Found(found or _standing(_plain(words)), bool(named))


def _standing(wanted: str) -> list[Entry]:
    """Best first."""
    if not wanted:
        return []
    places = [_in_name, _begins_in_text, _in_text]
    ranked = [e for stands in places for e in entries() if stands(wanted, e)]
    return list(dict.fromkeys(ranked))


def _plain(words: str) -> str:
    return " ".join(words.lower().split()).strip("\"'.!?")


def _alias(wanted: str) -> tuple[str, ...]:
    """Of the words as they are, or without what perf counts: ``AUX data lost 40 times out of``."""
    counted = re.sub(r"\s*\d+ times out of.*", "", wanted).rstrip()
    return next((ALIASES[w] for w in (wanted, counted, counted.rstrip("s")) if w in ALIASES), ())


def _in_name(wanted: str, entry: Entry) -> bool:
    return wanted.replace(" ", "_") in entry.name.lower()


def _text(entry: Entry) -> str:
    return " ".join((entry.meaning, entry.label, *entry.values)).lower()


def _begins_in_text(wanted: str, entry: Entry) -> bool:
    return re.search(rf"(?<!\w){re.escape(wanted)}", _text(entry)) is not None


def _in_text(wanted: str, entry: Entry) -> bool:
    return len(wanted) > 3 and wanted in _text(entry)


def problem_with(words: str) -> str:
    """Why nothing is explained, and the nearest words that are."""
    said = f"nothing is called {printable(words, 60)!r}, and no meaning has it"
    close = difflib.get_close_matches(_plain(words), _known(), COUNT_OF_HINTS, 0.55)
    if not close:
        close = difflib.get_close_matches(_plain(words), _known(), COUNT_OF_HINTS, 0.3)
    if not close:
        return f"{said}; `speskew explain` lists every name"
    return f"{said}; did you mean {', '.join(map(repr, close))}?"


@cache
def _known() -> list[str]:
    """Everything that can be asked for: names, their ends, aliases, words of the meanings."""
    names = {n for e in entries() for n in (e.name, e.name.rsplit(".", 1)[-1])}
    words = {w for e in entries() for w in re.findall(r"[a-z][a-z_]{3,}", e.meaning.lower())}
    return sorted(w for w in names | words | set(ALIASES) if len(w) > 2)
