"""Worker processes: results in, no process left, whatever ends the batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.runs.pool import Died, DiedError, Pool
from tests.rigs.processes import begun, left

ENDLESS = "while True: pass"


def test_every_unit_has_its_result_here_and_there() -> None:
    """The same pairs from one process and from two, in whatever order."""
    units = [5, 0, 3, 3]
    here = dict(Pool(1).apply(bytes, units))
    with Pool(2) as pool:
        there = dict(pool.apply(bytes, units))
    assert here == there == {i: bytes(n) for i, n in enumerate(units)}


def test_an_error_of_a_unit_is_raised() -> None:
    """As without processes; the pool is left in order."""
    with Pool(2) as pool, pytest.raises(ZeroDivisionError):
        dict(pool.apply(eval, ["1 // 0"]))


def test_leaving_gives_up_what_runs() -> None:
    """Units without end are ended, and the caller does not wait for them."""
    began = time.monotonic()
    with Pool(2) as pool:
        assert next(pool.apply(exec, ["pass", ENDLESS, ENDLESS, ENDLESS])) == (0, None)
        time.sleep(0.2)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("_attempt", range(3))
def test_leaving_amid_large_results_does_not_hang(_attempt: int) -> None:
    """No half a message is left for the parent to wait for."""
    began = time.monotonic()
    with Pool(2) as pool:
        results = pool.apply(bytes, [1 << 20] * 400)
        assert len(next(results)[1]) == 1 << 20
    assert time.monotonic() - began < 30


HALF_BEGUN = """\
import os, signal
from multiprocessing import resource_tracker, util
from sim.runs.pool import Pool

spawn = util.spawnv_passfds


def dying(*words):
    made = spawn(*words)
    os.kill(os.getpid(), signal.SIGTERM)
    return made


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    resource_tracker.ensure_running()
    util.spawnv_passfds = dying
    try:
        with Pool(2) as pool:
            dict(pool.apply(len, [[1], [2]]))
    except KeyboardInterrupt:
        print("ended")
"""


def test_an_end_amid_the_start_of_a_worker() -> None:
    """It is told all that it is to do, and then ended: nothing on stderr, nobody is left."""
    with begun(
        [sys.executable, "-c", HALF_BEGUN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        out, err = process.communicate(timeout=60)
        assert not left(process.pid)
    assert (out, err) == ("ended\n", "")


def test_workers_do_not_outlive_a_killed_parent() -> None:
    """SIGKILL in the middle of endless units: the group is empty soon after."""
    code = (
        "from sim.runs.pool import Pool\n"
        "if __name__ == '__main__':\n"
        "    with Pool(2) as pool:\n"
        "        print(sorted(pool.apply(len, ['up', 'up'])), flush=True)\n"
        f"        dict(pool.apply(exec, [{ENDLESS!r}] * 2))\n"
    )
    command = [sys.executable, "-c", code]
    with begun(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "[(0, 2), (1, 2)]\n"
        parent.kill()
        parent.wait()
        assert not left(parent.pid)


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    """Workers do not run the caller's script: no guard is needed, and nothing happens twice."""
    script = tmp_path / "mine.py"
    script.write_text(
        "from sim.runs.pool import Pool\n"
        "print('begun', flush=True)\n"
        "with Pool(2) as pool:\n"
        "    print(sorted(pool.apply(len, ['a', 'bc'])), __name__, flush=True)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["begun", "[(0, 1), (1, 2)] __main__"]


def once(mark: Path) -> str:
    """A unit whose first process is killed."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def amid_its_result(mark: Path) -> bytes:
    """A unit whose first process is killed while it sends megabytes."""
    if not mark.exists():
        mark.touch()
        return _Slow()  # type: ignore[return-value]
    return b"done"


class _Slow:
    """Sent in part: the rest never comes, as its process is killed before."""

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        pid = os.getpid()
        threading.Timer(0.03, os.kill, (pid, signal.SIGKILL)).start()
        return bytes, (b"x" * (256 << 20),)


@pytest.mark.parametrize("work", [once, amid_its_result])
def test_a_unit_whose_process_is_killed_is_run_again(
    work: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has its result, as have all others; a line says what happened."""
    marks = [tmp_path / str(k) for k in range(4)]
    for mark in marks[1:]:
        mark.touch()
    with Pool(2) as pool:
        made = dict(pool.apply(work, marks))
    assert sorted(made) == [0, 1, 2, 3]
    assert set(made.values()) <= {"done", b"done"}
    said = capsys.readouterr().err
    assert (
        said == f"speskew: {marks[0]}: its process was killed, as when memory is short; "
        "it is run again\n"
    )


def test_a_unit_that_kills_each_process_is_named() -> None:
    """All others have their results first; the pool can be used afterwards."""
    deadly = "__import__('os').kill(__import__('os').getpid(), 9)"
    with Pool(2) as pool:
        made = dict(pool.each(eval, ["1", deadly, "3"]))
        assert isinstance(made.pop(1), Died)
        assert made == {0: 1, 2: 3}
        with pytest.raises(DiedError, match=r"kill.*: its process was killed.*twice"):
            dict(pool.apply(eval, ["1", deadly]))
        assert dict(pool.apply(eval, ["4"])) == {0: 4}


def test_an_error_that_cannot_be_sent_is_told() -> None:
    """Its kind and its text."""
    with Pool(2) as pool, pytest.raises(RuntimeError, match="Unsendable: why"):
        dict(pool.apply(unsendable, [0, 1]))


def unsendable(_unit: int) -> None:
    """A unit that raises what pickle cannot make again."""

    class Unsendable(Exception):
        """Of no module."""

    raise Unsendable("why")
