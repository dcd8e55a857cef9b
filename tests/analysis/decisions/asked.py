"""Arms of made-up streams with what their profiles saw: for tests of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.runs.batch import ArmResult, StreamTables
from sim.runs.seen.sightings import EDGES, LINES, PAGES, WAITS, Visits
from sim.scenario.models.decisions import Decisions
from sim.workload.a64 import OpClass
from tests.rigs.fakes import Plan, arm

LEVELS = 8


def stream(op_class: Sequence[int], pc: Sequence[int], symbol: Sequence[int]) -> StreamTables:
    """Static ops with their class, address and symbol."""
    return StreamTables(
        name="made",
        kind="recorded",
        ops=1_000_000,
        static_pc=np.array(pc, np.uint64),
        static_class=np.array(op_class, np.uint8),
        static_symbol=np.array(symbol, np.int32),
        symbols=("f", "g", "h"),
        build_seconds=0.0,
    )


def made(
    name: str,
    tables: StreamTables,
    visits: Visits,
    profiles: Sequence[np.ndarray],
    pages: Sequence[Sequence[Sequence[int]]] = (),
    edges: Sequence[Sequence[Sequence[int]]] = (),
    lines: Sequence[Sequence[Sequence[int]]] = (),
    waits: Sequence[Sequence[Sequence[int]]] = (),
) -> ArmResult:
    """An arm with a replication for each profile [S × 8]."""
    base = arm(Plan(name=name, design="baremetal" if name == "baremetal" else "v6"))
    runs = []
    for number, profile in enumerate(profiles):
        (vcpu,) = base.runs[0].vcpus
        seen = {
            key: np.array(rows[number] if rows else [], np.int64).reshape(-1, 3)
            for key, rows in ((PAGES, pages), (EDGES, edges))
        }
        seen[LINES] = np.array(lines[number] if lines else [], np.int64).reshape(-1, 2)
        seen[WAITS] = np.array(waits[number] if waits else [], np.int64).reshape(-1, 3)
        one = replace(base.runs[0], replication=number, sightings=seen)
        runs.append(replace(one, vcpus=(replace(vcpu, profile=np.asarray(profile, np.int64)),)))
    return replace(base, stream=tables, runs=tuple(runs), truth=visits.members, visits=visits)


def visits(
    members: np.ndarray,
    pages: Sequence[Sequence[int]] = (),
    edges: Sequence[Sequence[int]] = (),
    waits: Sequence[Sequence[int]] = (),
    lines: Sequence[Sequence[int]] = (),
) -> Visits:
    """What a stream visits."""
    return Visits(
        members=np.asarray(members, np.int64),
        waits=np.array(waits, np.int64).reshape(-1, 4),
        pages=np.array(pages, np.int64).reshape(-1, 3),
        edges=np.array(edges, np.int64).reshape(-1, 4),
        lines=np.array(lines, np.int64).reshape(-1, 2),
    )


def asked(*kinds: str, top: str | None = None, margin: float = 0.01) -> Decisions:
    """What is decided."""
    return Decisions(kinds=kinds, top=top, margin=margin)


def cells(counts: Sequence[int]) -> np.ndarray:
    """A histogram with these counts per static op, all at level 0."""
    out = np.zeros((len(counts), LEVELS), np.int64)
    out[:, 0] = counts
    return out.reshape(-1)


BRANCH, LOAD, STORE, OTHER = OpClass.BRANCH, OpClass.LOAD, OpClass.STORE, OpClass.OTHER
