"""report.html: one self-contained page, equal bytes for equal input, no network, no script.

Everything that comes from a scenario or a program is escaped: the template escapes by default, the
only markup that is let through is our own CSS and the SVG of `figures`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from reports import figures, summary
from reports.text import number, percent, printable, with_interval

if TYPE_CHECKING:
    from sim.batch import ArmResult
    from sim.scenario.model import Scenario, Settings

LEDGERS = (
    ("ops", "Ops: what became of each executed op", "ops"),
    ("selections", "Selections: what became of each selected op", "selections"),
    ("delivery", "Delivery: what became of each written record", "records"),
    ("time", "Time: where the wall time of vCPUs went", "ticks of 1/64 cycle"),
)


def render(
    scenario: Scenario, resolved: str, arms: Sequence[ArmResult], result: dict[str, Any]
) -> str:
    """The page of a run."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"printable": printable, "percent": percent}
    template = environment.from_string(_resource("report.html.j2"))
    parameters = _parameters(scenario)
    return template.render(
        css=Markup(_resource("report.css")),
        result=result,
        interrupted=summary.INTERRUPTED,
        glance_head=summary.GLANCE,
        glance=summary.glance(result),
        loss_note=summary.LOSS_NOTE,
        exit_note=summary.EXIT_NUMBER_NOTE,
        figures=[asdict(f) | {"svg": Markup(f.svg)} for f in figures.draw(arms, result)],
        arms=[_arm(name, result) for name in result["arm_order"]],
        ledgers=[_ledger(result, *which) for which in LEDGERS],
        distances=_distances(result),
        parameters=parameters,
        unverified=sum(p["unverified"] for p in parameters),
        cores=_cores(scenario),
        version=metadata.version("speskew"),
        perf=perf_command(scenario.arms[0].settings),
        resolved=resolved,
    )


def _resource(name: str) -> str:
    return (resources.files("reports") / name).read_text(encoding="utf-8")


def _arm(name: str, result: dict[str, Any]) -> dict[str, Any]:
    arm = result["arms"][name]
    return {
        "name": printable(name, 40),
        "heading": summary.heading(name, arm, arm is summary.baseline(result)),
        "sections": summary.sections(name, result),
        "symbols": [s for s in arm["loss_by_symbol"] if s["loss"]],
    }


def _ledger(result: dict[str, Any], key: str, title: str, unit: str) -> dict[str, Any]:
    """Rows of one ledger with an amount per arm; entries that are zero everywhere are left out."""
    parts = [result["arms"][name]["ledger"][key] for name in result["arm_order"]]
    rows = [(entry, [part[entry] for part in parts]) for entry in parts[0]]
    return {"title": title, "unit": unit, "rows": [row for row in rows if any(row[1])]}


def _distances(result: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for name in result["arm_order"]:
        for view, found in result["arms"][name]["profile"].items():
            means = (
                found[k]["mean"]
                for k in ("tvd_vs_truth", "tvd_truth_floor", "tvd_vs_baremetal", "tvd_noise_floor")
            )
            shown = ("–" if m is None else number(m) for m in means)
            excess = with_interval(found["tvd_excess"])
            rows.append((printable(name, 40), view, *shown, excess))
    return rows


def _parameters(scenario: Scenario) -> list[dict[str, Any]]:
    """Every default time with its source, and what the arms put in its place."""
    from sim.scenario.parameters import PARAMETERS

    rows = []
    for p in PARAMETERS.values():
        changed = {
            f"{arm.name}: {_changed(arm.settings, p.name)}"
            for arm in scenario.arms
            if p.name in arm.settings.parameters
        }
        rows.append(asdict(p) | {"overrides": sorted(changed)})
    return rows


def _changed(settings: Settings, name: str) -> str:
    from sim.scenario.dump import plain

    values = plain(settings.parameters[name])
    return " ".join(str(v) for k, v in values.items() if k != "kind" or v != "constant")


def _cores(scenario: Scenario) -> list[dict[str, Any]]:
    """Every number of the core presets in use, with its source."""
    from sim.workload.timing import get_preset

    names = sorted({arm.settings.cpu.core for arm in scenario.arms})
    return [
        {"name": name, "facts": [asdict(f) for f in get_preset(name).facts()]} for name in names
    ]


def perf_command(settings: Settings) -> str:
    """The `perf record` that an arm's settings stand for."""
    spe, chosen = settings.spe, settings.spe.filter
    terms = [f"period={spe.interval}"]
    if spe.jitter != "off":
        terms.append("jitter=1")
    for flag in ("load", "store", "branch"):
        if getattr(chosen, flag):
            terms.append(f"{flag}_filter=1")
    if chosen.min_latency:
        terms.append(f"min_latency={chosen.min_latency}")
    if chosen.event_filter:
        terms.append(f"event_filter={chosen.event_filter:#x}")
    suffix = "u" if spe.exclude_kernel else ""
    pages = settings.driver.aux // settings.vm.page_bytes
    per_cpu = " -a" if settings.driver.mode == "cpu" else ""
    event = shlex.quote(f"arm_spe_0/{','.join(terms)}/{suffix}")
    return f"perf record -e {event} -m ,{pages}{per_cpu} -- PROGRAM"
