"""The `perf record` that an arm's settings stand for."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.scenario.models.scenario import Settings


def perf_event(settings: Settings, terms_before: Sequence[str] = ()) -> str:
    """The SPE event as `perf record -e` takes it."""
    spe, chosen = settings.spe, settings.spe.filter
    terms = [*terms_before, f"period={spe.interval}"]
    if spe.jitter != "off":
        terms.append("jitter=1")
    for flag in ("load", "store", "branch"):
        if getattr(chosen, flag):
            terms.append(f"{flag}_filter=1")
    if chosen.min_latency:
        terms.append(f"min_latency={chosen.min_latency}")
    if chosen.inv_data_src_filter:
        terms.append(f"inv_data_src_filter={chosen.inv_data_src_filter:#x}")
    if chosen.event_filter:
        terms.append(f"event_filter={chosen.event_filter:#x}")
    if settings.driver.capture == "discard":
        terms.append("discard=1")
    return f"arm_spe_0/{','.join(terms)}/{'u' if spe.exclude_kernel else ''}"


def perf_command(
    settings: Settings, program: str = "PROGRAM", terms_before: Sequence[str] = ()
) -> str:
    """The whole command line; `terms_before` go first into the event."""
    pages = settings.driver.aux // settings.vm.page_bytes
    rings = " -a" if settings.driver.mode == "cpu" else ""
    if settings.switch is not None and settings.switch.vcpus > 1:
        rings = " --per-thread"  # one ring that moves with the task
    snapshot = " --snapshot" if settings.driver.capture == "snapshot" else ""
    event = shlex.quote(perf_event(settings, terms_before))
    return f"perf record -e {event} -m ,{pages}{rings}{snapshot} -- {program}"
