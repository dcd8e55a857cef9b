"""report.html: one self-contained page, equal bytes for equal input, no network, no script.

Everything that comes from a scenario or a program is escaped: the template escapes by default, the
only markup that is let through is our own CSS and the SVG of `figures`. The page is made from
`result.json`, the tables of `datasets` and the resolved scenario, all of which a run directory has.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from analysis.decisions.kinds import kinds
from analysis.metrics import distances
from reports import figures
from reports.pages import (
    decided,
    firstscreen,
    letter,
    parameters,
    sentences,
    summary,
    templating,
    top,
)
from reports.results import shapes
from reports.results.arms import reference_arm
from reports.results.compared import Distances
from reports.results.metric import Metric
from reports.results.result import Result, SymbolLoss
from reports.store.csvdata import dumps
from reports.store.read import Source
from reports.store.rows import CommandRow, LedgerRow, ParameterRow, Tables, read
from reports.text import number, printable, with_interval

LEDGERS = (
    ("ops", "Ops: what became of each executed op"),
    ("selections", "Selections: what became of each selected op"),
    ("delivery", "Delivery: what became of each written record"),
    ("time", "Time: where the wall time of vCPUs went"),
)
LARGEST = 1_500_000
"""Bytes of a page: whatever room the text and the figures leave is for CSV."""
EMBEDDED = 400_000
"""Bytes of CSV that the page carries along at most; the rest is in the run directory."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as it stands on the page; `svg` is our own markup."""

    key: str
    svg: Markup
    reading: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Figures under one title; `first` where their table is offered."""

    key: str
    title: str
    table: str
    first: bool
    figures: list[Picture]


@dataclass(frozen=True, slots=True)
class Download:
    """A table's rows, and its link; empty where there was no room."""

    rows: int
    href: str


@dataclass(frozen=True, slots=True)
class ArmText:
    """What the page says of an arm."""

    name: str
    heading: str
    sentences: tuple[str, str, str]
    sections: list[tuple[str, list[str]]]
    symbols: list[SymbolLoss]
    top: list[tuple[str, ...]]
    """The ten hottest functions, in the order of `top.HEAD`."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger: an amount per arm for each entry."""

    title: str
    unit: str
    rows: list[tuple[str, list[int]]]


@dataclass(frozen=True, slots=True)
class DistanceTable:
    """One kind of distance: a row per arm and view."""

    title: str
    unit: str
    rows: list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters of one kind; `open` if every run has them."""

    group: str
    open: bool
    rows: list[ParameterRow]
    unverified: int


@dataclass(frozen=True, slots=True)
class Command:
    """A `perf record` and the arms that it stands for."""

    command: str
    arms: str


def render(source: Source) -> str:
    """The page of a run."""
    values = _values(source, _sections(figures.draw(source.result, source.tables)))
    csv = {n: dumps(t).encode("utf-8", "backslashreplace") for n, t in source.tables.items()}
    room = LARGEST - len(_filled(values, _downloads(source.tables, csv, 0)).encode())
    embedded = min(EMBEDDED, room * 3 // 4 - LINKS)
    return _filled(values, _downloads(source.tables, csv, embedded))


LINKS = 3_000
"""What links and the ends of base64 take besides."""


def _filled(values: Mapping[str, object], downloads: Mapping[str, Download]) -> str:
    return templating.render("report.html.j2", downloads=downloads, **values)


def _values(source: Source, sections: list[Section]) -> dict[str, object]:
    """What the template shows, but for the downloads."""
    result, tables = source.result, source.tables
    numbers = read(ParameterRow, tables)
    first = firstscreen.rows(result, tables)
    return dict(
        result=result,
        interrupted=summary.INTERRUPTED,
        doubts=summary.doubts(result),
        first=first,
        marks=firstscreen.key(first),
        margin=next(iter(result.arms.values())).skew.margin,
        letter=letter.render(source),
        loss_note=summary.LOSS_NOTE,
        exit_note=summary.EXIT_NUMBER_NOTE,
        sections=sections,
        arms=[_arm(name, result, tables) for name in result.arm_order],
        ledgers=[_ledger(result, tables, *which) for which in LEDGERS],
        distances=_distances(result),
        agreement=_agreement(result),
        parameters=_groups(numbers),
        unverified=sum(r.unverified for r in numbers),
        numbers=len(numbers),
        versions=source.versions,
        commands=_commands(tables),
        top_head=top.HEAD,
        top_note=top.NOTE,
        decided_head=decided.HEAD,
        decided=_decided(result),
        resolved="\n".join(printable(line) for line in source.resolved.split("\n")),
    )


def _sections(drawn: Sequence[figures.Drawn]) -> list[Section]:
    """Figures by title; a table is offered where it is first drawn."""
    offered: set[str] = set()
    out = []
    for title, group in groupby(drawn, lambda d: d.title):
        found = list(group)
        key, table = found[0].key.partition("-")[0], found[0].table
        shown = [Picture(d.key, Markup(d.svg), d.reading, d.notes) for d in found]
        out.append(Section(key, title, table, table not in offered, shown))
        offered.add(table)
    return out


def _downloads(tables: Tables, csv: Mapping[str, bytes], left: int) -> dict[str, Download]:
    """Tables as links that need no network, the smallest first while `left` bytes last."""
    out = {}
    for name in sorted(csv, key=lambda n: (len(csv[n]), n)):
        left -= len(csv[name])
        data = base64.b64encode(csv[name]).decode() if left >= 0 else ""
        href = f"data:text/csv;charset=utf-8;base64,{data}" if data else ""
        out[name] = Download(len(tables[name].rows), href)
    return out


def _arm(name: str, result: Result, tables: Tables) -> ArmText:
    arm = result.arms[name]
    return ArmText(
        name=printable(name, 40),
        heading=summary.heading(name, arm, arm is reference_arm(result)),
        sentences=sentences.of_arm(name, result, tables),
        sections=summary.sections(name, result),
        symbols=[s for s in arm.loss_by_symbol if s.loss],
        top=top.rows(arm),
    )


def _ledger(result: Result, tables: Tables, ledger: str, title: str) -> Ledger:
    """Rows of one ledger with an amount per arm; entries that are zero everywhere are left out."""
    amounts: dict[str, dict[str, int]] = {}
    unit = ""
    for row in (r for r in read(LedgerRow, tables) if r.ledger == ledger):
        amounts.setdefault(row.entry, {})[row.arm] = row.amount
        unit = row.unit
    rows = [(entry, [of[name] for name in result.arm_order]) for entry, of in amounts.items()]
    return Ledger(title, unit, [row for row in rows if any(row[1])])


_AGAINST = ("vs_truth", "truth_floor", "vs_baremetal", "noise_floor")
AGREEMENT = (
    "overlap_vs_truth",
    "overlap_vs_baremetal",
    "top10_vs_truth",
    "top10_vs_baremetal",
    "top10_baremetal_pair",
    "hottest_vs_truth",
    "hottest_vs_baremetal",
    "hottest_baremetal_pair",
)
"""Columns of the table of agreement; a pair of baremetal runs is the noise floor of its rank."""


def _profiles_of(result: Result) -> Iterator[tuple[str, str, Distances]]:
    """Arms and views; a view that no arm has, such as latencies without records, is left out."""
    profiles = [
        (name, view, found)
        for name in result.arm_order
        for view, found in shapes.items(result.arms[name].profile)
    ]
    had = {
        view
        for _, view, found in profiles
        if any(m.mean is not None for _, m in shapes.items(found))
    }
    for name, view, found in profiles:
        if view in had:
            yield printable(name, 40), view, found


def _mean(found: Metric) -> str:
    return "–" if found.mean is None else number(found.mean)


def _distances(result: Result) -> list[DistanceTable]:
    """A table for each distance: from the truth and from baremetal, each beside its floor."""
    return [
        DistanceTable(
            words,
            unit,
            [
                (
                    arm,
                    view,
                    *(_mean(getattr(found, f"{name}_{k}")) for k in _AGAINST),
                    with_interval(getattr(found, f"{name}_excess")),
                )
                for arm, view, found in _profiles_of(result)
            ],
        )
        for name, words, unit in distances()
    ]


def _agreement(result: Result) -> list[tuple[str, ...]]:
    """Overlap and rank agreement, 1 where profiles agree."""
    return [
        (arm, view, *(_mean(getattr(found, name)) for name in AGREEMENT))
        for arm, view, found in _profiles_of(result)
    ]


@dataclass(frozen=True, slots=True)
class Decided:
    """One kind of decision: what is asked, and a row per arm."""

    kind: str
    asks: str
    best: str
    rows: list[tuple[str, ...]]


def _decided(result: Result) -> list[Decided]:
    found = {name: result.arms[name].decisions for name in result.arm_order}
    table = decided.rows(found)
    return [
        Decided(kind, kinds()[kind].asks, decided.best(found, kind), table.get(kind, []))
        for kind in dict.fromkeys(k for decisions in found.values() for k in decisions)
        if kind in kinds()
    ]


def _groups(numbers: Sequence[ParameterRow]) -> list[Group]:
    """Parameters by group; the groups that every run has are open."""
    shown = (parameters.TIMES, parameters.SETTINGS, parameters.OVERLAY)
    return [
        Group(name, name in shown, rows, sum(r.unverified for r in rows))
        for name, rows in ((g, list(found)) for g, found in groupby(numbers, lambda r: r.group))
    ]


def _commands(tables: Tables) -> list[Command]:
    """Each `perf record` once, with the arms that it stands for."""
    arms: dict[str, list[str]] = {}
    for row in read(CommandRow, tables):
        arms.setdefault(row.command, []).append(printable(row.arm, 40))
    return [Command(command, ", ".join(names)) for command, names in arms.items()]
