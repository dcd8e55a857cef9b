"""From an exception to a message and an exit code, in one place for every command.

A command raises; it does not print what went wrong and does not know exit codes of errors. What is
ours (`sim.errors`) has a kind, and the kind a code. What is not ours is a defect of speskew: it is
said so, with what a report needs, and never leaves with 1, which means that a check FAILED.
"""

from __future__ import annotations

import errno
import io
import os
import shlex
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from reports.cli.output import say
from reports.exitcodes import ExitCode, of_error
from sim.errors import Kind, SpeskewError

INTERRUPTED = "interrupted; nothing was written"


def leave(code: ExitCode, message: str) -> NoReturn:
    """One message on stderr, then out."""
    say(f"speskew: {message}")
    sys.exit(code)


@contextmanager
def answered() -> Iterator[None]:
    """Whatever ends the block early becomes a message and an exit code."""
    try:
        yield
    except click.exceptions.Exit:
        raise
    except click.ClickException as error:
        _leave_with_usage(error)
    except SpeskewError as error:
        _leave_with(error)
    except (KeyboardInterrupt, click.Abort):
        leave(ExitCode.INTERRUPTED, INTERRUPTED)
    except MemoryError:
        leave(ExitCode.USAGE, "too large for this machine's memory")
    except OSError as error:
        _leave_with_os(error)
    except Exception as error:
        if _by_ctrl_c(error):
            leave(ExitCode.INTERRUPTED, INTERRUPTED)
        leave_with_defect()


def _leave_with_usage(error: click.ClickException) -> NoReturn:
    text = io.StringIO()
    error.show(file=text)  # names the usage and the option; what it quotes can be anything
    say(text.getvalue().rstrip("\n"))
    sys.exit(error.exit_code)


def _leave_with(error: SpeskewError) -> NoReturn:
    code = of_error(error)
    if error.kind is Kind.LAW:
        leave(code, f"a law of the model is broken: {error}")
    if getattr(error, "problems", ()):  # of a scenario: each names its own file, line and column
        say(str(error))
        sys.exit(code)
    leave(code, str(error))


def _leave_with_os(error: OSError) -> NoReturn:
    _drop_unwritable()
    if error.errno == errno.EPIPE and error.filename is None:
        sys.exit(ExitCode.PIPE)  # whoever read stdout has enough
    where = f"{error.filename}: " if error.filename else "cannot write: "
    leave(ExitCode.USAGE, f"{where}{error.strerror or error}")


def _drop_unwritable() -> None:
    """What stdout does not take Python would try to write again as it ends, complain, and leave
    with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _by_ctrl_c(error: BaseException | None) -> bool:
    """Ctrl-C in the middle of an import surfaces as that import's own error."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def leave_with_defect() -> NoReturn:
    """The exception that is being handled is a defect of speskew."""
    import platform  # here, for once: a fifth of the time of --help, for what never happens

    say(traceback.format_exc().rstrip())
    say(
        "\nspeskew: this is a defect of speskew, not of what you gave it. Please report it with "
        "the lines above,\nthe scenario and what follows (CONTRIBUTING.md says where):\n"
        f"  command  speskew {shlex.join(sys.argv[1:])}\n"
        f"  version  speskew {_version()}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}"
    )
    sys.exit(ExitCode.DEFECT)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("speskew")
    except metadata.PackageNotFoundError:
        return "of a checkout"
