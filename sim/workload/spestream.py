"""The .spestream file: one guest thread's instruction stream, as recorded.

Fidelity note. The file holds what executed, block by block, and one address per memory instruction
(the first one it touched, as SPE reports one). It holds no time, no data values and no register
values. Threads are separate files and their relative order is not kept. A block is counted when it
is entered: of a block that a signal or a crash left half-way, the rest is counted too.

Format, version 1; the first 32 bytes keep their layout in later versions. Integers are little
endian; `[n]` is an array; "planes" means that the first bytes of all items come first, then the
second bytes, and so on, which compresses better.

    offset size  what
    0      8     magic "SPESTRM\\n"
    8      4     version
    12     4     size of the header frame
    16     8     offset of the header frame; it ends the file
    24     4     CRC-32 of the header frame
    28     4     CRC-32 of bytes 0 to 27
    32           frames, one after another without gaps: static, symbols, then for each chunk ids
                 and addresses, then discontinuities; last the header frame

Every frame is one zstd frame that states its decoded size. The header frame is JSON:

    arch             "aarch64"
    program, build_id, tid     base name and arguments; hexadecimal or ""; ordinal of the thread
    words            whether instruction words are kept (false after `strip_words`)
    taken_last       whether the last op was a branch that jumped
    ops, blocks, slots         executed ops, block executions E, addresses M
    static_blocks, static_ops  B and S
    discontinuities  D
    chunk_blocks     block executions in every chunk but the last, 262,144
    frames           [size, decoded size, CRC-32 of the compressed bytes] of each frame
    remarks          sentences of the importer about what made no sense; left out if there are none

    static           planes of: block_first u64[B], block_len u32[B], pc u64[S], word u32[S] (only
                     with words), op_class, flags, op_payload, op_header u8[S] (see `a64`)
    symbols          JSON: [[name, start, size], …], by start
    ids              planes of u32: the static block of each execution, in order
    addresses        planes of u64: for each execution, for each of its instructions with Flag.SLOT,
                     the first address it touched, 0 for none
    discontinuities  planes of u64: executions that do not follow from the one before (signals),
                     ascending

A reader believes no size before it has checked it against the file's own size, the decoded size in
the zstd frame, the greatest ratio zstd can reach and a limit on memory. Executions and addresses
are decoded a chunk at a time, and the first chunk that contradicts the header or the static blocks
ends the reading: a file that decodes to far more than its size is read only if it is the recording
of a loop that turned so often.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import numpy as np
import zstandard
from numpy.typing import NDArray

from sim import inputs, scratch
from sim.errors import SpeskewError
from sim.workload.a64 import Flag, OpClass

MAGIC: Final = b"SPESTRM\n"
VERSION: Final = 1
CHUNK_BLOCKS: Final = 262_144
"""Block executions in every chunk but the last."""
MAX_BYTES: Final = 8 << 30
"""Memory that reading one file may take, unless the caller says otherwise; never more than half of
what the machine has."""

_PRELUDE: Final = struct.Struct("<8sIIQI")
_PRELUDE_BYTES: Final = _PRELUDE.size + 4
_MAX_JSON: Final = 16 << 20
_MAX_BLOCK_LEN: Final = 1 << 16
_MAX_RATIO: Final = 32_768  # zstd: a block of 128 KiB takes at least 4 bytes
_MAX_STATIC: Final = 1 << 22  # as of a scenario's program
_MAX_DISCONTINUITIES: Final = 1 << 22
_LEVEL: Final = 9
_AGAIN: Final = "copy it again or record it anew"
_T = TypeVar("_T")


class StreamError(SpeskewError):
    """A .spestream file cannot be read or written. Reads "FILE: what, why, how to fix"."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function of the recorded program: addresses `start` to `start + size` as executed."""

    name: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Recording:
    """One thread's stream: S static ops in B static blocks, E block executions, M addresses.

    Static: `pc` [S]; `word` [S], all zero if stripped; `op_class`, `flags`, `op_payload`,
    `op_header` [S] as in `a64.StaticOps`; `block_first` [B], the first static op of a block;
    `block_len` [B] in ops. Executed: `ids` [E], static blocks in order; `addresses` [M], one per
    op with `Flag.SLOT` (0: no access); `discontinuities`, ascending indices into `ids` of the
    executions that do not follow from the one before. `ops` is the number of executed ops, `tid`
    the ordinal of the guest thread. `taken_last` says whether the last op was a branch that jumped.
    `remarks` are the importer's sentences about what made no sense in the trace.
    """

    pc: NDArray[np.uint64]
    word: NDArray[np.uint32]
    op_class: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    op_payload: NDArray[np.uint8]
    op_header: NDArray[np.uint8]
    block_first: NDArray[np.int64]
    block_len: NDArray[np.int32]
    ids: NDArray[np.uint32]
    addresses: NDArray[np.uint64]
    discontinuities: NDArray[np.int64]
    symbols: tuple[Symbol, ...]
    build_id: str
    program: str
    tid: int
    ops: int
    taken_last: bool
    remarks: tuple[str, ...] = ()

    @property
    def has_words(self) -> bool:
        """Whether the instruction words are kept."""
        return bool(self.word.any())

    @property
    def block_slots(self) -> NDArray[np.int64]:
        """Address slots of each static block [B]."""
        before = np.concatenate([[0], np.cumsum((self.flags & Flag.SLOT.value) != 0)])
        return np.asarray(before[self.block_first + self.block_len] - before[self.block_first])

    @property
    def last_op(self) -> NDArray[np.int64]:
        """The static op that ends each static block [B]."""
        return self.block_first + self.block_len - 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of the executed arrays, in file order: `ids` and the `addresses` that belong to them."""

    ids: NDArray[np.uint32]
    addresses: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; see the format above. `frames` are (size, decoded size, CRC)."""

    program: str
    build_id: str
    tid: int
    words: bool
    taken_last: bool
    ops: int
    blocks: int
    slots: int
    static_blocks: int
    static_ops: int
    discontinuities: int
    chunk_blocks: int
    frames: tuple[tuple[int, int, int], ...]
    remarks: tuple[str, ...] = ()

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.blocks // self.chunk_blocks)


def strip_words(recording: Recording) -> Recording:
    """The recording without its instruction words, so that it may be passed on."""
    return replace(recording, word=np.zeros_like(recording.word))


def block_taken(recording: Recording) -> NDArray[np.bool_]:
    """Whether each block execution [E] ended in a branch that jumped.

    Across a discontinuity a conditional branch counts as not taken: nothing tells.
    """
    last = recording.last_op
    branch = recording.op_class[last] == OpClass.BRANCH
    conditional = (recording.flags[last] & Flag.CONDITIONAL.value) != 0
    ids = recording.ids
    jumped = np.zeros(ids.size, np.bool_)
    if ids.size:
        start = recording.pc[recording.block_first]
        jumped[:-1] = start[ids[1:]] != recording.pc[last][ids[:-1]] + np.uint64(4)
        jumped[-1] = recording.taken_last
        jumped[recording.discontinuities - 1] = False
    return np.asarray(branch[ids] & (jumped | ~conditional[ids]))


def content_hash(path: Path | str) -> str:
    """BLAKE2b-128 of the file's bytes, hexadecimal. StreamError if it cannot be read."""
    path = Path(path)
    try:
        with inputs.regular(path) as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


# ------------------------------------------------------------------------------------- writing


def write_spestream(path: Path | str, recording: Recording) -> None:
    """Write `recording` to `path`, whole or not at all. StreamError if it contradicts itself."""
    write_chunks(path, recording, _split(recording))


def write_chunks(path: Path | str, static: Recording, chunks: Iterable[Chunk]) -> None:
    """Write a file from `static` and the executions in `chunks`, one chunk in memory at a time.

    Of `static`, `ids`, `addresses` and `ops` are ignored. Every chunk but the last must hold
    `CHUNK_BLOCKS` executions. The file appears under its name only when it is complete.
    """
    path = Path(path)
    try:
        _check_static(static)
        with scratch.file(path.parent) as (part, file):
            _write(file, static, chunks)
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
    except OSError as error:
        raise StreamError(f"{path}: not written: {error.strerror or error}") from error
    except ValueError as error:
        raise StreamError(f"{path}: not written: {error}") from error


def _split(recording: Recording) -> Iterator[Chunk]:
    slots = recording.block_slots
    at = 0
    for first in range(0, recording.ids.size, CHUNK_BLOCKS):
        ids = recording.ids[first : first + CHUNK_BLOCKS]
        _check_ids(ids, recording.block_len.size)
        end = at + int(slots[ids].sum())
        if first + CHUNK_BLOCKS >= recording.ids.size:
            end = max(end, recording.addresses.size)  # too many are reported, not dropped
        yield Chunk(ids, recording.addresses[at:end])
        at = end


def _write(file: IO[bytes], static: Recording, chunks: Iterable[Chunk]) -> None:
    frames: list[tuple[int, int, int]] = []
    compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def put(raw: bytes) -> None:
        packed = compressor.compress(raw)
        frames.append((len(packed), len(raw), zlib.crc32(packed)))
        file.write(packed)

    file.write(bytes(_PRELUDE_BYTES))
    put(_pack_static(static))
    put(_json([[s.name, s.start, s.size] for s in static.symbols]))
    ops = blocks = slots = 0
    block_slots = static.block_slots
    for chunk in chunks:
        if blocks % CHUNK_BLOCKS:
            raise ValueError(f"only the last chunk may hold less than {CHUNK_BLOCKS} blocks")
        _check_ids(chunk.ids, static.block_len.size)
        if chunk.addresses.size != block_slots[chunk.ids].sum():
            raise ValueError(f"{chunk.addresses.size} addresses do not fit the blocks")
        put(_planes(chunk.ids, "<u4"))
        put(_planes(chunk.addresses, "<u8"))
        ops += int(static.block_len[chunk.ids].sum(dtype=np.int64))
        blocks += chunk.ids.size
        slots += chunk.addresses.size
    _check_discontinuities(static.discontinuities, blocks)
    put(_planes(static.discontinuities, "<u8"))
    header = _header_of(static, ops, blocks, slots, tuple(frames))
    _finish(file, compressor.compress(header))


def _finish(file: IO[bytes], header: bytes) -> None:
    """Append the header frame and fill in the prelude."""
    offset = file.tell()
    file.write(header)
    prelude = _PRELUDE.pack(MAGIC, VERSION, len(header), offset, zlib.crc32(header))
    file.seek(0)
    file.write(prelude + struct.pack("<I", zlib.crc32(prelude)))


def _header_of(
    static: Recording, ops: int, blocks: int, slots: int, frames: tuple[tuple[int, int, int], ...]
) -> bytes:
    return _json(
        {
            "arch": "aarch64",
            "program": static.program,
            "build_id": static.build_id,
            "tid": static.tid,
            "words": static.has_words,
            "taken_last": static.taken_last,
            "ops": ops,
            "blocks": blocks,
            "slots": slots,
            "static_blocks": static.block_len.size,
            "static_ops": static.pc.size,
            "discontinuities": static.discontinuities.size,
            "chunk_blocks": CHUNK_BLOCKS,
            "frames": frames,
            **({"remarks": static.remarks} if static.remarks else {}),
        }
    )


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _planes(array: NDArray[np.generic], dtype: str) -> bytes:
    items = np.ascontiguousarray(array.astype(dtype, copy=False))
    return np.ascontiguousarray(items.view(np.uint8).reshape(-1, items.itemsize).T).tobytes()


def _pack_static(static: Recording) -> bytes:
    parts = [
        _planes(static.block_first, "<u8"),
        _planes(static.block_len, "<u4"),
        _planes(static.pc, "<u8"),
        _planes(static.word, "<u4") if static.has_words else b"",
        static.op_class.tobytes(),
        static.flags.tobytes(),
        static.op_payload.tobytes(),
        static.op_header.tobytes(),
    ]
    return b"".join(parts)


# ------------------------------------------------------------------------------------- checking


def _check_static(static: Recording) -> None:
    """ValueError unless the static arrays agree with one another."""
    size = static.pc.size
    arrays = (static.word, static.op_class, static.flags, static.op_payload, static.op_header)
    if any(array.size != size for array in arrays):
        raise ValueError("the static arrays differ in length")
    first, length = static.block_first, static.block_len
    if first.size != length.size:
        raise ValueError("block_first and block_len differ in length")
    if length.size and not (length.min() >= 1 and length.max() <= _MAX_BLOCK_LEN):
        raise ValueError(f"a block is empty or longer than {_MAX_BLOCK_LEN} ops")
    if first.size and not (first.min() >= 0 and np.all(first <= size - length)):
        raise ValueError("a block lies outside the static ops")
    if size and static.op_class.max() > max(OpClass):
        raise ValueError("an op has an unknown class")
    _check_contiguous(static)


def _check_contiguous(static: Recording) -> None:
    """ValueError unless the ops of each block follow one another in memory."""
    joined = np.zeros(static.pc.size + 1, np.int64)  # joined[i]: op i follows op i - 1 in a block
    np.add.at(joined, static.block_first + 1, 1)
    np.add.at(joined, static.block_first + static.block_len, -1)
    inside = np.cumsum(joined)[1:-1] > 0
    if np.any(np.diff(static.pc)[inside] != 4):
        raise ValueError("the ops of a block do not follow one another in memory")


def _check_ids(ids: NDArray[np.uint32], static_blocks: int) -> None:
    if ids.size and ids.max() >= static_blocks:
        raise ValueError(f"block id {ids.max()} of {static_blocks} blocks")


def _check_discontinuities(at: NDArray[np.int64], blocks: int) -> None:
    ascending = np.all(at[1:] > at[:-1])
    if at.size and not (ascending and at[0] >= 1 and at[-1] < blocks):
        raise ValueError("the discontinuities are not ascending indices of block executions")


# ------------------------------------------------------------------------------------- reading


class _Corrupt(Exception):
    """Damage found while reading; becomes a StreamError with the file's name."""


def read_spestream(path: Path | str, *, max_bytes: int = MAX_BYTES) -> Recording:
    """Read and verify a whole file.

    Raises StreamError if the file is missing, cut short, damaged, of another format or version,
    contradicts itself, or decodes to more than `max_bytes`.
    """
    return _reading(Path(path), lambda file: _read(file, max_bytes))


def read_header(path: Path | str) -> Header:
    """Read only what the file says of itself; frames are not verified. StreamError as above."""
    return _reading(Path(path), _read_header)


def _reading(path: Path, read: Callable[[IO[bytes]], _T]) -> _T:
    try:
        with inputs.regular(path) as file:
            return read(file)
    except OSError as error:
        raise _unreadable(path, error) from error
    except _Corrupt as error:
        raise StreamError(f"{path}: {error}") from error
    except (ValueError, OverflowError) as error:
        raise StreamError(f"{path}: contradicts itself: {error}; {_AGAIN}") from error
    except MemoryError as error:
        text = f"{path}: too large for this machine's memory; use a shorter recording"
        raise StreamError(text) from error


def _unreadable(path: Path, error: OSError) -> StreamError:
    return StreamError(f"{path}: cannot be read: {error.strerror or error}; check the path")


def _read(file: IO[bytes], max_bytes: int) -> Recording:
    header = _read_header(file)
    _check_frames(header, max_bytes)
    file.seek(_PRELUDE_BYTES)
    frames = (_next_frame(file, number, *frame) for number, frame in enumerate(header.frames))
    static = _unpack_static(next(frames), header)
    _check_counts(header, static)
    symbols = _parse_symbols(next(frames))
    block_slots = static.block_slots
    ids = np.empty(header.blocks, np.uint32)
    addresses = np.empty(header.slots, np.uint64)
    at = executed = 0
    for first in range(0, header.blocks, header.chunk_blocks):
        part = _unplanes(next(frames), "<u4")
        _check_ids(part, header.static_blocks)
        ids[first : first + part.size] = part
        executed += int(static.block_len[part].sum(dtype=np.int64))
        stated = header.frames[3 + 2 * (first // header.chunk_blocks)][1] // 8
        if stated != block_slots[part].sum():  # before the frame is decoded
            raise ValueError(f"{stated} addresses do not fit the blocks of a chunk")
        chunk = _unplanes(next(frames), "<u8")
        addresses[at : at + chunk.size] = chunk
        at += chunk.size
    discontinuities = _unplanes(next(frames), "<i8")
    _check_discontinuities(discontinuities, header.blocks)
    if header.ops != executed:
        raise ValueError(f"the header counts {header.ops} ops, the blocks {executed}")
    return replace(
        static, ids=ids, addresses=addresses, discontinuities=discontinuities, symbols=symbols
    )


def _read_header(file: IO[bytes]) -> Header:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    prelude = file.read(_PRELUDE_BYTES)
    if prelude[: len(MAGIC)] != MAGIC[: len(prelude)]:
        raise _Corrupt("not a .spestream file; record one, or convert it with an importer")
    if len(prelude) < _PRELUDE_BYTES:
        raise _Corrupt(f"cut short: {len(prelude)} bytes; {_AGAIN}")
    _, version, packed, offset, checksum = _PRELUDE.unpack_from(prelude)
    if zlib.crc32(prelude[: _PRELUDE.size]) != int.from_bytes(prelude[_PRELUDE.size :], "little"):
        raise _Corrupt(f"damaged: the checksum of its first bytes is wrong; {_AGAIN}")
    if version > VERSION:
        raise _Corrupt(
            f"format version {version}, this program reads up to {VERSION}; update the program"
        )
    if version != VERSION:
        raise _Corrupt(f"format version {version} does not exist; record it anew")
    if offset + packed != size:
        raise _Corrupt(
            f"cut short or extended: {size} bytes where {offset + packed} are stated; {_AGAIN}"
        )
    file.seek(offset)
    frame = file.read(packed)
    header = _parse_header(_decode(frame, "header", checksum, _json_size(frame, "header")))
    if _PRELUDE_BYTES + sum(frame[0] for frame in header.frames) != offset:
        raise ValueError("the frames do not fill the file")
    return header


def _content_size(packed: bytes, name: str) -> int:
    """The decoded size that a zstd frame states of itself."""
    try:
        size = int(zstandard.frame_content_size(packed))
    except zstandard.ZstdError as error:
        raise _Corrupt(f"damaged: {name} frame: {error}; {_AGAIN}") from error
    if size < 0:
        raise _Corrupt(f"damaged: {name} frame does not state its size; {_AGAIN}")
    return size


def _json_size(packed: bytes, name: str) -> int:
    size = _content_size(packed, name)
    if size > _MAX_JSON:
        raise _Corrupt(f"{name} of {size} bytes, at most {_MAX_JSON} are read; {_AGAIN}")
    return size


def _decode(packed: bytes, name: str, checksum: int, raw_size: int) -> bytes:
    """One verified and decoded frame, of exactly `raw_size` bytes."""
    if zlib.crc32(packed) != checksum:
        raise _Corrupt(f"damaged: the checksum of the {name} frame is wrong; {_AGAIN}")
    stated = _content_size(packed, name)
    if stated != raw_size or raw_size > len(packed) * _MAX_RATIO:
        raise _Corrupt(f"damaged: {name} frame states {stated} bytes, not {raw_size}; {_AGAIN}")
    try:
        raw: bytes = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise _Corrupt(f"damaged: {name} frame: {error}; {_AGAIN}") from error
    return raw


def _next_frame(file: IO[bytes], number: int, size: int, raw_size: int, checksum: int) -> bytes:
    packed = file.read(size)
    if len(packed) != size:
        raise _Corrupt(f"cut short in frame {number}; {_AGAIN}")
    return _decode(packed, f"number {number}", checksum, raw_size)


def _parse_json(raw: bytes) -> object:
    try:
        value: object = json.loads(raw)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    return value


def _parse_header(raw: bytes) -> Header:
    """Header from JSON; ValueError for a missing, misspelt or negative entry."""
    value = _parse_json(raw)
    if not isinstance(value, dict) or value.get("arch") != "aarch64":
        raise ValueError("the header is not one of an aarch64 stream")

    def text(name: str) -> str:
        item = value.get(name)
        if not isinstance(item, str):
            raise ValueError(f"header entry {name} is not text")
        return item

    def flag(name: str) -> bool:
        item = value.get(name)
        if not isinstance(item, bool):
            raise ValueError(f"header entry {name} is not true or false")
        return item

    chunk_blocks = _count(value.get("chunk_blocks"), "chunk_blocks")
    if not 1 <= chunk_blocks <= CHUNK_BLOCKS:
        raise ValueError(f"{chunk_blocks} blocks in a chunk")
    return Header(
        program=text("program"),
        build_id=text("build_id"),
        tid=_count(value.get("tid"), "tid"),
        words=flag("words"),
        taken_last=flag("taken_last"),
        ops=_count(value.get("ops"), "ops"),
        blocks=_count(value.get("blocks"), "blocks"),
        slots=_count(value.get("slots"), "slots"),
        static_blocks=_count(value.get("static_blocks"), "static_blocks"),
        static_ops=_count(value.get("static_ops"), "static_ops"),
        discontinuities=_count(value.get("discontinuities"), "discontinuities"),
        chunk_blocks=chunk_blocks,
        frames=_parse_frames(value.get("frames")),
        remarks=_parse_remarks(value.get("remarks", [])),
    )


def _count(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(f"header entry {name} is not a count")
    return value


def _parse_frames(value: object) -> tuple[tuple[int, int, int], ...]:
    if not isinstance(value, list):
        raise ValueError("header entry frames is not a list")
    frames = []
    for item in value:
        if not isinstance(item, list) or len(item) != 3:
            raise ValueError("a frame is not described by three numbers")
        size, raw_size, checksum = (_count(number, "frames") for number in item)
        frames.append((size, raw_size, checksum))
    return tuple(frames)


def _parse_remarks(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("header entry remarks is not a list of texts")
    return tuple(value)


def _static_bytes(header: Header) -> int:
    return 12 * header.static_blocks + (16 if header.words else 12) * header.static_ops


def _check_frames(header: Header, max_bytes: int) -> None:
    """Refuse sizes that contradict one another, or that no file of this size could decode to."""
    if len(header.frames) != 3 + 2 * header.chunks:
        raise ValueError(f"{len(header.frames)} frames for {header.chunks} chunks")
    static, symbols, *chunks, discontinuities = header.frames
    claims = [
        (static, _static_bytes(header)),
        (discontinuities, 8 * header.discontinuities),
    ]
    for number, frame in enumerate(chunks[::2]):
        blocks = min(header.chunk_blocks, header.blocks - number * header.chunk_blocks)
        claims.append((frame, 4 * blocks))
    if any(frame[1] != size for frame, size in claims):
        raise ValueError("the sizes of the frames do not agree with the counts")
    if sum(frame[1] for frame in chunks[1::2]) != 8 * header.slots:
        raise ValueError("the sizes of the address frames do not agree with their count")
    if any(raw_size > size * _MAX_RATIO for size, raw_size, _ in header.frames):
        raise ValueError("a frame claims to decode to more than it can")
    if header.static_blocks > _MAX_STATIC or header.static_ops > _MAX_STATIC:
        raise _Corrupt(
            f"more than {_MAX_STATIC:,} static ops or blocks; record less of the program"
        )
    if header.discontinuities > _MAX_DISCONTINUITIES:
        raise _Corrupt(f"more than {_MAX_DISCONTINUITIES:,} discontinuities; {_AGAIN}")
    if symbols[1] > _MAX_JSON:
        raise _Corrupt(f"symbols of {symbols[1]:,} bytes, at most {_MAX_JSON:,} are read; {_AGAIN}")
    _check_memory(header, max_bytes)


def _check_memory(header: Header, max_bytes: int) -> None:
    """Refuse what does not fit: all arrays, and the frame that is being decoded twice more."""
    sizes = [frame[1] for frame in header.frames]
    needed, limit = sum(sizes) + 2 * max(sizes), min(max_bytes, _half_of_memory())
    if needed > limit:
        raise _Corrupt(
            f"needs {needed:,} bytes of memory to be read, the limit is {limit:,}; record fewer "
            "ops and `repeat` the workload"
        )


def _half_of_memory() -> int:
    """Of this machine, bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _check_counts(header: Header, static: Recording) -> None:
    """ValueError if no run of the static blocks has so many ops and addresses."""
    for name, count, each in (
        ("ops", header.ops, static.block_len),
        ("addresses", header.slots, static.block_slots),
    ):
        least, most = (int(each.min()), int(each.max())) if each.size else (0, 0)
        if not header.blocks * least <= count <= header.blocks * most:
            raise ValueError(f"{count:,} {name} in {header.blocks:,} executions of its blocks")


def _unplanes(raw: bytes | memoryview, dtype: str) -> NDArray[Any]:
    width = np.dtype(dtype).itemsize
    if len(raw) % width:
        raise ValueError("a frame does not hold whole items")
    planes = np.frombuffer(raw, np.uint8).reshape(width, -1)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(-1)


def _unpack_static(raw: bytes, header: Header) -> Recording:
    """The static arrays; those of executions are left empty."""
    at = 0

    def take(count: int, dtype: str) -> NDArray[Any]:
        nonlocal at
        size = count * np.dtype(dtype).itemsize
        part = _unplanes(memoryview(raw)[at : at + size], dtype)
        at += size
        return part

    blocks, ops = header.static_blocks, header.static_ops
    static = Recording(
        block_first=take(blocks, "<i8"),
        block_len=take(blocks, "<i4"),
        pc=take(ops, "<u8"),
        word=take(ops, "<u4") if header.words else np.zeros(ops, np.uint32),
        op_class=take(ops, "u1"),
        flags=take(ops, "u1"),
        op_payload=take(ops, "u1"),
        op_header=take(ops, "u1"),
        ids=np.empty(0, np.uint32),
        addresses=np.empty(0, np.uint64),
        discontinuities=np.empty(0, np.int64),
        symbols=(),
        build_id=header.build_id,
        program=header.program,
        tid=header.tid,
        ops=header.ops,
        taken_last=header.taken_last,
        remarks=header.remarks,
    )
    _check_static(static)
    return static


def _parse_symbols(raw: bytes) -> tuple[Symbol, ...]:
    value = _parse_json(raw)
    if not isinstance(value, list):
        raise ValueError("the symbols are not a list")
    symbols = []
    for item in value:
        if not isinstance(item, list) or len(item) != 3 or not isinstance(item[0], str):
            raise ValueError("a symbol is not a name, a start and a size")
        start, size = item[1:]
        if type(start) is not int or type(size) is not int:
            raise ValueError("a symbol's place is not two numbers")
        if start < 0 or size < 0 or start + size > 1 << 64:
            raise ValueError("a symbol lies outside the address space")
        symbols.append(Symbol(item[0], start, size))
    return tuple(symbols)
