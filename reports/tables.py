"""Parquet tables of a run: plain columns, zstd, no pandas metadata, equal bytes for equal input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import frames
from analysis.profiles import VIEWS

if TYPE_CHECKING:
    from sim.batch import ArmResult


def write(folder: Path, arms: Sequence[ArmResult], *, records: bool) -> list[str]:
    """Write the tables into `folder`; returns their names."""
    tables = {
        "profile.parquet": _profiles(arms),
        "ledger.parquet": frames.df_ledger(arms),
        "blackouts.parquet": frames.df_blackouts(arms),
    }
    if records:
        tables["records.parquet"] = df_records(arms)
    for name, frame in tables.items():
        write_parquet(frame, folder / name)
    return list(tables)


def _profiles(arms: Sequence[ArmResult]) -> pd.DataFrame:
    """All views, one under the other, with a column `by`."""
    parts = []
    for by in VIEWS:
        frame = frames.df_profile(arms, by)
        frame.insert(0, "by", by)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def df_records(arms: Sequence[ArmResult]) -> pd.DataFrame:
    """arm, replication, vcpu, op, t_select, t_write (ticks of wall time): every written record."""
    parts = []
    for arm in arms:
        for run in arm.runs:
            for number, vcpu in enumerate(run.vcpus):
                rows = np.asarray(vcpu.written)
                part = pd.DataFrame(rows, columns=["op", "t_select", "t_write"])
                part.insert(0, "vcpu", number)
                part.insert(0, "replication", run.replication)
                part.insert(0, "arm", arm.arm.name)
                parts.append(part)
    return pd.concat(parts, ignore_index=True)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """One table, without an index."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pyarrow.parquet.write_table(table, path, compression="zstd")
