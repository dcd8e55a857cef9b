"""What the exit code of `speskew` says; the only place that says it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes, in the manner of kselftest (1 FAIL, 4 SKIP) and the shell (130)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MODEL = 3
    UNDECIDED = 4
    BASELINE = 5
    INTERRUPTED = 130


MEANING = {
    ExitCode.OK: "ran; every check passed",
    ExitCode.FAILED: "ran; a fidelity check FAILED",
    ExitCode.USAGE: "usage, scenario or stream error",
    ExitCode.MODEL: "model or internal error (a ledger's law is broken)",
    ExitCode.UNDECIDED: "nothing could be decided: only SKIP or UNDECIDED",
    ExitCode.BASELINE: "baseline missing or of a wrong schema version",
    ExitCode.INTERRUPTED: "interrupted; finished arms are kept and marked",
}


def table() -> str:
    """The codes as lines for `--help` (\\b keeps click from rewrapping)."""
    lines = [f"  {code.value:<4} {text}" for code, text in MEANING.items()]
    return "\b\nExit codes:\n" + "\n".join(lines)
