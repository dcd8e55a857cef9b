"""LLVM itself judges our sample profiles: llvm-symbolizer has the same frames, llvm-profgen counts
the same, llvm-profdata reads them, and clang compiles by them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import speskew
from reports.perf.autofdo import samples_of
from reports.perf.dwarf import stacks
from reports.perf.recorded import recorded
from reports.rerunning import rerun
from sim.scenario.files.loader import stock_folder
from sim.workload.recording.recorder import record
from sim.workload.spestream import block_taken, read_spestream
from tests.needs import CROSS, RECORDING, need, run
from tests.rigs.tiny import command

CLANG = "clang-19"
SHIPPED = stock_folder() / "streams" / "branches.c"
BARE = ("-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-march=armv8.1-a")
LINES = ("-g", "-fdebug-info-for-profiling")
ARMS = ("baremetal", "v6", "unpinned-error")
export = command("export", "autofdo")
CALLS = """\
typedef unsigned long u64;
static u64 a[4096];
static inline u64 step(u64 x) { return x * 6364136223846793005UL + 1442695040888963407UL; }
static inline u64 pick(u64 x) { return x & 1 ? step(x) : step(x ^ 5) >> 1; }
__attribute__((noinline)) u64 fill(u64 n, u64 x) {
    for (u64 i = 0; i < n; i++) a[i] = i * x;
    return a[n / 2];
}
__attribute__((noinline)) u64 leaf(u64 x) { return pick(x) + 1; }
static __attribute__((noinline)) u64 down(u64 n) {
    return n < 2 ? leaf(n) : leaf(n) ^ down(n - 1) * n;
}
static u64 (*const table[2])(u64) = {leaf, down};
void _start(void) {
    u64 s = 1;
    for (int k = 0; k < 2000; k++) {
        s += fill(64 + (k & 63), s); s ^= pick(s); s += table[k % 9 == 0](s & 15);
    }
    register long x8 asm("x8") = 93, x0 asm("x0") = s & 1;
    asm volatile("svc 0" ::"r"(x8), "r"(x0));
    __builtin_unreachable();
}
"""
"""A loop that clang makes copies of, calls inlined in one another, direct, by a pointer, recursive,
and as the last thing a function does."""


def compiled(source: Path, out: Path, *options: str) -> Path:
    """A program of clang's, with lines."""
    target = ("--target=aarch64-linux-gnu", "-Wno-unknown-attributes", "-Wl,--build-id=sha1")
    run(CLANG, *target, *BARE, *LINES, *options, "-o", out, source)
    return out


def simulated(program: Path, repeat: int) -> Path:
    """A run of `layout` with a program's recording, one replication."""
    (stream,) = record([str(program)], program.with_name(f"{program.name}.spestream"))
    sets = {"workload.path": str(stream), "workload.repeat": repeat}
    made = speskew.run("layout", set=sets, band=False, progress=False, replications=1)
    return made.save(program.with_name(f"{program.name}.run"), report=False)


class Profiled(NamedTuple):
    """A program, its run, and profiles by arm and of the truth."""

    program: Path
    run: Path
    profiles: dict[str, Path]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Profiled]:
    """The shipped program, and one of many calls."""
    need(CLANG, *RECORDING)
    folder = tmp_path_factory.mktemp("autofdo")
    (folder / "calls.c").write_text(CALLS)
    return {
        "branches": _profiled(compiled(SHIPPED, folder / "branches", "-O2"), 10),
        "calls": _profiled(compiled(folder / "calls.c", folder / "calls", "-O3"), 100),
    }


def _profiled(program: Path, repeat: int) -> Profiled:
    made, profiles = simulated(program, repeat), {}
    for name in ("truth", *ARMS):
        arm, extra = ("baremetal", ("--truth",)) if name == "truth" else (name, ())
        profiles[name] = program.with_name(f"{program.name}-{name}.prof")
        done = export(made, "--arm", arm, *extra, "-o", profiles[name])
        assert done.exit_code == 0, done.output
    return Profiled(program, made, profiles)


@pytest.fixture(params=["branches", "calls"])
def profiled(request: pytest.FixtureRequest, both: dict[str, Profiled]) -> Profiled:
    """Each of them."""
    return both[request.param]


@pytest.fixture
def shipped(both: dict[str, Profiled]) -> Profiled:
    """The shipped program; it prints what it has computed."""
    return both["branches"]


# --- frames


def compared(program: Path) -> tuple[int, int]:
    """Checks all instructions against llvm-symbolizer; returns how many, and how many inlined."""
    with program.open("rb") as file:
        text: Any = ELFFile(file).get_section_by_name(".text")
        first, size = text["sh_addr"], text["sh_size"]
    pc = np.arange(first, first + size, 4).astype(np.uint64)
    found = stacks(program, pc)
    options = (f"--obj={program}", "--inlining", "--no-demangle", "--output-style=JSON")
    asked = "\n".join(hex(address) for address in pc.tolist())
    said = run("llvm-symbolizer-19", *options, input=asked, capture_output=True).stdout
    rows = [json.loads(line) for line in said.splitlines()]
    assert len(rows) == pc.size
    inlined = 0
    for row in rows:
        theirs = [
            (f["FunctionName"], f["StartLine"], f["Line"], f["Discriminator"])
            for f in reversed(row["Symbol"])
        ]
        stack = found.get(int(row["Address"], 16), ())
        ours = [(f.function, f.start, f.line, f.discriminator) for f in stack]
        assert ours == theirs or (not ours and theirs[0][1] == 0), row["Address"]
        inlined += len(ours) > 1
    return len(found), inlined


def test_frames_are_llvms(profiled: Profiled) -> None:
    """Function, its line, line, discriminator and inlined calls of every instruction."""
    instructions, inlined = compared(profiled.program)
    assert instructions > 100
    assert (inlined > 0) == (profiled.program.name == "calls")


@pytest.mark.parametrize(
    "options", [("-g", "-O3"), ("-gdwarf-4", "-O2"), ("-gdwarf-3", "-O1", "-gz")]
)
def test_frames_of_gcc_are_llvms(options: tuple[str, ...], tmp_path: Path) -> None:
    """As GCC writes them, in several versions, compressed."""
    need("llvm-symbolizer-19")
    (tmp_path / "calls.c").write_text(CALLS)
    run(CROSS, *BARE, *options, "-o", tmp_path / "calls", tmp_path / "calls.c")
    instructions, inlined = compared(tmp_path / "calls")
    assert instructions > 80
    assert inlined > 10


# --- counts


def counted(profiled: Profiled, name: str, folder: Path) -> tuple[list[str], list[str]]:
    """Our profile and llvm-profgen's of the same samples, in its unsymbolized form.

    Totals, which it counts by byte, lines without a sample, which it adds, and line 0, which it
    takes for one before the function, are left out.
    """
    found = rerun(profiled.run, "baremetal" if name == "truth" else name, 0)
    program = recorded(found.arm, None)
    samples = samples_of(found, program, truth=name == "truth", written=lambda _: None)
    ranges = [f"{pc:x}-{pc:x}:{n}" for pc, n in zip(samples.pc, samples.times, strict=True)]
    taken = [f"{a:x}->{b:x}:{n}" for a, b, n in samples.calls.tolist()]
    raw = folder / "raw"
    raw.write_text("\n".join([f"{len(ranges)}", *ranges, f"{len(taken)}", *taken, ""]))
    options = (f"--binary={program.path}", f"--unsymbolized-profile={raw}", "--use-offset=0")
    run("llvm-profgen-19", *options, "--format=text", f"--output={folder / 'theirs'}")
    theirs = (folder / "theirs").read_text().splitlines()
    ours = profiled.profiles[name].read_text().splitlines()
    return list(_comparable(ours)), list(_comparable(theirs))


def _comparable(lines: list[str]) -> Iterator[str]:
    for line in lines:
        indent, head = len(line) - len(line.lstrip()), re.fullmatch(r"([^ ]+):(\d+):(\d+)", line)
        place = re.match(r" +(\d+)", line)
        if head:
            yield f"{head[1]} {head[3]}"
        elif re.search(r": [A-Za-z_]\w*:\d+$", line):
            yield line.rpartition(":")[0]
        elif place and int(place[1]) < 60_000 and not line.endswith(": 0"):
            yield f"{indent} {line}"


@pytest.mark.parametrize("name", ["truth", "baremetal"])
def test_counts_are_llvm_profgens(profiled: Profiled, name: str, tmp_path: Path) -> None:
    """Lines with copies, inlined calls, callees and entries; order aside all is equal."""
    need("llvm-profgen-19")
    ours, theirs = counted(profiled, name, tmp_path)
    assert len(ours) > 20
    assert sorted(ours) == sorted(theirs)


def test_totals_are_the_samples(profiled: Profiled) -> None:
    """The functions' totals add up to the delivered records; those of inlined calls are within."""
    made = speskew.load(profiled.run)
    for name in ARMS:
        heads = re.findall(
            r"^[^ ]\S*:(\d+):\d+$", profiled.profiles[name].read_text(), re.MULTILINE
        )
        assert sum(map(int, heads)) == made.arms[name]["ledger.delivery.delivered"]


# --- llvm-profdata


def overlap(one: Path, other: Path) -> float:
    """How similar two profiles are, percent, weighted by function."""
    said = run("llvm-profdata-19", "overlap", "--sample", one, other, capture_output=True).stdout
    found = re.search(r"Whole program profile similarity: ([\d.]+)%", said)
    assert found is not None
    return float(found[1])


def test_profiles_are_read_and_written_as_they_are(profiled: Profiled, tmp_path: Path) -> None:
    """Its text form of our profile is our profile; merged with itself it has twice the counts."""
    for name, path in profiled.profiles.items():
        again, twice = tmp_path / name, tmp_path / f"{name}.twice"
        run("llvm-profdata-19", "merge", "--sample", "--text", path, "-o", again)
        assert again.read_text() == path.read_text()
        run("llvm-profdata-19", "merge", "--sample", path, path, "-o", twice)
        said = run("llvm-profdata-19", "show", "--sample", twice, capture_output=True).stdout
        heads = re.findall(r"^Function: (\S+): (\d+), (\d+), ", said, re.MULTILINE)
        ours = re.findall(r"^([^ ]\S*):(\d+):(\d+)$", path.read_text(), re.MULTILINE)
        assert sorted((n, int(t) // 2, int(h) // 2) for n, t, h in heads) == sorted(
            (n, int(t), int(h)) for n, t, h in ours
        )


def test_fewer_samples_are_less_alike(profiled: Profiled) -> None:
    """The truth is itself; v6 has baremetal's samples; of unpinned-error fewer are left."""
    truth, baremetal, v6, error = (profiled.profiles[name] for name in ("truth", *ARMS))
    assert overlap(truth, truth) == 100
    assert v6.read_bytes() == baremetal.read_bytes()
    assert 100 > overlap(truth, baremetal) > overlap(truth, error)


# --- clang


class Built(NamedTuple):
    """A program that was compiled by a profile."""

    path: Path
    said: str
    """By clang: which counts it took."""


def by_profile(profile: Path, *options: str) -> str:
    """What clang says while it compiles the shipped program by a profile."""
    target = ("--target=aarch64-linux-gnu", "-Wno-unknown-attributes", *BARE, *LINES, "-O2")
    use = f"-fprofile-sample-use={profile}"
    done = run(CLANG, *target, use, *options, SHIPPED, capture_output=True)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(both: dict[str, Profiled]) -> dict[str, Built]:
    """The shipped program compiled by each profile, and without any."""
    shipped = both["branches"]
    out = {"none": Built(shipped.program, "")}
    for name, profile in shipped.profiles.items():
        path = shipped.program.with_name(f"{name}.built")
        out[name] = Built(
            path, by_profile(profile, "-Rpass-analysis=sample-profile", "-o", str(path))
        )
    return out


def test_clang_takes_the_counts(shipped: Profiled, built: dict[str, Built]) -> None:
    """The lines that it asks for have the counts of the profile, and it asks for nearly all."""
    for name in ("truth", "baremetal"):
        text = shipped.profiles[name].read_text()
        applied = r"Applied (\d+) samples from profile \(offset: ([\d.]+)\)"
        taken = set(re.findall(applied, built[name].said))
        lines = {(n, at) for at, n in re.findall(r"^ ([\d.]+): (\d+)", text, re.MULTILINE)}
        assert taken <= lines
        assert len(taken) > 0.9 * len(lines) > 500


def test_branch_weights_are_the_truth(shipped: Profiled) -> None:
    """Intermediate code has, for each of the 192 places, how often each of its ways was taken."""
    code = by_profile(shipped.profiles["truth"], "-S", "-emit-llvm", "-o", "-")
    nodes = dict(
        re.findall(r'^(!\d+) = !\{!"branch_weights", (i32 \d+, i32 \d+)\}', code, re.MULTILINE)
    )
    used = re.findall(r"^ +br i1 .*!prof (!\d+)", code, re.MULTILINE)
    weights = [tuple(map(int, re.findall(r"i32 (\d+)", nodes[node]))) for node in used]
    places = [(a, b) for a, b in weights if abs(a + b - 25_000) < 10]  # 2,500 calls, ten times
    assert len([pair for pair in places if 0.2 < min(pair) / sum(pair) < 0.3]) == 192


def taken(program: Path, folder: Path) -> int:
    """Branches that a program takes on an input that no profile has seen."""
    (stream,) = record([str(program), "held-out"], folder / f"{program.name}.spestream")
    return int(block_taken(read_spestream(stream)).sum())


def test_programs_are_right_and_take_fewer_branches(
    built: dict[str, Built], tmp_path: Path
) -> None:
    """On a held-out input: fewest by the truth, a little more by many samples than by few."""
    for args in ((), ("held-out",)):
        right = run("qemu-aarch64", built["none"].path, *args, capture_output=True).stdout
        assert len(right) == 17
        for name, one in built.items():
            said = run("qemu-aarch64", one.path, *args, capture_output=True).stdout
            assert said == right, name
    counts = {name: taken(one.path, tmp_path) for name, one in built.items()}
    assert counts["v6"] == counts["baremetal"]
    assert counts["truth"] < counts["baremetal"] < counts["unpinned-error"] < counts["none"]
    assert counts["truth"] < 0.6 * counts["none"]
