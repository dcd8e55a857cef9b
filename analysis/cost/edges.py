"""What an enable edge costs, and the disable edge after it: time by part, locked memory × time.

Per edge, from what a run added by cause (`perturbation.added`), with the band of each cause over
the UNVERIFIED times. `charge` is account_locked_vm once an edge, which the ledger of time counts as
pinning; charging again after KVM_EXIT_RLIMIT, and waiting for the lock, stay in `pin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.cost.perturbation import Added
from sim.ledger import TimeCause
from sim.scenario.models.quantities import ConstantTime
from sim.scenario.parameters import at_high, resolve, span

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

CHARGE, ALL = "charge", "all"
PARTS = ("walk", CHARGE, "pin", "map", "unpin")
"""In the order of the path."""
_CAUSES = (TimeCause.WALK, TimeCause.PIN, TimeCause.MAP, TimeCause.UNPIN)
_CHARGE_TIME = "t_charge"
_PER_US = 10**6
"""Picoseconds."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Time per enable edge, µs: here, and at the ends of the UNVERIFIED times; None: no band.

    `high_us` is with unpinning that removes stage 2 entries, where the design leaves that open.
    """

    here_us: float
    low_us: float | None
    high_us: float | None


def per_enable(arm: ArmResult, added: Mapping[str, Added]) -> dict[str, Edge]:
    """walk, charge, pin, map, unpin and all of them; empty without enable edges that pin.

    `added` is what the arm adds to baremetal's time, by cause.
    """
    enables = sum(run.rlimit.enables for run in arm.runs)
    if not enables or not any(run.rlimit.pinned_pages for run in arm.runs):
        return {}
    share = 1e3 * len(arm.runs) * len(arm.runs[0].vcpus) / enables
    parts = {c.value: _edge(added[c.value], share) for c in _CAUSES if c.value in added}
    if not parts:
        return {}
    whole = _sum(tuple(parts.values()))
    pin, charge = parts.get(TimeCause.PIN.value), _charge(arm)
    if pin is not None and charge is not None and charge.here_us <= pin.here_us:
        charge = _with_band(charge, pin)
        parts |= {CHARGE: charge, TimeCause.PIN.value: _minus(pin, charge)}
    return {name: parts[name] for name in PARTS if name in parts} | {ALL: whole}


def _edge(added: Added, share: float) -> Edge:
    ends = [x for x in (added.low_ms, added.high_ms, added.unmapping_ms) if x is not None]
    if not ends:
        return Edge(share * added.here_ms, None, None)
    return Edge(share * added.here_ms, share * min(ends), share * max(ends))


def _charge(arm: ArmResult) -> Edge | None:
    """account_locked_vm once; None where the design does not charge at enable edges."""
    policies, settings = arm.arm.policies.bundle, arm.arm.settings
    if not policies.accounting.charges or not policies.spends(_CHARGE_TIME):
        return None
    here = resolve(settings)[_CHARGE_TIME]
    ends = (here, here)
    if _CHARGE_TIME not in settings.parameters:
        ends = (span(_CHARGE_TIME)[0], at_high(_CHARGE_TIME))
    return Edge(*(_constant_us(time) for time in (here, *ends)))


def _constant_us(time: object) -> float:
    assert isinstance(time, ConstantTime), "problem_with() lets nothing else be t_charge"
    return time.value / _PER_US


def _with_band(edge: Edge, like: Edge) -> Edge:
    """An edge with a band only where another has one."""
    return edge if like.low_us is not None else Edge(edge.here_us, None, None)


def _minus(edge: Edge, part: Edge) -> Edge:
    """What is left without a part; it may be less at the high end, where less happens."""
    here = edge.here_us - part.here_us
    if edge.low_us is None or edge.high_us is None or part.low_us is None or part.high_us is None:
        return Edge(here, None, None)
    low, high = sorted((edge.low_us - part.low_us, edge.high_us - part.high_us))
    return Edge(here, low, high)


def _sum(edges: tuple[Edge, ...]) -> Edge:
    def total(values: list[float | None]) -> float | None:
        known = [x for x in values if x is not None]
        return sum(known) if len(known) == len(values) else None

    return Edge(
        sum(e.here_us for e in edges),
        total([e.low_us for e in edges]),
        total([e.high_us for e in edges]),
    )
