"""Outputs that cannot be written: a message, the documented code, nothing half-written; each verb.

What no folder can hold is found before the work and shown as it was given.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from tests.faults import verbs
from tests.faults.verbs import ARGUMENTS, OUT, words
from tests.faults.victim import Server, server
from tests.needs import need, run
from tests.rigs.processes import left
from tests.rigs.tiny import call

WRITING = [verb for verb in ARGUMENTS if OUT in ARGUMENTS[verb]]
ASCII = {
    "LC_ALL": "C",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "ascii:strict",
}
"""A locale that has no other characters, and a Python that does not choose another one."""
NAME = b"\xff\xc3\xa9\xe2\x80\xae"
"""Of a file: a byte that is no text, a letter, and a character that turns a terminal's line."""


@pytest.fixture(scope="module")
def ascii_only() -> Iterator[Server]:
    """Where commands begin at once, in a locale with nothing but ASCII."""
    with server(**ASCII) as started:
        yield started


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what verbs read."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        verbs.prepare()
    return folder


@pytest.fixture(autouse=True)
def inside(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of it, in a folder in which the server puts stdout and stderr."""
    shutil.copytree(prepared, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")


def test_every_verb_is_here() -> None:
    """A new verb comes with a line in the table, and so does a new option for an output."""
    assert sorted(verbs.leaves()) == sorted(ARGUMENTS)
    assert set(verbs.WORK) == set(WRITING)
    for verb, given in ARGUMENTS.items():
        outputs = verbs.paths_of(verb) - verbs.INPUTS - (verbs.OTHERWISE - set(given))
        assert len(outputs) == given.count(OUT), (verb, outputs)


def ended(where: Server, *command: str) -> tuple[int, str]:
    """Exit code and stderr of a command."""
    process = where.begin(*command)
    code = where.end()
    assert not left(process)
    said = Path("../stderr").read_text(encoding="utf-8")
    assert "Traceback" not in said
    return code, said


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_a_full_disk_under_stdout(verb: str, warm: Server) -> None:
    """A message and 2; a verb that prints nothing there has nothing to say."""
    verbs.prepare_more(verb)
    Path("../stdout").symlink_to("/dev/full")
    code, said = ended(warm, *words(verb, "disk/out"))
    if verb in verbs.SILENT:
        assert code == 0, said
        return
    assert code == ExitCode.USAGE, said
    assert said.endswith("speskew: cannot write: No space left on device\n")


def test_most_verbs_print(warm: Server) -> None:
    """Control: with nowhere to print to, help is refused too."""
    Path("../stdout").symlink_to("/dev/full")
    for verb in ARGUMENTS:
        assert ended(warm, *verb.split(), "--help")[0] == ExitCode.USAGE


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_a_locale_without_the_characters(verb: str, ascii_only: Server) -> None:
    """Escapes in their place, on both streams; the file has the bytes of its name all the same."""
    verbs.prepare_more(verb)
    given = NAME.decode("ascii", "surrogateescape")  # what such a Python is handed
    code, said = ended(ascii_only, *words(verb, f"disk/{given}"))
    assert code == 0, said
    assert said.isascii()
    printed = Path("../stdout").read_bytes()
    assert printed.isascii()
    assert bool(printed) == (verb not in verbs.SILENT)
    made = [one for one in os.listdir(b"disk") if one.startswith(NAME)]
    assert bool(made) == (OUT in ARGUMENTS[verb])


@pytest.mark.parametrize(
    "out",
    ["file/out", "/proc/none/out", os.fsdecode(b"file/\xff"), "n" * 300],
    ids=["a file", "no folder", "no text", "too long"],
)
@pytest.mark.parametrize("verb", WRITING)
def test_a_place_that_cannot_be(verb: str, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before the work, by the name that the user gave; nothing is made."""
    verbs.prepare_more(verb)
    Path("file").touch()
    before = sorted(os.listdir())
    verbs.forbid(verb, monkeypatch)
    done = call(*words(verb, out))
    assert done.exit_code == ExitCode.USAGE, done.output
    shown = out.replace("\udcff", "\\udcff")
    assert shown in done.stderr
    assert re.search("cannot be written|not written|File name too long", done.stderr)
    assert sorted(os.listdir()) == before


@contextmanager
def full_disk() -> Iterator[None]:
    """`disk` with all that it holds, and no byte more; files of no size may be made."""
    need("mount", "umount")
    run("cp", "-r", "disk", "held")
    options = ("-t", "tmpfs", "-o", "size=4m", "tmpfs", "disk")
    mounted = run("mount", *options, check=False, capture_output=True)
    if mounted.returncode == 0:
        try:
            run("cp", "-r", "held/.", "disk")
            with suppress(OSError), Path("disk/filler").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            yield
        finally:
            run("umount", "-l", "disk")  # a kept traceback may hold a file open
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def held() -> dict[str, bytes]:
    """Every file of `disk`."""
    found = (path for path in Path("disk").rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found}


@pytest.mark.parametrize("verb", [*WRITING, *verbs.WRITES_BESIDE])
def test_a_full_disk_under_an_output(verb: str) -> None:
    """A message with the reason and 2; what was there is there, and nothing else but units."""
    verbs.prepare_more(verb)
    with full_disk():
        before = held()
        done = call(*words(verb, "disk/out"))
        after = held()
    if verb == "baseline migrate":  # of today's version: nothing to write
        assert done.exit_code == 0
    else:
        assert done.exit_code == ExitCode.USAGE, done.output
        assert "No space left" in done.stderr or "too large" in done.stderr
        assert "Traceback" not in done.stderr
    assert {name: after[name] for name in before} == before
    assert {Path(name).parts[1] for name in after.keys() - before.keys()} <= (
        {"out"} if verb == "sweep" else set()
    )
