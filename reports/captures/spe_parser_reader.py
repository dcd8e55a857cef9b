"""Captures that Arm's spe-parser has already decoded: its Parquet tables ldst, br and other.

Fidelity note. The tables hold one row for each record, in columns of fixed names (spe-parser 0.6).
What they do not hold is not there: the order of packets, packets that were zero, events above bit
18, indirect calls, offsets, threads but for the CONTEXT packet, and anything the AUX records said.
Rows are put into order of CPU and time. All rows are in memory at once, 96 bytes each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reports.captures import parquet_pages
from sim.workload.capture.packets import MAX_CHUNK, Counts
from sim.workload.capture.records import BRANCH, CAPTURE_DT, LOAD_STORE, OTHER, Packet, Records
from sim.workload.capture.source import NO_TID, Batch, CaptureError, Facts, Reading

KINDS = {"ldst": LOAD_STORE, "br": BRANCH, "other": OTHER}
EVENT_BITS = {
    "EXCEPTION-GEN": 0,
    "RETIRED": 1,
    "L1D-ACCESS": 2,
    "L1D-REFILL": 3,
    "TLB-ACCESS": 4,
    "TLB-REFILL": 5,
    "NOT-TAKEN": 6,
    "MISPRED": 7,
    "LLC-ACCESS": 8,
    "LLC-REFILL": 9,
    "REMOTE-ACCESS": 10,
    "ALIGNMENT": 11,
    "SVE-PARTIAL-PRED": 17,
    "SVE-EMPTY-PRED": 18,
}
SOURCES = {
    "L1D": 0,
    "L2D": 8,
    "PEER-CPU": 9,
    "LOCAL-CLUSTER": 10,
    "LL-CACHE": 11,
    "PEER-CLUSTER": 12,
    "REMOTE": 13,
    "DRAM": 14,
}
SUBCLASSES = {
    "": 0x00,
    "GP-REG": 0x00,
    "SIMD-FP": 0x04,
    "UNSPEC-REG": 0x10,
    "NV-SYSREG": 0x30,
    "MTE-TAG": 0x14,
    "MEMCPY": 0x20,
    "SVE": 0x08,
    "OTHER": 0x00,
}
_LOW56 = np.uint64((1 << 56) - 1)
_NON_SECURE = np.uint64(1 << 63)
_ALWAYS_ROWS, _ROWS_PER_BYTE = 1 << 19, 4
_ALWAYS, _RATIO = 128 << 20, 100
"""What a table of any size may hold (rows, bytes), and how many for each byte of the file beyond:
timestamps and addresses differ from row to row."""
_Row = NDArray[Any]


@dataclass(frozen=True, slots=True)
class ParquetCapture:
    """spe-parser's tables of one capture."""

    tables: tuple[tuple[str, Path], ...]
    facts: Facts

    @classmethod
    def open(cls, path: Path) -> ParquetCapture:
        """The tables that belong to one of them: NAME-ldst.parquet, NAME-br.parquet and so on."""
        stem, _, kind = path.stem.rpartition("-")
        if kind not in KINDS or not stem:
            raise CaptureError(
                f"{path}: the name says not which table it is; spe-parser calls them NAME-ldst, "
                "NAME-br and NAME-other.parquet"
            )
        named = ((k, path.with_name(f"{stem}-{k}{path.suffix}")) for k in KINDS)
        tables = tuple((k, file) for k, file in named if file.is_file())
        if sum(_rows(file) for _, file in tables) == 0:
            raise CaptureError(f"{path}: no rows; was the capture empty?")
        return cls(tables, Facts("spe-parser's tables", filtered=len(tables) < len(KINDS)))

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """All records by CPU and time; raises CaptureError."""
        parts = [_read(kind, path) for kind, path in self.tables]
        cpu = np.concatenate([part[0] for part in parts])
        records: Records = np.concatenate([part[1] for part in parts])
        order = np.lexsort((records["ts"], cpu))
        for queue, one in enumerate(np.unique(cpu)):
            mine = order[cpu[order] == one]
            for begin in range(0, mine.size, MAX_CHUNK):
                chunk = records[mine[begin : begin + MAX_CHUNK]]
                context = (chunk["present"] & Packet.CONTEXT_EL1.value) != 0
                tid = np.where(context, chunk["context_el1"].astype(np.int64), NO_TID)
                yield Batch(queue, int(one), tid, chunk)
            reading.counts[queue] = Counts(int(mine.size), 0, 0, (), 0, 0, 0, 0, 0)


def _rows(path: Path) -> int:
    """Rows of a table; CaptureError if it is none, or unpacks to far more than it is."""
    try:
        with path.open("rb") as opened, pq.ParquetFile(opened) as file:
            metadata, size = file.metadata, path.stat().st_size
            rows = int(metadata.num_rows)
            groups = range(metadata.num_row_groups)
            unpacked = sum(int(metadata.row_group(k).total_byte_size) for k in groups)
        parquet_pages.check(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CaptureError(f"{path}: cannot be read as Parquet: {error}") from error
    if rows > max(_ALWAYS_ROWS, _ROWS_PER_BYTE * size) or unpacked > max(_ALWAYS, _RATIO * size):
        raise CaptureError(
            f"{path}: {rows:,} rows and {unpacked:,} bytes in a file of {size:,}: no records are "
            "so alike; decode the capture again"
        )
    return rows


def _read(kind: str, path: Path) -> tuple[NDArray[np.int64], Records]:
    """CPUs and records [n] of one table."""
    try:
        with path.open("rb") as opened, pq.ParquetFile(opened) as file:
            texts = [c.path for c in _columns(file) if c.physical_type == "BYTE_ARRAY"]
        # equal texts stay one
        with path.open("rb") as opened, pq.ParquetFile(opened, read_dictionary=texts) as file:
            return _Table(kind, path, file).records()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CaptureError(f"{path}: cannot be read: {error}") from error


def _columns(file: Any) -> list[Any]:
    """What the schema says of each column."""
    return [file.schema.column(k) for k in range(len(file.schema.names))]


class _Table:
    """One table's columns as arrays [n]; of the file nothing but the columns asked for is read."""

    def __init__(self, kind: str, path: Path, file: Any) -> None:
        self._kind, self._path, self._file = kind, path, file
        self._flat = {c.path for c in _columns(file) if not c.max_repetition_level}

    def records(self) -> tuple[NDArray[np.int64], Records]:
        """CPUs and records."""
        out = np.zeros(self._file.metadata.num_rows, CAPTURE_DT)
        el = self._numbers("el", 3)
        self._common(out, el)
        if self._kind == "ldst":
            self._access(out)
        elif self._kind == "br":
            self._branch(out)
        else:
            out["op_payload"] = self._numbers("condition", 1)
        return self._numbers("cpu", 1 << 20).astype(np.int64), out

    def _common(self, out: Records, el: _Row) -> None:
        out["op_class"] = KINDS[self._kind]
        self._address(out, "pc", "pc", Packet.PC, el)
        out["events"] = self._mapped("event", _events)
        out["total"] = self._numbers("total_lat", 0xFFFF)
        out["issue"] = self._numbers("issue_lat", 0xFFFF)
        out["ts"] = self._numbers("ts", (1 << 63) - 1)
        out["present"] |= (Packet.OP | Packet.EVENTS).value
        _mark(out, out["total"] > 0, Packet.TOTAL | Packet.ISSUE)
        _mark(out, out["ts"] > 0, Packet.TIMESTAMP)
        _mark(out, out["ts"] == 0, Packet.END)
        context = self._numbers("context", 0xFFFFFFFF, absent=-1)
        out["context_el1"] = np.maximum(context, 0)
        _mark(out, context >= 0, Packet.CONTEXT_EL1)

    def _access(self, out: Records) -> None:
        store = self._mapped("op", lambda name: {"LD": 0, "ST": 1}[name])
        flags = 4 * self._numbers("atomic", 1) | 8 * self._numbers("excl", 1)
        flags |= 16 * self._numbers("ar", 1)
        plain = self._mapped("subclass", lambda name: SUBCLASSES[name or ""])
        vector = plain == SUBCLASSES["SVE"]
        length = self._mapped("sve_evl", lambda bits: max(0, int(bits or 0).bit_length() - 6) & 7)
        sve = length << 4 | 4 * self._numbers("sve_pred", 1) | 128 * self._numbers("sve_sg", 1)
        payload = np.where(flags > 0, flags | 2, np.where(vector, plain | sve, plain))
        out["op_payload"] = payload | store
        self._address(out, "vaddr", "va", Packet.VA)
        self._address(out, "paddr", "pa", Packet.PA)
        out["xlat"] = self._numbers("xlat_lat", 0xFFFF)
        _mark(out, out["present"] & Packet.VA.value != 0, Packet.XLAT)
        source = self._mapped("data_source", _source)
        out["source"] = np.maximum(source, 0)
        _mark(out, source >= 0, Packet.SOURCE)

    def _branch(self, out: Records) -> None:
        out["op_payload"] = self._numbers("condition", 1) | 2 * self._numbers("indirect", 1)
        target_el, previous_el = self._numbers("br_tgt_lvl", 3), self._numbers("pbt_lvl", 3)
        self._address(out, "br_tgt", "target", Packet.TARGET, target_el)
        self._address(out, "pbt", "prev_target", Packet.PREV_TARGET, previous_el)

    def _address(
        self, out: Records, column: str, field: str, packet: Packet, el: _Row | None = None
    ) -> None:
        """An address packet; those of code say their exception level."""
        values = self._mapped(column, _hexadecimal, np.uint64)
        there = self._there(column)
        if el is not None:
            values = values & _LOW56 | _NON_SECURE | el.astype(np.uint64) << np.uint64(61)
        out[field] = np.where(there, values, np.uint64(0))
        _mark(out, there, packet)

    def _column(self, name: str) -> Any:
        if name not in self._flat:
            raise CaptureError(
                f"{self._path}: no column {name!r}; this is no {self._kind} table of spe-parser"
            )
        column = self._file.read([name]).column(name)
        try:
            column.validate(full=True)  # reading does not: values may lie outside their dictionary
        except pa.ArrowInvalid as error:
            raise CaptureError(f"{self._path}: column {name!r} is damaged: {error}") from error
        return column

    def _there(self, name: str) -> NDArray[np.bool_]:
        """Where a column has a value: not null, not an empty string."""
        return self._mapped(name, lambda value: value not in (None, ""), np.bool_)

    def _numbers(self, name: str, most: int, absent: int = 0) -> NDArray[np.int64]:
        """Integers, booleans or text ``0x…`` from 0 to `most`; `absent` where there is none."""

        def number(value: Any) -> int:
            found = absent if value in (None, "") else int(_hexadecimal(value))
            if not min(0, absent) <= found <= most:
                raise ValueError(f"{found} is not in 0 to {most:,}")
            return found

        return self._mapped(name, number)

    def _mapped(
        self, name: str, convert: Callable[[Any], Any], dtype: Any = np.int64
    ) -> NDArray[Any]:
        """A function of each value [n], called once for each distinct one."""
        encoded = self._column(name)
        if not pa.types.is_dictionary(encoded.type):
            encoded = encoded.dictionary_encode()
        chunk = encoded.combine_chunks()
        distinct = chunk.dictionary.to_pylist()
        indices = chunk.indices.fill_null(len(distinct))
        try:
            there = distinct if chunk.null_count == 0 else [*distinct, None]
            values = np.array([convert(v) for v in there], dtype)
        except (KeyError, ValueError, TypeError, OverflowError, AttributeError) as error:
            raise CaptureError(
                f"{self._path}: column {name!r} holds what spe-parser does not write: {error}"
            ) from error
        if values.size == 0:
            return np.zeros(len(chunk), dtype)
        return np.asarray(values[np.asarray(indices)])


def _mark(out: Records, where: NDArray[np.bool_], packet: Packet) -> None:
    out["present"][where] |= np.uint32(packet.value)


def _hexadecimal(value: Any) -> int:
    if value in (None, ""):
        return 0
    if isinstance(value, float):
        raise ValueError(f"{value} is no integer")
    return int(value, 16) if isinstance(value, str) else int(value)


def _events(value: Any) -> int:
    if isinstance(value, int):
        return value
    return sum(1 << EVENT_BITS[name] for name in (value or "").split(":") if name)


def _source(value: Any) -> int:
    if value in (None, ""):
        return -1
    return value if isinstance(value, int) else SOURCES[value]
