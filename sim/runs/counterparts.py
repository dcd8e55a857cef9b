"""Arms that no scenario names, run beside those it does, so that a number can be read.

* the `hold` twin of an arm with `restart: resync`: no number of the one without the other;
* an arm at the ends of its band: every UNVERIFIED time at the low or the high end of its plausible
  range (the interrupt's latency with the tail of a distribution at the high one), unless the
  scenario sets that time itself; and, where a pin ends at every disable, also with the stage 2
  entries removed at unpinning, which nobody has published either way;
* the reference arm, stopped where another arm ended early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sim.machine.resolve import stream_key
from sim.scenario.models.quantities import TimeDistribution
from sim.scenario.models.scenario import Arm
from sim.scenario.parameters import PARAMETERS, at_high, span


def hold_twin(arm: Arm) -> Arm | None:
    """The same arm as the architecture has it; None if it is that already."""
    if arm.settings.spe.restart == "hold":
        return None
    spe = arm.settings.spe.model_copy(update={"restart": "hold"})
    return arm.model_copy(update={"settings": arm.settings.model_copy(update={"spe": spe})})


def moved(arm: Arm) -> tuple[str, ...]:
    """UNVERIFIED times that the arm's scenario leaves at their default."""
    unverified = (name for name, row in PARAMETERS.items() if row.unverified)
    return tuple(name for name in unverified if name not in arm.settings.parameters)


_PACE_OF = {"t_compaction": "compaction", "t_free_page_report": "free_page_reporting"}


def spends(arm: Arm, name: str) -> bool:
    """Can an UNVERIFIED time be spent in this arm at all? Every other change of it is none."""
    policies, settings = arm.policies, arm.settings
    match name:
        case "t_reader_wakeup" | "t_reader_enable":
            return settings.driver.reader.kind == "process"
        case "t_exit" | "t_entry" | "t_host_irq" | "t_drain":
            return policies.virtual
        case "t_compaction" | "t_free_page_report":
            kinds = {pressure.kind for pressure in settings.host.pressure}
            return policies.virtual and _PACE_OF[name] in kinds
    return policies.bundle.spends(name)


def open_times(arms: Sequence[Arm]) -> tuple[str, ...]:
    """UNVERIFIED times that some arm can spend and leaves at their default, as the table has it."""
    found = {name for arm in arms for name in moved(arm) if spends(arm, name)}
    return tuple(name for name in PARAMETERS if name in found)


def band_ends(arm: Arm) -> dict[str, Arm]:
    """The arm at the ends of its band: low, high, and unmapping if unpinning may unmap."""
    out = {"low": _at(arm, _low), "high": _at(arm, at_high)}
    if arm.policies.bundle.may_unmap:
        unmaps = arm.policies.model_copy(update={"unmap_on_unpin": True})
        out["unmapping"] = out["high"].model_copy(update={"policies": unmaps})
    return out


def _low(name: str) -> TimeDistribution:
    return span(name)[0]


def _at(arm: Arm, end: Callable[[str], TimeDistribution]) -> Arm:
    times = {name: end(name) for name in moved(arm)} | arm.settings.parameters
    return arm.model_copy(
        update={"settings": arm.settings.model_copy(update={"parameters": times})}
    )


def reference_arm(arms: Sequence[Arm]) -> Arm | None:
    """The reference arm: `baremetal` by name, else the first without a VM."""
    bare = [arm for arm in arms if not arm.policies.virtual]
    named = [arm for arm in bare if arm.name == "baremetal"]
    return next(iter(named or bare), None)


def same_stream(a: Arm, b: Arm) -> bool:
    """True if both arms run one stream on as many vCPUs."""
    same = stream_key(a.settings) == stream_key(b.settings)
    return same and a.settings.vm.vcpus == b.settings.vm.vcpus
