"""Options that several verbs have: declared once, so that they mean and say the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from reports.cli import completing

_F = TypeVar("_F", bound=Callable[..., Any])

ENGINES = click.Choice(["fast", "reference"])


def set_option(
    text: str = "Override a scenario key, e.g. --set host.memlock=64KiB, or one arm's: "
    "arms.v6.host.memlock=64KiB.",
) -> Callable[[_F], _F]:
    """``--set KEY=VALUE``, as `overrides`."""
    return click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help=f"{text} May be repeated.",
        shell_complete=completing.settings,
    )


def form_option(*forms: str, help_text: str | None = None) -> Callable[[_F], _F]:
    """``--format``, as `form`; the first is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help=help_text,
    )


jobs_option = click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True)
engine_option = click.option("--engine", type=ENGINES, default="fast")
replications_option = click.option("--replications", type=click.IntRange(1))
seed_option = click.option("--seed", type=click.IntRange(0))
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress.")
force_option = click.option("--force", is_flag=True, help="Overwrite.")
figures_option = click.option(
    "--figures",
    is_flag=True,
    help="Also write figures/*.png and *.svg, for papers, and their captions, *.txt.",
)


def folder_argument(name: str, **more: Any) -> Callable[[_F], _F]:
    """A folder that is there."""
    return click.argument(
        name, type=click.Path(path_type=Path, exists=True, file_okay=False), **more
    )


# what a user knows of a capture

interval_option = click.option(
    "--interval", metavar="OPS", help="Sampling period, if CAPTURE does not say it."
)
jitter_option = click.option(
    "--jitter", is_flag=True, help="Sampled with jitter, if CAPTURE does not say it."
)
timer_option = click.option(
    "--timer", metavar="HZ", help="Timer's frequency, e.g. 1GHz, if CAPTURE does not say it."
)
raw_option = click.option(
    "--raw", is_flag=True, help="CAPTURE is a bare AUX buffer, whatever it looks like."
)
