"""`speskew memlock`: figures, lines to write, exit codes."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from analysis.cost.sizing import CHARGES
from reports.cli.commands.memlock import DESIGNS
from reports.exitcodes import ExitCode
from tests.rigs.tiny import command

call = command("memlock")

MIB, GIB = 1 << 20, 1 << 30


def answer(*args: str) -> dict[str, Any]:
    """Its JSON."""
    done = call(*args, "--format", "json")
    assert done.exit_code == ExitCode.OK, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_design_can_be_asked_for() -> None:
    """The command's choice is the sizing table's; the text names what is charged."""
    assert tuple(CHARGES) == DESIGNS
    for name in DESIGNS:
        done = call("--vcpus", "2", "--aux", "4MiB", "--design", name)
        assert done.exit_code in (ExitCode.OK, ExitCode.UNDECIDED)
        assert CHARGES[name].text.split(";")[0][:40] in done.stdout


def test_json_has_the_agreed_names() -> None:
    """Window, and the fewest and most table pages on top, for all vCPUs; no configuration."""
    found = answer("--vcpus", "1", "--window", "4MiB")
    assert found["window_bytes"] == 4 * MIB
    assert found["least_bytes"] == 4 * MIB + 5 * 4096
    assert found["guaranteed_bytes"] == 4 * MIB + 8 * 4096 == found["limit_bytes"]
    assert (found["table_pages_least"], found["table_pages_most"]) == (5, 8)
    assert found["tables_shared_between_vcpus"] is True
    assert found["configuration_bytes"] == 0
    two = answer("--vcpus", "2", "--aux", "8MiB")
    assert two["guaranteed_bytes"] == 2 * found["guaranteed_bytes"]


@pytest.mark.parametrize(("granule", "page", "most"), [("16KiB", 16384, 7), ("64KiB", 65536, 5)])
def test_granules(granule: str, page: int, most: int) -> None:
    """The table pages are pages of the granule."""
    found = answer("--vcpus", "1", "--aux", "4MiB", "--granule", granule)
    assert found["guaranteed_bytes"] == 2 * MIB + most * page


def test_several_vms() -> None:
    """Each VMM has a limit of its own; the host's total is said, and where containers write it."""
    one, many = (answer("--vcpus", "4", "--aux", "4MiB", "--vms", n) for n in ("1", "20"))
    assert many["limit_bytes"] == one["limit_bytes"]
    assert many["host_total_bytes"] == 20 * one["limit_bytes"]
    assert many["lines"]["docker"].endswith(
        f"--ulimit memlock={one['limit_bytes']}:" + str(one["limit_bytes"])
    )
    assert many["lines"]["containerd"] == f"LimitMEMLOCK={one['limit_bytes']}"
    text = call("--vcpus", "4", "--aux", "4MiB", "--vms", "20").stdout
    assert "host's total, 20 VMs" in text
    assert "Kubernetes has no field for it" in text


def test_lines_carry_the_limit() -> None:
    """systemd and prlimit in bytes; libvirt's hard_limit leaves room for guest and VMM."""
    found = answer("--vcpus", "4", "--aux", "4MiB", "--memory", "8GiB")
    limit, lines = found["limit_bytes"], found["lines"]
    assert lines["systemd"] == f"LimitMEMLOCK={limit}"
    assert lines["prlimit"] == f"prlimit --pid PID --memlock={limit}:{limit}"
    hard_limit = ElementTree.fromstring(lines["libvirt"]).find("hard_limit")
    assert hard_limit is not None
    assert hard_limit.get("unit") == "KiB"
    assert int(hard_limit.text or "") * 1024 == 9 * GIB + limit
    text = call("--vcpus", "4", "--aux", "4MiB", "--memory", "8GiB").stdout
    assert all(line in text for line in lines.values())


def test_configuration_is_a_figure_of_its_own() -> None:
    """--max-buffer raises the limit to write, never the guaranteed figure."""
    plain = answer("--vcpus", "2", "--aux", "4MiB")
    charged = answer("--vcpus", "2", "--aux", "4MiB", "--max-buffer", "4MiB")
    assert charged["guaranteed_bytes"] == plain["guaranteed_bytes"]
    assert charged["configuration_bytes"] == charged["limit_bytes"] == 8 * MIB
    assert "-ENOMEM" in call("--vcpus", "2", "--aux", "4MiB").stdout
    small = call("--vcpus", "2", "--aux", "4MiB", "--max-buffer", "1MiB")
    assert "buffer management event" in " ".join(small.stdout.split())


def test_huge_pages_are_marked_unverified() -> None:
    """The guaranteed figure is the worst count; the other two are shown beside it."""
    found = answer("--vcpus", "1", "--aux", "4MiB", "--hugepages", "2MiB")
    assert found["guaranteed_bytes"] == 519 * 2 * MIB
    assert found["guaranteed_if_base_pages_bytes"] == 519 * 4096
    assert found["guaranteed_if_contiguous_bytes"] == (2 + 7) * 2 * MIB
    assert any("hugetlb" in note and "UNVERIFIED" in note for note in found["notes"])


def test_a_design_without_locked_memory_says_so() -> None:
    """Exit 0, a zero and no line to write."""
    found = answer("--vcpus", "2", "--aux", "4MiB", "--design", "unpinned")
    assert (found["limit_bytes"], found["lines"]) == (0, {})
    assert found["notes"] == [
        "This design locks no memory: no limit is needed, and KVM_EXIT_RLIMIT never fires."
    ]


def test_unknown_accounting_is_undecided() -> None:
    """Exit 4, nulls, and why."""
    done = call("--vcpus", "2", "--aux", "4MiB", "--design", "v7-guest-memfd", "--format", "json")
    assert done.exit_code == ExitCode.UNDECIDED
    found = json.loads(done.stdout)
    assert found["limit_bytes"] is found["guaranteed_bytes"] is None
    assert "not public" in found["notes"][0]


def test_whole_guest_designs_need_guest_memory() -> None:
    """v5 charges every slot, whatever the window."""
    found = answer(
        "--vcpus", "2", "--aux", "4MiB", "--design", "v5-memslot-lock", "--memory", "32GiB"
    )
    assert found["least_bytes"] == found["limit_bytes"] == 32 * GIB
    assert found["table_pages_least"] is None


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--aux", "4MB"], "use MiB"),
        (["--aux", "4MiB", "--window", "1MiB"], "give one of --window"),
        ([], "give one of --window"),
        (["--aux", "3MiB"], "power of two"),
        (["--window", "100KiB", "--granule", "64KiB"], "use a multiple of 65536 B"),
        (["--window", "0B"], "out of range"),
        (["--aux", "4MiB", "--hugepages", "3MiB"], "power of two"),
        (["--aux", "4MiB", "--design", "unpinned", "--max-buffer", "1MiB"], "no maximum buffer"),
    ],
)
def test_wrong_arguments_are_usage_errors(args: list[str], message: str) -> None:
    """Exit 2 and what to write instead; nothing on stdout."""
    done = call("--vcpus", "1", *args)
    assert done.exit_code == ExitCode.USAGE
    assert message in done.stderr
    assert done.stdout == ""
