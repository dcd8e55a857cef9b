"""`speskew` and `python -m speskew`: the command line, once it is known whose modules it is.

The package's own import comes first, and says who shadows `reports`, if anybody does.
"""

from __future__ import annotations

import gc
import sys

from reports.cli.main import main as command
from reports.exitcodes import ExitCode
from reports.signals import ending, never_dropped
from sim import scratch
from sim.collecting import SELDOM


def main() -> None:
    """The command line of `reports.cli`."""
    gc.set_threshold(*SELDOM)  # a verb's modules are loaded in 0.9 × the time
    with never_dropped():  # also while what an interrupted verb leaves is let go
        try:
            command(prog_name="speskew")
        except KeyboardInterrupt:  # again, while an answer to the first was being given
            sys.exit(ExitCode.INTERRUPTED)
        finally:
            ending()
            scratch.abandon()
            gc.freeze()  # what is left goes with the process: looking it through takes 0.2 s


if __name__ == "__main__":
    main()
