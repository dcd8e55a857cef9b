"""Which pages a vCPU keeps pinned, and who else has them."""

from __future__ import annotations

from typing import Any

import pytest

from sim.linux.aux import Geometry
from tests.rigs.small_machine import PAGE, WORK, ran

# --- a task that moves between vCPUs ---------------------------------------------------------


@pytest.mark.parametrize(("scope", "marks"), [("vcpu", 3), ("vm", 1)])
def test_each_vcpu_that_a_task_visits_keeps_its_mark(scope: str, marks: int) -> None:
    """Per vCPU, VmLck grows to a window for each of the three; per VM one window is enough."""
    fixed: dict[str, Any] = {"max_buffer": 1 << 62, "memlock": 1 << 40, "switch_ticks": WORK // 12}
    still = ran("v6", {"accounting_scope": scope}, **fixed)
    moving = ran("v6", {"accounting_scope": scope}, visits=3, **fixed)
    assert moving.rlimit.locked_bytes_peak == marks * still.rlimit.locked_bytes_peak
    assert moving.vcpus[0].ledgers.ops == still.vcpus[0].ledgers.ops
    assert moving.vcpus[0].written.tolist() == still.vcpus[0].written.tolist()


def test_a_pin_that_is_kept_is_kept_on_each_vcpu() -> None:
    """Never unpinning: the first visit to each vCPU pins its window, a later one pins nothing."""
    fixed: dict[str, Any] = {
        "max_buffer": 1 << 62,
        "memlock": 1 << 40,
        "switch_ticks": WORK // 12,
        "aux": Geometry(2 * PAGE, PAGE, PAGE),
    }
    still = ran("v6", {"unpin": "never"}, **fixed)
    moving = ran("v6", {"unpin": "never"}, visits=3, **fixed)
    assert 2 * still.rlimit.pinned_pages < moving.rlimit.pinned_pages
    assert moving.rlimit.pinned_pages <= 3 * still.rlimit.pinned_pages
    assert moving.rlimit.enables == still.rlimit.enables
