"""`speskew.run`, `load` and `save`: the command line's numbers, bytes and words."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib as mpl
import pytest

import speskew
from reports.figures.style import styled, to_file_svg
from tests.reports import drawing
from tests.rigs.tiny import TINY, call

FIGURES = ("ledgers", "losses", "timeline-2")
DIFFER = {"manifest.json", "log.jsonl"}


def files(root: Path) -> dict[str, bytes]:
    """Every file of a run directory that must not differ."""
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return {
        name: b"" if name.startswith("figures/") else data  # see words
        for name, data in found.items()
        if name not in DIFFER
    }


def test_saved_bytes_are_the_command_lines(
    folder: Path, tmp_path: Path, made: speskew.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved, and saved again from what was loaded; the manifest says the same of the options."""
    drawing.only(monkeypatch, *FIGURES)
    run = speskew.run("tiny.yaml", keep_records=True, jobs=2, progress=False)
    unsaved = run.folder
    assert unsaved is None
    assert run.save(tmp_path / "a", figures=True) == run.folder == tmp_path / "a"
    assert files(tmp_path / "a") == files(folder / "cli")
    again = speskew.load(tmp_path / "a")
    again.save(tmp_path / "b", figures=True)
    assert files(tmp_path / "b") == files(folder / "cli")
    here, there = (
        json.loads((root / "manifest.json").read_text())
        for root in (folder / "cli", tmp_path / "a")
    )
    assert there["options"] == here["options"] | {"jobs": 2}
    assert {k: there[k] for k in ("scenario_hash", "seed")} == {
        k: here[k] for k in ("scenario_hash", "seed")
    }
    assert run.result == made.result


def test_a_run_that_is_there_is_not_replaced(
    folder: Path, made: speskew.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line's text, and how to say it in Python; force replaces."""
    drawing.only(monkeypatch, "losses")
    made.save("mine", report=False)
    with pytest.raises(speskew.RunDirError) as caught:
        made.save("mine")
    refused = call("run", "tiny.yaml", "-o", "mine")
    assert refused.stderr == f"speskew: {caught.value}\n"
    assert "force=True" in caught.value.__notes__[0]
    made.save("mine", force=True)
    assert files(folder / "mine").keys() - files(folder / "cli").keys() == set()


def test_a_run_says_what_the_command_says(folder: Path, made: speskew.Run) -> None:
    """As text; as HTML the glance table, escaped."""
    summary = (folder / "cli" / "summary.txt").read_text()
    assert str(made) == summary
    assert all(str(arm) in summary for arm in made.arms.values())
    html = made._repr_html_()
    for cell in ("predicted", "RLIMIT exits/run", "cold (upper bound)", "identical", "4 MiB"):
        assert f">{cell}<" in html
    evil = TINY.replace("name: tiny", "name: <script>")
    assert "<script>" not in speskew.run(evil, replications=1, band=False)._repr_html_()


def words(svg: bytes) -> list[str]:
    """Every text of a picture: titles, labels, numbers at ticks, legends.

    The solver of matplotlib's layout may move axes from one drawing of a figure to the next, so
    that bytes cannot be compared.
    """
    return re.findall(r">([^<>]+)</text>", svg.decode())


def test_figures_are_the_reports(folder: Path, made: speskew.Run) -> None:
    """The same picture, whatever the backend, in memory and loaded; a wrong name names all."""
    assert "ledgers" in made.figures
    before = mpl.get_backend()
    loaded, cli = speskew.load(folder / "cli"), folder / "cli" / "figures"
    for name in FIGURES:
        assert name in made.figures
        for run in (made, loaded):
            with styled(name):
                drawn = to_file_svg(run.figure(name), name)
            written = words((cli / f"{name}.svg").read_bytes())
            assert [word for word in written if word in words(drawn)] == words(drawn)
            assert len(written) - len(words(drawn)) == 2  # a file has a title and its origin
            assert len(words(drawn)) > 10
    assert words((cli / "losses.svg").read_bytes()) != words((cli / "ledgers.svg").read_bytes())
    made.figure("losses").savefig("losses.svg")
    assert Path("losses.svg").read_text().startswith("<?xml")
    assert mpl.get_backend() == before
    with pytest.raises(ValueError, match="no figure 'legers'; figures: ledgers, losses, "):
        made.figure("legers")


def test_progress_goes_where_it_is_asked_to(capfd: pytest.CaptureFixture[str]) -> None:
    """To a function; to nowhere where stderr is no terminal."""
    told: list[tuple[int, int, str]] = []
    speskew.run(
        TINY,
        replications=2,
        band=False,
        progress=lambda done, total, text: told.append((done, total, text)),
    )
    assert told[:6] == [
        (k + 1, 6, f"{arm} {k % 2 + 1}/2")
        for k, arm in enumerate(a for a in ("baremetal", "v6", "cold") for _ in range(2))
    ]
    assert told[6:] == [(k, 3, "timelines") for k in (1, 2, 3)]
    assert capfd.readouterr() == ("", "")


SCRIPT = """\
import os, sys, speskew
print("begun", flush=True)
text = open("tiny.yaml").read()
"""


def test_a_script_needs_no_guard(folder: Path, tmp_path: Path) -> None:
    """Two jobs from a script without `if __name__ == "__main__"`: it runs once, and works."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    code = (
        SCRIPT + "print(speskew.run(text, jobs=2, band=False, replications=2).arms['v6'].exits)\n"
    )
    (tmp_path / "mine.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("begun\n0\n", "")


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_leaves_nothing_behind(jobs: int, tmp_path: Path) -> None:
    """KeyboardInterrupt in the script, which has no children then and goes on."""
    (tmp_path / "tiny.yaml").write_text(TINY.replace("repeat: 40", "repeat: 400"))
    (tmp_path / "mine.py").write_text(
        SCRIPT + f"try:\n    speskew.run(text, jobs={jobs}, replications=500, engine='reference',"
        " progress=lambda *_: print('one', flush=True))\n"
        "except KeyboardInterrupt:\n"
        "    tracker = {k for k in open('/proc/self/task/' + str(os.getpid()) + '/children')"
        ".read().split()\n"
        "        if 'resource_tracker' not in open(f'/proc/{k}/cmdline').read()}\n"
        "    print('interrupted', tracker, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "mine.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert process.stdout.readline() == "one\n"
        process.send_signal(signal.SIGINT)
        rest = [line for line in process.stdout.read().splitlines() if line != "one"]
    assert (process.returncode, rest) == (0, ["interrupted set()"])


def test_nothing_warns(made: speskew.Run) -> None:
    """Frames and figures, as a script that turns warnings into errors would see them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in made.figures:
            made.figure(name)
