"""Commands of speskew in processes of their own that begin at once: forks of one that is warm.

Run as a program it reads a command a line, as JSON, and answers with the process that runs it, then
with how that ended. Each command leads a session of its own; its output goes to files.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NoReturn

from reports.exitcodes import ExitCode
from reports.signals import ending
from speskew.__main__ import main
from tests.rigs.swept import MATRIX
from tests.rigs.tiny import TINY, call

CHECK = "checks: [{test: bound, metric: arms.cold.loss.total, at_most: 10%}]\n"
"""Of the tiny scenario; it passes."""


class Server:
    """Begins commands, one at a time, in the current folder and environment."""

    def __init__(self, process: subprocess.Popen[str], environment: Mapping[str, str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._ask: IO[str] = process.stdin
        self._answer: IO[str] = process.stdout
        self._environment = environment
        self.peak = 0
        """Bytes that the last command which has ended had in memory at once."""

    def begin(self, *command: str) -> int:
        """The process of a command that has begun."""
        environment = os.environ | self._environment
        print(json.dumps([os.getcwd(), environment, command]), file=self._ask, flush=True)
        return int(self._answer.readline())

    def end(self) -> int:
        """How it ended, which is waited for: an exit code, or a signal, negative."""
        code, peak = map(int, self._answer.readline().split())
        self.peak = peak << 10
        return code


@contextmanager
def server(**environment: str) -> Iterator[Server]:
    """A warm process, which ends with the block; with these variables beside ours."""
    begun = [sys.executable, "-m", "tests.faults.victim"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        begun,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env=os.environ | environment,
    ) as process:
        try:
            yield Server(process, environment)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _serve() -> None:
    with TemporaryDirectory() as warm:
        scenario, sweep, out = (Path(warm, name) for name in ("s.yaml", "sweep.yaml", "out"))
        scenario.write_text(TINY + CHECK)
        sweep.write_text(TINY + MATRIX)
        for verb, source in (("run", scenario), ("check", scenario), ("sweep", sweep)):
            output = () if verb == "check" else ("-o", out / verb)
            assert call(verb, source, *output, "-q").exit_code == 0
    for line in sys.stdin:
        folder, environment, words = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until it can be answered
        child = os.fork()
        if not child:
            os.environ |= environment
            _become(folder)
            sys.argv = ["speskew", *words]
            _run()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        _say(child)
        _, status, used = os.wait4(child, 0)
        _say(os.waitstatus_to_exitcode(status), used.ru_maxrss)


def _run() -> NoReturn:
    """The command, to its last line: clearing up a forked Python takes longer than its work."""
    code: object = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        main()
    except SystemExit as leaving:
        code = leaving.code
    except KeyboardInterrupt:  # before its first line
        ending()
        code = ExitCode.INTERRUPTED
    except BaseException:
        traceback.print_exc()
        code = 1
    with suppress(OSError):  # of a full disk, which has been told of
        sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 0)


def _say(*numbers: int) -> None:
    sys.stdout.write(f"{' '.join(map(str, numbers))}\n")
    sys.stdout.flush()


def _become(folder: str) -> None:
    os.setsid()
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}/../{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background too


if __name__ == "__main__":
    _serve()
