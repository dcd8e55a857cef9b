"""Parquet tables of a run: plain columns, zstd, no pandas metadata, equal bytes for equal input.

Types come from the column dictionary (`analysis.columns`), and so do the unit, the meaning and the
allowed values in each field's metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet

from analysis import frames, paired
from analysis.agreement import curves
from analysis.columns import COLUMNS, Column
from analysis.cost import perturbation, rlimit
from analysis.fidelity import errors, losses, profiles
from analysis.fidelity.profiles import VIEWS
from analysis.tables import Cells, Table, concat
from sim.results import AUX_DT, RECORD_DT
from sim.runs import batch

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult


def write(
    folder: Path, arms: Sequence[ArmResult], *, records_of_seed: int | None = None
) -> list[str]:
    """Write the tables into `folder`; records too if given the seed of a run that kept them."""
    tables = makers(arms, records_of_seed=records_of_seed)
    for name, make in tables.items():
        write_parquet(make(), folder / name)
    return list(tables)


def makers(
    arms: Sequence[ArmResult], *, records_of_seed: int | None = None
) -> dict[str, Callable[[], Table]]:
    """How each table is made, by the name of its file."""
    reference = profiles.reference_arm(arms)
    tables: dict[str, Callable[[], Table]] = {
        "profile.parquet": lambda: _profiles(arms),
        "ledger.parquet": lambda: frames.ledger_table(arms),
        "blackouts.parquet": lambda: frames.blackouts_table(arms),
        "locked.parquet": lambda: rlimit.locked_table(arms),
        "limits.parquet": lambda: rlimit.limits_table(arms),
        "loss.parquet": lambda: losses.loss_table(arms),
        "errors.parquet": lambda: errors.errors_table(arms, reference),
        "time_band.parquet": lambda: perturbation.time_band_table(arms, reference),
        "paired.parquet": lambda: paired.paired_table(arms, reference),
        "theory.parquet": lambda: curves.theory_table(arms),
    }
    if records_of_seed is not None:
        seed = records_of_seed
        tables["records.parquet"] = lambda: records_table(arms, seed)
        tables["aux.parquet"] = lambda: aux_table(arms)
    return tables


def _profiles(arms: Sequence[ArmResult]) -> Table:
    """All views, one under the other, with a column `by`."""
    parts = []
    for by in VIEWS:
        found = frames.profile_table(arms, by)
        parts.append(Table({"by": np.full(len(found), by, dtype=object), **found.columns}))
    return concat(parts, ("by", *frames.PROFILE_COLUMNS))


def records_table(arms: Sequence[ArmResult], seed: int) -> Table:
    """arm, replication, then the columns of `sim.results.RECORD_DT`: every written record."""
    parts = [
        _structured(arm, run, rows)
        for arm in arms
        for run in arm.runs
        for rows in batch.records(arm.arm, seed, run)
    ]
    return concat(parts, ("arm", "replication", *(RECORD_DT.names or ())))


def aux_table(arms: Sequence[ArmResult]) -> Table:
    """arm, replication, then the columns of `sim.results.AUX_DT`: every AUX transaction."""
    parts = [
        _structured(arm, run, vcpu.aux) for arm in arms for run in arm.runs for vcpu in run.vcpus
    ]
    return concat(parts, ("arm", "replication", *(AUX_DT.names or ())))


def _structured(arm: ArmResult, run: RunResult, rows: npt.NDArray[Any]) -> Table:
    columns: dict[str, Cells] = {
        "arm": [arm.arm.name] * rows.size,
        "replication": np.full(rows.size, run.replication),
    }
    return Table(columns | {name: rows[name] for name in rows.dtype.names or ()})


def schema(columns: Sequence[str]) -> Any:
    """The Arrow schema of named columns, dictionary in the metadata."""

    return pyarrow.schema([_field(COLUMNS[name]) for name in columns])


def _field(column: Column) -> Any:

    about = {"unit": column.unit, "meaning": column.meaning, "values": ", ".join(column.values)}
    kept = {key: text for key, text in about.items() if text}
    return pyarrow.field(column.name, pyarrow.type_for_alias(column.dtype), metadata=kept)


def arrow(table: Table) -> Any:
    """One Arrow table; its columns are those of the dictionary."""
    typed = schema(list(table.columns))
    cells = zip(typed, table.columns.values(), strict=True)
    return pyarrow.Table.from_arrays([_array(c, field.type) for field, c in cells], schema=typed)


def _array(cells: Cells, kind: Any) -> Any:
    """A column, from its bytes: `pyarrow.array` would import pandas to see that it is none.

    None, and NaN among floats, is an empty cell; a value that the type cannot hold a ValueError.
    """
    filled = _filled(cells)
    if pyarrow.types.is_string(kind):
        code = {v: b"" if v is None else str(v).encode() for v in set(cells)}  # few, for many rows
        coded = list(map(code.__getitem__, cells))
        ends = np.zeros(len(coded) + 1, np.int32)
        np.cumsum(np.fromiter(map(len, coded), np.int32, len(coded)), out=ends[1:])
        return _buffers(kind, filled, ends, b"".join(coded))
    values = cells if filled.all() else [0 if cell is None else cell for cell in cells]
    typed = np.ascontiguousarray(values, kind.to_pandas_dtype())
    if pyarrow.types.is_boolean(kind):
        return _buffers(kind, filled, np.packbits(typed, bitorder="little"))
    if pyarrow.types.is_floating(kind):
        return _buffers(kind, filled & ~np.isnan(typed), typed)
    arrays = isinstance(values, np.ndarray)
    if not (np.array_equal(typed, values) if arrays else typed.tolist() == list(values)):
        # a fraction was cut off, or another's range wrapped
        raise ValueError(f"cells that are no {kind}")
    return _buffers(kind, filled, typed)


def _filled(cells: Cells) -> npt.NDArray[np.bool_]:
    if isinstance(cells, np.ndarray):
        if cells.dtype != object:
            return np.ones(cells.size, bool)
        cells = cells.tolist()
    if None not in cells:
        return np.ones(len(cells), bool)
    return np.fromiter((cell is not None for cell in cells), bool, len(cells))


def _buffers(kind: Any, filled: npt.NDArray[np.bool_], *parts: Any) -> Any:
    """An Arrow array of these buffers, with a bit per cell where some are empty."""
    valid = None if filled.all() else pyarrow.py_buffer(np.packbits(filled, bitorder="little"))
    return pyarrow.Array.from_buffers(
        kind, filled.size, [valid, *(pyarrow.py_buffer(part) for part in parts)]
    )


def write_parquet(table: Table, path: Path) -> None:
    """One table as a file."""
    made = arrow(table)
    with path.open("wb") as file:  # pyarrow takes no name that is not UTF-8
        pyarrow.parquet.write_table(made, file, compression="zstd")
