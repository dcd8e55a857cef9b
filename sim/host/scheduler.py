"""The host's scheduler: more vCPUs than physical CPUs.

Fidelity note. Modelled: vCPUs take turns on fewer physical CPUs, round robin in slices of
`t_host_slice`; one that waits executes nothing, so nothing is lost but time (cause `steal`). A vCPU
finishes the trap or handler that it is in before it stands, and takes its SPU's state along, a
pending S = 1 included; one whose stream has ended keeps its turns. Not modelled: wake-up
preemption, other load, vCPUs that sleep (a vCPU always wants to run).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sim.engine import Engine, Kind, Process
from sim.ledger import TimeCause


class Stealable(Protocol):
    """A vCPU as the host's scheduler sees it."""

    def pause(self, cause: TimeCause, until: int) -> None:
        """It does not run until then."""


def share_cpus(
    engine: Engine, vcpus: Sequence[Stealable], physical: int, host_slice: int
) -> Process:
    """PROCESS host scheduler: `physical` CPUs for more vCPUs than that."""
    count = len(vcpus)
    last: set[int] = set(range(count))
    turn = 0
    while True:
        running = {(turn * physical + k) % count for k in range(physical)}
        for index in sorted(last - running):
            slices = _slices_out(index, turn, physical, count)
            vcpus[index].pause(TimeCause.STEAL, engine.now + slices * host_slice)
        last = running
        yield engine.at(host_slice, Kind.HOST_UNMAP, 0)
        turn += 1


def _slices_out(index: int, turn: int, physical: int, count: int) -> int:
    """Slices from `turn` on until a vCPU has a CPU again."""
    out = 0
    while (index - (turn + out) * physical) % count >= physical:
        out += 1
    return out
