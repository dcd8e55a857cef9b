"""The perf command of the settings."""

from __future__ import annotations

from reports.perf.command import perf_command
from tests.rigs.samples import arms, scenario


def test_perf_command_is_that_of_the_settings() -> None:
    """What a reader would type on a machine with SPE."""
    settings = scenario(arms()).arms[0].settings
    assert perf_command(settings) == ("perf record -e arm_spe_0/period=1024/u -m ,1024 -- PROGRAM")
    spe = settings.spe.model_copy(update={"jitter": "on", "exclude_kernel": False})
    changed = settings.model_copy(update={"spe": spe})
    assert "arm_spe_0/period=1024,jitter=1/ " in perf_command(changed)
