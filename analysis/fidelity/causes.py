"""What puts samples in the wrong place, told from the settings, with its cure.

A loop is in step with the sampler if the gap between selections and the loop's length have a common
factor g > 1: of its L instructions only every g-th one can be selected, one of them for ever if the
gap is a multiple of L. Which ones depends on the start, so that the mean over runs is right and
every single run is wrong. A random byte that accumulates (`spe.jitter: on`) cures it. With
FEAT_SPE_ERnd the byte is added to a grid of period N, so loops whose factor is longer than a byte
stay in step.

Loops are known in synthetic workloads. In others the symbol is named in which instructions are off
most. Not looked for: nests of loops, calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from analysis.fidelity import profiles
from analysis.symbols import brief
from analysis.theory import JITTER
from sim.machine.resolve import interval_of
from sim.scenario.models.scenario import Settings

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

LISTED = 3
"""Loops that are named; the others are counted."""
NAME = 60
"""Characters of a symbol's name."""
COLLIDED = 0.01
"""Part of the selections from which collisions are named."""


def of_skew(arm: ArmResult) -> Iterator[str]:
    """Sentences without a full stop, the likeliest cause first; none where settings say nothing."""
    settings = arm.arm.settings
    yield from _in_step(arm)
    if settings.spe.target_bias_per_mille:
        yield (
            f"Neoverse N1 erratum 1694299 (spe.target_bias_per_mille: "
            f"{settings.spe.target_bias_per_mille}) moves samples to branch targets from up to "
            f"{settings.spe.target_bias_reach} operations behind them; no setting of perf cures "
            "it: read the profile by symbol or by basic block, not by instruction"
        )
    yield from _collisions(arm)


def _in_step(arm: ArmResult) -> Iterator[str]:
    settings = arm.arm.settings
    if settings.spe.jitter == "on":
        return
    gap = interval_of(settings) + (settings.spe.jitter == "off")
    loops = list(loops_in_step(settings))
    if loops:
        named = ", ".join(
            f"{name} ({length:,} operations, of which a run can sample {seen:,})"
            for name, length, seen in loops[:LISTED]
        )
        more = "" if len(loops) <= LISTED else f" and {len(loops) - LISTED} more"
        yield f"in step with the sampler: {named}{more}; one selection every {_gap(gap, settings)}"
    elif settings.workload.kind != "synthetic" and (symbol := _most_off(arm)):
        yield (
            f"loops of {symbol} may be in step with the sampler, one selection every "
            f"{_gap(gap, settings)}"
        )


def _gap(gap: int, settings: Settings) -> str:
    asked = settings.spe.interval
    rounded = "" if asked == interval_of(settings) else f" (a period of {asked:,} is rounded)"
    return f"{gap:,} operations{rounded}; spe.jitter: on cures it, another period may"


def loops_in_step(settings: Settings) -> Iterator[tuple[str, int, int]]:
    """(name, length, instructions that one run can sample) of each loop that is in step."""
    spe, workload = settings.spe, settings.workload
    if workload.kind != "synthetic" or spe.jitter == "on":
        return
    reach = 1 if spe.jitter == "off" else JITTER
    gap = interval_of(settings) + (spe.jitter == "off")
    for phase in workload.phases:
        common = math.gcd(gap, phase.length)
        if common > reach:
            yield phase.name, phase.length, phase.length // common * reach


def _most_off(arm: ArmResult) -> str:
    """The symbol with most of the distance by instruction; empty if there are no samples."""
    stream = arm.stream
    counts = profiles.sampled(arm, "pc")
    if not counts.sum() or not stream.symbols:
        return ""
    with np.errstate(invalid="ignore"):
        off = np.abs(profiles.shares(counts) - profiles.shares(profiles.truths(arm, "pc")))
    each = np.nan_to_num(off).sum(axis=0)
    known = stream.static_symbol >= 0
    of = np.bincount(stream.static_symbol[known], each[known], len(stream.symbols))
    return brief(stream.symbols[int(of.argmax())], NAME)


def _collisions(arm: ArmResult) -> Iterator[str]:
    selections = [v.ledgers.selections for run in arm.runs for v in run.vcpus]
    selected, collided = (sum(getattr(s, k) for s in selections) for k in ("selected", "collided"))
    if selected and collided / selected >= COLLIDED:
        yield (
            f"{100 * collided / selected:.3g} % of the selections collide with an operation in "
            "flight, behind slow ones most; a larger spe.interval cures it"
        )
