"""Modules of the user's that have the name of one of ours: said, with a way out."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SCRIPT = Path(sysconfig.get_path("scripts")) / "speskew"
SHADOWS = {
    "sim.py": "sim",
    "analysis.py": "analysis",
    "reports/__init__.py": "reports",
    "analysis/__init__.py": "analysis",
}
"""What a user may have, and what it shadows."""
HARMLESS = {
    "folders without code": ("reports/monthly.txt", "scenarios/mine.yaml", "sim/data.csv"),
    "code among scenarios": ("scenarios/__init__.py",),
}


def lay(folder: Path, file: str) -> Path:
    """The user's file, and a script beside it; returns what the message must name."""
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("# mine\n")
    (folder / "mine.py").write_text(
        "import speskew\nprint(len(speskew.list_scenarios()) > 3, speskew.run.__name__)\n"
    )
    return path.parent if path.name == "__init__.py" else path


def called(*command: str | Path, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """In a folder; PYTHONPATH only if it is given."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [*map(str, command)], cwd=folder, env=env | more, capture_output=True, text=True
    )


def says(text: str, found: Path, name: str) -> bool:
    """The file, what it shadows, and how to go on."""
    other = str(found.resolve()) + ("/" if found.is_dir() else "")
    return (
        f"{other} shadows speskew's package {name!r}" in text
        and f"Rename {other}, or start from another folder" in text
    )


@pytest.mark.parametrize(("file", "name"), SHADOWS.items())
def test_a_script_is_told(file: str, name: str, tmp_path: Path) -> None:
    """`import speskew` beside it is an ImportError, which can be caught."""
    found = lay(tmp_path, file)
    done = called(sys.executable, "mine.py", folder=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "ShadowedError: " in last
    assert says(last, found, name)
    code = f"try: import speskew\nexcept ImportError as e: print(e.name, e.path == {str(found)!r})"
    assert called(sys.executable, "-c", code, folder=tmp_path).stdout == f"{name} True\n"


@pytest.mark.parametrize(("file", "name"), SHADOWS.items())
def test_python_m_is_told(file: str, name: str, tmp_path: Path) -> None:
    """`python -m speskew` begins its path with the current folder: a message, 2, no traceback."""
    found = lay(tmp_path, file)
    done = called(sys.executable, "-m", "speskew", "list", "designs", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("speskew: ")
    assert says(line, found, name)


@pytest.mark.parametrize(("file", "name"), SHADOWS.items())
def test_the_console_script_is_told(file: str, name: str, tmp_path: Path) -> None:
    """By way of PYTHONPATH; the current folder alone does it no harm."""
    found = lay(tmp_path, file)
    done = called(SCRIPT, "list", "designs", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = called(SCRIPT, "list", "designs", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert says(line, found, name)


@pytest.mark.parametrize("files", HARMLESS.values(), ids=HARMLESS)
def test_what_shadows_nothing_is_let_be(files: tuple[str, ...], tmp_path: Path) -> None:
    """Folders without code, and the user's own scenarios: the stock's are found all the same."""
    for file in files:
        lay(tmp_path, file)
    done = called(sys.executable, "mine.py", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "True run\n"), done.stderr
    done = called(sys.executable, "-m", "speskew", "list", "scenarios", folder=tmp_path)
    assert done.returncode == 0
    assert "quickstart" in done.stdout


def test_a_module_that_was_imported_before_is_told(tmp_path: Path) -> None:
    """What is in the way may be gone from the path, and is still what `import` gives."""
    lay(tmp_path, "sim.py")
    code = "import sys, sim; sys.path.remove(''); import speskew"
    done = called(sys.executable, "-c", code, folder=tmp_path)
    assert "'sim' was imported before speskew" in done.stderr.splitlines()[-1]


def test_a_path_that_changes_later_changes_nothing(tmp_path: Path) -> None:
    """Packages are those that were checked, whenever their modules are needed."""
    lay(tmp_path, "reports/__init__.py")
    code = (
        f"import speskew, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "print(speskew.explain('irq_masked').entries[0].name)"
    )
    done = called(sys.executable, "-c", code, folder=tmp_path.parent)
    assert (done.stdout, done.returncode) == ("irq_masked\n", 0), done.stderr


def test_the_command_and_the_module_are_one_program(tmp_path: Path) -> None:
    """The same help, which calls itself speskew."""
    by_module = called(sys.executable, "-m", "speskew", "--help", folder=tmp_path)
    by_script = called(SCRIPT, "--help", folder=tmp_path)
    assert by_module.stdout == by_script.stdout
    assert by_module.stdout.startswith("Usage: speskew [OPTIONS] COMMAND")
