"""`speskew cache`: what is kept between runs, and its removal."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import click

from reports.cli import options
from reports.cli.output import put, say
from reports.exitcodes import table

KINDS = ("index", "compiled", "plugin", "program", "kernel", "fonts", "left-over")
"""Keys of sim.cache.keeping.KINDS, which is not imported for --help."""
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _age(_: click.Context, __: click.Parameter, value: str | None) -> float:
    """``30d`` → seconds; nothing is 0."""
    if value is None:
        return 0
    found = re.fullmatch(r"(\d{1,6})(s|min|h|d|w)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no age; give e.g. 12h, 30d or 4w")
    return float(int(found[1]) * _SECONDS[found[2]])


@click.group("cache", invoke_without_command=True, epilog=table())
@options.form_option("table", "json")
@click.pass_context
def command(context: click.Context, form: str) -> None:
    """Show what is kept between runs: kind, entries, size, age and place.

    $SPESKEW_CACHE is the place, else $XDG_CACHE_HOME/speskew, else ~/.cache/speskew; where none of
    them can be written, a private folder for temporary files. Everything in it can be made again.
    """
    if context.invoked_subcommand is not None:
        return
    from reports.reference import kept
    from sim.cache import home, keeping

    root = home.where()
    found = [] if root is None else list(keeping.entries(root))
    place = home.configured() if root is None else root
    if form == "json":
        said = {"folder": place and str(place), "kinds": [asdict(row) for row in kept.rows(found)]}
        put(json.dumps(said, indent=2) + "\n")
        return
    put(f"{place or 'no place for a cache'}{'' if found else ': nothing is kept'}\n")
    put(kept.as_table(found))


@command.command(epilog=table())
@click.option(
    "--older-than",
    metavar="AGE",
    callback=_age,
    help="Only what was not used for so long: 12h, 30d, 4w.",
)
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="Only this kind. May be repeated.",
)
def clear(older_than: float, kinds: tuple[str, ...]) -> None:
    """Remove what is kept. Runs that use it go on, and the next ones make it again.

    Perf data that was exported names programs made here; export it again if you clear them.
    """
    from reports.reference import kept
    from sim.cache import home, keeping

    root = home.where()
    if root is None:
        put(f"{home.configured() or 'no place for a cache'}: nothing is kept\n")
        return
    done = keeping.clear(root, frozenset(kinds or KINDS), older_than)
    put(f"{root}: {kept.removed(done)}\n")
    if done.stayed:
        say(f"speskew: {kept.stayed(done)}")
