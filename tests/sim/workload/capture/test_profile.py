"""Workload profiles: what they carry comes back, their file is strict, their streams are exact."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from sim.workload.arrays import LEVEL_STRIDE, OP, POP, TICK, Stream
from sim.workload.capture import profile as profiles
from sim.workload.capture.container import RawCapture, open_capture
from sim.workload.capture.profile import Latencies, Phase, Profile, ProfileError, Static
from sim.workload.capture.profiling import Sampling, Selection, alike, merge, profile
from sim.workload.capture.source import CaptureError, Clock
from sim.workload.presets import get_preset
from sim.workload.profiled import MAX_BODY, next_prime, stream_of_profile
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import load, variable

GHZ = Clock.of_frequency(10**9)
RAW = Sampling(interval=1024, clock=GHZ)


@dataclass(frozen=True)
class Pages:
    """A symbol for each 256 bytes of code."""

    def name(self, pid_or_tid: int, address: int) -> str:
        """Task and page."""
        return f"{pid_or_tid}:{address >> 8:#x}"


def raw(tmp_path: Path, data: bytes) -> RawCapture:
    """A bare buffer."""
    path = tmp_path / "raw"
    path.write_bytes(data)
    return RawCapture(path)


def small(**changes: object) -> Profile:
    """A profile of four operations and two phases, one of them with EL1 code."""
    made = Profile(
        source="x",
        interval=1024,
        ops_per_record=1025,
        symbols=("f", "g"),
        statics=(
            Static(0x400100, 0, 1, 0, 0),
            Static(0x400104, 0, 0, 0, 0),
            Static(0x400200, 0, 2, 1, 1),
            Static(0xFFFF_8000_0000_1000, 1, 1, 1, 1),
        ),
        latencies=(Latencies(1, 2, 100, tuple(range(256))),),
        phases=(
            Phase(333_333, ((0, 1, 300), (0, 2, 101), (1, 0, 599), (2, 0, 7))),
            Phase(None, ((1, 0, 250), (3, 4, 50))),
        ),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def stream(made: Profile, *, exclude_kernel: bool = False) -> Stream:
    """The stream of a profile at 3 GHz."""
    return stream_of_profile(
        made,
        name="p",
        repeat=1,
        core="neoverse-n1",
        exclude_kernel=exclude_kernel,
        micro_ops=False,
        clock_hz=3 * 10**9,
    )


def test_records_become_cells(tmp_path: Path) -> None:
    """Addresses, levels, threads, latencies and times of records are counted, each once."""
    data = b"".join(
        variable(load(0x400100 + 4 * (k % 2), 10 + 300 * k, total=20 + k % 2, source=8 * (k % 2)))
        for k in range(100)
    )
    made, seen = profile(raw(tmp_path, data), Pages(), RAW, "raw")
    assert (made.records, made.interval, made.ops_per_record) == (100, 1024, 1025)
    assert made.symbols == ("42:0x4001",)
    assert [(s.pc, s.el, s.op_class) for s in made.statics] == [(0x400100, 0, 1), (0x400104, 0, 1)]
    (phase,) = made.phases
    assert phase.cells == ((0, 1, 50), (1, 2, 50))
    assert phase.fs_per_op == 300 * GHZ.fs_per_tick // 1025
    assert [(r.timing_class, r.level, set(r.cycles)) for r in made.latencies] == [
        (1, 1, {20}),
        (1, 2, {21}),
    ]
    assert seen.records == 100


def test_phases_follow_time(tmp_path: Path) -> None:
    """Two halves with different code are two phases, each with its own time per op."""
    first = [variable(load(0x400100, 200 * k)) for k in range(1000)]
    second = [variable(load(0x500100, 200_000 + 800 * k)) for k in range(250)]
    made, _ = profile(raw(tmp_path, b"".join(first + second)), Pages(), RAW, "raw")
    assert len(made.phases) in (2, 3)  # a window may lie across the change
    assert made.phases[0].fs_per_op == 200 * 10**6 // 1025
    assert made.phases[-1].fs_per_op == pytest.approx(800 * 10**6 // 1025, rel=0.05)
    assert {made.statics[c[0]].pc for c in made.phases[0].cells} == {0x400100}
    late = {made.statics[static].pc: n for static, _, n in made.phases[-1].cells}
    assert late[0x500100] == 250
    assert late.get(0x400100, 0) <= 250 // 50


def test_steady_code_is_one_phase(tmp_path: Path) -> None:
    """The control: random code without a change in time is not cut up."""
    draw = np.random.default_rng(3)
    pcs = 0x400000 + 256 * draw.integers(0, 40, 20_000)
    data = b"".join(variable(load(int(pc), 300 * k)) for k, pc in enumerate(pcs))
    made, _ = profile(raw(tmp_path, data), Pages(), RAW, "raw")
    assert len(made.phases) <= 2


def test_phases_without_timestamps_follow_the_stream(tmp_path: Path) -> None:
    """Records that end without a time are put into windows by their place."""
    records = [load(0x400100, 0)] * 640 + [load(0x500100, 0)] * 640
    data = b"".join(variable(r)[:-9] + b"\x01" for r in records)
    made, _ = profile(raw(tmp_path, data), Pages(), RAW, "raw")
    assert [p.fs_per_op for p in made.phases] == [None, None]
    assert [p.records for p in made.phases] == [640, 640]


def test_alike_flags_a_shift_and_passes_noise() -> None:
    """The homogeneity test: a wrong split in few of 200 pairs, a real shift always found."""
    draw = np.random.default_rng(5)
    p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.4, 0.4, 0.15, 0.05])
    pairs = [(draw.multinomial(2000, p), draw.multinomial(500, p)) for _ in range(200)]
    assert sum(not alike(a, b) for a, b in pairs) <= 8
    shifted = [(draw.multinomial(2000, p), draw.multinomial(2000, q)) for _ in range(50)]
    assert not any(alike(a, b) for a, b in shifted)
    assert merge(np.array([[5, 0], [0, 0], [6, 0], [0, 900]])) == [[0, 2], [3]]


def test_selection_and_missing_interval(tmp_path: Path) -> None:
    """One thread or CPU at a time; a raw buffer needs the period; nothing selected is an error."""
    data = [variable(load(0x400100 + 256 * (k % 2), k, context=42 + k % 2)) for k in range(100)]
    capture = raw(tmp_path, b"".join(data))
    made, _ = profile(capture, Pages(), RAW, "raw", Selection(tid=43))
    assert (made.records, made.symbols) == (50, ("43:0x4002",))
    with pytest.raises(CaptureError, match=r"sampling period.*--interval 1024ops"):
        profile(capture, Pages(), Sampling(), "raw")
    with pytest.raises(CaptureError, match="no whole record"):
        profile(capture, Pages(), RAW, "raw", Selection(cpu=3))


def test_the_container_knows_better(tmp_path: Path) -> None:
    """Period, jitter and clock of a perf.data win over what is given by hand."""
    data = pf.perf_data(
        [
            pf.time_conv(2, 0),
            pf.INFO_V1,
            pf.auxtrace(b"".join(variable(load(0x400100, 100 * k)) for k in range(20)), 0),
        ],
        config=1 | 1 << 16,
        period=4097,
    )
    path = tmp_path / "perf.data"
    path.write_bytes(data)
    made, _ = profile(open_capture(path), Pages(), RAW, "perf.data")
    assert (made.interval, made.ops_per_record) == (4097, 4096 + 128)
    assert made.phases[0].fs_per_op == 200 * 10**6 // 4224


def test_damaged_records_do_not_count(tmp_path: Path) -> None:
    """Halves of a record with a bad byte are left out of a profile."""
    one = variable(load(0x400100, 5))
    made, seen = profile(
        raw(tmp_path, one * 50 + one[:9] + b"\xff" + one[9:] + one), Pages(), RAW, "raw"
    )
    assert (made.records, seen.records, seen.intact) == (51, 53, 51)


def test_file_round_trip(tmp_path: Path) -> None:
    """What is written is read; equal profiles have equal files; limits are in the file."""
    made = small()
    path = tmp_path / "p.json"
    path.write_text(profiles.dumps(made))
    assert profiles.load(path) == made
    assert profiles.dumps(profiles.load(path)) == path.read_text()
    assert json.loads(path.read_text())["limits"] == list(profiles.LIMITS)


BAD = [
    ("", "no JSON"),
    ("[1]", "no profile of speskew"),
    ('{"format": "x"}', "no profile"),
    ('{"format": "speskew-profile", "version": 2}', "version 2, this speskew reads 1"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_no_profile(tmp_path: Path, text: str, message: str) -> None:
    """Other files are refused with their name and a way out."""
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ProfileError, match=message) as error:
        profiles.load(path)
    assert str(error.value).startswith(str(path))
    with pytest.raises(ProfileError, match="cannot be read"):
        profiles.load(tmp_path / "gone")


def test_shares_of_the_stream_are_those_of_the_records() -> None:
    """In each phase and exception level, a symbol has its share to within one op of the loop; the
    ops are those that the records stand for."""
    made = small()
    got = stream(made)
    counts = got.pass_counts.reshape(-1, LEVEL_STRIDE)
    assert abs(got.ops - made.ops) < 0.001 * made.ops
    want = np.zeros_like(counts)
    for phase in made.phases:
        for static, level, n in phase.cells:
            want[static, level] += n * made.ops_per_record
    assert np.abs(counts - want).max() <= 0.001 * made.ops
    assert (counts > 0).tolist() == (want > 0).tolist()


def test_kernel_code_is_in_the_population_only_if_asked_for() -> None:
    """EL1 records are EL1 ops: `exclude_kernel` takes them out of the population."""
    both, user = stream(small()), stream(small(), exclude_kernel=True)
    assert both.size(OP) == both.size(POP) == user.size(OP)
    gone = user.size(OP) - user.size(POP)
    assert abs(gone - 50 * 1025) < 0.01 * 50 * 1025


def test_time_per_op_is_the_captures() -> None:
    """A phase with a time takes it; one without takes the core's throughput."""
    made = small()
    timed = stream(replace(made, phases=made.phases[:1]))
    assert timed.size(TICK) / timed.ops == pytest.approx(333_333e-15 * 3e9 * 64, rel=1e-4)
    plain = stream(replace(made, phases=(Phase(None, ((1, 0, 100),)),)))
    assert plain.size(TICK) == plain.ops * int(get_preset("neoverse-n1").throughput_ticks()[0])


def test_latencies_are_the_captures() -> None:
    """Captured quantiles replace the preset's in their class and level, and nowhere else."""
    preset = get_preset("neoverse-n1").latency_quantiles().reshape(-1, 256)
    table = stream(small()).latency().reshape(-1, 256)
    mine = 1 * LEVEL_STRIDE + 2
    assert table[mine].tolist() == [64 * max(1, c) for c in range(256)]
    others = np.arange(table.shape[0]) != mine
    assert (table[others] == preset[others]).all()


def test_many_small_cells_keep_their_symbols_share() -> None:
    """A symbol of 200,000 addresses with one record each is not rounded away."""
    many = 200_000
    statics = (*(Static(4 * k, 0, 0, 0, 0) for k in range(many)), Static(9 << 40, 0, 0, 0, 1))
    cells = (*((k, 0, 1) for k in range(many)), (many, 0, many))
    got = stream(small(statics=statics, phases=(Phase(None, cells),)))
    per_static = got.pass_counts.reshape(-1, LEVEL_STRIDE).sum(axis=1)
    assert abs(int(per_static[:many].sum()) - got.ops // 2) <= got.ops // MAX_BODY + 1


def test_next_prime() -> None:
    """Smallest prime from a number on."""
    assert [next_prime(n) for n in (0, 2, 4, 14, 131_071)] == [2, 2, 5, 17, 131_071]
