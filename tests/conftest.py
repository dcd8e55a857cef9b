"""What the whole suite says at its end: what it killed when, which tools were missing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.needs import missing_lines
from tests.sim.linux import kernels


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """After everything else that is said."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return  # a process of pytest-xdist, which tells the one that prints
    for report in reporter.stats.get("passed", []):
        if "tests/faults/" in report.nodeid and report.when == "call":
            for what, counts in report.user_properties:
                phases = ", ".join(f"{count} {name}" for name, count in counts.items())
                reporter.write_line(f"{what} {sum(counts.values())} times: {phases}")
    skipped = [report.longrepr for report in reporter.stats.get("skipped", [])]
    reasons = [where[2] for where in skipped if isinstance(where, tuple)]
    for line in missing_lines(reasons):
        reporter.write_line(line)


@pytest.fixture(scope="session")
def linux(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A kernel's sources by version, as far as `driver.kernel_tree` reads them; not to be changed.

    They are unpacked once for all processes of a session.
    """
    shared = tmp_path_factory.getbasetemp().parent
    return lambda version: kernels.unpacked(version, shared)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is one of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
