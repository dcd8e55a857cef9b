"""Live migration of a VM whose vCPUs are being profiled.

Fidelity note. Modelled: starting the dirty log stops all vCPUs for `t_dirty_log_start`; every round
write-protects the buffer's pages, pinned or not, so the SPU's next write to each is a permission
fault (KVM's dirty log works on stage 2, no MMU notifier is asked); with `vm.dirty_log: hardware`
(FEAT_HAFDBS at stage 2, a patch set of Sep 2026) a write sets the dirty state instead, the SPU's
too if PMBIDR.F says so, and faults if not (an inference from the architecture); stop-and-copy stops
all vCPUs for `t_downtime`; on the destination stage 2 is empty, so pages fault or are pinned again
when the vCPU is entered with its buffer enabled; a vCPU in the middle of a pin finishes it first.
The VMM there is another process, so RLIMIT_MEMLOCK and the high-water mark begin as they were after
configuration and KVM_EXIT_RLIMIT can come again (inferred). `post_copy`: there is one round only,
and each page not yet there costs `t_remote`. Designs that populate all memory have done so on the
destination before it runs. With `guest_memfd` (v7) pages are not write-protected; while the log is
on, enabling the buffer exits to user space (v7 cover letter). Not modelled: throttling of vCPUs
(auto-converge), the length of rounds (it is given: `round`), whether SPE state can be migrated at
all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simpy.events import Event

from sim.engine import Engine, Kind, Process
from sim.host.pressure import Host, Touch


@dataclass(frozen=True, slots=True)
class Migration:
    """Times in ticks: start of the dirty log after the vCPUs have begun to run, its stop of the
    vCPUs, a round, the downtime.
    """

    start: int
    rounds: int
    round: int
    log_start: int
    downtime: int
    post_copy: bool


class MigratedVm(Protocol):
    """The VM as migration sees it."""

    dirty_logging: bool
    running: Event
    """All vCPUs have begun to run."""

    def pause(self, ticks: int) -> None:
        """Stop every vCPU for so long."""

    def arrive(self, *, remote: bool) -> None:
        """It goes on elsewhere, where stage 2 is empty; `remote`: memory has yet to come."""


def migrate(engine: Engine, host: Host, vm: MigratedVm, plan: Migration) -> Process:
    """PROCESS live migration: dirty log, rounds, stop-and-copy."""
    yield vm.running
    yield engine.at(plan.start, Kind.HOST_UNMAP, 0)
    vm.dirty_logging = True
    vm.pause(plan.log_start)
    for _ in range(1 if plan.post_copy else plan.rounds):
        for target in host.targets.values():
            for page in range(target.pages):
                host.touch(target, page, Touch.WRITE_PROTECT)
        yield engine.at(plan.round, Kind.HOST_UNMAP, 0)
    vm.dirty_logging = False
    vm.pause(plan.downtime)
    vm.arrive(remote=plan.post_copy)
