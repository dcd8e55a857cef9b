"""A VM as a whole: destroyed, stopped, moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sim.kvm.vm import Vm
from sim.ledger import TimeCause


@dataclass
class Noted:
    """Notes what it is told, as a CPU, a hypervisor and an account are."""

    now: int = 0
    told: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def engine(self) -> SimpleNamespace:
        """Its clock."""
        return SimpleNamespace(now=self.now)

    def kill(self) -> None:
        """The VM is destroyed."""
        self.told.append(("kill",))

    def pause(self, cause: TimeCause, until: int) -> None:
        """It stands still."""
        self.told.append((cause, until))

    def arrive(self, *, remote: bool) -> None:
        """It goes on on another host."""
        self.told.append(("arrive", remote))

    def move(self) -> None:
        """Locked memory begins anew."""
        self.told.append(("move",))


def vm(cpus: list[Noted], account: Noted) -> Vm:
    """A VM of which only its CPUs and its account matter."""
    parts: Any = dict.fromkeys(("policies", "costs", "host", "sizes", "running"))
    made = Vm(**parts, account=account)  # type: ignore[arg-type]
    made.cpus += cpus  # type: ignore[arg-type]
    made.hypervisors += cpus
    return made


def test_the_first_reason_to_end_stays() -> None:
    """Killed twice: every CPU is told each time, and the reason is that of the first."""
    cpus = [Noted(), Noted()]
    made = vm(cpus, Noted())
    made.kill("the VMM refused")
    made.kill("no progress")
    assert made.killed
    assert made.ended_because == "the VMM refused"
    assert [cpu.told for cpu in cpus] == [[("kill",), ("kill",)]] * 2


def test_downtime_ends_at_one_length_on_every_clock() -> None:
    """Each CPU stands still for so long from its own now."""
    cpus = [Noted(now=5), Noted(now=7)]
    vm(cpus, Noted()).pause(100)
    assert [cpu.told for cpu in cpus] == [[(TimeCause.DOWNTIME, n)] for n in (105, 107)]


def test_on_another_host_all_begins_anew() -> None:
    """The account moves once, every vCPU is told whether its pages are still away."""
    cpus, account = [Noted(), Noted()], Noted()
    vm(cpus, account).arrive(remote=True)
    assert account.told == [("move",)]
    assert [cpu.told for cpu in cpus] == [[("arrive", True)]] * 2
