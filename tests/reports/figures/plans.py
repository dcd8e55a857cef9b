"""Made-up runs whose figures are crowded."""

from __future__ import annotations

from tests.rigs.fakes import Plan

DESIGNS = (
    Plan(lost=100),
    Plan(name="v6", design="v6", lost=100, pin_ticks=10**6, exits=2),
    Plan(name="unpinned", design="unpinned", lost=50_000),
    Plan(name="first-fault", design="first-fault", lost=200, pin_ticks=10**4),
    Plan(name="v3-mlock", design="v3-mlock", lost=100, pin_ticks=10**5),
)


MANY = tuple(
    Plan(
        name=f"a-rather-long-name-of-an-arm-{k}",
        design="v6",
        lost=10**k,
        seed=k,
        pin_ticks=10**k,
        exits=k,
        shares=(0.4, 0.4, 0.15, 0.05),
    )
    for k in range(1, 6)
)
