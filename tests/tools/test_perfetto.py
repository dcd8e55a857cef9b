"""Traces are what Perfetto's published protobuf says, and what its importer insists on.

Perfetto's trace_processor is a program that is not in the package registries, so its rules are
checked here: descriptors before use, nesting on each track, time, counters, flows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from reports import rerunning
from reports.exitcodes import ExitCode
from tests.rigs.tiny import call
from tests.tools import captures

SCENARIO = """\
schema_version: 1
name: traced
seed: 7
replications: 2
workload:
  kind: synthetic
  repeat: 3
  phases:
    - {name: loop, length: 100, iterations: 5000}
    - {name: masked, length: 100, iterations: 200, el: 1, irq_masked: true}
spe: {jitter: on}
driver: {aux: 16KiB}
switch: {every: 200us, away: 20us}
vm: {vcpus: 2, max_buffer: unlimited}
host: {unmap: per_window, memlock: 4KiB}
arms:
  - design: baremetal
  - design: v6
  - design: unpinned
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three arms on two vCPUs."""
    return captures.run(tmp_path_factory.mktemp("traced"), SCENARIO)


@pytest.fixture(scope="module")
def trace(run: Path) -> Any:
    """Its whole trace, parsed by Perfetto's own library."""
    captures.speskew("export", "perfetto", run, "-o", run.parent / "trace.pftrace")
    parsed = Trace()
    parsed.ParseFromString((run.parent / "trace.pftrace").read_bytes())
    return parsed


def _unknown(message: Message) -> int:
    """Fields that the published proto does not have, at any depth."""
    found = len(UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.message_type is not None:
            repeated = value if hasattr(value, "append") or hasattr(value, "add") else [value]
            found += sum(_unknown(part) for part in repeated)
    return found


def test_the_published_proto_knows_every_field(trace: Any) -> None:
    """Nothing but packets of one sequence, tracks and track events; a control for the check."""
    assert _unknown(trace) == 0
    kinds = Counter(packet.WhichOneof("data") for packet in trace.packet)
    assert set(kinds) == {None, "track_descriptor", "track_event"}
    assert kinds[None] == 1  # the first one, which begins the sequence
    assert {packet.trusted_packet_sequence_id for packet in trace.packet} == {1}
    assert trace.packet[0].sequence_flags == trace.packet[0].SEQ_INCREMENTAL_STATE_CLEARED
    strange = Trace()
    strange.ParseFromString(b"\x0a\x05" + b"\xfa\xff\xff\x7f\x00")  # a packet with a field of ours
    assert _unknown(strange) == 1


def test_tracks_form_a_tree(trace: Any) -> None:
    """Arms, vCPUs below, lanes below; each is described once, before it is used."""
    names: dict[int, str] = {}
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            assert track.uuid not in names
            parent = names[track.parent_uuid] + "/" if track.parent_uuid else ""
            names[track.uuid] = parent + track.name
        elif packet.HasField("track_event"):
            assert packet.track_event.track_uuid in names
    assert len(set(names.values())) == len(names)
    assert {n for n in names.values() if "/" not in n} == {
        f"{arm}, replication 0" for arm in ("baremetal", "v6", "unpinned")
    }
    assert "v6, replication 0/vCPU 1/KVM" in names.values()
    assert "v6, replication 0/locked memory" in names.values()
    assert "baremetal, replication 0/vCPU 0/KVM" not in names.values()


def test_slices_nest_and_time_goes_on(trace: Any) -> None:
    """On each track an end for every begin, never before it; counters only on counter tracks."""
    counters = {
        p.track_descriptor.uuid
        for p in trace.packet
        if p.HasField("track_descriptor") and p.track_descriptor.HasField("counter")
    }
    depth: dict[int, int] = defaultdict(int)
    last: dict[int, int] = defaultdict(int)
    for packet in trace.packet:
        if not packet.HasField("track_event"):
            continue
        event = packet.track_event
        assert packet.timestamp >= last[event.track_uuid]
        last[event.track_uuid] = packet.timestamp
        assert (event.type == TrackEvent.TYPE_COUNTER) == (event.track_uuid in counters)
        depth[event.track_uuid] += {
            TrackEvent.TYPE_SLICE_BEGIN: 1,
            TrackEvent.TYPE_SLICE_END: -1,
        }.get(event.type, 0)
        assert 0 <= depth[event.track_uuid] <= 2
        assert event.type in (TrackEvent.TYPE_SLICE_END, TrackEvent.TYPE_COUNTER) or event.name
    assert set(depth.values()) == {0}
    assert len(counters) == 2 + 2  # locked and limit of v6, pinned of its two vCPUs


def test_flows_have_a_beginning_and_at_most_one_end(trace: Any) -> None:
    """Flow ids are unique across vCPUs and arms; an end is the last of its flow."""
    steps: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for packet in trace.packet:
        event = packet.track_event
        for flow in event.flow_ids:
            steps[flow].append((packet.timestamp, False))
        for flow in event.terminating_flow_ids:
            steps[flow].append((packet.timestamp, True))
    assert len(steps) > 20
    for path in steps.values():
        assert len(path) >= 2
        assert sum(end for _, end in path) <= 1
        assert not any(end for _, end in sorted(path)[:-1])


def test_times_are_the_models(run: Path, trace: Any) -> None:
    """The last event of each arm ends where its slowest vCPU ends, in ns."""
    names: dict[int, str] = {}
    ends: dict[str, int] = defaultdict(int)
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            names[track.uuid] = names.get(track.parent_uuid, track.name)
        elif packet.HasField("track_event"):
            arm = names[packet.track_event.track_uuid]
            ends[arm] = max(ends[arm], packet.timestamp)
    for arm in ("baremetal", "v6", "unpinned"):
        wall = rerunning.rerun(run, arm, 0).run.wall
        assert ends[f"{arm}, replication 0"] == pytest.approx(wall / (64 * 3), abs=200)


def test_one_arm_of_another_replication(run: Path, tmp_path: Path) -> None:
    """--arm and --replication choose; the file is refused when it exists."""
    args = ["export", "perfetto", str(run), "--arm", "v6", "--replication", "1", "-o"]
    done = call(*args, tmp_path / "t")
    assert done.exit_code == ExitCode.OK
    parsed = Trace()
    parsed.ParseFromString((tmp_path / "t").read_bytes())
    tops = [p.track_descriptor.name for p in parsed.packet if p.HasField("track_descriptor")]
    assert tops[0] == "v6, replication 1"
    again = call(*args, tmp_path / "t")
    assert again.exit_code == ExitCode.USAGE
    assert "give --force to overwrite it" in again.stderr


def test_without_the_library_it_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How to get it; exit code 2, no file."""
    monkeypatch.setitem(__import__("sys").modules, "perfetto.trace_builder.proto_builder", None)
    done = call("export", "perfetto", str(run), "-o", tmp_path / "t")
    assert done.exit_code == ExitCode.USAGE
    assert "pip install 'speskew[perfetto]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
