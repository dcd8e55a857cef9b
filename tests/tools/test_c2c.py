"""perf c2c and perf mem of the system find what threads contend for, and nothing else.

The program says which lines its threads contend for, in which order (`scenarios/streams`).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from sim.runs import batch
from sim.scenario.files import loader
from sim.scenario.files.loader import stock_folder
from tests.tools import captures

PROGRAM = stock_folder() / "streams" / "contended"
IN_ORDER = ("hot", "warm", "tickets", "cool")
SHARED = """\
name: shared
replications: 1
workload: {kind: threads, path: streams/contended.threads.json, repeat: 12}
spe: {interval: 256ops, min_interval: 256ops, jitter: on, exclude_kernel: true}
driver: {aux: 1MiB}
vm: {vcpus: 4, max_buffer: 1MiB}
arms: [baremetal]
"""
COPIES = SHARED.replace("threads, path: streams/contended.threads.json", "recorded, path: %s")
"""The same code on as many vCPUs, without shared memory."""


def places() -> dict[str, range]:
    """Where the program's variables are."""
    with PROGRAM.open("rb") as file:
        table: Any = ELFFile(file).get_section_by_name(".symtab")
        found = list(table.iter_symbols())
    sizes = {s.name: (int(s["st_value"]), int(s["st_size"])) for s in found if s["st_size"]}
    return {name: range(begin, begin + size) for name, (begin, size) in sizes.items()}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the four threads."""
    return captures.run(tmp_path_factory.mktemp("shared"), SHARED)


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    """Its perf.data."""
    return captures.export(shared, "baremetal")


def lines_of(data: Path) -> dict[int, int]:
    """Loads that a peer gave by line, in the order of perf c2c's table."""
    args = ("c2c", "report", "-d", "peer", "--stdio", "-i", data)
    out, _ = captures.perf(*args, cwd=data.parent)
    _, table = out.split("Shared Data Cache Line Table")
    rows = re.findall(
        r"^\s+\d+\s+(0x[0-9a-f]+)\s+\S+\s+\d+\s+[\d.]+%\s+(\d+)",
        table.split("Shared Cache Line Distribution Pareto")[0],
        re.MULTILINE,
    )
    return {int(address, 16): int(loads) for address, loads in rows}


def peers(shared: Path) -> Counter[int]:
    """The same from the run's own records: loads and atomics with a peer's data source."""
    table = captures.kept(shared, "baremetal")
    given = table["source"].isin((9, 12))
    return Counter((table["va"][given].to_numpy() & ~np.uint64(63)).tolist())


def test_c2c_lists_what_the_program_contends_for(shared: Path, data: Path) -> None:
    """The four variables lead in the order of their use, the pool follows; nothing else is there
    but where the main thread meets the others; counts are those of the records."""
    found, place = lines_of(data), places()
    assert found == dict(peers(shared))
    names = [next(name for name, at in place.items() if line in at) for line in found]
    assert tuple(names[:4]) == IN_ORDER
    assert set(names[4:]) <= {"pool", "alive", "tickets", "hot"}
    assert names.count("pool") > 10
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_truth_has_the_same_order(shared: Path) -> None:
    """What the directory counted over the whole run leads with the same lines."""
    (arm,) = loader.load(shared / "scenario.resolved.yaml").arms
    lines = batch.visits_of(arm, batch.stream_of(arm)).lines
    order = (lines[np.argsort(-lines[:, 1]), 0] << 6).tolist()
    place = places()
    assert [address in place[name] for address, name in zip(order, IN_ORDER, strict=False)] == (
        [True] * 4
    )


def test_copies_of_a_program_share_nothing(tmp_path: Path) -> None:
    """The control: each thread's code alone, on as many vCPUs, has no line in the table."""
    made = captures.run(tmp_path, COPIES % "streams/contended.0.spestream")
    assert lines_of(captures.export(made, "baremetal")) == {}


def test_perf_mem_shows_who_gave_the_data(shared: Path, data: Path) -> None:
    """As many loads from each source as there are records of it."""
    args = ("mem", "report", "--stdio", "--sort=mem,snoop", "-i", data)
    out, _ = captures.perf(*args, cwd=data.parent)
    rows = re.findall(r"%\s+(\d+)\s+(\S+ or \S+(?: hit)?)\s+(\S+)", out.split("'memory'")[1])
    table = captures.kept(shared, "baremetal")
    source = Counter(table["source"][table["level"] > 0].tolist())
    stores = int((captures.code_of(shared, "baremetal")[1][table["insn"]] == 2).sum())
    assert {(where, how): int(n) for n, where, how in rows} == {
        ("L1 or L1 hit", "None"): source[0] - stores,
        ("L2 or L2 hit", "Peer"): source[9],
        ("L3 or L3 hit", "Peer"): source[12],
        ("L3 or L3 hit", "Hit"): source[11],
        ("N/A or N/A", "N/A"): stores,
    }


def test_threads_are_of_one_process(data: Path) -> None:
    """A thread on each CPU, with its own number in the process of the first."""
    args = ("script", "--itrace=i1i", "-F", "comm,pid,tid,cpu", "-i", data)
    out, _ = captures.perf(*args, cwd=data.parent)
    said = {" ".join(line.split()) for line in out.splitlines()}
    assert said == {f"contended 1000/{1000 + k} [{k:03}]" for k in range(4)}
