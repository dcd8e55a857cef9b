"""What a scenario says of its host: limits, unmapping, each kind of pressure once."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sim.scenario.models.host import Host
from sim.scenario.models.quantities import UNLIMITED


def test_defaults_are_those_of_a_plain_vmm() -> None:
    """8 MiB of RLIMIT_MEMLOCK that can be raised without end, no capability, nothing unmapped."""
    host = Host()
    assert (host.memlock, host.memlock_hard) == (8 << 20, UNLIMITED)
    assert not host.cap_ipc_lock
    assert (host.unmap, host.pressure) == ("never", ())


def test_each_kind_of_pressure_once() -> None:
    """Any number of kinds; two of one kind have no order between them, so they are refused."""
    change = {"kind": "memslot_change", "every": "2ms"}
    both = Host.model_validate({"pressure": [{"kind": "ksm"}, change]})
    assert [p.kind for p in both.pressure] == ["ksm", "memslot_change"]
    with pytest.raises(ValidationError, match="memslot_change is there twice; keep one of them"):
        Host.model_validate({"pressure": [change, change]})


@pytest.mark.parametrize("rounds", [0, 1001])
def test_rounds_of_a_migration_are_bounded(rounds: int) -> None:
    """At least the one after which it switches over."""
    with pytest.raises(ValidationError, match="rounds"):
        Host.model_validate(
            {
                "pressure": [
                    {"kind": "live_migration", "start": "1ms", "round": "2ms", "rounds": rounds}
                ]
            }
        )
