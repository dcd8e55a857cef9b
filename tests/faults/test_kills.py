"""Commands killed at any instant: never half a result, no process left, later the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from sim import scratch
from tests.faults.victim import CHECK, Server, server
from tests.needs import CROSS, RECORDING, need, run
from tests.rigs.processes import left
from tests.rigs.swept import MATRIX, results
from tests.rigs.tiny import TINY

pytestmark = pytest.mark.deep

KILLS = {"run": 14, "sweep": 10, "record": 8, "check": 8}
"""Kills of each command, one in each of as many equal parts of its duration."""
COMMANDS = {
    "run": ("run", "s.yaml", "-o", "out", "--no-report", "--no-band"),
    "sweep": ("sweep", "sweep.yaml", "-o", "out", "--no-report"),
    "record": ("record", "-o", "out"),
    "check": ("check", "s.yaml"),
}
LAST = {"record": ("./counting",)}
COUNTING = """\
int main(void) { for (volatile long i = 0; i < 300000; i++); return 0; }
"""
SMALL = TINY.replace("repeat: 40", "repeat: 10").replace("replications: 3", "replications: 2")
VARYING = ("manifest.json", "log.jsonl")
TRIES = 3
"""Of a kill, until it finds the command alive: how long one takes changes with the load."""
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def victims() -> Iterator[Server]:
    """Where commands begin at once."""
    with server() as started:
        yield started


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a scenario and a sweep."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("s.yaml").write_text(SMALL + CHECK)
    Path("sweep.yaml").write_text(SMALL + MATRIX)


def begin(victims: Server, verb: str, *options: str) -> int:
    """The process of a command."""
    return victims.begin(*COMMANDS[verb], *options, *LAST.get(verb, ()))


def wait(victim: int, began: float, seconds: float) -> float:
    """Until so long after `began`, or until the victim has ended; returns how long it took then,
    else for ever.

    Counted from before the server was asked: on a busy machine its answer comes late.
    """
    while (passed := time.monotonic() - began) < seconds:
        if not Path(f"/proc/{victim}").exists():
            return passed
        time.sleep(min(0.005, seconds - passed))
    return float("inf")


def send(victim: int, number: signal.Signals) -> None:
    """A signal to a process, unless it has ended."""
    with suppress(ProcessLookupError):
        os.kill(victim, number)


def again(verb: str) -> tuple[str, ...]:
    """Options to run a command again, whatever the first left."""
    if verb == "sweep":
        return ("--resume",) if Path("out").exists() else ()
    return () if verb == "check" else ("--force",)


def there(verb: str) -> dict[str, bytes]:
    """What a command has made, under its final name, that must be the same bytes each time."""
    if verb == "check":
        return {"stdout": Path("../stdout").read_bytes()}
    if verb == "record":
        return {"out": Path("out").read_bytes()} if Path("out").exists() else {}
    return {name: data for name, data in results("out").items() if name not in VARYING}


def phase(verb: str) -> str:
    """What a command that was killed was at."""
    if verb == "sweep":
        if Path("out/result.json").exists():
            return "done"
        if Path("out/cells").exists():
            return "writing"
        return "simulating" if Path("out/units").exists() else "starting"
    if Path("out").exists():
        return "done"
    made = scratch.ours(Path(), scratch.PREFIX)
    if verb == "record" and any(path.is_file() for path in made):
        return "writing"
    if verb == "run" and any(path.is_file() for one in made for path in one.rglob("*")):
        return "writing"
    return "at work" if made or verb == "check" else "starting"


def prepare(verb: str) -> None:
    """What a command needs."""
    if verb == "record":
        need(*RECORDING)
        Path("counting.c").write_text(COUNTING)
        run(CROSS, "-static", "-O1", "-o", "counting", "counting.c")


def whole(victims: Server, verb: str) -> tuple[dict[str, bytes], float]:
    """What a command makes that nobody disturbs, and how long it takes."""
    for _ in range(2):  # the first may compile
        forget()
        began = time.monotonic()
        begin(victims, verb)
        assert victims.end() == 0, Path("../stderr").read_text()
        took = time.monotonic() - began
    made = there(verb)
    assert made
    forget()
    return made, took


def forget() -> None:
    """Begin anew."""
    shutil.rmtree("out") if Path("out").is_dir() else Path("out").unlink(missing_ok=True)


@pytest.mark.parametrize("verb", KILLS)
def test_kills(verb: str, victims: Server, record_property: Record) -> None:
    """SIGKILL, once in each part of the duration, the writing included."""
    prepare(verb)
    wanted, took = whole(victims, verb)
    instants = random.Random(f"kills of {verb}")
    hit: Counter[str] = Counter()
    for part in range(KILLS[verb]):
        for _ in range(TRIES):
            forget()
            began = time.monotonic()
            victim = begin(victims, verb)
            took = min(took, wait(victim, began, took * (part + instants.random()) / KILLS[verb]))
            send(victim, signal.SIGKILL)
            ended = victims.end()
            assert not left(victim)
            assert ended in (0, -signal.SIGKILL), Path("../stderr").read_text()
            if ended != 0:
                break
        hit["done" if ended == 0 else phase(verb)] += 1
        if verb == "run" and Path("out").exists():
            assert there(verb) == wanted
        if verb == "record" and Path("out").exists():
            assert there(verb) == wanted
        begin(victims, verb, *again(verb))
        assert victims.end() == 0, Path("../stderr").read_text()
        assert there(verb) == wanted
        assert not scratch.ours(Path(), scratch.PREFIX)
        forget()
    record_property(f"{verb} killed", dict(hit))


@pytest.mark.parametrize("verb", ["run", "sweep"])
def test_ctrl_c_twice(verb: str, victims: Server, record_property: Record) -> None:
    """The second soon after the first, anywhere: in order all the same, exit code 130 or done."""
    wanted, took = whole(victims, verb)
    instants = random.Random(f"Ctrl-C at {verb}")
    codes: Counter[str] = Counter()
    for part in range(8):
        began = time.monotonic()
        victim = begin(victims, verb)
        took = min(took, wait(victim, began, took * (part + instants.random()) / 8))
        send(victim, signal.SIGINT)
        time.sleep(took * instants.random() / 8)
        send(victim, signal.SIGINT)
        code = victims.end()
        said = Path("../stderr").read_text()
        assert not left(victim)
        assert code in (0, ExitCode.INTERRUPTED), said
        assert "Traceback" not in said
        codes["done" if code == 0 else "interrupted"] += 1
        assert not scratch.ours(Path(), scratch.PREFIX)
        begin(victims, verb, *again(verb))
        assert victims.end() == 0, Path("../stderr").read_text()
        assert there(verb) == wanted
        forget()
    record_property(f"{verb} interrupted twice", dict(codes))
