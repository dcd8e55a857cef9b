"""What the exit code of `speskew` says; the only place that says it."""

from __future__ import annotations

from enum import IntEnum

from reports.text import aligned
from sim.errors import Kind, SpeskewError


class ExitCode(IntEnum):
    """Exit codes, in the manner of kselftest (1 FAIL, 4 SKIP), sysexits.h (70) and the shell."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MODEL = 3
    UNDECIDED = 4
    BASELINE = 5
    DEFECT = 70
    INTERRUPTED = 130
    PIPE = 141


MEANING = {
    ExitCode.OK: "ran; every check passed",
    ExitCode.FAILED: "ran; a fidelity check FAILED",
    ExitCode.USAGE: "usage, scenario or stream error",
    ExitCode.MODEL: "a law of the model is broken, a cell of a sweep failed, or its process died",
    ExitCode.UNDECIDED: "nothing could be decided: only SKIP or UNDECIDED",
    ExitCode.BASELINE: "baseline missing or of a wrong schema version",
    ExitCode.DEFECT: "a defect of speskew; the message says how to report it",
    ExitCode.INTERRUPTED: "interrupted: Ctrl-C, SIGTERM, SIGHUP; finished arms are kept and marked",
    ExitCode.PIPE: "whoever read stdout went away",
}

_OF_KIND = {
    Kind.INPUT: ExitCode.USAGE,
    Kind.BASELINE: ExitCode.BASELINE,
    Kind.DIED: ExitCode.MODEL,
    Kind.LAW: ExitCode.MODEL,
}


def of_error(error: SpeskewError) -> ExitCode:
    """The code that the command line leaves with for an error of ours."""
    return _OF_KIND[error.kind]


BISECT_SKIP = 125
"""What `git bisect run` takes for "this commit cannot be tested"."""


def bisect_code(code: ExitCode) -> int:
    """For `git bisect run`: good, bad, or 125 where the commit says nothing."""
    kept = (ExitCode.OK, ExitCode.FAILED, ExitCode.INTERRUPTED)
    return code.value if code in kept else BISECT_SKIP


def table() -> str:
    """The codes as lines for `--help` (\\b keeps click from rewrapping)."""
    lines = aligned([(str(code.value), text) for code, text in MEANING.items()])
    return "\b\nExit codes:\n" + "\n".join(f"  {line}" for line in lines)
