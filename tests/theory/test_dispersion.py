"""Row 7: counts of jittered selections are far less dispersed than Poisson counts."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import theory
from sim.spe.select import Jitter
from tests.theory import constant_cpi as made

REPLICATIONS = 30
WINDOWS = 60
"""Windows of one run; windows of 30 runs: their variance is known to 1/√900 = 3.3 %."""
GAPS = 1000
"""Mean gaps in a window: the end points add at most 0.25/GAPS to the dispersion."""


def _dispersions(interval: int, jitter: Jitter) -> list[float]:
    """Variance over mean of the count in a window, one value a replication."""
    mean = float(theory.gaps(interval, jitter=jitter is Jitter.RND).mean())
    window = round(GAPS * mean)
    spec = made.machine("baremetal", interval, jitter, aux=1 << 27)
    stream = made.stream_of(window * (WINDOWS + 1))
    found = []
    for vcpu in made.vcpus(spec, stream, REPLICATIONS, keep=True):
        edges = interval + 2 + window * np.arange(WINDOWS + 1)
        counts = np.diff(np.searchsorted(vcpu.written[:, 0], edges))
        found.append(float(counts.var(ddof=1) / counts.mean()))
    return found


@pytest.mark.parametrize("interval", [256, 1024, 4096])
def test_accumulating_jitter(interval: int) -> None:
    """σ²/μ², plus at most 0.25 per mean count for the window's ends; z = 4."""
    mean = float(theory.gaps(interval, jitter=True).mean())
    expected = theory.count_dispersion(mean, theory.jitter_variance())
    found, error = made.mean_and_error(_dispersions(interval, Jitter.RND))
    assert expected - made.Z * error < found < expected + 0.25 / GAPS + made.Z * error
    assert found < 0.1  # a Poisson count has 1


def test_extended_randomness_does_not_accumulate() -> None:
    """ERnd: what the renewal formula would give is excluded; only the end points remain."""
    found, error = made.mean_and_error(_dispersions(1024, Jitter.ERND))
    assert found < 0.25 / GAPS + made.Z * error
    assert found + made.Z * error < theory.count_dispersion(1025, 2 * theory.jitter_variance())
