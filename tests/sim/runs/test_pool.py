"""Worker processes: results in, no process left, whatever ends the batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.runs.pool import apply, pooled

ENDLESS = "while True: pass"


def test_every_unit_has_its_result_here_and_there() -> None:
    """The same pairs from one process and from two, in whatever order."""
    units = [5, 0, 3, 3]
    here = dict(apply(None, bytes, units))
    with pooled(2) as pool:
        there = dict(apply(pool, bytes, units))
    assert here == there == {i: bytes(n) for i, n in enumerate(units)}


def test_an_error_of_a_unit_is_raised() -> None:
    """As without processes; the pool is left in order."""
    with pooled(2) as pool, pytest.raises(ZeroDivisionError):
        dict(apply(pool, eval, ["1 // 0"]))


def test_leaving_gives_up_what_runs() -> None:
    """Units without end are ended, and the caller does not wait for them."""
    began = time.monotonic()
    with pooled(2) as pool:
        assert next(apply(pool, exec, ["pass", ENDLESS, ENDLESS, ENDLESS])) == (0, None)
        time.sleep(0.2)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("_attempt", range(3))
def test_leaving_amid_large_results_does_not_hang(_attempt: int) -> None:
    """No half a message is left for the parent to wait for."""
    began = time.monotonic()
    with pooled(2) as pool:
        results = apply(pool, bytes, [1 << 20] * 400)
        assert len(next(results)[1]) == 1 << 20
    assert time.monotonic() - began < 30


def test_workers_do_not_outlive_a_killed_parent() -> None:
    """SIGKILL in the middle of endless units: the group is empty soon after."""
    code = (
        "from sim.runs.pool import apply, pooled\n"
        "if __name__ == '__main__':\n"
        "    with pooled(2) as pool:\n"
        "        print(dict(apply(pool, len, ['up', 'up'])), flush=True)\n"
        f"        dict(apply(pool, exec, [{ENDLESS!r}] * 2))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "{0: 2, 1: 2}\n"
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 20
        while _group_exists(parent.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = _group_exists(parent.pid)
        if left:
            os.killpg(parent.pid, signal.SIGKILL)
        assert not left


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    """Workers do not run the caller's script: no guard is needed, and nothing happens twice."""
    script = tmp_path / "mine.py"
    script.write_text(
        "from sim.runs.pool import apply, pooled\n"
        "print('begun', flush=True)\n"
        "with pooled(2) as pool:\n"
        "    print(sorted(apply(pool, len, ['a', 'bc'])), __name__, flush=True)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["begun", "[(0, 1), (1, 2)] __main__"]


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
