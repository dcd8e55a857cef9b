"""What `speskew list` lists: a class per kind of thing, each with a name, and a table of them."""

from __future__ import annotations

import json
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import click

from reports.text import aligned, printable, size
from sim.scenario.files import loader
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.scenario import DESIGNS
from sim.scenario.words import suggest
from sim.workload.presets import PRESETS
from sim.workload.sharing.group import SUFFIX, headers_of, streams_of
from sim.workload.spestream import read_header
from sim.workload.timing import Fact

What = Literal["scenarios", "designs", "presets", "streams"]


@dataclass(frozen=True, slots=True)
class Listed(ABC):
    """A thing that there is to use."""

    name: str

    @abstractmethod
    def words(self) -> str:
        """What a table says of it, on one line; the long parts are left to JSON."""


@dataclass(frozen=True, slots=True)
class ListedScenario(Listed):
    """A scenario and the arms that it compares."""

    question: str
    arms: list[str]

    def words(self) -> str:
        """Its question, then its arms."""
        return "; ".join(part for part in (self.question, ", ".join(self.arms)) if part)


@dataclass(frozen=True, slots=True)
class ListedDesign(Listed):
    """A design: what it does, who proposed it, what is open in it, its policies by name."""

    description: str
    source: str
    questions: list[str]
    policies: dict[str, str | bool]

    def words(self) -> str:
        """What it does and who proposed it."""
        return f"{self.description}; {self.source}"


@dataclass(frozen=True, slots=True)
class ListedPreset(Listed):
    """A processor, and every number of it with its source."""

    description: str
    facts: dict[str, Fact]

    def words(self) -> str:
        """Where it comes from."""
        return self.description


@dataclass(frozen=True, slots=True)
class ListedStream(Listed):
    """A recorded program, or one thread of it, or all of them."""

    program: str
    ops: str
    size: str

    def words(self) -> str:
        """Program, operations, bytes."""
        return f"{self.program}; {self.ops}; {self.size}"


def rows(what: What) -> list[Listed]:
    """One object per thing, by name."""
    return sorted(SOURCES[what](), key=lambda row: row.name)


def as_json(found: Sequence[Listed]) -> str:
    """The objects as a JSON list."""
    return json.dumps([asdict(row) for row in found], indent=1, sort_keys=True) + "\n"


def _scenarios() -> Iterator[ListedScenario]:

    stock = loader.stock_folder()
    for path in (*stock.glob("*.yaml"), *stock.glob("sweeps/*.yaml")):
        loaded = loader.load(path)
        arms = [arm.name for arm in loaded.arms]
        name = path.relative_to(stock).with_suffix("").as_posix()
        yield ListedScenario(name, loaded.question, arms)


def _designs() -> Iterator[ListedDesign]:

    for name, design in DESIGNS.items():
        policies = design.policies.model_dump()
        yield ListedDesign(name, design.what, design.source, list(design.questions), policies)


def design(name: str, form: str) -> str:
    """One design in words, or as JSON; a usage error with a suggestion if there is none."""

    if name not in DESIGNS:
        raise click.UsageError(f"design: {suggest(name, list(DESIGNS))}")
    found = next(row for row in _designs() if row.name == name)
    if form == "json":
        return json.dumps(asdict(found), indent=2) + "\n"
    policies = [f"  {key:18} {value}" for key, value in found.policies.items()]
    questions = [f"  - {text}" for text in found.questions] or ["  none listed"]
    text = textwrap.fill(found.description, 100)
    lines = [name, text, "", f"source: {found.source}", "", "policies:", *policies]
    return "\n".join(
        [*lines, "", "open questions, each a policy or a time to vary:", *questions, ""]
    )


def _presets() -> Iterator[ListedPreset]:

    for name, preset in PRESETS.items():
        facts = list(preset.facts())
        open_ones = sum(fact.unverified for fact in facts)
        described = f"{preset.source}; {open_ones} of {len(facts)} numbers UNVERIFIED"
        yield ListedPreset(name, described, {fact.name: fact for fact in facts})


def _streams() -> Iterator[ListedStream]:

    for path in (stock_folder() / "streams").glob("*.spestream"):
        header = read_header(path)
        bytes_ = size(path.stat().st_size)
        yield ListedStream(f"streams/{path.name}", header.program, f"{header.ops:,} ops", bytes_)
    for path in (stock_folder() / "streams").glob(f"*{SUFFIX}"):
        headers, files = headers_of(path), streams_of(path)
        ops = f"{sum(header.ops for header in headers):,} ops of {len(headers)} threads"
        bytes_ = size(sum(file.stat().st_size for file in files))
        yield ListedStream(f"streams/{path.name}", headers[0].program, ops, bytes_)


SOURCES: dict[What, Callable[[], Iterator[Listed]]] = {
    "scenarios": _scenarios,
    "designs": _designs,
    "presets": _presets,
    "streams": _streams,
}


def as_table(found: Sequence[Listed]) -> str:
    """Name, then what there is to say, on one line each."""
    lines = aligned([(row.name, printable(row.words())) for row in found])
    return "".join(f"{line}\n" for line in lines)
