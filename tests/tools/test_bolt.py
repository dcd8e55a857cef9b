"""BOLT itself lays a program out by our profiles: right answers, and taken branches in the order
that the regret of `layout` predicts, on an input that the profile is not of."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import speskew
from sim.scenario.files.loader import stock_folder
from sim.workload.recording.recorder import record
from sim.workload.spestream import block_taken, read_spestream
from tests.needs import RECORDING, need, run
from tests.rigs.tiny import command

PROGRAM = stock_folder() / "streams" / "branches"
ARMS = ("baremetal", "v6", "unpinned-error")
export = command("export", "bolt")


class Laid(NamedTuple):
    """A laid-out program."""

    path: Path
    said: str
    """By perf2bolt."""
    regret: float


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Laid]:
    """The program as BOLT makes it from every branch, and from each arm's samples."""
    need("perf2bolt-19", "llvm-bolt-19", *RECORDING)
    folder = tmp_path_factory.mktemp("bolt")
    made = speskew.run("layout", band=False, progress=False, replications=1)
    made.save(folder / "run", report=False)
    out = {}
    for name in ("truth", *ARMS):
        arm, extra = ("baremetal", ("--truth",)) if name == "truth" else (name, ())
        profile, fdata, program = (folder / f"{name}.{end}" for end in ("pre", "fdata", "bolt"))
        done = export(folder / "run", "--arm", arm, *extra, "-o", profile)
        assert done.exit_code == 0, done.output
        aggregate = ("-aggregate-only", "-pa", "-p", profile, "-o", fdata)
        said = run("perf2bolt-19", *aggregate, PROGRAM, capture_output=True)
        options = ("-reorder-blocks=ext-tsp", f"-data={fdata}", "-o", program)
        run("llvm-bolt-19", PROGRAM, *options, capture_output=True)
        regret = 0.0 if extra else made.arms[name]["decisions.layout.regret"].mean
        out[name] = Laid(program, said.stdout + said.stderr, regret)
    return out


def taken(program: Path, folder: Path) -> int:
    """Branches that a program takes on an input that no profile has seen."""
    (stream,) = record([str(program), "held-out"], folder / f"{program.name}.spestream")
    return int(block_taken(read_spestream(stream)).sum())


def test_profiles_fit_the_program(laid: dict[str, Laid]) -> None:
    """Build ids match, and no branch or stretch contradicts the code."""
    for name, one in laid.items():
        assert "traces mismatching disassembled function contents: 0 (" in one.said, name
        assert "Out of range traces involving unknown regions: 0 (" in one.said, name
        assert "0 functions in the binary" not in one.said, name


def test_every_layout_gives_the_right_answer(laid: dict[str, Laid]) -> None:
    """Without an argument, and with two."""
    for args in ((), ("held-out",), ("x",)):
        right = run("qemu-aarch64", PROGRAM, *args, capture_output=True).stdout
        assert len(right) == 17
        for name, one in laid.items():
            said = run("qemu-aarch64", one.path, *args, capture_output=True).stdout
            assert said == right, name


def test_taken_branches_are_in_the_order_of_regret(laid: dict[str, Laid], tmp_path: Path) -> None:
    """On a held-out input: the truth's layout takes fewest, and more regret more of them."""
    counts = {name: taken(one.path, tmp_path) for name, one in laid.items()}
    order = sorted(laid, key=lambda name: laid[name].regret)
    assert [counts[name] for name in order] == sorted(counts.values())
    assert counts["truth"] < counts["unpinned-error"]
    assert counts["baremetal"] == counts["v6"]  # their samples are the same
    assert counts["truth"] < 0.8 * taken(PROGRAM, tmp_path)
    few = (counts["unpinned-error"] - counts["truth"]) / counts["truth"]
    assert few > 3 * (counts["baremetal"] - counts["truth"]) / counts["truth"]
