"""Which event bits a driver lets a filter have: arm_spe_pmu_event_init and PMSEVFR_EL1_RES0_*.

Fidelity note. Modelled: RES0 by version of SPE (arch/arm64/include/asm/sysreg.h), and the latest
version that a driver knows (arm_spe_pmsevfr_res0; v1p2's since Linux 6.3): EOPNOTSUPP for the rest.
IMPLEMENTATION DEFINED bits (12 to 15, 24 to 31, 48 to 63) pass. Not modelled: v1p4, PMSNEVFR.
"""

from __future__ import annotations

VERSIONS = ("v1p0", "v1p1", "v1p2")
KNOWN = {"6.1": "v1p1", "6.12": "v1p2", "7.x": "v1p2"}
"""The latest version whose bits a driver lets through."""


def _bits(*ranges: tuple[int, int]) -> int:
    return sum(1 << bit for low, high in ranges for bit in range(low, high + 1))


_RESERVED = _bits((0, 0), (2, 2), (4, 4), (6, 6), (8, 11), (16, 23), (32, 47))
_ADDED = {"v1p1": _bits((11, 11), (17, 18)), "v1p2": _bits((6, 6))}
"""Bits that a version makes usable."""


def reserved(spe: str, driver: str) -> int:
    """Bits that perf_event_open refuses, by versions of SPE and of the driver."""
    version = min(VERSIONS.index(spe), VERSIONS.index(KNOWN[driver]))
    usable = sum(_ADDED[added] for added in VERSIONS[1 : version + 1])
    return _RESERVED & ~usable


def problem(event_filter: int, spe: str, driver: str) -> str | None:
    """Why a filter is refused, and the versions that would take it; None if it is not."""
    refused = event_filter & reserved(spe, driver)
    if not refused:
        return None
    bits = ", ".join(str(bit) for bit in range(64) if refused >> bit & 1)
    return (
        f"bits that are reserved in SPE{spe} for the driver of {driver}: {bits}; perf_event_open "
        f"fails with EOPNOTSUPP; {_cure(refused)}"
    )


def _cure(refused: int) -> str:
    for spe in VERSIONS:
        for driver in KNOWN:
            if not refused & reserved(spe, driver):
                return f'spe.version: {spe} with driver.version: "{driver}" has them'
    return "no version that is modelled has them"
