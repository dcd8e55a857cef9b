"""SPE bytes of any kind: round trips, and no input that crashes, hangs or grows the memory."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.workload.capture.packets import Decoder, decode
from sim.workload.capture.records import CAPTURE_DT, Packet
from tests.rigs.spe_bytes import (
    COUNTER,
    ORDER,
    PAD,
    SLOT,
    Made,
    expected,
    extended,
    fixed,
    load,
    packet,
    sized,
    variable,
)

quick = settings(max_examples=200, deadline=None)
_WIDTH = {Packet.OP: 1, Packet.CONTEXT_EL1: 4, Packet.CONTEXT_EL2: 4} | dict.fromkeys(COUNTER, 2)
_IN_SLOT = [which for which, _ in SLOT if which is not None]


@st.composite
def records(draw: st.DrawFn, *, slot: bool = False) -> Made:
    """Any record; `slot`: one that fits the fixed layout."""
    events, source = (
        (2, 1) if slot else draw(st.tuples(st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2])))
    )
    width = _WIDTH | {Packet.EVENTS: events, Packet.SOURCE: source}
    chosen = draw(st.sets(st.sampled_from(_IN_SLOT if slot else list(ORDER))))
    ends = {Packet.TIMESTAMP} if draw(st.booleans()) else set()
    order = ORDER if slot else tuple(draw(st.permutations(ORDER)))
    payload = {
        which: draw(st.integers(0, (1 << 8 * width.get(which, 8)) - 1)) for which in chosen | ends
    }
    return Made(payload, draw(st.integers(0, 2)), events, source, order)


@quick
@given(st.lists(records(), max_size=20), st.lists(st.integers(0, 9), max_size=20), st.data())
def test_any_records_in_any_pieces(made: list[Made], pads: list[int], data: st.DataObject) -> None:
    """Encode, cut anywhere, decode: the same records, at the same offsets, nothing bad."""
    stream, rows = b"", []
    for k, one in enumerate(made):
        stream += PAD * (pads[k] if k < len(pads) else 0)
        rows.append((len(stream), len(variable(one)), one))
        stream += variable(one)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder, found = Decoder(), [np.zeros(0, CAPTURE_DT)]
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.feed(stream[begin:end])
    found += decoder.finish()
    assert np.concatenate(found).tolist() == expected(rows).tolist()
    assert (decoder.counts.bad, decoder.counts.damaged, decoder.counts.cut) == (0, 0, 0)
    assert decoder.counts.bytes == decoder.position == len(stream)


@quick
@given(st.lists(records(slot=True), min_size=1, max_size=10))
def test_any_records_in_slots(made: list[Made]) -> None:
    """The fixed layout is decoded too, 64 bytes a record or fewer where it begins with padding."""
    found, counts = decode(b"".join(fixed(one) for one in made))
    ends = found["offset"] + found["size"]
    assert ends.tolist() == [64 * (k + 1) for k in range(len(made))]
    rows = [(int(r["offset"]), int(r["size"]), one) for r, one in zip(found, made, strict=True)]
    assert found.tolist() == expected(rows).tolist()
    assert counts.bad == 0


@quick
@given(records(), st.integers(0, 3))
def test_extended_headers_with_prefix_zero_change_nothing(made: Made, prefix: int) -> None:
    """Prefix 0 is the short header's index; a higher prefix is another, unknown packet."""
    packets = [packet(made, which) for which in made.order if which in made.payload]
    data = b"".join(extended(prefix, p) if p[0] & 0xF8 in (0xB0, 0x98) else p for p in packets)
    found, counts = decode(data + b"\x01")
    kept = Made({k: v for k, v in made.payload.items() if k is not Packet.TIMESTAMP}, made.op_class)
    if prefix == 0:
        assert found["present"].tolist() == [kept.present]
    else:
        wide = sum(p[0] & 0xF8 in (0xB0, 0x98) for p in packets)
        assert counts.unknown == wide
    assert counts.bad == 0


@quick
@given(st.binary(max_size=4096), st.lists(st.integers(0, 4096), max_size=6))
def test_noise_never_crashes_and_pieces_do_not_matter(noise: bytes, cuts: list[int]) -> None:
    """Any bytes decode to an end; where they are cut makes no difference; every byte is counted."""
    whole, counts = decode(noise)
    places = [0, *sorted(min(c, len(noise)) for c in cuts), len(noise)]
    decoder, found = Decoder(), [np.zeros(0, CAPTURE_DT)]
    for begin, end in pairwise(places):
        found += decoder.feed(noise[begin:end])
    found += decoder.finish()
    assert np.concatenate(found).tolist() == whole.tolist()
    assert decoder.counts == counts
    assert counts.bytes == len(noise)
    assert counts.records == whole.size
    assert counts.damaged == int(whole["damage"].sum())


@quick
@given(st.lists(records(), min_size=1, max_size=8), st.data())
def test_one_changed_byte_never_costs_what_is_far_away(
    made: list[Made], data: st.DataObject
) -> None:
    """Records before the changed byte are untouched, and decoding goes on after it."""
    stream = b"".join(variable(one) for one in made)
    at = data.draw(st.integers(0, len(stream) - 1))
    changed = stream[:at] + bytes([data.draw(st.integers(0, 255))]) + stream[at + 1 :]
    clean, _ = decode(stream)
    found, _ = decode(changed)
    before = clean[clean["offset"] + clean["size"] <= at]
    assert found[: before.size].tolist() == before.tolist()


def test_memory_is_bounded() -> None:
    """32 MB of records, or of noise, decode within a few megabytes of memory."""
    noise = np.random.default_rng(1).bytes(8 << 20)
    for data in (fixed(load(0x400100, 5)) * (32 << 20 >> 6), noise, sized(0x48, 0, 1) * (4 << 20)):
        decoder = Decoder()
        sum(records.size for records in decoder.feed(data[:4096]))
        tracemalloc.start()
        step = 1 << 20
        for begin in range(0, len(data), step):
            for part in decoder.feed(data[begin : begin + step]):
                assert part.size > 0
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 24 << 20
