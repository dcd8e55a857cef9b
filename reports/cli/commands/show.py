"""`speskew show`: a run, a scenario as it resolves, a design."""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import completing, options
from reports.cli.output import put, remark
from reports.exitcodes import table


@click.command("show", epilog=table())
@click.argument("target", shell_complete=completing.first_of_show)
@click.argument("name", required=False, shell_complete=completing.second_of_show)
@options.set_option()
@options.form_option("table", "json", "mail", help_text="Of a run; mail: a block for a list.")
@click.option("--top", is_flag=True, help="Of a run: the ten hottest functions, arm by arm.")
def command(
    target: str, name: str | None, overrides: tuple[str, ...], form: str, top: bool
) -> None:
    """Print TARGET: the summary of a run directory, or a scenario as it resolves.

    `show design NAME` prints a design: its policies, its source and its open questions. With
    `--format mail` a run is a block of plain text of 72 columns, with the command that made it.
    With `--top` it is the ten hottest functions: their share of the program, what a profile of each
    arm says, and how far off that is.
    """
    if name is not None and target != "design":
        raise click.UsageError(f"only `show design` takes a second name, not {target!r}")
    if top and (name is not None or form == "mail"):
        raise click.UsageError("--top is of a run, as a table or as JSON")
    if name is not None:
        put(_design(name, form))
    elif top:
        put(_top(Path(target), form))
    elif (Path(target) / "result.json").is_file() or form == "mail":
        put(_run(Path(target), form))
    else:
        put(_scenario(target, overrides))


def _design(name: str, form: str) -> str:
    from reports.reference import listing

    return listing.design(name, form)


def _run(folder: Path, form: str) -> str:
    from reports.pages import letter
    from reports.pages.summary import render
    from reports.results.result import dumps
    from reports.store.read import read, read_result

    if form == "mail":
        return letter.render(read(folder))
    result = read_result(folder)
    return dumps(result) if form == "json" else render(result)


def _top(folder: Path, form: str) -> str:
    from reports.pages import top
    from reports.store.read import read_result

    result = read_result(folder)
    return top.as_json(result) if form == "json" else top.render(result)


def _scenario(source: str, overrides: tuple[str, ...]) -> str:
    from sim.machine import effective
    from sim.scenario.files import loader

    remarks: list[loader.Unheeded] = []
    loaded = loader.load(source, overrides, remarks=remarks)
    remark([*remarks, *effective.remarks(loaded.arms)])
    return loader.dump(loaded)
