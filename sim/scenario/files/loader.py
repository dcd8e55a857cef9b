"""From a YAML file to a resolved scenario: every error at once, each with its place.

A scenario's top level holds its own keys (name, question, seed, replications, arms, extends) and
the settings that all arms share. An arm names a design and may override policies and any setting,
nested or dotted. Precedence, weakest first: defaults, the file that is extended, the file, `--set`,
an arm's overrides (they are what the arm is about), `--set` of that arm. Merging is deep; lists are
replaced. What is not a key is an error that names the nearest one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

import sim
from sim import inputs
from sim.scenario.files import overriding
from sim.scenario.files.document import (
    MAX_BYTES,
    Item,
    Mark,
    Problem,
    ScenarioError,
    mapping,
    merge,
    problem,
    read_document,
    refuse_if_any,
    scalar,
)
from sim.scenario.files.dump import dump, settings
from sim.scenario.files.given import Given
from sim.scenario.files.messages import problems_of, setting_paths, unknown
from sim.scenario.files.overriding import (
    Override,
    Unheeded,
    arm_name,
    leaves,
    nested,
    undotted,
    without_arm,
)
from sim.scenario.files.selections import read_table
from sim.scenario.models.matrix import CELLS, SCENARIO_KEYS, is_setting
from sim.scenario.models.scenario import DESIGNS, Arm, Policies, Scenario, Settings
from sim.scenario.parameters import problem_with
from sim.scenario.words import clipped, shown, suggest

__all__ = [
    "Problem",
    "ScenarioError",
    "Unheeded",
    "dump",
    "find",
    "load",
    "origins",
    "raw",
    "settings",
    "stock_folder",
]

_ARM_KEYS = ("name", "design", "policies", "overrides")
MAX_EXTENDS = 10
M = TypeVar("M", bound=BaseModel)
Problems = list[Problem]
Source = str | Path | Given
"""A path, the name of a stock scenario, or a scenario that is no file."""


def stock_folder() -> Path:
    """Where the stock scenarios and streams are installed."""
    # beside `sim`, and not by import: people keep their own scenarios in a folder of that name
    return Path(sim.__file__).parents[1] / "scenarios"


def find(path: str | Path) -> Path:
    """A scenario file: a path, or the bare name of a stock scenario; raises ScenarioError.

    Stock sweeps are named with their folder: `sweeps/loss-map`.
    """
    given = Path(path)
    if _is_input(given) or given.suffix:
        return given
    stock = stock_folder() / f"{given}.yaml"
    if given.parts[:-1] in ((), ("sweeps",)) and _is_file(stock):
        return stock
    if len(given.parts) != 1:
        return given
    names = sorted(entry.stem for entry in stock_folder().glob("*.yaml"))
    close = difflib.get_close_matches(str(given), names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"stock scenarios: {', '.join(names)}"
    raise ScenarioError(
        problem(Mark(clipped(str(given))), f"no such file or stock scenario; {hint}")
    )


def raw(source: Source) -> str:
    """The scenario as its author wrote it: a file, a stock scenario by name, or what was given."""
    if isinstance(source, Given):
        return source.text
    found = inputs.read_at_most(find(source), MAX_BYTES)
    return found.decode("utf-8", "surrogateescape")


def load(
    source: Source,
    overrides: Sequence[str] = (),
    replications: int | None = None,
    seed: int | None = None,
    remarks: list[Unheeded] | None = None,
    *,
    one_cell: bool = False,
) -> Scenario:
    """A resolved scenario; raises ScenarioError with every problem found.

    `overrides` are ``KEY=VALUE`` with dotted keys, as `--set` takes them; `replications` and `seed`
    replace the file's. One that no arm heeds is a problem; `remarks` gets those that some do not.
    `one_cell` is of a sweep, which `overrides` say: the cells of the file are not looked at.
    """
    problems: Problems = []
    file = source if isinstance(source, Given) else find(source)
    asked = overriding.read(overrides, problems)
    stem = file.name if isinstance(file, Given) else file.stem
    stem = stem.encode("utf-8", "replace").decode()
    with _quoting_only(file):
        document = _document(file, asked, problems)
        for key, value in (("replications", replications), ("seed", seed)):
            if value is not None:
                document = merge(document, nested([key], scalar(value, Mark(f"--{key}"))))
        if one_cell:
            document = _without_cells(document)
        resolver = _Resolver(document, stem, problems)
        scenario = resolver.scenario(asked)
    if remarks is not None:
        remarks.extend(resolver.remarks)
    return scenario


def _without_cells(document: Item) -> Item:
    assert isinstance(document.value, dict)
    kept = {key: item for key, item in document.value.items() if key not in CELLS}
    return Item(document.mark, kept, document.keys)


def origins(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, str]:
    """Dotted key → `file:line:col` or `--set KEY=VALUE`, for everything that is not a default.

    An arm's keys begin with `arms.<name>`. Raises ScenarioError if there is no document to tell of.
    """
    problems: Problems = []
    file = find(path)
    with _quoting_only(file):
        document = _document(file, overriding.read(overrides, problems), problems)
        refuse_if_any(problems)
    return {key: str(mark) for key, mark in leaves(document)}


@contextmanager
def _quoting_only(file: Path | Given) -> Iterator[None]:
    """Problems of files that `file` extends are told by their place, not by what stands there.

    A scenario may come from someone else, and extend any file of the machine that it is read on.
    """
    name = file.name if isinstance(file, Given) else str(file)
    try:
        yield
    except ScenarioError as error:
        shown_ones = (p if p.file == name else _placed(p) for p in error.problems)
        raise ScenarioError(*dict.fromkeys(shown_ones)) from None


def _placed(found: Problem) -> Problem:
    if found.harmless or not found.line:  # of an option, if it has no line
        return found
    why = f"is wrong here; it is extended, so `speskew validate {found.file}` says what"
    return replace(found, message=why)


# --- documents -------------------------------------------------------------------------------


def _document(file: Path | Given, asked: Sequence[Override], problems: Problems) -> Item:
    document = _extended(file, (), problems)
    for override in asked:
        document = overriding.put(document, override, problems)
    return document


def _extended(file: Path | Given, chain: tuple[Path, ...], problems: Problems) -> Item:
    if isinstance(file, Given):
        path, document = Path(file.name), file.document(problems)
    else:
        path = file
        document = read_document(path, problems) if not chain else _foreign(path, problems)
    if not isinstance(document.value, dict):
        raise ScenarioError(
            problem(document.mark, "must be a mapping: keys such as workload, arms")
        )
    base = document.get("extends")
    target = _base(base, path, problems) if base else None
    if base is None or target is None:
        return document
    chain = (*chain, path.resolve())
    if target in chain:
        why = f"extends: {shown(base.value)} extends itself"
        problems.append(problem(base.mark, why, harmless=True))
    elif len(chain) > MAX_EXTENDS:
        why = f"extends: more than {MAX_EXTENDS} files; flatten them"
        problems.append(problem(base.mark, why, harmless=True))
    else:
        return merge(_extended(target, chain, problems), document)
    return document


def _foreign(path: Path, problems: Problems) -> Item:
    """A file that another one extends, which may be any file of the machine."""
    found: Problems = []
    no = "is extended, but is no scenario: remove `extends`, or name a scenario"
    try:
        document = read_document(path, found)
    except ScenarioError as error:
        first = error.problems[0]
        raise ScenarioError(Problem(str(path), first.line, first.col, no, harmless=True)) from None
    keys = document.value if isinstance(document.value, dict) else {}
    known = sum(key in SCENARIO_KEYS or key in Settings.model_fields for key in keys)
    if 2 * known <= len(keys):
        raise ScenarioError(problem(Mark(str(path)), no, harmless=True))
    problems.extend(found)
    return document


def _base(item: Item, path: Path, problems: Problems) -> Path | None:
    """The file that is extended: beside the scenario, else a stock scenario."""
    if not isinstance(item.value, str) or not item.value:
        problems.append(problem(item.mark, "extends: must be the path of another scenario"))
        return None
    for folder in (path.parent, stock_folder()):
        if _is_file(folder / item.value):
            return (folder / item.value).resolve()
    why = f"extends: no file {shown(item.value)} beside {path.name} or in the stock"
    problems.append(problem(item.mark, why))
    return None


def _is_input(path: Path) -> bool:
    """Whether there is a file, a pipe or a device of this name."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False


@cache
def _single_settings() -> tuple[str, ...]:
    """Dotted keys that have no further keys below them."""
    branches = {_parent(key) for key in setting_paths()}
    return tuple(key for key in setting_paths() if key not in branches)


def _parent(key: str) -> str:
    return key.rpartition(".")[0]


# --- resolution ------------------------------------------------------------------------------


class _Resolver:
    """One document → one scenario, collecting problems."""

    def __init__(self, document: Item, stem: str, problems: Problems) -> None:
        self._document, self._stem, self._problems = document, stem, problems
        self._heard: dict[str, frozenset[tuple[str, Mark]]] = {}
        self._bare: set[str] = set()
        self._tables: set[str] = set()
        self.remarks: list[Unheeded] = []

    def scenario(self, asked: Sequence[Override] = ()) -> Scenario:
        """The scenario; raises ScenarioError if there is any problem."""
        top = self._document
        assert isinstance(top.value, dict)
        shared = Item(top.mark, dict(self._known_settings(top)), top.keys)
        items = self._arm_items()
        arms = [arm for item in items if (arm := self._arm(item, shared))]
        if not items:
            self._settings(shared)  # for what else is wrong
        self._names_unique(items)
        self._look_for_effects(asked)
        own = {k: v.plain() for k, v in top.value.items() if k in SCENARIO_KEYS}
        own.pop("extends", None)
        self._sampled_keys(top)
        if len(arms) != len(items):  # what checks say of an arm that is wrong would mislead
            own = {k: v for k, v in own.items() if k not in ("checks", "until")}
        own = {"name": self._stem} | own | {"arms": arms or [_PLACEHOLDER]}
        found = self._validated(Scenario, own, top)
        refuse_if_any(self._problems)
        assert found is not None
        return found

    def _look_for_effects(self, asked: Sequence[Override]) -> None:
        """Each override that does nothing somewhere: a problem, or a remark."""
        wrong = {p.file for p in self._problems}
        for override in (o for o in asked if o.mark.file not in wrong):
            for unheeded in overriding.unheeded(override, self._document, self._heard, self._bare):
                if unheeded.nowhere:
                    self._add(override.mark, str(unheeded))
                else:
                    self.remarks.append(unheeded)

    def _add(self, mark: Mark, message: str) -> None:
        self._problems.append(problem(mark, message))

    def _known_settings(self, top: Item) -> Iterator[tuple[str, Item]]:
        assert isinstance(top.value, dict)
        for key, item in top.value.items():
            if key in Settings.model_fields:
                yield key, item
            elif key not in SCENARIO_KEYS:
                known = [*SCENARIO_KEYS, *Settings.model_fields]
                self._problems.append(unknown(top.keys[key], key, known))

    def _arm_items(self) -> list[Item]:
        arms = self._document.get("arms")
        if arms is None:
            self._add(self._document.mark, "arms: is missing; list at least one, e.g. - design: v6")
            return []
        if not isinstance(arms.value, list) or not arms.value:
            mark = arms.mark if arms.value is not None else self._document.keys["arms"]
            self._add(mark, "arms: must be a list with at least one arm, e.g. - design: v6")
            return []
        return arms.value

    def _arm(self, item: Item, shared: Item) -> Arm | None:
        if isinstance(item.value, str):
            item = mapping({"design": item}, item.mark)
        if not isinstance(item.value, dict):
            self._add(item.mark, "arms: an arm is a mapping with a design, e.g. - design: v6")
            return None
        for key in item.value:
            if key not in _ARM_KEYS:
                self._problems.append(unknown(item.keys[key], key, _ARM_KEYS))
        design = item.get("design")
        if design is None:
            self._add(item.mark, f"design: is missing; one of {', '.join(DESIGNS)}")
        elif not isinstance(design.value, str) or design.value not in DESIGNS:
            self._add(design.mark, f"design: {suggest(design.plain(), list(DESIGNS))}")
        else:
            return self._build(item, design.value, shared)
        self._build(item, next(iter(DESIGNS)), shared)  # for what else is wrong with it
        return None

    def _build(self, item: Item, design: str, shared: Item) -> Arm | None:
        overrides = self._mapping_of(item, "overrides", "host.unmap: per_window")
        policy_items = self._mapping_of(item, "policies", "unpin: never")
        assert isinstance(overrides.value, dict)
        rest = dict(overrides.value)
        nested = rest.pop("policies", None)
        if nested is not None and isinstance(nested.value, dict):
            policy_items = merge(policy_items, nested)
        elif nested is not None:
            self._add(nested.mark, "policies: must be a mapping, e.g. unpin: never")
        merged = merge(shared, Item(overrides.mark, rest, overrides.keys))
        settings = self._settings(Item(shared.mark, merged.value, merged.keys))
        policies = self._policies(design, policy_items)
        name = item.get("name")
        self._heard[arm_name(item) or ""] = frozenset(leaves(merged))
        if policies and not policies.virtual:
            self._bare.add(arm_name(item) or "")
        raw = {
            "name": name.plain() if name else design,
            "design": design,
            "policies": policies or _PLACEHOLDER.policies,
            "settings": settings or _PLACEHOLDER.settings,
        }
        arm = self._validated(Arm, raw, item)
        return arm if settings and policies else None

    def _mapping_of(self, item: Item, key: str, example: str) -> Item:
        """An arm's overrides or policies, dotted keys nested."""
        found = item.get(key)
        if found is None or found.value is None:
            return mapping({}, item.mark)
        if not isinstance(found.value, dict):
            self._add(found.mark, f"{key}: must be a mapping, e.g. {example}")
            return mapping({}, item.mark)
        return undotted(found, self._problems)

    def _policies(self, design: str, items: Item) -> Policies | None:
        base = DESIGNS[design][0].model_dump()
        plain = items.plain()
        assert isinstance(plain, dict)
        return self._validated(Policies, base | plain, items, "policies")

    def _settings(self, item: Item) -> Settings | None:
        located = self._with_table(self._locate_tree(self._locate_stream(item)))
        settings = self._validated(Settings, located.plain(), located)
        tables = self._tables
        self._problems[:] = [
            replace(p, harmless=True) if p.file in tables else p for p in self._problems
        ]
        self._parameters(located.get("parameters"), settings)
        return settings

    def _parameters(self, marks: Item | None, settings: Settings | None) -> None:
        if marks is None or not isinstance(marks.value, dict):
            return
        for name in marks.value:
            value = settings.parameters[name] if settings else None
            trouble = problem_with(name, value)
            if trouble:
                self._add(marks.keys[name], f"parameters.{clipped(name)}: {trouble}")

    def _with_table(self, item: Item) -> Item:
        """The table that spe.selection names, in its place."""
        spe = item.get("spe")
        named = spe.get("selection") if spe else None
        if spe is None or named is None or not isinstance(named.value, str):
            return item
        table = read_table(named, stock_folder(), self._problems)
        if isinstance(table.value, dict):
            self._tables.add(table.mark.file)
        return merge(item, nested(["spe", "selection"], table))

    def _locate_stream(self, item: Item) -> Item:
        """workload.path relative to its file, then to the stock; kept relative inside the stock."""
        workload = item.get("workload")
        path = workload.get("path") if workload else None
        if workload is None or path is None or not isinstance(path.value, str):
            return item
        stock = stock_folder()
        beside = Path(path.mark.file).parent if path.mark.line else Path()
        for folder in (beside, stock):
            if not _is_file(folder / path.value):
                continue
            candidate = (folder / path.value).resolve()
            inside = candidate.is_relative_to(stock.resolve())
            found = candidate.relative_to(stock.resolve()) if inside else candidate
            return merge(item, nested(["workload", "path"], scalar(str(found), path.mark)))
        kind = workload.get("kind")
        if any(_is_input(folder / path.value) for folder in (beside, stock)):
            why = "is no regular file (a pipe or a device), and is read at many places; copy it "
            self._add(path.mark, f"workload.path: {shown(path.value)} {why}into a file first")
        elif any(_is_folder(folder / path.value) for folder in (beside, stock)):
            what = f"workload.path: {shown(path.value)} is a folder; give a file in it"
            self._add(path.mark, what)
        elif kind is not None and kind.value == "profile":
            self._no_profile(path.mark, path.value)
        elif kind is not None and kind.value == "threads":
            self._no_stream(path.mark, path.value, "threads.json", "of several threads ")
        else:
            self._no_stream(path.mark, path.value)
        return item

    def _locate_tree(self, item: Item) -> Item:
        """driver.kernel_tree relative to its file, or to the current folder; made absolute."""
        driver = item.get("driver")
        path = driver.get("kernel_tree") if driver else None
        if path is None or not isinstance(path.value, str) or not path.value:
            return item
        beside = Path(path.mark.file).parent if path.mark.line else Path()
        tree = (beside / Path(path.value).expanduser()).absolute()
        if not _is_file(tree / "Makefile") or not _is_file(tree / "drivers/perf/arm_spe_pmu.c"):
            self._add(
                path.mark,
                f"driver.kernel_tree: {shown(path.value)} is no kernel tree: it has no Makefile "
                "or no drivers/perf/arm_spe_pmu.c; give the top folder of Linux sources",
            )
        return merge(item, nested(["driver", "kernel_tree"], scalar(str(tree), path.mark)))

    def _no_profile(self, mark: Mark, path: str) -> None:
        self._add(
            mark,
            f"workload.path: no file {shown(path)} beside the scenario; make a profile of an SPE "
            "capture with `speskew import spe`",
        )

    def _no_stream(self, mark: Mark, path: str, ext: str = "spestream", of: str = "") -> None:
        stock = stock_folder()
        known = [str(file.relative_to(stock)) for file in sorted(stock.glob(f"streams/*.{ext}"))]
        close = difflib.get_close_matches(path, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"stock streams: {', '.join(known)}"
        self._add(
            mark,
            f"workload.path: no file {shown(path)} beside the scenario or in the stock; {hint} "
            f"(`speskew record` {of}makes one)",
        )

    def _sampled_keys(self, top: Item) -> None:
        """A range of what is no setting would make every cell fail: said once, at its place."""
        samples = top.get("samples")
        over = samples.get("over") if samples else None
        if over is None or not isinstance(over.value, dict):
            return
        arms = [name for item in self._arm_items() if (name := arm_name(item))]
        for full, mark in over.keys.items():
            key = without_arm(full, arms)
            root, _, name = key.partition(".")
            if root == "parameters" and name:
                if trouble := problem_with(name, None):
                    self._add(mark, f"samples.over.{clipped(key)}: {trouble}")
            elif key in setting_paths() and key not in _single_settings():
                below = next(k for k in _single_settings() if k.startswith(f"{key}."))
                why = f"samples.over.{key}: has keys of its own; name one of them, e.g. {below}"
                self._add(mark, why)
            elif is_setting(key) and key not in _single_settings():
                beside = [
                    k.rpartition(".")[2] for k in _single_settings() if _parent(k) == _parent(key)
                ]
                self._problems.append(unknown(mark, key, beside or list(Settings.model_fields)))

    def _names_unique(self, items: list[Item]) -> None:
        seen: set[str] = set()
        for item in items:
            name = arm_name(item)
            if name in seen:
                why = f"arms: two arms are called {shown(name)}; give one a name of its own"
                self._add(item.mark, why)
            elif name is not None:
                seen.add(name)

    def _validated(self, model: type[M], raw: object, item: Item, prefix: str = "") -> M | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self._problems.extend(problems_of(error, model, item, prefix))
            return None


_PLACEHOLDER = Arm(
    name="x",
    design="baremetal",
    policies=DESIGNS["baremetal"][0],
    settings=Settings.model_validate(
        {"workload": {"kind": "synthetic", "phases": [{"name": "x", "length": 1, "iterations": 1}]}}
    ),
)
"""Stands for what has problems of its own while the rest is checked."""
