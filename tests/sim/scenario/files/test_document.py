"""YAML as it is read: version 1.2, bounded, with the place of everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.scenario.files.document import MAX_BYTES, MAX_DEPTH, MAX_ITEMS
from sim.scenario.files.loader import ScenarioError, load
from tests.sim.scenario.files.written import GOOD, problems, written

# --- files that are no scenarios -------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", "1:1: is empty; a scenario needs workload and arms"),
        (b"# nothing\n", "1:1: is empty; a scenario needs workload and arms"),
        (b"\n\n- a\n", "3:1: must be a mapping: keys such as workload, arms"),
        (b"just text\n", "1:1: must be a mapping: keys such as workload, arms"),
        (b"a: [\n", "2:1: is not valid YAML: while parsing a flow node expected the node content"),
        (b"a:\n\t- b\n", "2:1: is not valid YAML: while scanning for the next token found"),
        (b"a: *b\n", "1:4: is not valid YAML: found undefined alias 'b'"),
        (b"a: 1\n---\na: 1\n", "2:1: is not valid YAML: expected a single document"),
        (b"a: 1\nb: caf\xe9\n", "2:7: is not UTF-8; save it as UTF-8"),
        (b"a: 1\nb: x\x01\n", "2:5: is not valid YAML: character U+0001 is not allowed"),
        (b"%YAML 1.1\n---\na: 1\n", "1:7: is YAML 1.1; scenarios are YAML 1.2"),
        (b"a: " + b"[" * 3000, f"1:{3 + MAX_DEPTH}: is nested too deeply (more than 40 levels)"),
        (b"a: &a [*a]\n", "1:4: is nested too deeply"),
        (b"a:\n" + b" - x\n" * MAX_ITEMS, f"{MAX_ITEMS}:4: has more than 20,000 values"),
        (
            b"x: 1\n" * (MAX_BYTES // 4),
            f"is larger than {MAX_BYTES:,} bytes, the most a scenario may have",
        ),
    ],
)
def test_no_scenario_at_all(tmp_path: Path, raw: bytes, found: str) -> None:
    """One clear error at the first place that does not work."""
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    (problem,) = problems(path)
    assert problem.strip().startswith(found)


def test_a_bomb_of_aliases_is_bounded(tmp_path: Path) -> None:
    """8^8 values in 200 bytes."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x]"]
    lines += [f"a{k}: &a{k} [{','.join(8 * [f'*a{k - 1}'])}]" for k in range(1, 8)]
    (problem,) = problems(written(tmp_path, "\n".join(lines)))
    assert "repeats itself too often" in problem


@pytest.mark.parametrize("name", ["none.yaml", "folder/none", "a\0b.yaml", "x" * 300 + ".yaml", ""])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """Missing, a folder, a name that no file can have."""
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path / name if name else tmp_path)


# --- what YAML 1.2 means ---------------------------------------------------------------------


def test_yaml_1_2(tmp_path: Path) -> None:
    """`off` is a word, `017` is seventeen, anchors work and may be reused, a BOM is no harm."""
    text = (
        "\ufeff" + GOOD + "spe: &x {jitter: off, restart: &x hold}\nseed: 017\nvm: {vcpus: 0x2}\n"
    )
    made = load(written(tmp_path, text))
    settings = made.arms[0].settings
    assert (settings.spe.jitter, made.seed, settings.vm.vcpus) == ("off", 17, 2)


def test_a_bare_zero_needs_no_unit(tmp_path: Path) -> None:
    """Nothing is nothing in every unit."""
    made = load(written(tmp_path, GOOD + "vm: {exits: 0}\nswitch: {every: 1us, away: 0}\n"))
    settings = made.arms[0].settings
    assert settings.switch is not None
    assert (settings.vm.exits, settings.switch.away) == (0, 0)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is empty"),
        (b"- a\n", "must be a mapping"),
        (b"a: [\n", "not valid YAML"),
        (b"a:\n\t- b\n", "not valid YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a: " + b"[" * 3000, "s.yaml"),
        (b"x: 1\n" * (MAX_BYTES // 4), "the most a scenario may have"),
        (
            b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
            b"c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
            b"e: [*d,*d,*d,*d,*d,*d,*d,*d]\n",
            "too often",
        ),
    ],
)
def test_hostile_files(tmp_path: Path, raw: bytes, says: str) -> None:
    """Clear errors, bounded work."""
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert says in str(caught.value)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_nothing_but_a_scenario_error(tmp_path: Path, raw: bytes) -> None:
    """Any bytes at all."""
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    with pytest.raises(ScenarioError):
        load(path)
