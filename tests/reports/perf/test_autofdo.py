"""`export autofdo`: counts by hand, and what cannot be; by LLVM itself: tests/tools."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import speskew
from reports.exitcodes import ExitCode
from reports.perf.autofdo import Placed, Samples, placed, write
from reports.perf.dwarf import Frame, Stack
from sim.scenario.files.loader import stock_folder
from sim.workload.recording.recorder import record
from tests.needs import CROSS, RECORDING, need, run
from tests.rigs.tiny import command

call = command("export", "autofdo")
STREAMS = stock_folder() / "streams"
TEXT = """\
replications: 1
workload: {{kind: recorded, path: {path}, repeat: 1}}
spe: {{jitter: on}}
driver: {{aux: 64KiB}}
arms: [baremetal]
"""


def frame(function: str, line: int, discriminator: int = 0, start: int = 10) -> Frame:
    """A place in a function of LLVM's that is declared in line 10."""
    return Frame(function, start, line, discriminator, encoded=True)


def profile(
    times: dict[int, int],
    found: Mapping[int, Stack],
    calls: list[tuple[int, int, int]] | None = None,
    calling: tuple[int, ...] = (),
) -> Placed:
    """The profile of samples by address; of two functions, f at 100 and g at 200."""
    pc = np.array(list(times), np.uint64)
    count = np.array(list(times.values()), np.int64)
    branches = np.array(calls or [], np.int64).reshape(-1, 3)
    entries = {100: "f", 200: "g", 300: "by_hand"}
    return placed(Samples(pc, count, branches, frozenset(calling), entries, 0), found)


def text(result: Placed) -> list[str]:
    """Its lines."""
    file = io.BytesIO()
    write(file, result.functions)
    return file.getvalue().decode().splitlines()


def test_a_line_has_the_most_sampled_of_its_instructions() -> None:
    """And its function the sum of all, whose order the profile has."""
    found = {100: (frame("f", 11),), 104: (frame("f", 11),), 200: (frame("g", 10),)}
    assert text(profile({100: 7, 104: 9, 200: 20}, found)) == [
        "g:20:0",
        " 0: 20",
        "f:16:0",
        " 1: 9",
    ]


def test_inlined_calls_stand_in_their_caller() -> None:
    """Each with a total of its own, after the lines, and one within another."""
    outer, inner = frame("f", 12), frame("h", 31, start=30)
    found = {
        100: (outer,),
        104: (outer, inner),
        108: (outer, frame("h", 33, start=30), frame("k", 5, start=5)),
    }
    assert text(profile({100: 1, 104: 2, 108: 4}, found)) == [
        "f:7:0",
        " 2: 1",
        " 2: h:6",
        "  1: 2",
        "  3: k:4",
        "   0: 4",
    ]


@pytest.mark.parametrize(
    ("discriminator", "shown", "copies"),
    [
        (0, "1", 1),
        (2, "1.1", 1),
        (62, "1.31", 1),
        (0x40 | 0x80, "1.32", 1),  # 12 bits: 32 is bit 6 of the number
        (0x3FBE | 0x40, "1.4095", 1),
        (1 | 4 << 1, "1", 2),  # no block number, two copies
        (2 | 4 << 7, "1.1", 2),
        (2 | 1 << 7, "1.1", 1),  # no number of copies, then a copy's number
    ],
)
def test_parts_of_a_discriminator(discriminator: int, shown: str, copies: int) -> None:
    """Blocks of one line are told apart; what stands for several copies counts so often."""
    result = profile({100: 5}, {100: (frame("f", 11, discriminator),)})
    assert text(result)[1:] == [f" {shown}: {5 * copies}"]
    assert result.functions["f"].total == 5


def test_other_compilers_number_blocks_plainly() -> None:
    """GCC's discriminators are numbers."""
    found = {100: (Frame("f", 10, 11, 3, encoded=False),)}
    assert text(profile({100: 5}, found))[1:] == [" 1.3: 5"]


def test_a_line_above_its_function() -> None:
    """As of a macro or a file that is included: modulo 2^16."""
    assert text(profile({100: 1}, {100: (frame("f", 9),)}))[1:] == [" 65535: 1"]


def test_calls_are_the_entries_of_functions() -> None:
    """From a call, or a jump out of another function; not from a loop. By hand: no head to have."""
    found = {
        100: (frame("f", 10),),
        104: (frame("f", 11),),
        108: (frame("f", 12), frame("h", 31, start=30)),
        200: (frame("g", 10),),
    }
    calls = [(104, 200, 3), (108, 200, 2), (104, 100, 50), (104, 204, 1), (104, 300, 4)]
    assert text(profile({100: 1}, found, calls, calling=(108,))) == [
        "f:1:0",
        " 0: 1",
        " 1: 0 by_hand:4 g:3",
        " 2: h:0",
        "  1: 0 g:2",
        "g:0:5",
    ]
    assert text(profile({100: 1}, found, [(104, 100, 50)], calling=(104,))) == [
        "f:1:50",  # recursion
        " 0: 1",
        " 1: 0 f:50",
    ]


def test_what_has_no_place() -> None:
    """No function: counted apart. A made-up line counts for the function and the calls around."""
    found = {
        100: (frame("f", 0),),
        104: (frame("f", 0), frame("h", 31, start=30)),
        108: (frame("f", 12), frame("h", 0, start=30)),
        112: (frame("f", 12, start=0),),
        116: (frame("", 12),),
        120: (frame("f", 12), frame("", 30, start=30)),
    }
    result = profile({100: 1, 104: 2, 108: 4, 112: 8, 116: 16, 120: 32, 124: 64}, found)
    assert text(result) == ["f:39:0", " 2: h:4"]
    assert result.unplaced == 8 + 16 + 64


# --- the verb


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the shipped program `pages`, which has no lines."""
    made = speskew.run(TEXT.format(path=STREAMS / "pages.spestream"), band=False, progress=False)
    return made.save(tmp_path_factory.mktemp("shipped") / "run", report=False)


def test_a_program_without_lines(shipped: Path, tmp_path: Path) -> None:
    """How to have some is said, and nothing is written."""
    done = call(shipped, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert f"{STREAMS / 'pages'}: has no DWARF line table; compile it with -g" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_program_of_equal_code(tmp_path: Path) -> None:
    """A recorded program once more, with -g: every sample is in it. Other code is refused."""
    need(*RECORDING)
    options = (
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-fno-stack-protector",
        "-Wl,--build-id=sha1",
    )
    for name, level in (("plain", ("-O2",)), ("lines", ("-O2", "-g")), ("other", ("-O1", "-g"))):
        run(CROSS, *level, *options, "-o", tmp_path / name, STREAMS / "pages.c")
    (stream,) = record([str(tmp_path / "plain")], tmp_path / "plain.spestream")
    made = speskew.run(TEXT.format(path=stream), band=False, progress=False, keep_records=True)
    folder = made.save(tmp_path / "run", report=False)
    arguments = (folder, "--arm", "baremetal", "-o", tmp_path / "p")
    done = call(*arguments, "--binary", tmp_path / "other")
    assert done.exit_code == ExitCode.USAGE
    assert "and its code is another from 0x" in done.stderr
    done = call(*arguments, "--binary", tmp_path / "lines")
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "p").read_text().splitlines()
    heads = [line.split(":") for line in lines if line[0] != " "]
    assert {name for name, *_ in heads} == {"_start", "popular", "moving"}
    assert sum(int(total) for _, total, _ in heads) == len(made.records)
    assert f": {len(made.records):,} in 3 functions, replication 0" in done.stderr


def test_what_cannot_be_placed(synthetic: Path, shipped: Path, tmp_path: Path) -> None:
    """A synthetic workload; a file that is no program; no program beside the stream."""
    done = call(synthetic, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "is no recorded program" in done.stderr
    (tmp_path / "text").write_text("no program")
    done = call(shipped, "--arm", "baremetal", "--binary", tmp_path / "text", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "no ELF file" in done.stderr
    alone = tmp_path / "alone.spestream"
    alone.write_bytes((STREAMS / "pages.spestream").read_bytes())
    made = speskew.run(TEXT.format(path=alone), band=False, progress=False)
    folder = made.save(tmp_path / "run", report=False)
    done = call(folder, "--arm", "baremetal", "-o", tmp_path / "x")
    assert done.exit_code == ExitCode.USAGE
    assert "name it with --binary" in done.stderr
    assert not (tmp_path / "x").exists()
