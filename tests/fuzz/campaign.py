"""A bounded fuzz campaign with atheris: `python -m tests.fuzz.campaign SECONDS [TARGET…]`.

Each target runs in a process of its own for SECONDS, guided by the coverage of the parsers' Python
code, from the inputs in `corpus/`. New inputs and findings go to `runs/fuzz/<target>`; a finding is
an exception that is not documented, a write outside the output folder, more than ten seconds, or
512 MiB above what the imports take. Exit code 1 if there is one. Compiled code (numba) is fuzzed
too, but not seen: its coverage does not guide.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
FOUND = Path("runs/fuzz")
MOST_MIB = 512
MOST_SECONDS = 10
MOST_LENGTH = 1 << 14
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
        f"-max_len={MOST_LENGTH}",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={new}{os.sep}",
        str(new),
        str(CORPUS / name),
    ]
    return subprocess.run(command, check=False).returncode != 0


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
        atheris.Setup(
            [sys.argv[0], limit, *options], lambda data: targets.run(name, data, folder) and None
        )
        atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))
