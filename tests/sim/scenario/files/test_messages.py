"""Scenario files: every error at its place, all at once; stock files; round trips."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario.files.loader import ScenarioError, load, stock_folder
from sim.scenario.models.quantities import UNLIMITED

STOCK = sorted(path.stem for path in stock_folder().glob("*.yaml"))
GOOD = """\
workload:
  kind: synthetic
  phases: [{name: loop, length: 10, iterations: 100}]
arms: [baremetal]
"""


def _write(folder: Path, text: str, name: str = "s.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _problems(path: Path, *sets: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(path, sets)
    return [f"{p.line}:{p.col}: {p.message}" for p in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "place", "says"),
    [
        ("spe: {jiter: on}", "5:7", "did you mean 'jitter'"),
        ("spe: {jitter: onn}", "5:15", "did you mean 'on'"),
        ("spe: {interval: 1024}", "5:17", "needs a number of ops with its unit"),
        ("host: {memlock: 8MB}", "5:17", "use MiB"),
        ("host: {memlock: 8kB}", "5:17", "use KiB"),
        ("cpu: {clock: 3Ghz}", "5:14", "did you mean 'GHz'"),
        ("hots: {memlock: 8MiB}", "5:1", "did you mean 'host'"),
        ("driver: {aux: 3MiB}", "", "power of two"),
        ("driver: {mode: cpu}\nswitch: {every: 4ms, away: 1ms}", "", "mode: task"),
        ("spe: {restart: resync}", "", "resync needs jitter"),
        ("parameters: {t_pinn: 3ns}", "5:14", "did you mean 't_pin'"),
        ("parameters: {t_pin: {kind: exponential, mean: 3ns}}", "5:14", "not a distribution"),
        ("vm: {vcpus: 0}", "5:13", "greater than or equal to 1"),
        ("replications: 0", "5:15", "greater than or equal to 1"),
        ("spe: {jitter: on}\nspe: {jitter: off}", "6:1", "given twice"),
        ("extends: nothing.yaml", "5:10", "no file"),
        ("extends: s.yaml", "5:10", "extends itself"),
    ],
)
def test_errors_stand_where_they_are(tmp_path: Path, line: str, place: str, says: str) -> None:
    """`line:col` of what is wrong, and how to fix it."""
    (found,) = _problems(_write(tmp_path, GOOD + line + "\n"))
    assert found.startswith(place)
    assert says in found


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        ("[v7]", "one of baremetal, unpinned"),
        ("[]", "at least one arm"),
        ("[{name: x}]", "design: is missing"),
        ("[v6, v6]", "two arms are called 'v6'"),
        ("[{design: v6, polices: {}}]", "did you mean 'policies'"),
        ("[{design: v6, policies: {unpin: neverr}}]", "did you mean 'never'"),
        ("[{design: v6, overrides: {host.unmap: often}}]", "host.unmap"),
    ],
)
def test_errors_of_arms(tmp_path: Path, arms: str, says: str) -> None:
    """Designs, policies and overrides are checked like settings."""
    found = _problems(_write(tmp_path, GOOD.replace("[baremetal]", arms)))
    assert any(says in problem for problem in found), found


def test_all_errors_at_once(tmp_path: Path) -> None:
    """Everything that is wrong, sorted by place, whichever arm it concerns."""
    text = (
        GOOD.replace("[baremetal]", "[v7]")
        + "spe: {jiter: on, interval: 3}\nhost: {memlock: 1MB}\n"
    )
    found = _problems(_write(tmp_path, text))
    assert [problem.split(":")[0] for problem in found] == ["4", "5", "5", "6"]


def test_overrides_and_extends(tmp_path: Path) -> None:
    """Base, then file, then --set; dotted and nested; lists replaced."""
    _write(tmp_path, GOOD + "spe: {interval: 4096ops, jitter: on}\n", "base.yaml")
    path = _write(
        tmp_path,
        "extends: base.yaml\nspe: {jitter: off}\narms:\n"
        "  - {name: a, design: v6, overrides: {host.unmap: never, spe: {jitter: ernd}}}\n"
        "  - {name: b, design: v6, policies: {unpin: never}}\n",
    )
    made = load(path, ["host.memlock=64KiB", "vm.max_buffer=unlimited"], replications=3, seed=7)
    first, second = made.arms
    assert (first.settings.spe.jitter, second.settings.spe.jitter) == ("ernd", "off")
    assert first.settings.spe.interval == 4096
    assert (second.policies.unpin, first.policies.unpin) == ("never", "on_disable")
    assert {arm.settings.host.memlock for arm in made.arms} == {64 << 10}
    assert first.settings.vm.max_buffer == UNLIMITED
    assert (made.replications, made.seed) == (3, 7)


def test_bad_set_names_itself(tmp_path: Path) -> None:
    """--set problems point at the option."""
    with pytest.raises(ScenarioError, match=r"--set host\.memlok=1MiB: host\.memlok: unknown key"):
        load(_write(tmp_path, GOOD), ["host.memlok=1MiB"])
    with pytest.raises(ScenarioError, match="write KEY=VALUE"):
        load(_write(tmp_path, GOOD), ["nothing"])


def test_bare_names_find_the_stock() -> None:
    """A misspelt stock name gets the nearest one."""
    with pytest.raises(ScenarioError, match="did you mean 'quickstart'"):
        load("quikstart")
