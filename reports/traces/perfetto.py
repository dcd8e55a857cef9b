"""`speskew export perfetto`: a replication of one or more arms as a Perfetto trace.

Each arm is a track with its VM's counters and its vCPUs below it; all arms begin at time 0, so they
can be read side by side. The trace is protobuf (perfetto/trace/trace.proto), written packet by
packet with Perfetto's own Python library. Times are nanoseconds, rounded down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import IO, TYPE_CHECKING

import numpy as np

from reports.rerunning import Rerun
from reports.store.files import ExportError
from reports.traces import tracks
from reports.traces.tracks import Event, Kind

if TYPE_CHECKING:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket
    from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

_SEQUENCE = 1
_TYPES = {
    Kind.BEGIN: "TYPE_SLICE_BEGIN",
    Kind.END: "TYPE_SLICE_END",
    Kind.MARK: "TYPE_INSTANT",
    Kind.COUNT: "TYPE_COUNTER",
}
_COUNTERS = (tracks.PINNED, tracks.LOCKED, tracks.LIMIT)
UNLIMITED = 1 << 62


def builder(file: IO[bytes]) -> StreamingTraceProtoBuilder:
    """Perfetto's packet writer; ExportError if the library is not installed."""
    try:
        from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder
    except ImportError as error:
        raise ExportError(
            f"export perfetto needs the perfetto package ({error.name} is missing);"
            " pip install 'speskew[perfetto]'"
        ) from error
    return StreamingTraceProtoBuilder(file)


class Trace:
    """Writes arms one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self._builder = builder(file)
        self._uuids = count(1)
        self._flows = count(1)
        first = self._packet()
        first.sequence_flags = first.SEQ_INCREMENTAL_STATE_CLEARED
        self._builder.write_packet(first)

    def add(self, found: Rerun, written: Callable[[int], None] = lambda n: None) -> None:
        """One replication of one arm; `written(n)` is told of events as they go out."""
        settings, policies = found.arm.settings, found.arm.policies
        title = f"{found.arm.name}, replication {found.run.replication}"
        top = self._track(title)
        self._events(found, {top: tracks.of_vm(found.run, UNLIMITED)}, written)
        for vcpu, result in enumerate(found.run.vcpus):
            events = tracks.of_vcpu(
                result.log,
                virtual=policies.virtual,
                granule=settings.vm.page_bytes,
                flows=self._flows,
            )
            self._events(found, {self._track(f"vCPU {vcpu}", top, rank=vcpu): events}, written)

    def _events(
        self, found: Rerun, by_parent: dict[int, list[Event]], written: Callable[[int], None]
    ) -> None:
        for parent, events in by_parent.items():
            uuids = self._children(parent, events)
            times = found.nanoseconds(np.array([event.t for event in events], np.int64))
            for event, t in zip(events, times.tolist(), strict=True):
                self._builder.write_packet(self._event(event, t, uuids[event.track]))
            written(len(events))

    def _children(self, parent: int, events: Sequence[Event]) -> dict[str, int]:
        """Tracks that have events, in the order of the tables."""
        used = {event.track for event in events}
        order = [name for name in (*tracks.TRACKS, *_COUNTERS) if name in used]
        return {
            name: self._track(name, parent, rank=rank, counter=name in _COUNTERS)
            for rank, name in enumerate(order)
        }

    def _track(self, name: str, parent: int = 0, rank: int = 0, *, counter: bool = False) -> int:
        packet = self._packet()
        track = packet.track_descriptor
        track.uuid, track.name = next(self._uuids), name
        track.child_ordering = track.EXPLICIT
        track.sibling_order_rank = rank
        if parent:
            track.parent_uuid = parent
        if counter:
            track.counter.unit = track.counter.UNIT_SIZE_BYTES
        self._builder.write_packet(packet)
        return int(track.uuid)

    def _packet(self) -> TracePacket:
        packet = self._builder.create_packet()
        packet.trusted_packet_sequence_id = _SEQUENCE
        return packet

    def _event(self, event: Event, t: int, uuid: int) -> TracePacket:
        packet = self._packet()
        packet.timestamp = t
        made = packet.track_event
        made.type, made.track_uuid = made.Type.Value(_TYPES[event.kind]), uuid
        if event.kind is Kind.COUNT:
            made.counter_value = event.value
        elif event.kind is not Kind.END:
            made.name = event.name
        if event.flow and event.flow_ends:
            made.terminating_flow_ids.append(event.flow)
        elif event.flow:
            made.flow_ids.append(event.flow)
        if event.kind is Kind.MARK and event.value:
            note = made.debug_annotations.add()
            note.name, note.uint_value = "bytes", event.value
        return packet
