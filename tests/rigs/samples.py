"""A made-up run for the tests of reports: five arms, hostile names among them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reports.results.build import build
from reports.results.result import Result, dumps, of_json
from reports.runs import datasets
from reports.store.csvdata import Table
from reports.store.read import Source
from reports.traces import timeline
from sim.runs.batch import ArmResult
from sim.scenario.files import loader
from sim.scenario.models.scenario import Scenario
from tests.rigs.fakes import Plan, arm

LOG: tuple[timeline.Entry, ...] = (
    (0, "RUN", 0),
    (0, "before_start", 0),
    (64_000, "START", 100),
    (64_000, "guest_kernel", 192_000),
    (256_000, "trap", 86_400),
    (342_400, "walk", 19_200),
    (361_600, "pin", 57_600),
    (419_200, "KVM_EXIT_RLIMIT", 8192),
    (419_200, "vmm", 326_400),
    (745_600, "vmm", 76_800),
    (822_400, "pin", 6_000_000),
    (6_822_400, "PINNED_PAGES", 515),
    (6_822_400, "map", 3_000_000),
    (9_822_400, "RUN", 100),
    (9_822_400, "profiled", 100),
    (60_000_000, "FAULT", 4096),
    (60_000_000, "PMBIRQ_LINE", 1),
    (60_000_000, "irq_delivery_fault", 5_000_000),
    (60_096_000, "PMBIRQ_AT_CORE", 0),
    (60_096_000, "PMBIRQ", 5_000_000),
    (60_096_000, "handler", 125_760),
    (60_221_760, "PMBIRQ_LINE", 0),
    (60_221_760, "fault", 460_800),
    (60_682_560, "handler", 29_760),
    (60_712_320, "RUN", 5_000_000),
    (60_712_320, "profiled", 5_000_000),
    (200_000_000, "SWITCH", 6_000_000),
    (200_000_000, "unpin", 1_000_000),
    (201_000_000, "PINNED_PAGES", 0),
    (201_000_000, "task_off_cpu", 20_000_000),
    (221_000_000, "RUN", 6_000_000),
    (221_000_000, "profiled", 6_000_000),
    (400_000_000, "END", 9_000_000),
)
"""A vCPU of a VM: an enable with KVM_EXIT_RLIMIT, a pin, a fault, a switch; 192 ticks are 1 ns."""

EVIL = "<script>alert('$x^2$')</script>&\x1b[31m\u202e"
SYMBOLS = ("$alpha$", EVIL, "gamma_" + "g" * 300, "delta\nnewline")
UPPER: dict[str, object] = {"host": {"unmap": "per_window"}}

KEYS = [
    "ledgers",
    "losses",
    "symbols",
    "distances",
    "blackouts",
    "timeline-1",
    "timeline-2",
    "timeline-3",
    "timeline-4",
    "perturbation",
    "locked",
    "theory",
]
"""Figures of a run of PLANS that have a reading."""
PLANS = (
    Plan(lost=100, symbols=SYMBOLS),
    Plan(name="v6", design="v6", lost=100, symbols=SYMBOLS, pin_ticks=10**6, exits=2),
    Plan(
        name="unpinned-cold",
        design="unpinned",
        lost=50_000,
        seed=2,
        symbols=SYMBOLS,
        shares=(0.42, 0.38, 0.15, 0.05),
        zaps=15,
        settings=UPPER,
    ),
    Plan(
        name="refused",
        design="v6",
        lost=5,
        symbols=SYMBOLS,
        ended_at=1000,
        ended_because="the VMM refused",
    ),
    Plan(name="silent", design="unpinned-error", samples=0, symbols=SYMBOLS),
)


def arms(plans: Sequence[Plan] = PLANS) -> tuple[ArmResult, ...]:
    """The arms of a scenario."""
    return tuple(arm(plan) for plan in plans)


def scenario(found: Sequence[ArmResult]) -> Scenario:
    """A scenario that has these arms."""
    return Scenario(
        name="made <up>",
        question="Is it $so$?",
        replications=len(found[0].runs),
        arms=tuple(a.arm for a in found),
    )


def described(plans: Sequence[Plan] = PLANS, *, interrupted: bool = False) -> Result:
    """The result of the made-up run."""
    found = arms(plans)
    return build(scenario(found), found, interrupted=interrupted)


def plain(plans: Sequence[Plan] = PLANS) -> Any:
    """`result.json` of the made-up run, as JSON has it, to be changed."""
    return json.loads(dumps(described(plans)))


def changed(result: Result, **values: Mapping[str, object]) -> Result:
    """The result with other values in some arms: `changed(r, v6={"loss_skew.mean": 0.3})`."""
    document = json.loads(dumps(result))
    for name, paths in values.items():
        for path, value in paths.items():
            *steps, last = path.split(".")
            node = document["arms"][name.replace("_", "-")]
            for step in steps:
                node = node[step]
            node[last] = value
    return of_json(document)


def timelines(found: Sequence[ArmResult]) -> dict[str, timeline.Timeline]:
    """The made-up log as each virtual arm's."""
    out = {}
    for one in (a for a in found if a.arm.policies.virtual):
        run = one.runs[0]
        vcpus = tuple(replace(v, log=LOG) for v in run.vcpus)
        out[one.arm.name] = timeline.timeline(
            replace(run, vcpus=vcpus, wall=400_000_000),
            virtual=True,
            per_ms=192_000_000,
            granule=4096,
        )
    return out


def tables(plans: Sequence[Plan] = PLANS) -> dict[str, Table]:
    """The tables of the made-up run."""
    found = arms(plans)
    return _collected(found, build(scenario(found), found, interrupted=False))


def _collected(found: tuple[ArmResult, ...], result: Result) -> dict[str, Table]:
    return datasets.collect(scenario(found), found, result, timelines(found))


def source(plans: Sequence[Plan] = PLANS) -> Source:
    """What the page of the made-up run is made from."""
    found = arms(plans)
    result = build(scenario(found), found, interrupted=False)
    versions = {"python": "3.11.7", "numpy": "2.0"}
    return Source(result, _collected(found, result), loader.dump(scenario(found)), versions)


def broken_at(path: tuple[str | int, ...], value: object) -> Any:
    """`result.json` of the made-up run with another value in one place."""
    broken = plain()
    inner: Any = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return broken
