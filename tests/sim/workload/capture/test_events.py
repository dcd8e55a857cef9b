"""The SPE events of a perf.data: their filters, several in one file, a writer that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rigs import perf_file as pf
from tests.sim.workload.capture.made import HEAD, ONE, opened

OTHER_PMU, THIRD_ID = 12, pf.DUMMY_ID + 1
V2_TWO_PMUS = pf.info(
    *(2, 4, pf.PMU, 2),
    *(0x1010101010101010, 0, 4, 0x410FD0C0, pf.PMU, 1024, 0xAA),
    *(0x1010101010101010, 1, 4, 0x410FD490, OTHER_PMU, 2048, 0xAA),
)


@pytest.mark.parametrize(
    ("config", "config2", "later", "words"),
    [
        (1, 0, (), ()),
        (1, 0, (0, 0), ()),
        (1 | 1 << 33 | 1 << 34, 0, (), ("only loads, stores",)),
        (1 | 1 << 39, 0, (), ("operation types by bits 0x8000000000 of config",)),
        (1, 50, (), ("only from 50 cycles on",)),
        (1, 0, (0x82,), ("none with an event of 0x82",)),
        (1, 0, (0, 0x100), ("no loads from the data sources of 0x100",)),
    ],
)
def test_every_filter_is_seen_and_named(
    tmp_path: Path, config: int, config2: int, later: tuple[int, ...], words: tuple[str, ...]
) -> None:
    """Type, latency, inverted event and data source filters are facts; no filter is none."""
    data = pf.perf_data([*HEAD, pf.auxtrace(ONE, 0)], config=config, config2=config2, later=later)
    facts = opened(tmp_path, data).facts
    assert facts.filtered is bool(words)
    assert facts.events[0].filters == words


@pytest.mark.parametrize("info", [pf.INFO_V1, V2_TWO_PMUS], ids=["v1", "v2"])
def test_flags_of_both_of_two_spe_pmus_count(tmp_path: Path, info: bytes) -> None:
    """A machine of two kinds of cores has two SPE PMUs: TRUNCATED and COLLISION of both count."""
    records = [
        pf.aux(0, len(ONE), 0, cpu=1, identifier=THIRD_ID),  # before the metadata says who is who
        pf.time_conv(),
        info,
        pf.aux(0, len(ONE), 8),
        pf.aux(len(ONE), len(ONE), 9, cpu=1, identifier=THIRD_ID),
        pf.aux(0, 4096, 1, identifier=pf.DUMMY_ID),  # of the tracking event: not SPE data
        pf.auxtrace(ONE, 0),
        pf.auxtrace(ONE * 2, 0, cpu=1),
    ]
    more = [pf.attr(OTHER_PMU, 1, 2048, config2=7)]
    facts = opened(tmp_path, pf.perf_data(records, more=more)).facts
    assert facts.aux is not None
    assert (facts.aux.records, facts.aux.truncated, facts.aux.collision) == (3, 1, 2)
    assert [event.period for event in facts.events] == [1024, 2048]
    assert (facts.interval, facts.jitter, facts.filtered) == (None, False, True)
    assert facts.min_interval == (2048 if info is V2_TWO_PMUS else None)


def test_two_events_of_one_kind_keep_their_period(tmp_path: Path) -> None:
    """What both events were asked for alike is a fact of the file."""
    more = [pf.attr(OTHER_PMU, 1 | 1 << 16, 1024)]
    records = [pf.time_conv(), V2_TWO_PMUS, pf.auxtrace(ONE, 0)]
    facts = opened(tmp_path, pf.perf_data(records, more=more)).facts
    assert (facts.interval, facts.jitter) == (1024, None)
