"""What the shell offers after TAB: scenarios, designs, arms, folders, names, keys of `--set`.

Functions for click's `shell_complete`: each gets what was typed so far and gives what may follow.
A completion never complains: what cannot be read offers nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import click

from sim.errors import SpeskewError

Complete = Callable[[click.Context, click.Parameter, str], list[str]]
_SCENARIO = ("scenario", "target", "scenarios")
"""Names of arguments that are a scenario."""
_RUN = ("run_dir", "target")
_MOST_BYTES = 64 << 20
MARKS = ("result.json", "sweep.json")
"""Files that make a folder one of a run or a sweep."""


def _starting(words: Iterable[str], incomplete: str) -> list[str]:
    return sorted({word for word in words if word.startswith(incomplete)})


def _paths(incomplete: str, wanted: Callable[[Path], bool]) -> list[str]:
    """Entries of the folder that is being typed: those that are wanted, and folders to go on in."""
    head, slash, _ = incomplete.rpartition("/")
    folder = Path(head + slash) if head or slash else Path()
    found = []
    with suppress(OSError, ValueError):
        for path in folder.iterdir():
            if wanted(path):
                found.append(f"{head}{slash}{path.name}")
            elif path.is_dir() and not path.name.startswith("."):
                found.append(f"{head}{slash}{path.name}/")
    return _starting(found, incomplete)


def scenarios(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Stock scenarios and sweeps by name, and YAML files."""
    from sim.scenario.files.loader import stock_folder

    stock = stock_folder()
    names = [
        p.relative_to(stock).with_suffix("").as_posix()
        for pattern in ("*.yaml", "sweeps/*.yaml")
        for p in stock.glob(pattern)
    ]
    files = _paths(incomplete, lambda p: p.suffix in (".yaml", ".yml"))
    return [*_starting(names, incomplete), *files]


def runs(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Folders that hold a run or a sweep."""
    return _paths(incomplete, _is_run)


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in MARKS)


def scenarios_and_runs(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Either."""
    found = scenarios(context, parameter, incomplete) + runs(context, parameter, incomplete)
    return list(dict.fromkeys(found))


def arms(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Arms of the run that stands before, or of the scenario."""
    return _starting(_arms(context), incomplete)


def _arms(context: click.Context) -> list[str]:
    for given in _typed(context):
        if found := _arms_of_run(Path(given)) or _arms_of_scenario(given):
            return found
    return []


def _typed(context: click.Context) -> list[str]:
    """Arguments so far; click leaves them unparsed behind an option that waits for its value."""
    named = [context.params.get(name) for name in dict.fromkeys((*_RUN, *_SCENARIO))]
    flat = [one for value in named for one in (value if isinstance(value, tuple) else (value,))]
    return [str(one) for one in (*flat, *context.args) if one]


def _arms_of_run(folder: Path) -> list[str]:
    path = folder / "result.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        if path.is_file() and path.stat().st_size <= _MOST_BYTES:
            return [str(name) for name in json.loads(path.read_bytes())["arm_order"]]
    return []


def _arms_of_scenario(source: str) -> list[str]:
    from sim.scenario.files import loader

    with suppress(SpeskewError, OSError):
        return [arm.name for arm in loader.load(source).arms]
    return []


def settings(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """``KEY=`` of `--set`, and ``arms.NAME.KEY=`` once the scenario is known."""
    from sim.scenario.files.messages import setting_paths

    keys = [f"{key}=" for key in setting_paths()]
    if incomplete.startswith("arms."):
        keys = [f"arms.{arm}.{key}" for arm in _arms(context) for key in keys]
    else:
        keys += [f"arms.{arm}." for arm in _arms(context)] if "arms.".startswith(incomplete) else []
    return _starting(keys, incomplete)


def names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Everything that `explain` knows."""
    from reports.reference import explaining, searching

    known = {entry.name for entry in explaining.entries()} | set(searching.ALIASES)
    return _starting((name for name in known if " " not in name), incomplete)


def figures(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Figures of the run or sweep that stands before."""
    from reports.cli.figures import standing

    with suppress(SpeskewError, OSError):
        return _starting(standing(Path(context.params["run_dir"])), incomplete)
    return []


def second_of_show(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Designs, after the word `design`."""
    from sim.scenario.models.designs import DESIGNS

    return _starting(DESIGNS, incomplete) if context.params.get("target") == "design" else []


def first_of_show(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """A run, a scenario, or the word `design`."""
    return [
        *_starting(["design"], incomplete),
        *scenarios_and_runs(context, parameter, incomplete),
    ]
