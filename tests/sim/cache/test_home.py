"""Where the cache is: the environment's wish, a place of one's own, or none; said once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import pytest

from sim.cache import compiled, home, sealed
from sim.draws import CODE_FOLDER
from sim.runs.pool import Pool
from tests.rigs.damage import DAMAGES, NOBODY

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
STREAM = Path(str(files("scenarios") / "streams" / "threads.2.spestream"))
ROOT = STREAM.parents[2]
VAST = 1 << 28


@pytest.fixture(autouse=True)
def new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing found, nothing said; the home and the folder for temporary files are the test's."""
    monkeypatch.setattr(home, "STATE", home.State())
    for name in ("SPESKEW_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "home/.cache/speskew"),
        ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/speskew"),
        ({"XDG_CACHE_HOME": "relative"}, "home/.cache/speskew"),
        ({"XDG_CACHE_HOME": "{}/xdg", "SPESKEW_CACHE": "{}/own"}, "own"),
        ({"XDG_CACHE_HOME": "", "SPESKEW_CACHE": ""}, "home/.cache/speskew"),
    ],
)
def test_the_environment_says_where(
    variables: dict[str, str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """$SPESKEW_CACHE, else $XDG_CACHE_HOME/speskew if absolute, else ~/.cache/speskew; private."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert home.where() is None
    root = home.root()
    assert root == home.configured() == home.where() == tmp_path / expected
    assert root.stat().st_mode & 0o777 == 0o700
    assert capsys.readouterr().err == ""


KILLED = {
    "an index": "entries.keep(root / 'index' / 'a', 'key', {'a': np.zeros(9)}, {})",
    "a compiled function": "sealed.write(root / 'numba-0' / 'a.nbc', b'x')",
    "a plugin": "sealed.write(root / 'spetrace.so', b'x')",
    "a program": "sealed.write(root / 'programs' / 'a', b'x')",
}
DYING = """\
import os, signal
import numpy as np
from sim.cache import entries, home, sealed
sealed.sync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
root = home.root()
"""


@pytest.mark.parametrize("what", KILLED)
def test_what_a_killed_process_left_goes_at_the_next_start(what: str, tmp_path: Path) -> None:
    """Whatever it was making; what somebody is making now stays, and so does what is finished."""
    dead = subprocess.run([sys.executable, "-c", DYING + KILLED[what]], check=False, cwd=ROOT)
    assert dead.returncode == -signal.SIGKILL
    cache = tmp_path / "home" / ".cache" / "speskew"
    (left,) = cache.rglob(".speskew-*")
    (left.parent / "finished").touch()
    making = left.with_name(".speskew-work-of-the-living")
    making.mkdir()
    with sealed.in_use(making):
        assert home.root() == cache
        assert list(cache.rglob(".speskew-*")) == [making]
    assert (left.parent / "finished").exists()


def test_a_relative_folder_does_not_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$SPESKEW_CACHE is taken from where the process began."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPESKEW_CACHE", "here")
    found = home.root()
    monkeypatch.chdir("/")
    assert found == tmp_path / "here"


def assert_temporary(tmp_path: Path, capsys: pytest.CaptureFixture[str], why: str) -> None:
    """The cache is the private folder, and that was said in one line."""
    temporary = tmp_path / "tmp" / f"speskew-{os.geteuid()}"
    assert home.root() == home.root() == home.where() == temporary
    assert temporary.stat().st_mode & 0o777 == 0o700
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert why in said
    assert str(temporary) in said


def test_a_file_in_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no folder can be made, the cache is a private folder for temporary files."""
    (tmp_path / "home").write_text("a file")
    assert_temporary(tmp_path, capsys, "Not a directory")
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "home"))
    monkeypatch.setattr(home, "STATE", home.State())
    assert_temporary(tmp_path, capsys, "Not a directory")


def test_nobody_has_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user that is not in the password file, without $HOME."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    assert home.configured() is None
    assert_temporary(tmp_path, capsys, "there is no home folder")


@pytest.mark.parametrize("what", ["a file", "open to all", "a link"])
def test_a_temporary_folder_that_is_not_private(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others could have put code there: nothing is kept at all, and that is said."""
    (tmp_path / "home").write_text("a file")
    temporary = tmp_path / "tmp" / f"speskew-{os.geteuid()}"
    if what == "a file":
        temporary.write_text("a file")
    elif what == "open to all":
        temporary.mkdir()
        temporary.chmod(0o777)
    else:
        (tmp_path / "elsewhere").mkdir(0o700)
        temporary.symlink_to(tmp_path / "elsewhere")
    assert home.root() is None
    assert home.root() is None
    assert capsys.readouterr().err.count("nothing is kept for the next run") == 1


@as_root
def test_a_folder_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is used through a folder of one's own, silently."""
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, NOBODY, NOBODY)
    monkeypatch.setenv("SPESKEW_CACHE", str(shared))
    assert home.root() == home.where() == shared / "user-0"
    os.chown(shared / "user-0", NOBODY, NOBODY)
    monkeypatch.setattr(home, "STATE", home.State())
    assert capsys.readouterr().err == ""
    assert_temporary(tmp_path, capsys, "not a private folder of yours")


def _say_again() -> tuple[Path | None, set[str]]:
    home.say("home", "said again")
    return home.root(), home.STATE.said


def test_workers_know_what_their_parent_knows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """They use the same folder and do not say why again."""
    (tmp_path / "home").write_text("a file")
    root = home.root()
    with Pool(2) as pool:
        assert list(pool.apply(call, [_say_again])) == [(0, (root, {"home"}))]
    assert capfd.readouterr().err.count("\n") == 1


def call(function: object) -> object:
    """What a worker is given to do."""
    assert callable(function)
    return function()


# --- whole runs ------------------------------------------------------------------------------

SMALL = """\
name: small
replications: 2
seed: 7
workload: {{kind: recorded, path: {stream}}}
spe: {{jitter: on}}
driver: {{aux: 32KiB}}
arms:
  - design: baremetal
  - design: v6
"""


PYTHONPATH = os.pathsep.join(
    str(Path(path).resolve()) for path in sys.path if "site-packages" in path or path == str(ROOT)
)


def run(
    folder: Path,
    *options: str,
    python: str = sys.executable,
    uid: int | None = None,
    **variables: str,
) -> tuple[str, str]:
    """(stdout, stderr) of a run of the small scenario, which must end with exit code 0."""
    code = "from reports.cli.main import main; main()"
    scenario = ["run", str(folder / "small.yaml"), "-o", "out", "--force", "-q"]
    command = [python, "-c", code, *scenario, "--no-band", "--format", "json", *options]
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=inherited | variables,
        cwd=folder,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user can enter and write to, with the scenario and its stream."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "s.spestream").write_bytes(STREAM.read_bytes())
        (folder / "small.yaml").write_text(SMALL.format(stream=folder / "s.spestream"))
        yield folder


def lines(said: str) -> list[str]:
    """What was said on stderr, but for the last line: where the result is."""
    *others, last = said.splitlines()
    assert last.startswith("out")
    return others


@pytest.fixture(scope="module")
def fresh(place: Path) -> str:
    """The numbers of a run with an unharmed cache; it is in `place`/cache afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, "STATE", home.State())
        ours = home.root(compiled._ENVIRONMENT)
    if ours is not None and (ours / CODE_FOLDER).is_dir():  # saves half a minute of compiling
        shutil.copytree(ours / CODE_FOLDER, place / "cache" / CODE_FOLDER)
    numbers, said = run(place, "--no-report", SPESKEW_CACHE=str(place / "cache"))
    assert lines(said) == []
    return numbers


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_with_every_kind_of_damage(place: Path, fresh: str, jobs: str) -> None:
    """Arrays and compiled functions are harmed, each in another way: the same numbers, and a line
    for each of the two caches, whatever the number of processes."""
    cache = place / "cache"
    kinds = [name for name in DAMAGES if name not in ("swapped", "unreadable", "missing")]
    read = [path for path in cache.glob("numba-*/*.nbc") if b"MachineCode" in path.read_bytes()]
    code = sorted(read, key=lambda path: path.stat().st_size)  # small ones: soon compiled again
    for kind, path in zip(kinds, code, strict=False):
        DAMAGES[kind](path)
    for kind, path in zip(kinds, sorted(cache.glob("index/*/*.*")), strict=False):
        DAMAGES[kind](path)
    numbers, said = run(place, "--no-report", "-j", jobs, SPESKEW_CACHE=str(cache))
    assert numbers == fresh
    assert sum("this index is not used" in line for line in lines(said)) == 1
    assert sum("this code is not used" in line for line in lines(said)) == 1
    assert len(lines(said)) <= 2
    numbers, said = run(place, "--no-report", "-j", "2", SPESKEW_CACHE=str(cache))
    assert numbers == fresh
    assert lines(said) == [] or jobs == "1"
    for path in cache.glob("numba-*/*.nbc"):  # harmed, and not asked for: a copy fills its holes
        if path.stat().st_size > VAST:
            path.unlink()


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that uid 65534 can start: this one, or the system's if it is of the same version."""
    for path in (sys.executable, "/usr/bin/python3"):
        code = f"import sys, sim, numba; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
        with suppress(PermissionError):  # of a folder on the way to it
            done = subprocess.run(
                [path, "-c", code],
                env={"PYTHONPATH": PYTHONPATH},
                cwd="/",
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                return path
    pytest.skip("other users cannot read this Python or this checkout")


@as_root
@pytest.mark.parametrize("which", ["no home", "root's cache"])
def test_a_container_without_a_home(which: str, python: str, place: Path, fresh: str) -> None:
    """uid 65534, nothing writable but its output and temporary files, or only a cache that root
    has filled: the same numbers, figures too, exit code 0 and one line, a second time as well."""
    temporary = place / which / "tmp"
    private = temporary / f"speskew-{NOBODY}"
    private.mkdir(parents=True)
    shutil.copy(place / "small.yaml", place / which)
    shutil.copytree(place / "cache" / CODE_FOLDER, private / CODE_FOLDER)  # as a run left it
    for path in (place / which, temporary, private, *private.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    private.chmod(0o700)
    variables = {"TMPDIR": str(temporary)}
    if which == "no home":
        variables["HOME"] = "/nonexistent"
    else:
        (place / "cache").chmod(0o755)
        variables["SPESKEW_CACHE"] = str(place / "cache")
    for _ in range(2):
        numbers, said = run(place / which, python=python, uid=NOBODY, **variables)
        assert numbers == fresh
        (line,) = lines(said)
        assert f"are kept in {private}" in line
    assert {path.name for path in private.iterdir()} >= {"index", CODE_FOLDER, "matplotlib"}
    assert (place / which / "out" / "report.html").exists()
