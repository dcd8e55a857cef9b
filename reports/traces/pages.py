"""`speskew export pages`: which pages an arm's records touch, and when: what tiering daemons see.

A row is a page in a window of time: sampled loads and stores, first and last sample. An atomic is a
load, as its record says. Times are those of the samples' selection, from the start of the run.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow
import pyarrow.parquet

from reports.rerunning import Rerun
from reports.store.csvdata import guarded
from reports.store.files import ExportError
from sim.runs.seen.compiled import PAGE_SHIFT
from sim.workload.a64 import OpClass

COLUMNS = {
    "arm": (pyarrow.string(), "", "arm of the run"),
    "window_ns": (pyarrow.int64(), "ns", "begin of the window of time; 0 without --window"),
    "page": (pyarrow.uint64(), "", "virtual address of the page's first byte"),
    "loads": (pyarrow.int64(), "records", "sampled loads of the page in the window"),
    "stores": (pyarrow.int64(), "records", "sampled stores of the page in the window"),
    "first_ns": (pyarrow.int64(), "ns", "when the first of them was selected"),
    "last_ns": (pyarrow.int64(), "ns", "when the last of them was selected"),
}
"""Name, type, unit and meaning."""
Row = tuple[str, int, int, int, int, int, int]


def rows(
    found: Rerun, *, page_bytes: int, window_ns: int, written: Callable[[int], None]
) -> Iterator[Row]:
    """Rows of an arm by window, then page; `page_bytes` a power of two, `window_ns` 0 for all."""
    if not found.stream.addresses.size:
        raise ExportError(f"the workload of {found.arm.name} has no addresses: record a program")
    parts = []
    for vcpu in range(len(found.run.vcpus)):
        for records in found.blocks(vcpu):
            touched = records[(records["level"] > 0) & (records["va"] >> np.uint64(PAGE_SHIFT) > 0)]
            store = found.stream.static_class[touched["insn"]] == OpClass.STORE
            page = touched["va"] & ~np.uint64(page_bytes - 1)
            parts.append((page, store, found.nanoseconds(touched["t_select"])))
            written(records.size)
    if not parts:  # no record at all
        return
    page, store, at = (np.concatenate(column) for column in zip(*parts, strict=True))
    window = at // window_ns * window_ns if window_ns else np.zeros_like(at)
    order = np.lexsort((at, page, window))
    page, store, at, window = page[order], store[order], at[order], window[order]
    new = np.r_[True, (np.diff(window) != 0) | (page[1:] != page[:-1])] if page.size else store
    first = np.flatnonzero(new)
    stores = np.add.reduceat(store.astype(np.int64), first) if first.size else first
    sizes = np.diff(np.r_[first, page.size])
    last = at[first + sizes - 1]
    columns = (window[first], page[first], sizes - stores, stores, at[first], last)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        yield (found.arm.name, *row)


def write(file: IO[bytes], name: str, table: Sequence[Row]) -> None:
    """As Parquet, or as CSV if `name` ends so; addresses in CSV are hexadecimal."""
    if Path(name).suffix == ".csv":
        file.write(_csv(table).encode("utf-8", "surrogateescape"))
        return
    fields = [
        pyarrow.field(name, kind, metadata={"unit": unit, "meaning": meaning})
        for name, (kind, unit, meaning) in COLUMNS.items()
    ]
    columns = list(zip(*table, strict=True)) or [()] * len(fields)
    arrays = [pyarrow.array(c, f.type) for c, f in zip(columns, fields, strict=True)]
    made = pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))
    pyarrow.parquet.write_table(made, file, compression="zstd")


def _csv(table: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for arm, window, page, *rest in table:
        writer.writerow((guarded(arm), window, f"{page:#x}", *rest))
    return out.getvalue()
