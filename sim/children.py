"""Child processes that end with the process that started them, whatever ends it, SIGKILL included.

Linux kills them: each asks for it (prctl(2), PR_SET_PDEATHSIG) and then looks whether its parent is
still there, for that may have ended in between. The thread that starts a child must outlive it, as
that thread's end counts as the parent's. Elsewhere nothing but an orderly end takes them along.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with(parent: int) -> None:
    """This process is killed when `parent` ends, which started it; at once if it already has."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """A program that ends with us, begun."""
    mine = partial(end_with, os.getpid())  # between fork and exec: two system calls, no lock
    return subprocess.Popen(command, preexec_fn=mine, text=True, **options)


def serve(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A program that ends with us, begun; bytes go to its stdin and come from its stdout."""
    mine = partial(end_with, os.getpid())
    pipe = subprocess.PIPE
    return subprocess.Popen(command, preexec_fn=mine, stdin=pipe, stdout=pipe, bufsize=0)


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """A program that ends with us, at its end; its output is kept as text."""
    with start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        try:
            out, err = process.communicate()
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, err)
