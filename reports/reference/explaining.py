"""What `speskew explain` says: every name that the program prints or reads, from one dictionary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from analysis.columns import AXES, COLUMNS, DATA_TABLES, ENTRIES, TABLES
from analysis.metrics import METRICS
from analysis.metrics import find as metric_of
from reports.store.sweep_columns import SWEEP_COLUMNS, SWEEP_TABLES
from reports.text import aligned, hanging
from sim.ledger import LOSS_LABELS
from sim.scenario.models.designs import DESIGNS, Policies, Word
from sim.scenario.models.scenario import Scenario, Settings
from sim.scenario.parameters import FACTS, PARAMETERS

WIDTH = 92
HEAD = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One meaning of a name; empty fields do not apply."""

    name: str
    kind: str
    meaning: str
    unit: str = ""
    dtype: str = ""
    values: tuple[str, ...] = ()
    label: str = ""
    tables: tuple[str, ...] = ()
    default: str = ""
    range: str = ""
    source: str = ""
    confidence: str = ""
    unverified: bool = False
    setting: str = ""

    def as_dict(self) -> dict[str, str | bool | list[str]]:
        """Name, kind and meaning, then what applies."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if v}


@cache
def entries() -> tuple[Entry, ...]:
    """Everything that can be explained, kind by kind."""
    return (
        *_metrics(),
        *_ledgers(),
        *_columns(),
        *_parameters(),
        *_settings(),
        *_designs(),
    )


def _metrics() -> Iterator[Entry]:

    for c in METRICS.values():
        if "ledger." not in c.name:
            yield Entry(c.name, "metric", c.meaning, c.unit, c.dtype, c.values, c.label)


def _ledgers() -> Iterator[Entry]:

    kinds = {
        "ops": "label of executed ops",
        "selections": "term of the selections",
        "delivery": "term of the delivery",
        "time": "cause of time",
    }
    lost = {label.value for label in LOSS_LABELS}
    for part, columns in ENTRIES.items():
        for c in columns:
            kind = "loss label" if part == "ops" and c.name in lost else kinds[part]
            where = (f"result.json: ledger.{part}.{c.name}", "ledger.parquet")
            yield Entry(c.name, kind, c.meaning, c.unit, c.dtype, label=c.label, tables=where)


def _columns() -> Iterator[Entry]:

    for c in (*COLUMNS.values(), *SWEEP_COLUMNS):
        every = {**TABLES, **DATA_TABLES, **SWEEP_TABLES}.items()
        where = tuple(name for name, columns in every if c.name in columns)
        yield Entry(c.name, "column", c.meaning, c.unit, c.dtype, c.values, c.label, where)
    for c in AXES:
        yield Entry(c.name, "axis of a figure", c.meaning, c.unit, label=c.label)


def _parameters() -> Iterator[Entry]:

    for kind, rows in (("parameter", PARAMETERS), ("default of a setting", FACTS)):
        for p in rows.values():
            yield Entry(
                p.name,
                kind,
                p.meaning,
                p.unit,
                default=p.value,
                range=p.range,
                source=p.source,
                confidence=p.confidence,
                unverified=p.unverified,
                setting=p.setting or f"parameters.{p.name}",
            )


def _settings() -> Iterator[Entry]:
    """Every key of a scenario, dotted; keys that several kinds of a thing share come once."""

    every = (*_fields("", Settings, "scenario key"), *_fields("", Scenario, "scenario key"))
    of_an_arm = ("arms.policies.", "arms.settings.")
    found = {e.name: e for e in every if not e.name.startswith(of_an_arm)}
    yield from found.values()


def _fields(prefix: str, model: Any, kind: str) -> Iterator[Entry]:
    for key, field in model.model_fields.items():
        name = f"{prefix}{field.alias or key}"
        inner = list(_models(field.annotation))
        if field.description:
            kinds = (m.model_fields["kind"].annotation for m in inner if "kind" in m.model_fields)
            values = [v for x in (kinds if inner else [field.annotation]) for v in _literals(x)]
            values += [
                v for known in field.metadata if isinstance(known, Word) for v in known.words
            ]
            yield Entry(name, kind, field.description, values=tuple(dict.fromkeys(values)))
        for below in inner:
            yield from _fields(f"{name}.", below, kind)


def _models(annotation: Any) -> Iterator[Any]:
    """Models in an annotation: itself, or in a union, a list, an Annotated."""
    if hasattr(annotation, "model_fields"):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (str(value) for value in get_args(annotation))
    else:
        for part in get_args(annotation):
            yield from _literals(part)


def _designs() -> Iterator[Entry]:

    yield from _fields("", Policies, "policy")
    for name, design in DESIGNS.items():
        yield Entry(name, "design", design.what, source=design.source)


def find(name: str) -> list[Entry]:
    """All meanings of a name: as it is, as a path of result.json, as the end of one, or else what
    has it among its values."""
    name = re.sub(r"^(arms\.[^.]+\.)?(hold\.)?", "", name.strip())
    exact = [e for e in entries() if e.name == name]
    found = exact + [e for e in _by_path(name) if e not in exact]
    return found or [e for e in entries() if name in e.values]


def _by_path(name: str) -> list[Entry]:

    ledger = re.fullmatch(r"(?:replications\[\]\.)?ledger\.([a-z]+)\.(\w+)", name)
    if ledger:
        where = f"result.json: ledger.{ledger[1]}.{ledger[2]}"
        return [e for e in entries() if where in e.tables]
    metric = metric_of(name)
    if metric is not None:
        return [e for e in entries() if e.kind == "metric" and e.name == metric.name]
    return [e for e in entries() if e.kind == "metric" and _end(e.name) == name]


def _end(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def as_text(found: list[Entry]) -> str:
    """Each meaning as a paragraph."""
    return "\n".join("".join(_paragraph(e)) for e in found)


def _paragraph(e: Entry) -> Iterator[str]:
    yield f"{e.name}  ({e.kind})\n"
    yield from _hanging("  ", e.meaning)
    for head, text in (
        ("unit", e.unit),
        ("type", e.dtype),
        ("values", ", ".join(e.values)),
        ("axis", e.label),
        ("in", ", ".join(e.tables)),
        ("default", e.default),
        ("range", e.range),
        ("source", e.source),
        ("confidence", e.confidence),
        ("set by", e.setting),
        ("badge", "UNVERIFIED" if e.unverified else ""),
    ):
        if text:
            yield from _hanging(f"  {head:<{HEAD}} ", text)


def _hanging(head: str, text: str) -> Iterator[str]:
    yield from (f"{line}\n" for line in hanging(head, text, WIDTH))


def as_list(found: tuple[Entry, ...]) -> str:
    """One line a name, kind by kind."""
    rows = [(e.name, e.meaning + (f" [{e.unit}]" if e.unit else "")) for e in found]
    lines: list[str] = []
    kind = ""
    for e, line in zip(found, aligned(rows), strict=True):
        if e.kind != kind:
            kind = e.kind
            lines.append(f"{'' if not lines else chr(10)}{kind}")
        lines.append(f"  {line}")
    return "\n".join(lines) + "\n"
