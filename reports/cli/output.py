"""What the command line prints, and the only place that prints it.

File names, symbols, names of arms and the messages of other programs can hold anything. Here they
lose what a terminal or a CI log would obey: no escape sequence, no bidirectional override leaves
speskew. JSON escapes what it must by itself and passes through unchanged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from reports.text import printable


def put(text: str) -> None:
    """Data, to stdout; ends as the text ends."""
    click.echo(_harmless(text), sys.stdout, nl=False)


def put_paths(paths: Iterable[Path]) -> None:
    """What was written, a path a line, to stdout."""
    for path in paths:
        click.echo(printable(str(path)), sys.stdout)


def say(text: str) -> None:
    """Everything else, to stderr, with an end of line."""
    click.echo(_harmless(text), sys.stderr)


def remark(remarks: Iterable[object]) -> None:
    """What a user may not expect of what was asked for, a line each, to stderr."""
    for one in remarks:
        say(f"speskew: {one}")


def never_fail_to_encode() -> None:
    """A character that the locale does not have is written as its escape, not as a traceback.

    Click would write UTF-8 where the locale is ASCII, unless it is handed the stream.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test may have put another there
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _harmless(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))
