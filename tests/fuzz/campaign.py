"""A bounded fuzz campaign with atheris: `python -m tests.fuzz.campaign SECONDS [TARGET…]`.

Each target runs in a process of its own for SECONDS, guided by the coverage of the parsers' Python
code, from the inputs in `corpus/`. New inputs and findings go to `runs/fuzz/<target>`; a finding is
an exception that is not documented, a write outside the output folder, more than ten seconds, or
512 MiB above what the imports take. Exit code 1 if there is one. Compiled code (numba) is fuzzed
too, but not seen: its coverage does not guide. Every ten seconds it is said how many inputs were
read whole and why the others were refused: a target whose inputs all end at the first check tests
nothing else.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).with_name("corpus")
FOUND = Path("runs/fuzz")
MOST_MIB = 512
MOST_SECONDS = 10
LEAST_LENGTH = 1 << 14
SAY_SECONDS = 10
JSON = ("result", "sweep-result", "manifest", "baseline", "profile", "threads")
"""Targets whose inputs are JSON documents."""
GUIDED = ["sim", "reports", "ruamel"]
"""Packages whose coverage guides."""


def compiled() -> list[str]:
    """Modules with compiled code: numba takes no instrumented functions."""
    root = Path(__file__).parents[2]
    sources = [p for p in (root / "sim").rglob("*.py") if "njit" in p.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(root).with_suffix("").parts) for path in sources]


def main(arguments: list[str]) -> int:
    """Run every target, or those named, one after the other."""
    from tests.fuzz.targets import TARGETS

    if not arguments or not arguments[0].isdigit() or set(arguments[1:]) - set(TARGETS):
        print(f"{__doc__}\ntargets: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    bad = [name for name in arguments[1:] or TARGETS if _campaign(name, int(arguments[0]))]
    print(f"findings in: {', '.join(bad)}; see {FOUND}" if bad else "no findings", file=sys.stderr)
    return 1 if bad else 0


def _campaign(name: str, seconds: int) -> bool:
    """One target in a process of its own; True if it found something."""
    new = FOUND / name
    new.mkdir(parents=True, exist_ok=True)
    print(f"== {name}, {seconds} s", file=sys.stderr, flush=True)
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.campaign",
        "--one",
        name,
        f"-max_total_time={seconds}",
        f"-timeout={MOST_SECONDS}",
        f"-max_len={most_length(name)}",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={new}{os.sep}",
        str(new),
        str(CORPUS / name),
    ]
    return subprocess.run(command, check=False).returncode != 0


def most_length(name: str) -> int:
    """Inputs longer than this are cut, so every seed must fit."""
    seeds = (path.stat().st_size for path in (CORPUS / name).iterdir())
    return max(LEAST_LENGTH, 2 * max(seeds))


def one(name: str, options: list[str]) -> None:
    """The process of one target; does not return."""
    import atheris

    with atheris.instrument_imports(GUIDED, compiled(), enable_loader_override=False):
        from tests.fuzz import targets

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        for seed in sorted((CORPUS / name).iterdir()):
            targets.run(name, seed.read_bytes(), folder)
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        limit = f"-rss_limit_mb={base + MOST_MIB}"
        counted = _Counted(lambda data: targets.refusal(name, data, folder))
        change = {name: mutated for name in JSON} | {"unit-body": mutated_unit}
        more = {"custom_mutator": change[name]} if name in change else {}
        atheris.Setup([sys.argv[0], limit, *options], counted, **more)
        atheris.Fuzz()


ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1, 1.5, 1e308, math.nan, math.inf, 1 << 64, "", "x", "\ud800", [], {}, [[]]
)  # values in a row  # fmt: skip
"""Values that stand in a JSON document where they should not."""


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """A JSON document with one to three changes; one time in ten, and of others, a changed byte.

    A changed byte is no JSON more often than not, and then only the first check is tested.
    """
    draw = random.Random(seed)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _byte_changed(data, draw)
    if draw.random() < 1 / 10:
        return _byte_changed(data, draw)
    for _ in range(draw.randint(1, 3)):
        document = _changed(document, draw)
    found = json.dumps(document).encode()
    return found if len(found) <= most else data


def mutated_unit(data: bytes, most: int, seed: int) -> bytes:
    """The body of a unit: the length of its JSON, the JSON, arrays; one of them is changed."""
    if len(data) < 4 or seed % 4 == 0:
        return _byte_changed(data, random.Random(seed))
    size = int.from_bytes(data[:4], "little")
    body, arrays = data[4 : 4 + size], data[4 + size :]
    changed = mutated(body, most - 4 - len(arrays), seed)
    return len(changed).to_bytes(4, "little") + changed + arrays


def _byte_changed(data: bytes, draw: random.Random) -> bytes:
    """The bytes with one to four of them replaced by none, one or two."""
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.randbytes(draw.randrange(3)) + data[at + draw.randint(0, 4) :]


def _changed(value: Any, draw: random.Random) -> Any:
    """The value with one change somewhere in it."""
    if not isinstance(value, (dict, list)) or not value or draw.random() < 1 / 20:
        number = isinstance(value, (int, float)) and draw.random() < 1 / 2
        # a copy: a later change inside it must not change ODD, or put it into itself
        return value + draw.choice((-1, 1, 0.5)) if number else deepcopy(draw.choice(ODD))
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = draw.choice(keys)
    what = draw.random()
    if what < 1 / 20:
        del value[key]
    elif what < 1 / 10:
        value[key] = deepcopy(value[draw.choice(keys)])
    elif what < 3 / 20 and isinstance(value, dict):
        value[draw.choice(("", "x", f"{key}x"))] = deepcopy(value[key])
    else:
        value[key] = _changed(value[key], draw)
    return value


class _Counted:
    """A target that says now and then how far its inputs come."""

    def __init__(self, target: Callable[[bytes], str | None]) -> None:
        self._target, self._next = target, time.monotonic() + SAY_SECONDS
        self._read, self._why = 0, Counter[str]()

    def __call__(self, data: bytes) -> None:
        refused = self._target(data)
        if refused is None:
            self._read += 1
        else:
            self._why[_kind(refused)] += 1
        if time.monotonic() > self._next:
            self._next += SAY_SECONDS
            self._say()

    def _say(self) -> None:
        refused = self._why.total()
        often = "; ".join(f"{n:,} {why}" for why, n in self._why.most_common(3))
        print(
            f"{self._read + refused:,} inputs: {self._read:,} read, {refused:,} refused for "
            f"{len(self._why):,} reasons ({often})",
            file=sys.stderr,
            flush=True,
        )


def _kind(refused: str) -> str:
    """A message without the file's name and without what it quotes."""
    text = refused.partition(": ")[2] or refused
    return re.sub(r"'[^']*'|\"[^\"]*\"|0x[0-9a-f]+|[0-9][0-9,]*", "…", text)[:80]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))
