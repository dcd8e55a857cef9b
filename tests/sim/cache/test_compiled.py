"""Compiled code in the cache: found again, made again when harmed, and never another version's."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.cache import compiled, home, sealed
from sim.draws import CODE_FOLDER, njit
from tests.rigs.damage import DAMAGES

# --- compiled code ---------------------------------------------------------------------------


def _twice(x: Any) -> Any:
    return 2 * x + 1


def _fill(out: Any, value: Any) -> None:
    for k in range(out.size):
        out[k] = value


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of compiled code with two functions, which no test touches."""
    root = tmp_path_factory.mktemp("code")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_folder", lambda name: root / name)
        use_code()
    return root / CODE_FOLDER


@pytest.fixture
def code(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in a process that has said nothing yet."""
    monkeypatch.setattr(home, "STATE", home.State())
    monkeypatch.setattr(compiled, "_folder", lambda name: tmp_path / name)
    shutil.copytree(kept, tmp_path / CODE_FOLDER)
    return tmp_path / CODE_FOLDER


def use_code() -> list[int]:
    """Run the functions as a new process does: the numbers of loads from the cache, in order."""
    twice, fill = njit(_twice), njit(_fill)
    out = np.zeros(3, np.int64)
    fill(out, twice(20))
    assert out.tolist() == [41, 41, 41]
    assert twice(1.25) == 3.5
    return [sum(f.stats.cache_hits.values()) for f in (twice, fill)]


def test_compiled_code_is_found_again(code: Path) -> None:
    """One file for each signature, which the next process loads."""
    assert len(list(code.iterdir())) == 3
    assert use_code() == [2, 1]


def _thrice(x: Any) -> Any:
    return 3 * x


def _outer(x: Any) -> Any:
    return _inner(x) + 1


_inner = njit(_thrice)


def test_what_compiling_costs_is_known(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the processor, once for a function and what it calls; nothing if all is found."""
    monkeypatch.setattr(compiled, "COMPILING", compiled.Compiling())
    usual = gc.get_threshold()
    began = time.process_time_ns()
    assert njit(_outer)(20) == 61
    assert gc.get_threshold() == usual, "rare while compiling only"
    spent = time.process_time_ns() - began
    assert len(list(code.iterdir())) == 5, "both were compiled"
    assert 0.5 * spent < compiled.COMPILING.nanoseconds <= spent
    monkeypatch.setattr(compiled, "COMPILING", compiled.Compiling())
    assert njit(_outer)(20) == 61
    assert compiled.COMPILING.nanoseconds == 0


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", [0, 2])
def test_damaged_code_is_compiled_again(
    damage: str, which: int, code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any damage to a file: the same numbers, one line at most, and whole files afterwards."""
    file = sorted(code.iterdir())[which]
    DAMAGES[damage](file)
    hits = sum(use_code())
    said = capsys.readouterr().err
    if damage == "missing":
        assert (hits, said) == (2, "")
    elif damage != "unreadable" or os.geteuid() != 0:
        assert hits == (1 if damage == "swapped" else 2)
        assert "this code is not used, but compiled again" in said
        assert said.count("\n") == 1
    home.STATE.said.clear()
    assert sum(use_code()) == 3
    assert capsys.readouterr().err == ""


def test_all_code_is_damaged_and_one_line_said(
    code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is done before there are workers: bad files go, others stay."""
    kept, *bad = sorted(code.iterdir())
    for file in bad:
        DAMAGES["cut to half"](file)
    compiled.check()
    assert [path for path in code.iterdir() if path.suffix == ".nbc"] == [kept]
    assert capsys.readouterr().err.count("\n") == 1
    assert sum(use_code()) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("what", ["a file", "a link to nothing"])
def test_something_else_in_the_place_of_the_code(
    what: str, code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has the folder's name makes way."""
    shutil.rmtree(code)
    if what == "a file":
        code.write_text("no folder")
    else:
        code.symlink_to("gone")
    use_code()
    assert capsys.readouterr().err.count("\n") <= 1
    assert use_code() == [2, 1]


def test_code_of_another_version_is_not_taken(
    code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole file that was moved here from another version's folder is compiled again."""
    code.rename(tmp_path / "numba-0123456789abcdef")
    shutil.copytree(tmp_path / "numba-0123456789abcdef", code)
    assert use_code() == [2, 1]
    for path in code.iterdir():
        payload = path.read_bytes()[: -sealed._SEAL]
        other = f"numba-0123456789abcdef/{path.name}"
        path.write_bytes(sealed.sealed(payload, other))
    assert use_code() == [0, 0]
    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_cache_code_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No place, or a full disk: the same numbers, and at most a line."""
    monkeypatch.setattr(home, "STATE", home.State())
    monkeypatch.setattr(compiled, "_folder", lambda name: None)
    assert use_code() == use_code() == [0, 0]
    assert njit(_twice).stats.cache_path is None
    monkeypatch.setattr(compiled, "_folder", lambda name: Path("/proc") / name)
    assert use_code() == [0, 0]
    assert capsys.readouterr().err.count("\n") == 1


def test_one_compiles_and_the_others_wait(code: Path) -> None:
    """While somebody else has the turn nothing happens; then it goes on, and leaves no turn."""
    for file in code.iterdir():
        file.rename(file.with_suffix(".away"))
    (away,) = code.glob("*_fill-*.away")
    turn = os.open(away.with_suffix(".turn"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(turn, fcntl.LOCK_EX)
    out = np.zeros(3, np.int64)
    waiting = threading.Thread(target=njit(_fill), args=(out, 7))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    assert out.tolist() == [0, 0, 0]
    away.rename(away.with_suffix(".nbc"))  # the other one is done
    os.close(turn)
    waiting.join(30)
    assert out.tolist() == [7, 7, 7]
    assert not list(code.glob("*.turn"))


def test_nobody_waits_for_ever(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a turn that does not end the work is done twice."""
    for file in code.iterdir():
        file.rename(file.with_suffix(".away"))
    (away,) = code.glob("*_fill-*.away")
    turn = os.open(away.with_suffix(".turn"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(turn, fcntl.LOCK_EX)
    monkeypatch.setattr(compiled, "_LONGEST", 0.1)
    out = np.zeros(3, np.int64)
    njit(_fill)(out, 7)
    os.close(turn)
    assert out.tolist() == [7, 7, 7]
    assert away.with_suffix(".nbc").is_file()


# --- what kept code needs ----------------------------------------------------------------------

_GATHERS = """
import sys
from pathlib import Path
import numpy as np
from sim.cache import compiled
from sim.draws import allocates, njit

compiled._folder = lambda name: Path(sys.argv[1]) / name

@njit
@allocates
def gathered(values):
    return np.cumsum(np.sort(values))

assert gathered(np.array([3, 1, 2])).tolist() == [1, 3, 6]
print(sum(gathered.stats.cache_hits.values()), "numba.np.linalg" in sys.modules)
"""


def test_kept_code_runs_without_what_compiles(tmp_path: Path) -> None:
    """A process that finds all its code does not make numba ready to compile, as the first did."""
    script = tmp_path / "gathers.py"
    script.write_text(_GATHERS)
    command = [sys.executable, str(script), str(tmp_path / "code")]
    for expected in ("0 True\n", "1 False\n"):
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert run.stdout == expected


def test_code_that_calls_the_unknown_waits_for_numba() -> None:
    """Where a name is not defined, numba is made ready, which defines them all, and only there."""
    asked = []

    class Context:
        def refresh(self) -> None:
            asked.append(1)

    compiled._define(("PyLong_AsLong", "NRT_Allocate"), Context())
    assert not asked
    compiled._define(("PyLong_AsLong", "speskew_nowhere"), Context())
    assert asked


def test_an_environment_that_holds_nothing_is_a_name() -> None:
    """It comes back without an import of its module; one that holds something stays as it is."""
    made = compiled._environment(("_ZN08NumbaEnvNowhereE", "numba.no_such_module"))
    assert (made.env_name, made.globals) == (
        "_ZN08NumbaEnvNowhereE",
        {"__name__": "numba.no_such_module"},
    )
    assert compiled._named(made) == ("_ZN08NumbaEnvNowhereE", "numba.no_such_module")
    made.consts.append(1)
    assert compiled._named(made) is made
    assert compiled._environment(made) is made
