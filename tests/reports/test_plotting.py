"""Figures do not depend on the environment: not on MPLBACKEND, not on a matplotlibrc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import reports
from tests.rigs.processes import begun

PACKAGE = Path(str(reports.__file__)).parent
DRAW = """
import sys
from reports.figures.style import blank, styled, to_png, to_svg
with styled("key"):
    figure = blank(2)
    figure.subplots().plot([1, 3, 2], label="a")
    svg, png = to_svg(figure, "key", "title"), to_png(figure)
import hashlib
print(hashlib.sha256(svg.encode() + png).hexdigest())
import os
print(os.environ.get("MPLBACKEND"), sys.modules["matplotlib"].rcParams._get_backend_or_none())
"""
EACH = """
import json, os, sys, traceback
import numba, numpy, pandas, pyarrow.parquet, scipy.special  # none brings matplotlib, all take long
import jinja2, PIL.Image, reports.results.compared, reports.store.read, sim.runs.batch
assert "matplotlib" not in sys.modules
for line in sys.stdin:
    code, folder, variables = json.loads(line)
    child = os.fork()
    if not child:
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.chdir(folder)
        os.environ.update(variables)
        try:
            exec(code, {})
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""
BACKENDS = [
    "module://matplotlib_inline.backend_inline",
    "nonsense",
    "",
    "qtagg",
    "module://",
    "Agg",
]


Python = Callable[..., list[str]]


@pytest.fixture(scope="module")
def python() -> Iterator[Python]:
    """Runs code in a process that has all of ours but matplotlib and what imports it, in a folder
    and with these variables; what it prints. It must say nothing else and end well."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("MPLBACKEND", None)
    command = [sys.executable, "-W", "error", "-c", EACH]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with begun(command, env=environment, **pipes) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        ask, answer = server.stdin, server.stdout

        def run(code: str, folder: Path, **variables: str) -> list[str]:
            print(json.dumps([code, str(folder), variables]), file=ask, flush=True)
            status = int(answer.readline())
            assert (status, (folder / "stderr").read_text()) == (0, "")
            return (folder / "stdout").read_text().splitlines()

        yield run


@pytest.fixture(scope="module")
def plain(python: Python, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a figure that is drawn in an empty environment."""
    return python(DRAW, tmp_path_factory.mktemp("plain"))[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_backend_changes_or_breaks_a_figure(
    backend: str, plain: str, python: Python, tmp_path: Path
) -> None:
    """The same bytes; the variable is there afterwards, and pyplot would obey it if it can."""
    drawn, after = python(DRAW, tmp_path, MPLBACKEND=backend)
    assert drawn == plain
    kept, obeyed = after.split(" ") if backend else ("", after.strip())
    assert kept == backend
    assert backend not in ("qtagg", "Agg") or obeyed.lower() == backend.lower()


def test_a_matplotlibrc_changes_no_figure(plain: str, python: Python, tmp_path: Path) -> None:
    """Nor does one in the working folder."""
    rc = "lines.linewidth: 9\naxes.grid: True\nfont.size: 20\naxes.facecolor: red\n"
    (tmp_path / "matplotlibrc").write_text(rc)
    assert python(DRAW, tmp_path)[0] == plain


def test_every_module_that_draws_can_be_imported_first(python: Python, tmp_path: Path) -> None:
    """Whatever imports matplotlib has seen to the environment before, or its package has."""
    drawing = [
        path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
        for path in sorted(PACKAGE.rglob("*.py"))
        if "from matplotlib" in path.read_text() or "import matplotlib" in path.read_text()
    ]
    packages = {name.removesuffix(".__init__") for name in drawing}
    first = sorted(p for p in packages if p.rpartition(".")[0] not in packages)
    assert {"reports.figures", "reports.sweeps.page"} <= set(first)
    for module in first:
        code = f"import sys\n__import__({module!r})\nprint('matplotlib' in sys.modules)"
        assert python(code, tmp_path, MPLBACKEND="nonsense") == ["True"], module


def test_matplotlib_without_a_home_uses_the_cache(
    plain: str, python: Python, tmp_path: Path
) -> None:
    """No complaint on stderr, and its list of fonts is found the next time."""
    nowhere = {"HOME": "/proc/nowhere", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
    nowhere |= {"SPESKEW_CACHE": str(tmp_path / "cache"), "MPLCONFIGDIR": ""}
    assert python(DRAW, tmp_path, **nowhere)[0] == plain
    assert list((tmp_path / "cache" / "matplotlib").glob("fontlist*"))
    nowhere["MPLCONFIGDIR"] = "/proc/nowhere"
    assert python(DRAW, tmp_path, **nowhere)[0] == plain
