"""speskew explain: every name, and a way out for the others."""

from __future__ import annotations

import json

import pytest

from reports.exitcodes import ExitCode
from reports.reference import explaining
from tests.rigs.tiny import command

call = command("explain")


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("profile.symbol.tvd_excess", "metric", "excess"),
        ("arms.v6.profile.pc.tvd_excess", "metric", "excess"),
        ("tvd_excess", "metric", "excess"),
        ("t_select", "column", "records.parquet"),
        ("profiled", "label of executed ops", "coordinate q"),
        ("irq_masked", "loss label", "PSTATE.I"),
        ("ledger.time.pin", "cause of time", "pinning"),
        ("collided", "term of the selections", "SAMPLE_COLLISION"),
        ("voided_by_DL", "term of the delivery", "PMBSR.DL"),
        ("t_map_cold", "parameter", "UNVERIFIED"),
        ("memlock", "default of a setting", "host.memlock"),
        ("replications[].metrics.zaps", "metric", "counts.zaps"),
        ("v6", "design", "26/35"),
        ("host.memlock", "scenario key", "RLIMIT_MEMLOCK"),
        ("host.pressure", "scenario key", "numa_balancing"),
        ("backing", "policy", "guest_memfd"),
        ("on_first_fault", "policy", "backing"),
        ("ksm", "scenario key", "host.pressure"),
    ],
)
def test_names_are_explained(name: str, kind: str, word: str) -> None:
    """Metrics by path or last part, columns, labels, causes, parameters, settings."""
    done = call(name)
    assert done.exit_code == 0, done.output
    assert f"({kind})" in done.stdout
    assert word in " ".join(done.stdout.split())


def test_all_meanings_of_a_name_are_given() -> None:
    """`wall` is a metric and a cause of time."""
    kinds = {e.kind for e in explaining.find("wall")}
    assert {"metric", "cause of time"} <= kinds


def test_unknown_names_get_a_hint() -> None:
    """A close name is offered; else the list is; exit code 2; nothing on stdout."""
    done = call("tvd_exzess")
    assert done.exit_code == ExitCode.USAGE
    assert "did you mean 'tvd_excess'" in done.stderr
    assert done.stdout == ""
    assert "speskew explain" in call("0@0@").stderr
    assert "\x1b" not in call("\x1b[31mred").stderr


def test_json_is_a_list_of_named_objects() -> None:
    """One name, or all of them."""
    one = json.loads(call("t_pin", "--format", "json").stdout)
    assert [e["name"] for e in one] == ["t_pin"]
    assert one[0]["source"].startswith("gup_test")
    every = json.loads(call("--format", "json").stdout)
    assert len(every) == len(explaining.entries())
    assert all(e["name"] and e["kind"] and e["meaning"] for e in every)


def test_the_list_finds_each_of_its_names() -> None:
    """Everything that is listed is explained under that name."""
    text = call().stdout
    for entry in explaining.entries():
        assert entry in explaining.find(entry.name)
        assert entry.name in text
