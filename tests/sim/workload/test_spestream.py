"""The .spestream format: round trips, chunk borders, refusals, and the shipped streams."""

import dataclasses
import struct
import zlib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.workload import spestream
from sim.workload.a64 import Flag, OpClass, branch_targets, classify
from sim.workload.spestream import (
    CHUNK_BLOCKS,
    Chunk,
    Recording,
    StreamError,
    Symbol,
    block_taken,
    content_hash,
    read_header,
    read_spestream,
    strip_words,
    write_chunks,
    write_spestream,
)

STREAMS = Path(str(files("scenarios") / "streams"))
SHIPPED = ["mix", "phases", *(f"threads.{thread}" for thread in range(4))]

# Three blocks: a loop with a load and a pair, a return, and a store before a jump.
WORDS = np.array(
    [0xF9400001, 0xA9400C02, 0xB5FFFFC1, 0xD65F03C0, 0xF9000001, 0x17FFFFFB], np.uint32
)
FIRST, LENGTH, SLOTS = [0, 3, 4], [3, 1, 2], [2, 0, 1]


def recording(
    blocks: int, *, breaks: list[int] | None = None, taken_last: bool = True
) -> Recording:
    """A recording of `blocks` random block executions."""
    rng = np.random.default_rng(blocks)
    ops = classify(WORDS)
    ids = rng.integers(0, 3, blocks, dtype=np.uint32)
    return Recording(
        pc=np.arange(0x400000, 0x400000 + 4 * WORDS.size, 4, dtype=np.uint64),
        word=WORDS,
        op_class=ops.op_class,
        flags=ops.flags,
        op_payload=ops.op_payload,
        op_header=ops.op_header,
        block_first=np.array(FIRST, np.int64),
        block_len=np.array(LENGTH, np.int32),
        ids=ids,
        addresses=rng.integers(0, 1 << 64, int(np.array(SLOTS)[ids].sum()), dtype=np.uint64),
        discontinuities=np.array(breaks or [], np.int64),
        symbols=(Symbol("loop", 0x400000, 16), Symbol("naïve", 0x400010, 8)),
        build_id="00ff",
        program="program --flag",
        tid=3,
        ops=int(np.array(LENGTH)[ids].sum()),
        taken_last=taken_last,
    )


def assert_equal(a: Recording, b: Recording) -> None:
    """Bit equality of every field, with its type."""
    for field in dataclasses.fields(Recording):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, field.name
            assert np.array_equal(left, right), field.name
        else:
            assert left == right, field.name


def changed_at(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    "blocks",
    [0, 1, 1000, CHUNK_BLOCKS - 1, CHUNK_BLOCKS, CHUNK_BLOCKS + 1, 2 * CHUNK_BLOCKS + 7],
)
def test_round_trip_is_bit_equal(blocks: int, tmp_path: Path) -> None:
    """What is written is read, with none, some and whole chunks."""
    breaks = [at for at in (1, CHUNK_BLOCKS, blocks - 1) if 0 < at < blocks]
    original = recording(blocks, breaks=sorted(set(breaks)))
    path = tmp_path / "a.spestream"
    write_spestream(path, original)
    assert_equal(read_spestream(path), original)
    header = read_header(path)
    assert (header.blocks, header.ops, header.tid) == (blocks, original.ops, 3)
    assert header.chunks == -(-blocks // CHUNK_BLOCKS)


def test_equal_recordings_give_equal_files(tmp_path: Path) -> None:
    """The bytes, and so the content hash, depend on the recording alone."""
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    write_spestream(one, recording(500))
    write_spestream(two, recording(500))
    write_spestream(other, recording(501))
    assert one.read_bytes() == two.read_bytes()
    assert content_hash(one) == content_hash(two) != content_hash(other)


def test_words_can_be_stripped(tmp_path: Path) -> None:
    """Without its words a stream keeps classes, flags, packets, slots and branches."""
    original = recording(700)
    path = tmp_path / "stripped.spestream"
    write_spestream(path, strip_words(original))
    read = read_spestream(path)
    assert not read.has_words
    assert not read.word.any()
    assert_equal(replace(read, word=WORDS), original)
    assert np.array_equal(block_taken(read), block_taken(original))
    assert WORDS.tobytes() not in path.read_bytes()


def test_block_slots_count_memory_instructions() -> None:
    """One slot per memory instruction; a pair has one."""
    assert recording(10).block_slots.tolist() == SLOTS
    assert recording(10).last_op.tolist() == [2, 3, 5]


def test_taken_at_chunk_borders(tmp_path: Path) -> None:
    """A loop branch at the end of a chunk is judged by the first block of the next chunk."""
    for follower, taken in ((0, True), (1, False)):
        original = recording(CHUNK_BLOCKS + 1)
        ids = np.zeros(CHUNK_BLOCKS + 1, np.uint32)
        ids[-1] = follower
        slots = 2 * CHUNK_BLOCKS + SLOTS[follower]
        path = tmp_path / f"{follower}.spestream"
        write_spestream(path, replace(original, ids=ids, addresses=np.zeros(slots, np.uint64)))
        assert block_taken(read_spestream(path))[CHUNK_BLOCKS - 1] == taken


@pytest.mark.parametrize("taken_last", [True, False])
def test_taken_of_the_last_block_is_stored(taken_last: bool, tmp_path: Path) -> None:
    """Nothing follows the last op, so the file says whether it jumped."""
    original = replace(
        recording(0, taken_last=taken_last),
        ids=np.zeros(4, np.uint32),
        addresses=np.zeros(8, np.uint64),
        ops=12,
    )
    path = tmp_path / "a.spestream"
    write_spestream(path, original)
    assert block_taken(read_spestream(path)).tolist() == [True, True, True, taken_last]


def test_taken_is_not_inferred_across_a_discontinuity() -> None:
    """A signal after a conditional branch does not make it taken; other branches always jump."""
    original = replace(recording(0), ids=np.array([0, 2, 1, 2, 2], np.uint32))
    assert block_taken(original).tolist() == [True] * 5
    broken = replace(original, discontinuities=np.array([1, 3], np.int64))
    assert block_taken(broken).tolist() == [False, True, True, True, True]


def test_write_is_all_or_nothing(tmp_path: Path) -> None:
    """A failed write keeps the file that was there and leaves no other behind."""
    path = tmp_path / "a.spestream"
    write_spestream(path, recording(100))
    before = path.read_bytes()
    with pytest.raises(StreamError, match=r"a\.spestream: not written: .*addresses"):
        write_spestream(path, replace(recording(200), addresses=np.zeros(3, np.uint64)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_short_chunk_must_be_the_last(tmp_path: Path) -> None:
    """Chunks of other sizes would put blocks in the wrong place."""
    chunk = Chunk(np.array([1], np.uint32), np.empty(0, np.uint64))
    with pytest.raises(StreamError, match="only the last chunk"):
        write_chunks(tmp_path / "a", recording(0), [chunk, chunk])


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("ids", np.array([3], np.uint32), "block id 3 of 3 blocks"),
        ("addresses", np.zeros(10_000, np.uint64), "addresses do not fit"),
        ("block_len", np.array([3, 0, 2], np.int32), "empty"),
        ("block_first", np.array([0, 3, 5], np.int64), "outside"),
        ("block_first", np.array([0, 3, -1], np.int64), "outside"),
        ("op_class", np.full(6, 9, np.uint8), "unknown class"),
        ("flags", np.zeros(5, np.uint8), "differ in length"),
        ("pc", np.arange(0, 48, 8, dtype=np.uint64), "follow one another"),
        ("discontinuities", np.array([0], np.int64), "ascending"),
        ("discontinuities", np.array([5, 5], np.int64), "ascending"),
        ("discontinuities", np.array([1000], np.int64), "ascending"),
    ],
)
def test_a_contradiction_is_not_written(
    field: str, value: NDArray[np.generic], text: str, tmp_path: Path
) -> None:
    """The writer refuses what the reader would refuse."""
    bad = replace(recording(1000), **{field: value})  # type: ignore[arg-type]
    with pytest.raises(StreamError, match=text):
        write_spestream(tmp_path / "a.spestream", bad)


def test_messages_say_what_to_do(tmp_path: Path) -> None:
    """Missing, foreign, short, damaged and newer files are told apart, by name."""
    path = tmp_path / "a.spestream"
    write_spestream(path, recording(1000))
    good = path.read_bytes()
    prelude = struct.pack("<8sI", b"SPESTRM\n", 2) + good[12:28]
    cases = {
        b"\x7fELF" + good[4:]: "not a .spestream file; record one",
        b"": "cut short: 0 bytes; copy it again",
        good[:20]: "cut short: 20 bytes; copy it again",
        good[:-1]: "cut short or extended",
        good + b"\0": "cut short or extended",
        changed_at(good, 40, b"\xff\xff"): "checksum of the number 0 frame",
        changed_at(good, len(good) - 3, b"\0\0"): "checksum of the header frame",
        changed_at(good, 16, b"\0"): "checksum of its first bytes",
        prelude
        + struct.pack("<I", zlib.crc32(prelude))
        + good[32:]: "version 2, .* up to 1; update",
    }
    for data, text in cases.items():
        path.write_bytes(data)
        with pytest.raises(StreamError, match=rf"a\.spestream: .*{text}"):
            read_spestream(path)
    with pytest.raises(StreamError, match="absent: cannot be read: No such file"):
        read_spestream(tmp_path / "absent")
    with pytest.raises(StreamError, match="absent: cannot be read: No such file"):
        content_hash(tmp_path / "absent")


def test_memory_limit(tmp_path: Path) -> None:
    """A file that decodes to more than the caller allows is refused before it is decoded."""
    path = tmp_path / "a.spestream"
    write_spestream(path, recording(10_000))
    with pytest.raises(StreamError, match="the limit is 50,000; record fewer ops"):
        read_spestream(path, max_bytes=50_000)
    assert read_spestream(path, max_bytes=500_000).ids.size == 10_000


def test_out_of_memory_is_a_stream_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine too small for a file says so."""
    path = tmp_path / "a.spestream"
    write_spestream(path, recording(100))

    def no_memory(*_: object) -> Recording:
        raise MemoryError

    monkeypatch.setattr(spestream, "_unpack_static", no_memory)
    with pytest.raises(StreamError, match="too large for this machine's memory"):
        read_spestream(path)


# ------------------------------------------------------------------------------- shipped streams


def shipped(name: str) -> Recording:
    return read_spestream(STREAMS / f"{name}.spestream")


def executed(stream: Recording) -> NDArray[np.int64]:
    """Executions of each static op."""
    times = np.bincount(stream.ids, minlength=stream.block_len.size)
    counts = np.zeros(stream.pc.size + 1, np.int64)
    np.add.at(counts, stream.block_first, times)
    np.add.at(counts, stream.block_first + stream.block_len, -times)
    return np.cumsum(counts)[:-1]


def share(stream: Recording, name: str) -> float:
    symbol = next(symbol for symbol in stream.symbols if symbol.name == name)
    inside = (stream.pc >= symbol.start) & (stream.pc < symbol.start + symbol.size)
    return float(executed(stream)[inside].sum() / stream.ops)


def test_shipped_streams_are_small() -> None:
    """Together at most 6 MB, and at most 0.35 bytes per op."""
    sizes = {name: (STREAMS / f"{name}.spestream").stat().st_size for name in SHIPPED}
    assert sum(sizes.values()) <= 6_000_000
    assert sizes["mix"] <= 2_500_000
    for name, size in sizes.items():
        assert size / read_header(STREAMS / f"{name}.spestream").ops <= 0.35, name


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_stream_is_a_program(name: str) -> None:
    """Every op is known to `classify`, lies in a symbol, and every block follows from the last."""
    stream = shipped(name)
    ops = classify(stream.word)
    for field in ("op_class", "flags", "op_payload", "op_header"):
        assert np.array_equal(getattr(stream, field), getattr(ops, field))
    assert sum(share(stream, symbol.name) for symbol in stream.symbols) == pytest.approx(1)
    assert stream.discontinuities.size == 0
    last, now = stream.last_op[stream.ids[:-1]], stream.pc[stream.block_first][stream.ids[1:]]
    direct = (stream.flags[last] & Flag.INDIRECT.value) == 0
    legal = (now == stream.pc[last] + np.uint64(4)) | (
        now == branch_targets(stream.pc, stream.word)[last]
    )
    assert np.all(legal[direct])


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_stream_names_no_machine(name: str) -> None:
    """The program is a bare name: nothing of the recording machine is kept."""
    stream = shipped(name)
    assert stream.program == name.split(".")[0]
    assert len(stream.build_id) == 40
    assert stream.tid == int(name.partition(".")[2] or 0)


@pytest.mark.parametrize(
    ("name", "ops", "callees"),
    [
        ("loop41", 41, []),
        ("loop64", 64, []),
        ("loop205", 205, []),
        ("loop1024", 1024, []),
        ("loop1025", 1025, []),
        ("pair", 41, ["hot_a", "hot_b"]),
        ("quad", 1025, ["q0", "q1", "q2", "q3"]),
    ],
)
def test_loop_lengths_of_mix(name: str, ops: int, callees: list[str]) -> None:
    """Between two executions of a loop's branch lie exactly as many ops as the loop claims."""
    stream = shipped("mix")
    places = {symbol.name: (symbol.start, symbol.start + symbol.size) for symbol in stream.symbols}
    low, high = places[name]
    pc = stream.pc[stream.last_op]
    back = branch_targets(stream.pc, stream.word)[stream.last_op] < pc
    looping = back & (pc >= low) & (pc < high) & (stream.op_class[stream.last_op] == OpClass.BRANCH)
    looping &= (stream.flags[stream.last_op] & Flag.CONDITIONAL.value) != 0
    ends = np.cumsum(stream.block_len[stream.ids], dtype=np.int64)
    at = np.flatnonzero(looping[stream.ids])
    gaps = np.diff(ends[at])[block_taken(stream)[at[:-1]]]
    assert gaps.size > 1000
    assert set(gaps.tolist()) == {ops}
    assert len({share(stream, callee) for callee in callees}) <= 1


def test_mix_has_many_functions_of_weight() -> None:
    """12 to 20 M ops; no function dominates and each named kernel is seen."""
    stream = shipped("mix")
    assert 12_000_000 <= stream.ops <= 20_000_000
    weights = {symbol.name: share(stream, symbol.name) for symbol in stream.symbols}
    for kernel in ("quicksort", "matmul", "chase", "hash_insert", "crc32", "interpret", "loop41"):
        assert 0.01 < weights[kernel] < 0.2, kernel
    assert weights["hot_a"] == weights["hot_b"] > 0.01


def test_chase_of_mix_misses_a_megabyte_cache() -> None:
    """The pointer chase touches tens of thousands of lines, each once per pass."""
    stream = shipped("mix")
    symbol = next(symbol for symbol in stream.symbols if symbol.name == "chase")
    static = stream.pc[stream.block_first]
    inside = (static >= symbol.start) & (static < symbol.start + symbol.size)
    slots = stream.block_slots[stream.ids]
    addresses = stream.addresses[np.repeat(inside[stream.ids], slots)]
    assert np.unique(addresses >> np.uint64(6)).size * 64 > 3 << 20


def test_threads_contend() -> None:
    """Each thread executes atomics and exclusives on addresses that all of them touch."""
    shared: set[int] = set()
    for thread in range(4):
        stream = shipped(f"threads.{thread}")
        times = executed(stream)
        assert times[stream.op_class == OpClass.ATOMIC].sum() >= 6000
        assert times[stream.op_payload == 0x1A].sum() >= 3000  # LDAXR
        touched = set(np.unique(stream.addresses).tolist()) - {0}
        shared = touched if not shared else shared & touched
    assert 3 <= len(shared) <= 8
