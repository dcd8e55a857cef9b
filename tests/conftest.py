"""What the whole suite says at its end, what its processes forget, and what all its rooms share."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.needs import missing_lines
from tests.sim.linux import kernels

if TYPE_CHECKING:
    from tests.faults.victim import Server

_LET_GROW = 32 << 20
"""Bytes that a process of pytest may grow by before it gives back what nobody uses."""
_LET_STAY = 64 << 20
"""Bytes more than at its first test with which it begins with another module."""
_PAGE = resource.getpagesize()
_C = ctypes.CDLL(None)
_lowest = 1 << 62
_first = 1 << 62


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * _PAGE


def pytest_collection_finish() -> None:
    """Thousands of tests and what they import stay to the end: collecting garbage skips them."""
    global _first
    gc.collect()
    gc.freeze()
    _first = _resident()


def pytest_runtest_logfinish() -> None:
    """Cycles of whole machines wait for the collector, and glibc keeps what was freed: without this
    a process of pytest grows to three times what it needs."""
    global _lowest
    if hasattr(_C, "malloc_trim") and _resident() > _lowest + _LET_GROW:
        gc.collect()
        _C.malloc_trim(0)
        _lowest = _resident()
    _lowest = min(_lowest, _resident())


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


@pytest.fixture(scope="module", autouse=True)
def few_streams_of_others() -> Iterator[None]:
    """Streams stay in memory for who needs them next; where they are large, for no other module."""
    yield
    batch = sys.modules.get("sim.runs.batch")
    if batch is not None and _resident() > _first + _LET_STAY:
        batch._stream_of.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """No test cuts the power, so data need not be on the disk; the file must still be one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(scope="session")
def linux(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Callable[[str], Path]:
    """A kernel's sources by version, as far as `driver.kernel_tree` reads them; not to be changed.

    They are unpacked once, into pytest's cache if it has one, else for all processes of a session.
    """
    cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)
    base = tmp_path_factory.getbasetemp()
    session = base.parent if hasattr(pytestconfig, "workerinput") else base  # of pytest-xdist
    shared = session if cache is None else cache.mkdir("linux")
    return lambda version: kernels.unpacked(version, shared)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is one of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def warm() -> Iterator[Server]:
    """Where commands in processes of their own begin at once."""
    from tests.faults.victim import server  # the command line, for which not every process waits

    with server() as started:
        yield started
