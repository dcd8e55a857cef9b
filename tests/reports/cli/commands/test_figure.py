"""`speskew figure`: one figure of a run or a sweep."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from tests.reports import drawing
from tests.rigs.swept import MATRIX
from tests.rigs.tiny import TINY, call


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Two figures of a run and one a metric of a sweep are enough to be listed."""
    with pytest.MonkeyPatch.context() as patch:
        drawing.only(patch, "ledgers", "losses")
        drawing.of_sweep(patch, 1)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its figures, and its scenario."""
    folder = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("tiny.yaml").write_text(TINY)
        call("run", "tiny.yaml", "-o", "out", "--figures", "--no-band")
    return folder


@pytest.fixture(autouse=True)
def inside(drawn: Path, own_folder: Path) -> None:
    """Each test in a folder of its own, with a copy of them."""
    shutil.copytree(drawn, own_folder, dirs_exist_ok=True)


def test_it_is_the_figure_of_the_folder() -> None:
    """The names that are listed are those of the files, and the bytes are theirs."""
    listed = call("figure", "out").stdout.split()
    assert set(listed) == {path.stem for path in Path("out/figures").iterdir()}
    for form in ("svg", "png", "txt"):
        done = call("figure", "out", "losses", "-o", f"x.{form}")
        assert (done.exit_code, done.stdout) == (0, f"x.{form}\n")
        assert Path(f"x.{form}").read_bytes() == Path(f"out/figures/losses.{form}").read_bytes()
    assert call("figure", "out", "losses").stdout == "losses.svg\n"


def test_of_a_sweep() -> None:
    """Its maps and curves."""
    Path("sweep.yaml").write_text(TINY + MATRIX)
    call("sweep", "sweep.yaml", "-o", "swept", "--figures", "-q")
    listed = call("figure", "swept").stdout.split()
    assert set(listed) == {path.stem for path in Path("swept/figures").iterdir()}
    assert call("figure", "swept", listed[0]).exit_code == 0
    assert (
        Path(f"{listed[0]}.svg").read_bytes() == Path(f"swept/figures/{listed[0]}.svg").read_bytes()
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("out", "nothing"), "'nothing' is none of ledgers, losses"),
        (("out", "losses", "-o", "x.pdf"), "ends in .svg, .png or .txt"),
        (("out", "losses", "-o", "tiny.yaml/x.svg"), "tiny.yaml is no directory"),
        (("nowhere", "losses"), "nowhere"),
        ((".", "losses"), "result.json"),
    ],
)
def test_what_cannot_be(words: tuple[str, ...], says: str) -> None:
    """A message that says what may be given; nothing is written."""
    before = sorted(Path().iterdir())
    done = call("figure", *words)
    assert done.exit_code == ExitCode.USAGE
    assert says in done.stderr
    assert sorted(Path().iterdir()) == before


def test_a_file_that_is_there_stays_unless_forced() -> None:
    """As everywhere."""
    Path("losses.svg").write_text("mine")
    assert call("figure", "out", "losses").exit_code == ExitCode.USAGE
    assert Path("losses.svg").read_text() == "mine"
    assert call("figure", "out", "losses", "--force").exit_code == 0
    assert Path("losses.svg").read_text() != "mine"
