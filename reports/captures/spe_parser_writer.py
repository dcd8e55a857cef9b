"""`speskew export tables`: an arm's records as the tables that Arm's spe-parser makes of a capture.

Same columns, order, types and words, so that an analysis of real captures reads simulated ones too.
Numbers are numbers; addresses, contexts and events are text, as there: an absent address is empty,
an absent counter 0. Addresses are the 56 bits of the packet. Rows go by CPU, then by time of
writing; spe-parser has them in the file's order.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from reports.perf.export import perf_time
from reports.rerunning import Rerun
from reports.store import files
from sim.workload.a64 import OpClass

Records = NDArray[np.void]
TABLES = ("ldst", "br", "other")
_TEXT, _INT, _BOOL = pa.large_string(), pa.int64(), pa.bool_()
SCHEMAS = {
    "ldst": pa.schema(
        [
            ("cpu", _INT),
            ("op", _TEXT),
            ("pc", _TEXT),
            ("el", _INT),
            ("atomic", _BOOL),
            ("excl", _BOOL),
            ("ar", _BOOL),
            ("subclass", _TEXT),
            ("sve_evl", _INT),
            ("sve_pred", _BOOL),
            ("sve_sg", _BOOL),
            ("event", _TEXT),
            ("issue_lat", _INT),
            ("total_lat", _INT),
            ("vaddr", _TEXT),
            ("xlat_lat", _INT),
            ("paddr", _TEXT),
            ("data_source", _TEXT),
            ("context", _TEXT),
            ("ts", _INT),
        ]
    ),
    "br": pa.schema(
        [
            ("cpu", _INT),
            ("op", _TEXT),
            ("pc", _TEXT),
            ("el", _INT),
            ("condition", _BOOL),
            ("indirect", _BOOL),
            ("event", _TEXT),
            ("issue_lat", _INT),
            ("total_lat", _INT),
            ("br_tgt", _TEXT),
            ("br_tgt_lvl", _INT),
            ("pbt", _TEXT),
            ("pbt_lvl", _INT),
            ("context", _TEXT),
            ("ts", _INT),
        ]
    ),
    "other": pa.schema(
        [
            ("cpu", _INT),
            ("op", _TEXT),
            ("pc", _TEXT),
            ("el", _INT),
            ("subclass", _TEXT),
            ("sve_evl", _INT),
            ("sve_pred", _BOOL),
            ("sve_fp", _BOOL),
            ("condition", _BOOL),
            ("event", _TEXT),
            ("issue_lat", _INT),
            ("total_lat", _INT),
            ("context", _TEXT),
            ("ts", _INT),
        ]
    ),
}

_EVENTS = {
    0: "EXCEPTION-GEN",
    1: "RETIRED",
    2: "L1D-ACCESS",
    3: "L1D-REFILL",
    4: "TLB-ACCESS",
    5: "TLB-REFILL",
    6: "NOT-TAKEN",
    7: "MISPRED",
    8: "LLC-ACCESS",
    9: "LLC-REFILL",
    10: "REMOTE-ACCESS",
    11: "ALIGNMENT",
    17: "SVE-PARTIAL-PRED",
    18: "SVE-EMPTY-PRED",
}
"""By bit; other bits have no name."""
_MEMORY_BITS = (2, 3, 4, 5, 8, 9, 10)
"""spe-parser drops these from "other" records, a work-around for Neoverse N1 erratum 1912195."""
_SOURCES = {
    0: "L1D",
    8: "L2D",
    9: "PEER-CPU",
    10: "LOCAL-CLUSTER",
    11: "LL-CACHE",
    12: "PEER-CLUSTER",
    13: "REMOTE",
    14: "DRAM",
}
_SUBCLASSES = {
    0x00: "GP-REG",
    0x04: "SIMD-FP",
    0x10: "UNSPEC-REG",
    0x30: "NV-SYSREG",
    0x14: "MTE-TAG",
    0x20: "MEMCPY",
}
_ADDRESS = np.uint64((1 << 56) - 1)


_NOT_PACKED = ("paddr", "data_source", "context")
"""Columns of packets that packed records do not have."""


def paths(prefix: Path) -> dict[str, Path]:
    """Where the tables go: PREFIX-ldst.parquet and so on, as spe-parser's -p."""
    return {name: prefix.with_name(f"{prefix.name}-{name}.parquet") for name in TABLES}


def write(
    prefix: Path, found: Rerun, written: Callable[[int], None] = lambda n: None
) -> dict[str, int]:
    """The three tables, in blocks; rows of each. `written(n)` is told of records as they go out."""
    rows = dict.fromkeys(TABLES, 0)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                pyarrow.parquet.ParquetWriter(
                    stack.enter_context(files.whole(path)), SCHEMAS[name], compression="zstd"
                )
            )
            for name, path in paths(prefix).items()
        }
        blocks = chain.from_iterable(found.blocks(vcpu) for vcpu in range(len(found.run.vcpus)))
        for records in blocks:
            for name, table in tables(found, records).items():
                writers[name].write_table(table)
                rows[name] += table.num_rows
            written(records.size)
    return rows


Columns = dict[str, NDArray[Any] | list[str]]
"""Columns of one table, each as long as its records."""


def tables(found: Rerun, records: Records) -> dict[str, pa.Table]:
    """The three tables of some records [n] of RECORD_DT."""
    stream = found.stream
    op_class = stream.static_class[records["insn"]]
    pc, time = stream.static_pc[records["insn"]], perf_time(found, records["t_select"])
    made = {}
    for name, classes, columns in (
        ("ldst", (OpClass.LOAD, OpClass.STORE, OpClass.ATOMIC), _ldst),
        ("br", (OpClass.BRANCH,), _br),
        ("other", (OpClass.OTHER,), _other),
    ):
        chosen = np.isin(op_class, classes)
        part = records[chosen]
        shared = {
            "cpu": part["vcpu"].astype(np.int64),
            "pc": _hex(pc[chosen]),
            "el": part["el"].astype(np.int64),
            "issue_lat": part["issue"].astype(np.int64),
            "total_lat": part["total"].astype(np.int64),
            "context": _hex(part["tid"].astype(np.uint64)),
            "ts": time[chosen],
        }
        all_columns = shared | columns(part, op_class[chosen])
        if found.arm.settings.records == "packed":
            all_columns |= {k: [""] * part.size for k in _NOT_PACKED if k in all_columns}
        made[name] = pa.table(
            [pa.array(all_columns[field.name], field.type) for field in SCHEMAS[name]],
            schema=SCHEMAS[name],
        )
    return made


def _ldst(records: Records, op_class: NDArray[np.uint8]) -> Columns:
    payload, memory = records["op_payload"], records["level"] > 0
    extended = (payload & 0xE2) == 0x02
    sve = (payload & 0x0A) == 0x08
    flags = {name: extended & (payload & bit > 0) for name, bit in _EXTENDED.items()}
    plain = ~sve & ~np.logical_or.reduce(list(flags.values()))
    loads = memory & (op_class != OpClass.STORE)
    return {
        "op": np.where(payload & 1, "ST", "LD"),
        **flags,
        "subclass": np.where(sve, "SVE", np.where(plain, _named(payload & 0xFE, _SUBCLASSES), "")),
        "sve_evl": np.where(sve, 32 << (payload.astype(np.int64) >> 4 & 7), 0),
        "sve_pred": sve & (payload & 0x04 > 0),
        "sve_sg": sve & (payload & 0x80 > 0),
        "event": _events(records["events"]),
        "vaddr": _hex(records["va"], memory),
        "xlat_lat": records["xlat"].astype(np.int64),
        "paddr": _hex(records["pa"], memory),
        "data_source": np.where(loads, _named(records["source"], _SOURCES), ""),
    }


_EXTENDED = {"atomic": 0x04, "excl": 0x08, "ar": 0x10}


def _br(records: Records, op_class: NDArray[np.uint8]) -> Columns:
    n = records.size
    return {
        "op": np.full(n, "B"),
        "condition": records["op_payload"] & 1 > 0,
        "indirect": (records["op_payload"] & 0xFE) == 2,
        "event": _events(records["events"]),
        "br_tgt": _hex(records["target"]),
        "br_tgt_lvl": records["el"].astype(np.int64),
        "pbt": np.full(n, ""),
        "pbt_lvl": np.zeros(n, np.int64),
    }


def _other(records: Records, op_class: NDArray[np.uint8]) -> Columns:
    payload = records["op_payload"]
    sve = (payload & 0x89) == 0x08
    return {
        "op": np.full(records.size, "OTHER"),
        "subclass": np.where(sve, "SVE", "OTHER"),
        "sve_evl": np.where(sve, 32 << (payload.astype(np.int64) >> 4 & 7), 0),
        "sve_pred": sve & (payload & 0x04 > 0),
        "sve_fp": sve & (payload & 0x02 > 0),
        "condition": ~sve & (payload & 1 > 0),
        "event": _events(records["events"], without=_MEMORY_BITS, in_order_of_name=True),
    }


def _hex(values: NDArray[np.uint64], present: NDArray[np.bool_] | None = None) -> list[str]:
    """`0x…` of the packet's 56 bits; empty where nothing is present."""
    texts = [f"{value:#x}" for value in (values & _ADDRESS).tolist()]
    if present is None:
        return texts
    return [text if there else "" for text, there in zip(texts, present.tolist(), strict=True)]


def _named(values: NDArray[np.integer[Any]], names: dict[int, str]) -> NDArray[np.str_]:
    """Names of small numbers; empty for those without one."""
    table = np.array([names.get(value, "") for value in range(256)])
    return np.asarray(table[values])


def _events(
    values: NDArray[np.uint32], without: tuple[int, ...] = (), in_order_of_name: bool = False
) -> NDArray[np.str_]:
    """Names of the events that are set, joined by colons; few combinations occur."""
    found, index = np.unique(values, return_inverse=True)
    texts = []
    for value in found.tolist():
        names = [n for bit, n in _EVENTS.items() if value >> bit & 1 and bit not in without]
        texts.append(":".join(sorted(names) if in_order_of_name else names))
    return np.asarray(np.array(texts, dtype=np.str_)[index])
