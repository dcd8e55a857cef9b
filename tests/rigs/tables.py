"""What a quantile table of `sim.draws` stands for."""

from __future__ import annotations

from collections.abc import Sequence

from sim import draws


def table(values: Sequence[int]) -> tuple[int, ...]:
    """A table of equally likely values, a power of two of them: the last slice is all one."""
    if len(values) == 1:
        return (values[0],)
    return (*values[:-1], *[values[-1]] * draws.TAIL)


def mean(table: Sequence[int]) -> float:
    """Mean of a draw: the last slice is in parts."""
    if len(table) == 1:
        return table[0]
    size = len(table) - draws.TAIL + 1
    whole, parts = table[: size - 1], table[size - 1 :]
    return (sum(whole) + sum(parts) / draws.TAIL) / size
