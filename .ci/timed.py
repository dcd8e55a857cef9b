"""Run a command, pass its output on, and say how long it took and how long it was silent.

    python3 timed.py SECONDS COMMAND…

Fails if there was no line for more than SECONDS (0: any silence will do), or as the command did.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time


def main(most: float, command: list[str]) -> int:
    """The exit code."""
    began = last = time.monotonic()
    longest, where, line = 0.0, "", b""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    output = process.stdout.fileno()
    while True:
        select.select([output], [], [])
        data = os.read(output, 1 << 16)
        now = time.monotonic()
        if now - last > longest:
            longest, where = now - last, line.decode(errors="replace").strip()
        last = now
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        line = data.rstrip().rpartition(b"\n")[2]
    code = process.wait()
    took = f"{now - began:.0f} s, longest silence {longest:.1f} s"
    sys.stdout.write(f"{' '.join(command)}: {took}, after {where!r}\n")
    if most and longest > most:
        sys.stdout.write(f"more than {most:g} s without a line\n")
        return code or 1
    return code


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
