"""Parquet tables of a run: plain columns, zstd, no pandas metadata, equal bytes for equal input.

Types come from the column dictionary (`analysis.columns`), and so do the unit, the meaning and the
allowed values in each field's metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from analysis import frames, paired
from analysis.agreement import curves
from analysis.columns import COLUMNS, Column
from analysis.cost import perturbation, rlimit
from analysis.fidelity import errors, losses, profiles
from analysis.fidelity.profiles import VIEWS
from sim.results import AUX_DT, RECORD_DT
from sim.runs import batch

if TYPE_CHECKING:
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
) -> dict[str, Callable[[], pd.DataFrame]]:
    """How each table is made, by the name of its file."""
    reference = profiles.reference_arm(arms)
    tables: dict[str, Callable[[], pd.DataFrame]] = {
        "profile.parquet": lambda: _profiles(arms),
        "ledger.parquet": lambda: frames.df_ledger(arms),
        "blackouts.parquet": lambda: frames.df_blackouts(arms),
        "locked.parquet": lambda: rlimit.df_locked(arms),
        "limits.parquet": lambda: rlimit.df_exit_limits(arms),
        "loss.parquet": lambda: losses.df_loss_by_symbol(arms),
        "errors.parquet": lambda: errors.df_errors(arms, reference),
        "time_band.parquet": lambda: perturbation.df_perturbation(arms, reference),
        "paired.parquet": lambda: paired.df_paired(arms, reference),
        "theory.parquet": lambda: curves.df_theory(arms),
    }
    if records_of_seed is not None:
        seed = records_of_seed
        tables["records.parquet"] = lambda: df_records(arms, seed)
        tables["aux.parquet"] = lambda: df_aux(arms)
    return tables


def _profiles(arms: Sequence[ArmResult]) -> pd.DataFrame:
    """All views, one under the other, with a column `by`."""
    parts = []
    for by in VIEWS:
        frame = frames.df_profile(arms, by)
        frame.insert(0, "by", by)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def df_records(arms: Sequence[ArmResult], seed: int) -> pd.DataFrame:
    """arm, replication, then the columns of `sim.results.RECORD_DT`: every written record."""

    parts = []
    for arm in arms:
        for run in arm.runs:
            for rows in batch.records(arm.arm, seed, run):
                part = pd.DataFrame({name: rows[name] for name in RECORD_DT.names or ()})
                part.insert(0, "replication", run.replication)
                part.insert(0, "arm", arm.arm.name)
                parts.append(part)
    return pd.concat(parts, ignore_index=True)


def df_aux(arms: Sequence[ArmResult]) -> pd.DataFrame:
    """arm, replication, then the columns of `sim.results.AUX_DT`: every AUX transaction."""
    parts = []
    for arm in arms:
        for run in arm.runs:
            for vcpu in run.vcpus:
                part = pd.DataFrame({name: vcpu.aux[name] for name in AUX_DT.names or ()})
                part.insert(0, "replication", run.replication)
                part.insert(0, "arm", arm.arm.name)
                parts.append(part)
    return pd.concat(parts, ignore_index=True)


def schema(columns: Sequence[str]) -> Any:
    """The Arrow schema of named columns, dictionary in the metadata."""

    return pyarrow.schema([_field(COLUMNS[name]) for name in columns])


def _field(column: Column) -> Any:

    about = {"unit": column.unit, "meaning": column.meaning, "values": ", ".join(column.values)}
    kept = {key: text for key, text in about.items() if text}
    return pyarrow.field(column.name, pyarrow.type_for_alias(column.dtype), metadata=kept)


def arrow(frame: pd.DataFrame) -> Any:
    """One Arrow table, without an index; its columns are those of the dictionary."""

    table = pyarrow.Table.from_pandas(frame, schema(list(frame.columns)), preserve_index=False)
    return table.replace_schema_metadata(None)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """One table as a file."""

    table = arrow(frame)
    with path.open("wb") as file:  # pyarrow takes no name that is not UTF-8
        pyarrow.parquet.write_table(table, file, compression="zstd")
