"""The SPE packet decoder: every packet, both layouts, bad bytes, pieces of any size."""

from __future__ import annotations

import numpy as np
import pytest

from sim.workload.capture.packets import MAX_PLACES, Decoder, decode
from sim.workload.capture.records import (
    Packet,
)
from tests.rigs.spe_bytes import (
    END,
    FIELD,
    PAD,
    Made,
    expected,
    extended,
    fixed,
    load,
    sized,
    variable,
)


@pytest.mark.parametrize("which", list(FIELD))
def test_each_packet_lands_in_its_field(which: Packet) -> None:
    """A record of one packet has that payload and nothing else."""
    width = {"op_payload": 1, "source": 1}.get(FIELD[which], 2)
    made = Made({which: (1 << 8 * width) - 2}, op_class=2)
    data = variable(made)
    records, counts = decode(data)
    assert records.tolist() == expected([(0, len(data), made)]).tolist()
    assert (counts.records, counts.bad, counts.unknown, counts.damaged) == (1, 0, 0, 0)


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_events_of_every_width(width: int) -> None:
    """Events come in 1, 2, 4 or 8 bytes."""
    made = Made({Packet.PC: 1, Packet.EVENTS: (1 << 8 * width) - 1}, event_bytes=width)
    records, _ = decode(variable(made))
    assert records["events"].tolist() == [(1 << 8 * width) - 1]


def test_both_layouts_hold_the_same_record() -> None:
    """Fixed slots and packed packets decode alike but for their place and size."""
    made = load(0x400100, 77)
    slots, counts = decode(fixed(made) * 3)
    packed, _ = decode(variable(made) * 3)
    assert slots["size"].tolist() == [64] * 3
    assert slots["offset"].tolist() == [0, 64, 128]
    assert packed["size"].tolist() == [len(variable(made))] * 3
    names = [n for n in slots.dtype.names or () if n not in ("offset", "size")]
    assert slots[names].tolist() == packed[names].tolist()
    assert counts.pads == 3 * (64 - len(variable(made)))


def test_extended_headers_reach_the_same_fields() -> None:
    """Index 0 by an extended header is the PC; what has no field is counted, not lost track of."""
    pc, counter = sized(0x80, 0x1234, 8), sized(0x88, 9, 2)
    records, counts = decode(extended(0, pc) + extended(0, counter) + END)
    assert (records["pc"][0], records["total"][0]) == (0x1234, 9)
    assert counts.unknown == 0
    records, counts = decode(extended(1, pc) + extended(3, counter) + pc + END)
    assert records["pc"][0] == 0x1234
    assert (records["total"][0], counts.unknown, counts.bad, counts.repeated) == (0, 2, 0, 0)


def test_implementation_defined_counter_is_unknown_not_bad() -> None:
    """Kunpeng's counter 0x9e is well formed: the record stays whole."""
    made = load(0x400100, 77)
    records, counts = decode(sized(0x88 | 6, 3, 2) + variable(made))
    assert (counts.records, counts.unknown, counts.bad, counts.damaged) == (1, 1, 0, 0)
    assert records["damage"].tolist() == [0]


def test_alignment_skips_to_a_multiple_of_the_stream() -> None:
    """Whatever lies between an alignment packet and the boundary is padding."""
    made = variable(Made({Packet.PC: 1, Packet.TIMESTAMP: 2}))
    for low, multiple in enumerate((2, 4, 8, 16)):
        for lead in range(1, 17):
            skip = multiple - lead % multiple
            if skip < 2:
                continue
            filler = bytes([0x20 | low, 0]) + b"\xff" * (skip - 2)
            records, counts = decode(PAD * lead + filler + made)
            assert records["offset"].tolist() == [lead + skip], (low, lead)
            assert counts.bad == 0


def test_bad_byte_costs_the_record_around_it_only() -> None:
    """One bad byte inside a record marks its halves; the next record is whole."""
    one = variable(load(0x400100, 1))
    cut = 9 + 5 + 2
    records, counts = decode(one + one[:cut] + b"\xff" + one[cut:] + one)
    assert records["damage"].tolist() == [0, 1, 1, 0]
    assert (counts.bad, counts.bad_at, counts.damaged) == (1, (len(one) + cut,), 2)
    assert records["pc"][1] == records["pc"][0]
    assert records["ts"][2] == records["ts"][0]


def test_bad_byte_between_records_costs_nothing_but_the_next() -> None:
    """What follows a bad byte is in doubt until its end; perf's count of samples is the same."""
    one = variable(load(0x400100, 1))
    records, counts = decode(one + b"\xff" + one + one)
    assert records["damage"].tolist() == [0, 1, 0]
    assert (counts.records, counts.bad) == (3, 1)


def test_truncated_end_is_reported() -> None:
    """A stream that ends within a record gives what there was, marked, at any place of the cut."""
    one = variable(load(0x400100, 1))
    for cut in range(1, len(one)):
        records, counts = decode(one + one[:cut])
        assert records["damage"].tolist()[:1] == [0]
        assert records.size == 1 + counts.damaged
        assert counts.cut + counts.bad > 0, cut


def test_missing_bytes_end_a_record() -> None:
    """After a jump in the offsets the half of before is not joined to the half of after."""
    one = variable(load(0x400100, 1))
    decoder = Decoder()
    parts = [*decoder.feed(one[:20]), *decoder.restart(1000), *decoder.feed(one)]
    parts += decoder.finish()
    records = np.concatenate(parts)
    assert records["damage"].tolist() == [1, 0]
    assert records["offset"].tolist() == [0, 1000]


def test_endless_record_is_damaged() -> None:
    """A record longer than 2 KiB cannot be; memory does not grow with it."""
    records, counts = decode(sized(0x48, 0, 1) * 2000 + END)
    assert (records["damage"].tolist(), counts.repeated) == ([1], 1999)
    assert records["size"][0] == 4001


def test_places_of_bad_bytes_are_bounded() -> None:
    """All bad bytes are counted, the first few are kept."""
    _, counts = decode(b"\xff" * 1000)
    assert counts.bad == 1000
    assert counts.bad_at == tuple(range(MAX_PLACES))
