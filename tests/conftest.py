"""What the whole suite says at its end: which tools were missing, and what brings them."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.needs import missing_lines


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """After everything else that is said."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return  # a process of pytest-xdist, which tells the one that prints
    skipped = [report.longrepr for report in reporter.stats.get("skipped", [])]
    reasons = [where[2] for where in skipped if isinstance(where, tuple)]
    for line in missing_lines(reasons):
        reporter.write_line(line)
