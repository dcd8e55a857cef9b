"""Verbs are files, found by name, loaded when they are wanted."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import click
import pytest

from reports.cli.main import VERBS, main


def test_a_verb_is_a_file_or_folder_of_its_name() -> None:
    """What `--help` lists is what lies in the folder; an underscore keeps off Python's words."""
    folder = resources.files("reports.cli") / "commands"
    there = {
        entry.name.removesuffix(".py").rstrip("_")
        for entry in folder.iterdir()
        if not entry.name.startswith("__")
    }
    assert there == set(VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_loaded_by_name(name: str) -> None:
    """It calls itself what it is called."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name


@pytest.mark.parametrize("verb", VERBS)
def test_one_verb_loads_no_other(verb: str) -> None:
    """`speskew VERB --help` imports that verb and nothing that does its work."""
    code = (
        "import sys\nfrom reports.cli.main import main\n"
        f"try: main([{verb!r}, '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith(('reports.', 'analysis.', 'sim.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(eval(done.stdout.splitlines()[-1]))
    name = next(m for m in loaded if m.split(".")[-1].rstrip("_") == verb)
    light = {
        "analysis.statistics",
        "analysis.statistics.shown",
        "analysis.symbols",
        "reports.cli",
        "reports.cli.commands",
        "reports.cli.completing",
        "reports.cli.errors",
        "reports.cli.main",
        "reports.cli.options",
        "reports.cli.output",
        "reports.cli.figures",
        "reports.exitcodes",
        "reports.signals",
        "reports.text",
        "sim.errors",
        "sim.interrupts",
        "sim.units",
    }
    others = {m for m in loaded if m != name and not m.startswith(f"{name}.")}
    assert others <= light
