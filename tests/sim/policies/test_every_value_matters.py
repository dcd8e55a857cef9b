"""Every value of every policy, and every pressure of the host, changes a run in the situation that
it is for. A setting without an effect is a bug; the two that only change an order say so here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations
from typing import Any, get_args

import pytest

from sim.host.migration import Migration
from sim.host.pressure import Touch
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.run import Run
from sim.machine.spec import BalloonSpec, PressureSpec, UnmapSpec
from sim.policies.bundle import VALUES
from sim.results import RunResult
from sim.scenario.models.designs import DESIGNS, Policies
from sim.scenario.models.host import Balloon, Host, LiveMigration, MemslotChange, Scan
from sim.scenario.models.scenario import Arm, Settings
from sim.scenario.models.workloads import Phase
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import Stream
from tests.rigs.machines import synthetic
from tests.rigs.small_machine import PAGE, RUN, STREAM, WORK, spec

US = 3000 * TICKS_PER_CYCLE
FREE = {"memlock": 1 << 40}
SHORT = {"memlock": 3 * PAGE, "max_buffer": 1 << 62}
COLD = {"unmap": UnmapSpec("per_window")}
ZAPPED = {"pressures": (PressureSpec("numa", Touch.ZAP, (WORK // 2000,)),)}
ZAPPED_AND_AGED = {
    "flag_updates": False,
    "pressures": (
        PressureSpec("numa", Touch.ZAP, (WORK // 100,)),
        PressureSpec("ageing", Touch.AGE, (WORK // 10_000,)),
    ),
}
EXITS = {"exits": (US // 2,), "irq_latency": (2 * US,)}
SWITCHED = {"switch_ticks": 20 * US, "away_ticks": 20 * US}


KERNEL = synthetic(
    Phase(name="user", length=100, iterations=500, cpi_millis=1000),
    Phase(name="kernel", length=100, iterations=300, cpi_millis=1000, el=1),
    Phase(name="masked", length=100, iterations=200, cpi_millis=1000, el=1, irq_masked=True),
    repeat=5,
    exclude_kernel=False,
)
"""A program whose kernel is profiled, some of it with interrupts masked."""


@dataclass(frozen=True)
class Situation:
    """Where the values of a policy have to differ: a design, other policies, a machine."""

    design: str
    policies: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=lambda: dict(FREE))
    by_value: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Other policies that a value needs."""
    stream: Stream = STREAM


CLOSED = {"backing": "on_enable", "notifiers": "honour_all"}
FIRST = {"on_first_fault": {"stage2_fault": "pin_then_resume"}}
SITUATIONS: dict[str, Situation] = {
    "virtual": Situation("v6"),
    "backing": Situation(
        "unpinned",
        {"notifiers": "unmap_only", "accounting": "high_water_mark"},
        {**FREE, **COLD, "bounce": PAGE // 2},
        FIRST,
    ),
    "unpin": Situation("v6", {}, {**FREE, **SWITCHED, "unpin_after": 10 * US}),
    "stage2_fault": Situation("unpinned", CLOSED, {**FREE, **ZAPPED_AND_AGED}),
    "injected_dl": Situation("unpinned-error", {}, {**FREE, **COLD}),
    "fix_scope": Situation("unpinned", {}, {**FREE, "warm": False}),
    "notifiers": Situation("v6", {}, {**FREE, **ZAPPED}),
    "lost_pin": Situation("v6", {}, {**FREE, "memslot_changes": WORK // 20}),
    "pin_maps": Situation(
        "v6", {}, {**FREE, "balloons": (BalloonSpec("ballooning", (WORK // 2,), 1, 512),)}
    ),
    "unmap_on_unpin": Situation("v6"),
    "exceptions": Situation("v6", {}, {**FREE, "irq_latency": (5 * US,)}, stream=KERNEL),
    "pointers": Situation("v6"),
    "interrupt": Situation("v6", {}, {**FREE, "exits": (20 * US,)}),
    "pmbsr_sync": Situation("v6", {}, {**FREE, **EXITS}),
    "traps": Situation("v7-guest-memfd"),
    "accounting": Situation("v6", {}, {"memlock": 1 << 40, "max_buffer": 1 << 62}),
    "accounting_scope": Situation(
        "v6", {}, {**FREE, **SWITCHED, "visits": 3, "max_buffer": 1 << 62}
    ),
    "window_limit": Situation("v6", {}, {**FREE, "max_buffer": PAGE}),
    "charge": Situation("v6", {}, SHORT),
    "retry": Situation("v6", {}, SHORT),
    "vmm": Situation("v6", {"notifiers": "honour_all"}, {**SHORT, **COLD}),
    "vmm_raise": Situation("v6", {}, {**SHORT, "memlock": 5 * PAGE, "memlock_hard": 50 * PAGE}),
}
ORDER_ONLY = {
    "injected": Situation("unpinned-error", {}, {**FREE, **COLD}),
    "copy_out": Situation("bounce-buffer"),
}


def _run(
    design: str,
    policies: dict[str, Any] | None = None,
    machine: dict[str, Any] | None = None,
    stream: Stream = STREAM,
) -> RunResult:
    fixed = {"memory": 64 * PAGE, "random_start": False}
    chosen = fixed | (FREE if machine is None else machine)
    return simulate(spec(design, policies, 8, stream, **chosen), (stream,), RUN)


def _numbers(run: RunResult) -> str:
    """What a report could show: no log."""
    vcpus = [(v.ledgers.as_dict(), v.traps, v.ordinary_exits, v.blackouts) for v in run.vcpus]
    locked = [(point.locked_bytes, point.limit_bytes) for point in run.locked]
    return repr((vcpus, run.rlimit, locked, run.zaps, run.wall, run.ended_because))


def _values(name: str) -> tuple[Any, ...]:
    if name not in VALUES:
        return (True, False)
    return tuple(word.replace("TIME", "10us") for word in VALUES[name].words)


@cache
def _of_value(name: str, value: Any) -> RunResult:
    return _as_if(name, value, value)


def _as_if(name: str, value: Any, known: Any) -> RunResult:
    """A value where another, known one has its situation."""
    where = (SITUATIONS | ORDER_ONLY)[name]
    extra = where.by_value.get(known, {})
    machine = dict(where.machine)
    if name == "unpin" and known != "after:10us":
        machine.pop("unpin_after")
    return _run(where.design, {**where.policies, name: value, **extra}, machine, where.stream)


def test_every_policy_has_a_situation() -> None:
    """A new policy needs one."""
    assert set(SITUATIONS) | set(ORDER_ONLY) == set(Policies.model_fields)


@pytest.mark.parametrize("name", SITUATIONS)
def test_any_two_values_give_different_numbers(name: str) -> None:
    """In the situation that the policy is for."""
    for one, other in combinations(_values(name), 2):
        same = _numbers(_of_value(name, one)) == _numbers(_of_value(name, other))
        assert not same, f"{name}: {one} and {other} are the same machine"


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_its_object_under_any_word(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same objects under other words are the same machines: nobody else compares words."""
    known = {word: _of_value(name, word) for word in _values(name)}
    renamed = [replace(value, word=f"other-{value.word}") for value in VALUES[name]]
    monkeypatch.setattr(VALUES[name], "_values", renamed)
    assert not set(_values(name)) & set(known)
    for other, (word, before) in zip(_values(name), known.items(), strict=True):
        run = _as_if(name, other, word)
        assert _numbers(run) == _numbers(before), word
        assert run.vcpus[0].log == before.vcpus[0].log, word


@pytest.mark.parametrize("name", ["unpin", "vmm", "lost_pin", "pin_maps", "fix_scope", "copy_out"])
def test_elsewhere_they_do_not_matter(name: str) -> None:
    """The control: where nothing is pinned, missing or refused, the values are one machine."""
    runs = {_numbers(_run("v7-guest-memfd", {name: value})) for value in _values(name)}
    assert len(runs) == 1


def _order(run: RunResult, names: Iterable[str]) -> list[str]:
    return [what for _, what, _ in run.vcpus[0].log if what in names]


def test_when_a_bounce_buffer_is_copied_is_a_matter_of_order() -> None:
    """On full the copy comes before the virtual interrupt, lazily after it; the guest always reads
    PMBPTR, so the bytes and the time are the same."""
    eager, lazy = (_run("bounce-buffer", {"copy_out": how}) for how in _values("copy_out"))
    assert _order(eager, ("copy", "VIRQ"))[:2] == ["copy", "VIRQ"]
    assert _order(lazy, ("copy", "VIRQ"))[:2] == ["VIRQ", "copy"]
    assert _numbers(eager) == _numbers(lazy)


def test_the_driver_treats_both_injected_events_alike() -> None:
    """An external abort and an IMP DEF event are both FATAL (arm_spe_pmu_buf_get_fault_act); what
    told them apart in 2022 was DL = 1, which is `injected_dl`."""
    abort, imp_def = (
        _run("unpinned-error", {"injected": how}, {**FREE, **COLD}) for how in _values("injected")
    )
    assert _numbers(abort) == _numbers(imp_def)
    assert abort.vcpus[0].stops == 1


# --- pressure --------------------------------------------------------------------------------

_FAST = {
    "t_ksm_pass": "80ms",
    "t_thp_collapse": "1us",
    "t_compaction": "10ns",
    "t_reclaim": "100ps",
    "t_balloon": "1ns",
    "t_free_page_report": "50us",
    "t_downtime": "100us",
    "t_dirty_log_start": "1us",
    "t_swap_in": "6us",
    "t_numa_sweep": "6400ms",
    "t_ageing": "10ns",
}
_MORE: dict[str, dict[str, Any]] = {
    "memslot_change": {"every": "20us"},
    "live_migration": {"start": "20us", "round": "20us"},
}


def _settings(granule: str = "4KiB", memory: str = "16MiB", **host: Any) -> Settings:
    loop = {"name": "loop", "length": 100, "iterations": 8_000, "cpi_millis": 1000}
    aux = "256KiB" if granule == "64KiB" else "32KiB"
    return Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": [loop]},
            "spe": {"interval": "256ops", "min_interval": "256ops", "flag_updates": "off"},
            "vm": {"granule": granule, "memory": memory, "huge_pages": True, "exits": "none"},
            "driver": {"aux": aux},
            "host": host,
            "parameters": _FAST,
        }
    )


def _pressed(design: str, settings: Settings) -> RunResult:
    arm = Arm(name="a", design=design, policies=DESIGNS[design].policies, settings=settings)
    stream = stream_of(settings)
    return simulate(machine_spec(arm, stream), (stream,), Run("a", 5, 0, True))


def _kinds() -> list[str]:
    forms = (Scan, Balloon, MemslotChange, LiveMigration)
    return [kind for form in forms for kind in get_args(form.model_fields["kind"].annotation)]


@pytest.mark.parametrize("kind", _kinds())
def test_every_pressure_presses(kind: str) -> None:
    """Unpinned pages go; a deaf design with pages of its own is moved by the VMM's doings and by
    ageing alone."""
    granule = "64KiB" if kind == "free_page_reporting" else "4KiB"
    pressure = [{"kind": kind} | _MORE.get(kind, {})]
    memory = "1MiB" if kind == "numa_balancing" else "16MiB"
    calm = _settings(granule, memory)
    pressed = _settings(granule, memory, pressure=pressure)
    run = _pressed("unpinned", pressed)
    assert run.zaps > 0
    assert _numbers(run) != _numbers(_pressed("unpinned", calm))
    deaf = _numbers(_pressed("v7-guest-memfd", pressed))
    alike = deaf == _numbers(_pressed("v7-guest-memfd", calm))
    assert alike is (kind not in ("memslot_change", "live_migration", "ageing"))


@pytest.mark.parametrize("kind", ["published", "per_window", "per_record", {"poisson": "100000/s"}])
def test_every_way_of_unmapping_unmaps(kind: Any) -> None:
    """`host.unmap`, against `never`."""
    memory = "1MiB" if kind == "published" else "8MiB"  # swept in one step, at its beginning
    calm, pressed = _settings(memory=memory), _settings(memory=memory, unmap=kind)
    assert _numbers(_pressed("unpinned", pressed)) != _numbers(_pressed("unpinned", calm))


def test_every_form_of_pressure_is_among_them() -> None:
    """A new kind needs its effect shown."""
    assert set(_kinds()) == {
        "numa_balancing",
        "ksm",
        "khugepaged",
        "compaction",
        "reclaim",
        "ageing",
        "ballooning",
        "free_page_reporting",
        "memslot_change",
        "live_migration",
    }
    assert Host.model_validate({"pressure": [{"kind": "ballooning"}]}).pressure


def test_a_migration_with_everything_else_differs_from_one_without() -> None:
    """`post_copy`, `rounds` and `round` each count."""
    base = Migration(WORK // 8, 3, WORK // 8, 64_000, 640_000, post_copy=False)
    plans = [
        base,
        replace(base, rounds=1),
        replace(base, round=WORK // 16),
        replace(base, post_copy=True),
        replace(base, start=WORK // 16),
    ]
    runs = [_run("unpinned", {}, {**FREE, "migration": plan}) for plan in plans]
    assert len({repr(run.vcpus[0].log) for run in runs}) == len(plans)
