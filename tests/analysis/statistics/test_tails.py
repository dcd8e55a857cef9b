"""Student's t, chi-squared and log-gamma, against tables and closed forms."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from analysis.statistics.tails import chi2_exceeded, log_gamma, t_cdf, t_cdfs, t_quantile

TIMES = np.geomspace(0.01, 100, 30)
T = np.concatenate([-TIMES[::-1], [0.0], TIMES])


def test_quantiles_are_of_the_tables() -> None:
    """Two table values of the t distribution, and its inverse."""
    assert t_quantile(0.975, 9) == pytest.approx(2.262157, abs=1e-6)
    assert t_quantile(0.95, 29) == pytest.approx(1.699127, abs=1e-6)
    assert t_cdf(t_quantile(0.8, 5), 5) == pytest.approx(0.8)
    assert t_quantile(0.25, 7.5) == pytest.approx(-t_quantile(0.75, 7.5))


def test_t_is_the_closed_form() -> None:
    """One and two degrees of freedom, both tails; many at once as one by one."""
    for t in map(float, T):
        root = math.sqrt(2 + t * t)
        two = 1 / (root * (root - t)) if t < 0 else 0.5 * (1 + t / root)
        assert t_cdf(t, 1) == pytest.approx(math.atan2(1, -t) / math.pi, rel=1e-8)
        assert t_cdf(t, 2) == pytest.approx(two, rel=1e-8)
    assert t_cdfs(T, 6.5).tolist() == [t_cdf(float(t), 6.5) for t in T]


def test_chi_squared_is_the_closed_form() -> None:
    """Two degrees of freedom are an exponential; a table value of ten."""
    for p in (0.975, 0.5, 0.025, 1e-6):
        assert chi2_exceeded(2, p) == pytest.approx(-2 * math.log(p))
    assert chi2_exceeded(10, 0.05) == pytest.approx(18.307038, abs=1e-6)


def test_log_gamma_is_of_factorials() -> None:
    """From a half on, one array at once, or one number."""
    x = np.arange(1.0, 100.0)
    assert log_gamma(x) == pytest.approx([math.log(math.factorial(int(k) - 1)) for k in x])
    assert float(log_gamma(0.5)) == pytest.approx(math.log(math.pi) / 2)


LOADED = """
import sys
import numpy
from analysis.statistics.tails import t_quantile
t_quantile(0.975, 9)
kept = [name for name in ("f2py", "ma", "testing") if f"numpy.{name}" in sys.modules]
print(kept, "ma" in vars(numpy))
import scipy.stats
print(numpy.ma.masked_array([1, 2], [False, True]).sum(), scipy.stats.t.ppf(0.5, 3))
numpy.testing.assert_equal(numpy.f2py.__name__, "numpy.f2py")
"""


def test_what_numpy_keeps_for_others_is_neither_loaded_nor_missing() -> None:
    """scipy names it and does not use it; whoever does gets it as ever."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)
    assert (done.stdout.splitlines(), done.stderr) == (["[] False", "1 0.0"], "")


def test_what_is_loaded_already_stays() -> None:
    """Masked arrays of a program that had them before are the same ones afterwards."""
    first = "import numpy.ma; before = numpy.ma; "
    last = "import numpy.ma; assert numpy.ma is before; import scipy.special"
    script = f"{first}from analysis.statistics.tails import t_cdf; t_cdf(0.0, 3); {last}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
