"""MESI, written as slowly and plainly as it can be: what `directory` is held against.

Every core has a state for every line of its caches; there is no directory. A core that misses asks
all others. Nothing is shared with the code under test but the numbering of levels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sim.workload.sharing.directory import Accesses
from sim.workload.timing import CacheGeometry, CorePreset, MemLevel


class Cache:
    """Lists of lines by set, the most recently used last."""

    def __init__(self, shape: CacheGeometry) -> None:
        self.shape = shape
        self.sets: dict[int, list[int]] = defaultdict(list)

    def __contains__(self, line: int) -> bool:
        return line in self.sets[line % self.shape.sets]

    def use(self, line: int) -> bool:
        """Whether the line was there; it is now."""
        held = self.sets[line % self.shape.sets]
        found = line in held
        if found:
            held.remove(line)
        held.append(line)
        del held[: -self.shape.ways]
        return found

    def lose(self, line: int) -> None:
        """The line is gone."""
        held = self.sets[line % self.shape.sets]
        if line in held:
            held.remove(line)


class Core:
    """Two caches, and what this core may do with each line in them."""

    def __init__(self, preset: CorePreset) -> None:
        self.l1, self.l2 = Cache(preset.l1d), Cache(preset.l2)
        self.state: dict[int, str] = {}

    def has(self, line: int) -> str:
        """M, E, S, or nothing."""
        if line not in self.l1 and line not in self.l2:
            self.state.pop(line, None)
        return self.state.get(line, "")

    def lose(self, line: int) -> None:
        """Invalidated by another."""
        self.l1.lose(line)
        self.l2.lose(line)
        self.state.pop(line, None)


def levels(threads: Sequence[Accesses], preset: CorePreset, passes: int) -> list[list[int]]:
    """Level of each access of each thread, of the last pass."""
    cores = [Core(preset) for _ in threads]
    slc, cost = Cache(preset.slc), preset.throughput_ticks().tolist()
    out: list[list[int]] = []
    for _ in range(passes):
        out = [[] for _ in threads]
        clock = [0] * len(threads)
        while True:
            waiting = [
                (clock[k] + int(t.gap[len(out[k])]), k)
                for k, t in enumerate(threads)
                if len(out[k]) < t.address.size
            ]
            if not waiting:
                break
            now, k = min(waiting)
            at, thread = len(out[k]), threads[k]
            level = 0
            if thread.address[at]:
                line = int(thread.address[at]) // preset.l1d.line_bytes
                level = int(_access(cores, k, line, bool(thread.owns[at]), slc, preset))
            clock[k] = now + cost[int(thread.row[at]) + level]
            out[k].append(level)
    return out


def _access(
    cores: list[Core], k: int, line: int, owns: bool, slc: Cache, preset: CorePreset
) -> MemLevel:
    me = cores[k]
    mine = me.has(line)
    others = [o for o, core in enumerate(cores) if o != k and core.has(line)]
    in_l1 = me.l1.use(line)
    if not in_l1:
        me.l2.use(line)
    in_slc = slc.use(line) if not mine else False
    near = [o for o in others if o // preset.cluster_cores == k // preset.cluster_cores]
    if owns:
        for other in others:
            cores[other].lose(line)
        me.state[line] = "M"
        if others:
            all_near = len(near) == len(others)
            return MemLevel.PEER_CORE if all_near else MemLevel.PEER_CLUSTER
    elif not mine:
        alone = [o for o in others if cores[o].state[line] in "ME"]
        for other in others:
            cores[other].state[line] = "S"
        me.state[line] = "S" if others else "E"
        if alone or (others and not in_slc):
            return MemLevel.PEER_CORE if near else MemLevel.PEER_CLUSTER
    if mine:
        return MemLevel.L1 if in_l1 else MemLevel.L2
    return MemLevel.SLC if in_slc else MemLevel.DRAM
