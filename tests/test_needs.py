"""The suite passes without any one tool, says so, and fails in CI."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import needs
from tests.needs import PACKAGES, RECORDING, missing_lines, need, programs
from tests.rigs.pages import in_checkout
from tests.rigs.processes import begun

TESTS = Path(__file__).parent


# --- one tool


@pytest.mark.parametrize("tool", PACKAGES)
def test_a_missing_tool(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI a failure that names the package; elsewhere a skip that names the tool."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match=rf"{re.escape(tool)} \(apt-get install .+\)"):
        need(tool)
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match=f"not installed: {re.escape(tool)}$"):
        need(tool)
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        needs.run(tool)


def test_tools_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their paths, in order; run, their output."""
    assert need() == ()
    made = tmp_path / "jq"
    made.write_text("#!/bin/sh\necho $1\n")
    made.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert need("jq", "jq") == (str(made), str(made))
    assert needs.run("jq", Path("x"), capture_output=True).stdout == "x\n"


@pytest.mark.parametrize(
    ("script", "tools"),
    [
        ("speskew export perf A -o perf.data\n", ()),
        ("perf script -i x | head\n", ("perf",)),
        ("$ speskew memlock --format json | jq -r .units\n", ("jq",)),
        ('speskew sweep a --scheduler "$(jq -r .address c.json)"\n', ("jq",)),
        ("aarch64-linux-gnu-gcc -O2 a.c\n", RECORDING),
        ("git bisect start BAD GOOD && git bisect run true\n", ("git",)),
        ("speskew run synthetic --set driver.kernel_tree=linux", ("gcc",)),
    ],
)
def test_programs_of_a_script(script: str, tools: tuple[str, ...]) -> None:
    """Where a command stands, and nowhere else."""
    assert programs(script) == tools


@pytest.mark.parametrize("version", needs.SOURCES)
def test_sources_of_a_kernel_that_are_missing(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a missing tool; once they are there, their archive."""
    monkeypatch.setattr(needs, "SOURCE_FOLDER", tmp_path)
    package = f"linux-source-{version}"
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match=rf"{package} \(apt-get install {package}\)"):
        needs.kernel_source(version)
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match=f"not installed: {package}$") as skipped:
        needs.kernel_source(version)
    line = f"no {package}: 1 test skipped; apt-get install {package}"
    assert list(missing_lines([f"Skipped: {skipped.value}"])) == [line]
    (tmp_path / f"{package}.tar.xz").touch()
    assert needs.kernel_source(version).parent == tmp_path


def test_lines_count_by_tool() -> None:
    """A test that lacks two tools counts for both; other skips for none."""
    reasons = ["Skipped: not installed: perf, jq", "Skipped: not installed: jq", "Skipped: no Arm"]
    assert list(missing_lines(reasons)) == [
        "no jq: 2 tests skipped; apt-get install jq",
        "no perf: 1 test skipped; apt-get install linux-perf",
    ]
    assert list(missing_lines([])) == []


# --- no other way


def other_ways(source: str) -> Iterator[str]:
    """Places of a module that find or run an outside program past `tests.needs`."""
    tree = ast.parse(source)
    named: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    named.setdefault(target.id, []).append(node.value)
    for node in ast.walk(tree):
        match node:
            case (
                ast.Attribute(value=ast.Name("shutil"), attr="which")
                | ast.Attribute(value=ast.Name("os"), attr="system" | "popen" | "execv" | "execvp")
            ):
                yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.ImportFrom(module="subprocess" | "shutil", names=names):
                runs = {"run", "Popen", "call", "check_call", "check_output", "which"}
                yield from (f"{node.lineno}: {n.name}" for n in names if n.name in runs)
            case ast.Call(func=ast.Attribute(value=ast.Name("subprocess")), args=[command, *_]):
                meant = named.get(command.id, []) if isinstance(command, ast.Name) else [command]
                yield from (f"{node.lineno}: {ast.unparse(c)}" for c in meant if _outside(c))


def _outside(command: ast.expr) -> bool:
    """Whether a command's first word is a text: ours begin with this Python, or a path."""
    match command:
        case ast.List([ast.Starred(value), *_]) | ast.Tuple([ast.Starred(value), *_]):
            return _outside(value)
        case ast.List([first, *_]) | ast.Tuple([first, *_]):
            return isinstance(first, (ast.Constant, ast.JoinedStr))
        case ast.BinOp(left=left):
            return _outside(left)
    return isinstance(command, (ast.Constant, ast.JoinedStr))


def test_no_test_goes_another_way() -> None:
    """No program is found or begun by its name, but by `tests.needs`."""
    found = {
        str(path.relative_to(TESTS)): ways
        for path in sorted(TESTS.rglob("*.py"))
        if path != TESTS / "needs.py"
        and (ways := list(other_ways(path.read_text(encoding="utf-8"))))
    }
    known = found.pop("sim/runs/test_unitfile.py", [])
    assert [way.partition(": ")[2] for way in known] == ["os.system"], "only as a pickle's payload"
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "shutil.which('git')",
        "os.system('git')",
        "from subprocess import run",
        "subprocess.run(['git', 'x'])",
        "subprocess.run('git x', shell=True)",
        "command = ['git', *words]\nsubprocess.Popen(command)",
        "subprocess.run([*['git'], 'x'])",
        "subprocess.check_output(['git'] + words)",
    ],
)
def test_other_ways_are_seen(source: str) -> None:
    """Control: each of them."""
    assert len(list(other_ways(source))) == 1
    assert list(other_ways("subprocess.run([sys.executable, '-c', ''])")) == []


def left_behind(source: str) -> Iterator[str]:
    """Processes of a module that a failing test would leave: begun outside a `with`."""
    tree = ast.parse(source)
    guarded = {
        id(item.context_expr)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        for item in node.items
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("subprocess"), attr="Popen")):
                if id(node) not in guarded:
                    yield f"{node.lineno}: {ast.unparse(node)}"


def test_no_process_outlives_a_failing_test() -> None:
    """Its pipes would be an error in whatever test comes next."""
    own = {TESTS / "tools" / "test_dask.py": 1, TESTS / "rigs" / "browser.py": 1}
    for path in sorted(TESTS.rglob("*.py")):
        found = list(left_behind(path.read_text(encoding="utf-8")))
        assert len(found) == own.get(path, 0), (path, found)  # those end them in a `finally`
    assert len(list(left_behind("a = subprocess.Popen([])\nwith subprocess.Popen([]): pass"))) == 1


def test_what_begins_a_process_ends_it() -> None:
    """Whatever happens in the block."""
    with (
        pytest.raises(KeyError),
        begun([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process,
    ):
        raise KeyError
    assert process.returncode == -signal.SIGKILL
    assert process.stdin is not None
    assert process.stdin.closed


# --- the suite without one tool

ASSEMBLER = "tests/sim/workload/test_a64.py::test_branch_targets_are_the_assemblers"
CONSOLES = "tests/reports/docs/test_docs.py::test_consoles_run_and_print_what_they_show"
AUTOFDO = "tests/tools/test_autofdo.py::test_"
BOLT = "tests/tools/test_bolt.py::test_profiles_fit_the_program"
USES: dict[str, tuple[str, ...] | str] = {
    "aarch64-linux-gnu-gcc": "tests/sim/workload/capture/test_symbols.py::"
    "test_elf_symbols_where_the_very_file_is_at_hand",
    "aarch64-linux-gnu-g++": "tests/reports/docs/test_docs.py::"
    "test_commands_run[how-to/trust-a-top-ten.md]",
    "aarch64-linux-gnu-as": ASSEMBLER,
    "aarch64-linux-gnu-objcopy": ASSEMBLER,
    "bash": "tests/reports/docs/test_docs.py::test_a_command_that_fails_is_noticed",
    "c++filt": "tests/tools/test_demangling.py::test_as_cxxfilt_has_them",
    "chromium": "tests/reports/pages/test_browser.py::test_page_is_silent_and_whole",
    "clang-19": f"{AUTOFDO}clang_takes_the_counts",
    "gcc": "tests/sim/workload/test_a64.py::test_recorder_has_the_same_slot_rule",
    "git": "tests/reports/cli/commands/test_check.py::"
    "test_git_bisect_finds_the_commit_that_broke_it",
    "jq": (CONSOLES, "-k", "memlock.md-1"),
    "llvm-bolt-19": BOLT,
    "llvm-profdata-19": f"{AUTOFDO}fewer_samples_are_less_alike",
    "llvm-profgen-19": f"{AUTOFDO}counts_are_llvm_profgens",
    "llvm-symbolizer-19": f"{AUTOFDO}frames_of_gcc_are_llvms",
    "mount": "tests/reports/store/test_robust.py::test_full_disk_and_a_run",
    "openssl": "tests/tools/test_dask.py::test_tls",
    "perf": "tests/tools/test_perf_and_packets.py",
    "perf2bolt-19": BOLT,
    "prlimit": (CONSOLES, "-k", "memlock.md-0"),
    "qemu-aarch64": "tests/sim/workload/recording/test_recorder.py::test_progress_counts_up",
    "tar": "tests/sim/linux/tree/test_sources.py::test_a_true_tree",
    "umount": "tests/reports/store/test_robust.py::test_full_disk_and_a_run",
}
"""A test, or some, that need a tool, in pytest's words."""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to every program of the PATH."""
    folder = tmp_path_factory.mktemp("bin")
    for place in os.environ["PATH"].split(os.pathsep):
        for path in Path(place).glob("*"):
            if not (folder / path.name).is_symlink():
                (folder / path.name).symlink_to(path)
    return folder


@contextmanager
def without(tool: str, folder: Path) -> Iterator[None]:
    """A tool's link is away for a while."""
    away = folder / f".{tool}"
    if (folder / tool).is_symlink():
        (folder / tool).rename(away)
    yield
    if away.is_symlink():
        away.rename(folder / tool)


REPRESENTATIVE = ("chromium", "jq", "tar")
"""A tool that a fixture needs, one of a script, one that a helper needs; the others are deep."""


@in_checkout
@pytest.mark.parametrize(
    "tool",
    [pytest.param(t, marks=() if t in REPRESENTATIVE else pytest.mark.deep) for t in PACKAGES],
)
def test_the_suite_without(tool: str, everything: Path) -> None:
    """Tests that use it are skipped, none fails, and it is named at the end, with what else this
    machine lacks.
    """
    with without(tool, everything):
        done = suite(USES[tool], everything, ci="")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    lines = [line for line in said.splitlines() if line.startswith("no ")]
    assert said.splitlines()[-len(lines) :] == lines
    (line,) = [line for line in lines if line.startswith(f"no {tool}: ")]
    assert line.endswith(f" skipped; apt-get install {PACKAGES[tool]}")


@in_checkout
@pytest.mark.parametrize("tool", ["chromium", pytest.param("perf", marks=pytest.mark.deep)])
def test_the_suite_without_in_ci(tool: str, everything: Path) -> None:
    """The same is a failure there, or an error where a fixture needs the tool."""
    with without(tool, everything):
        done = suite(USES[tool], everything, "-x", ci="1")
    assert done.returncode == 1
    assert f"{tool} (apt-get install {PACKAGES[tool]})" in done.stdout
    assert f"no {tool}: " not in done.stdout


def suite(
    tests: tuple[str, ...] | str, path: Path, *options: str, ci: str
) -> subprocess.CompletedProcess[str]:
    """A part of the suite in a process of its own, with a PATH."""
    words = (tests,) if isinstance(tests, str) else tests
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *words],
        cwd=TESTS.parent,
        env=os.environ | {"PATH": str(path), "CI": ci},
        capture_output=True,
        text=True,
    )


def test_every_tool_is_tried() -> None:
    """None is left out of the above."""
    assert USES.keys() == PACKAGES.keys()
