"""The unmodified `perf` and our decoder see the same records and the same bad packets."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from sim.workload.capture.packets import decode
from sim.workload.capture.records import Packet, code_address, has
from tests.needs import run
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import Made, fixed, load, variable


def perf(path: Path, *args: str) -> str:
    """What `perf script` prints."""
    env = os.environ | {"HOME": str(path.parent)}
    return run("perf", "script", *args, "-i", path, capture_output=True, env=env).stdout


def in_file(tmp_path: Path, stream: bytes) -> Path:
    """A perf.data with one AUX stream."""
    stream += bytes(-len(stream) % 8)
    path = tmp_path / "perf.data"
    path.write_bytes(
        pf.perf_data(
            [
                pf.time_conv(),
                pf.INFO_V1,
                pf.comm(42, b"x"),
                pf.mmap2(42, 0x400000, 0x100000, 0, b"/no/x"),
                pf.aux(0, len(stream), 0),
                pf.auxtrace(stream, 0),
            ]
        )
    )
    return path


@pytest.mark.parametrize("layout", [fixed, variable])
def test_the_same_addresses(tmp_path: Path, layout: object) -> None:
    """One instruction sample for each record, in order, at its PC."""
    assert callable(layout)
    stream = b"".join(layout(load(0x400100 + 4 * k, 1000 + 10 * k)) for k in range(200))
    lines = perf(in_file(tmp_path, stream), "--itrace=i1i", "-F", "ip").split()
    records, _ = decode(stream)
    assert [int(line, 16) for line in lines] == code_address(records["pc"]).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_the_same_way_back_after_bad_bytes(tmp_path: Path, seed: int) -> None:
    """As many bad packets, and as many samples: perf shows each record that ends, and for each bad
    byte what it had of a record."""
    draw = random.Random(seed)
    data = bytearray(b"".join(variable(load(0x400100 + 4 * k, 1000 + 10 * k)) for k in range(200)))
    for _ in range(5):
        at = draw.randrange(len(data))
        if seed % 2:
            data[at] = draw.choice([0xFF, 0x80, 0x30, 0x21])
        else:
            data[at:at] = b"\xff"
    stream = bytes(data) + bytes(-len(data) % 8)
    path = in_file(tmp_path, stream)
    records, counts = decode(stream)
    ended = int((has(records, Packet.TIMESTAMP) | has(records, Packet.END)).sum())
    assert counts.bad > 0
    assert perf(path, "-D").count("Bad packet") == counts.bad
    assert len(perf(path, "--itrace=i1i", "-F", "ip").split()) == ended + counts.bad


def test_unknown_packets_are_not_bad_for_perf_either(tmp_path: Path) -> None:
    """Extended and implementation defined counters are well formed to both."""
    made = variable(Made({Packet.PC: 0x80 << 56 | 0x400100, Packet.TIMESTAMP: 9}))
    stream = b"\x9e\x05\x00" + b"\x21\x98\x05\x00" + b"\x23\xb4" + bytes(8) + made
    _, counts = decode(stream)
    assert (counts.bad, counts.unknown) == (0, 3)
    assert perf(in_file(tmp_path, stream), "-D").count("Bad packet") == 0
