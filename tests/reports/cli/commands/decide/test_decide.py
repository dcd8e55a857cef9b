"""`speskew decide`: options, forms, mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import speskew
from sim.scenario.models.decisions import KINDS
from tests.reports.decided import TEXT
from tests.rigs.tiny import call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run."""
    target: Path = tmp_path_factory.mktemp("runs") / "run"
    text = TEXT
    return str(speskew.run(text, band=False, progress=False).save(target, report=False))


def test_a_table(folder: str) -> None:
    """Of the kinds that were named, each once."""
    found = call("decide", folder, "--kind", "hot-functions", "--kind", "hot-functions", "-q")
    assert found.exit_code == 0, found.output
    assert found.stdout.count("hot-functions: ") == 1
    assert "1 of 3" in found.stdout  # as the scenario asked


def test_top_and_margin(folder: str) -> None:
    """As in a scenario."""
    found = call(
        "decide", folder, "--kind", "hot-functions", "--top", "2", "--margin", "60%", "-q",
        "--format", "json",
    )  # fmt: skip
    document = json.loads(found.stdout)
    one = document["arms"]["few"]["decisions"]["hot-functions"]
    assert one["chosen"] == "2 of 3 functions"
    assert one["margin"] == 0.6
    assert one["answer"] == "same"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "hot-page"), "did you mean 'hot-pages'"),
        (("--top", "0"), "or a share of them"),
        (("--margin", "0"), "above 0 %"),
        (("--margin", "3ms"), "--margin"),
    ],
)
def test_mistakes(folder: str, options: tuple[str, ...], said: str) -> None:
    """A line that says how to do better; exit code 2."""
    found = call("decide", folder, *options)
    assert found.exit_code == 2
    assert said in found.stderr


def test_help_names_every_kind() -> None:
    """The list in the option's help is that of scenarios."""
    text = "".join(call("decide", "--help").stdout.split())
    assert all(name in text for name in KINDS)


THREADS = """\
name: shared
replications: 2
workload: {kind: threads, path: streams/contended.threads.json, repeat: 4}
vm: {vcpus: %d}
spe: {interval: 256ops, min_interval: 256ops, jitter: on}
decisions: {kinds: [sharing]}
arms: [baremetal, v6]
"""


def test_contended_lines_of_threads(tmp_path: Path) -> None:
    """A run of threads has the decision, and says how they take turns wherever it is told."""
    made = speskew.run(THREADS % 4, band=False, progress=False)
    folder = made.save(tmp_path / "run", report=False)
    found = call("decide", folder, "-q").stdout
    assert "10 of 70 contended lines" in found
    assert "the same within ±1 %" in found  # v6 has baremetal's own samples
    said = " ".join(call("show", folder).stdout.split())
    assert "take turns as on baremetal without a profile, in all arms alike" in said
    document = json.loads((Path(folder) / "result.json").read_text())
    assert document["arms"]["v6"]["setup"]["stream_kind"] == "threads"
    one = document["arms"]["v6"]
    assert one["ended_at_op"] == one["setup"]["stream_ops"] == 4 * 596_925  # the longest
    assert one["skew"]["answer"] != "ended"


def test_threads_without_a_vcpu_each(tmp_path: Path) -> None:
    """Said before anything runs, with what to write."""
    path = tmp_path / "few.yaml"
    path.write_text(THREADS % 2)
    for verb in ("validate", "run"):
        found = call(verb, path)
        assert found.exit_code == 2
        assert "4 threads, but vm.vcpus is 2" in found.stderr + found.stdout
