"""`speskew export perf`: an arm's delivered records as perf.data."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reports.perf import packets, programs, writer
from reports.perf.command import perf_command, perf_event
from reports.perf.header import PA_ENABLE, MachineText, SpeConfig
from reports.perf.packets import RECORD_BYTES
from reports.perf.writer import BASE_NS, Capture, Chunk, Switch, Task
from reports.rerunning import Rerun
from sim.ledger import LawBrokenError
from sim.results import FIRST_TID, RECORD_DT

if TYPE_CHECKING:
    from sim.scenario.models.scenario import Settings

_TERMS = {"slot64": ("ts_enable=1", "pa_enable=1"), "packed": ("ts_enable=1",)}
"""What an export holds by record layout: timestamps and, in slots, physical addresses."""
_MIDR = {
    "neoverse-n1": 0x413F_D0C1,
    "neoverse-v1": 0x410F_D400,
    "neoverse-v2": 0x410F_D4F0,
    "kunpeng-920": 0x480F_D010,
}
"""MIDR_EL1 (parts: Linux arch/arm64/include/asm/cputype.h); decides how perf reads data sources."""
_TS, _JITTER = 1 << 0, 1 << 16
_BRANCH, _LOAD, _STORE, _DISCARD = 1 << 32, 1 << 33, 1 << 34, 1 << 35


def write(
    file: IO[bytes],
    found: Rerun,
    *,
    perf_format: str,
    program: Path | None,
    written: Callable[[int], None] = lambda n: None,
) -> None:
    """One arm's replication into `file`; `written(n)` is told of records as they go out."""
    payloads = [_Payload(found, vcpu) for vcpu in range(len(found.run.vcpus))]
    capture = _capture(found, perf_format, program)
    writer.Writer(file, capture, lambda cpu, n: payloads[cpu].take(n)).write(written)


def _capture(found: Rerun, perf_format: str, program: Path | None) -> Capture:
    settings, vcpus = found.arm.settings, range(len(found.run.vcpus))
    terms = _TERMS[settings.records]
    name, used = programs.programs(found.arm, found.stream, program)
    return Capture(
        perf_format=perf_format,
        spe=_spe_config(settings),
        machine=MachineText(
            perf_version=perf_format,
            program_version=metadata.version("speskew"),
            core=settings.cpu.core,
            midr=_MIDR.get(settings.cpu.core, 0),
            command=tuple(shlex.split(perf_command(settings, shlex.quote(f"./{name}"), terms))),
        ),
        min_interval=settings.spe.min_interval,
        comm=name,
        programs=used,
        tasks=tuple(_task(found, vcpu) for vcpu in vcpus),
        switches=tuple(_switches(found)),
        chunks=tuple(chain.from_iterable(chunks(found, v) for v in vcpus)),
        process=_tid(0) if found.stream.siblings else 0,
    )


def _spe_config(settings: Settings) -> SpeConfig:
    spe, chosen = settings.spe, settings.spe.filter
    wanted = (
        (PA_ENABLE, settings.records == "slot64"),
        (_JITTER, spe.jitter != "off"),
        (_BRANCH, chosen.branch),
        (_LOAD, chosen.load),
        (_STORE, chosen.store),
        (_DISCARD, settings.driver.capture == "discard"),
    )
    return SpeConfig(
        name=perf_event(settings, _TERMS[settings.records]),
        period=spe.interval,
        config=_TS | sum(bit for bit, on in wanted if on),
        event_filter=chosen.event_filter,
        min_latency=chosen.min_latency,
        user_only=spe.exclude_kernel,
    )


def perf_time(found: Rerun, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Wall ticks [n] as perf's clock shows them, ns; also the generic timer."""
    return found.nanoseconds(ticks) + BASE_NS


def _ns(found: Rerun, tick: int) -> int:
    return int(perf_time(found, np.array([tick], np.int64))[0])


def _tid(vcpu: int) -> int:
    return FIRST_TID + vcpu


def _task(found: Rerun, vcpu: int) -> Task:
    end = found.run.vcpus[vcpu].ledgers.time.wall
    return Task(vcpu, _tid(vcpu), BASE_NS, _ns(found, end) + 1)


def _switches(found: Rerun) -> Iterator[Switch]:
    for vcpu, result in enumerate(found.run.vcpus):
        yield from writer.switches(result.log, vcpu, _tid(vcpu), lambda t: _ns(found, t))


def chunks(found: Rerun, vcpu: int) -> Iterator[Chunk]:
    """AUX transactions; together they hold exactly the delivered records."""
    rows, delivered = found.run.vcpus[vcpu].aux, found.delivered(vcpu)
    sizes = rows["size"] - rows["pad"]
    last = np.cumsum(rows["records"])
    first = last - rows["records"]
    copied = np.clip(last, delivered.start, delivered.stop) - np.clip(
        first, delivered.start, delivered.stop
    )
    if int(copied.sum()) != len(delivered):
        raise LawBrokenError(
            f"vCPU {vcpu}: AUX transactions hold {int(copied.sum()):,} of"
            f" {len(delivered):,} delivered records"
        )
    whole = copied == last - first
    pads = np.where(whole, rows["pad"], 0)
    taken = np.where(whole, sizes, RECORD_BYTES * copied)  # only rings of slots are overwritten
    columns = (
        perf_time(found, rows["t"]),
        np.full(rows.size, vcpu),
        rows["tid"],
        rows["offset"] + rows["pad"],
        sizes,
        rows["flags"],
        pads,
        copied,
        taken,
    )
    for row in zip(*columns, strict=True):
        yield Chunk(*(int(value) for value in row))


class _Payload:
    """A vCPU's delivered records as bytes, handed out in order."""

    def __init__(self, found: Rerun, vcpu: int) -> None:
        self._found, self._blocks = found, found.blocks(vcpu)
        self._block = np.empty(0, RECORD_DT)

    def take(self, records: int) -> Iterator[Any]:
        """The next `records` records, in one or more buffers."""
        while records:
            if not self._block.size:
                self._block = next(self._blocks)
            piece, self._block = self._block[:records], self._block[records:]
            records -= piece.size
            yield self._encode(piece)

    def _encode(self, records: NDArray[np.void]) -> memoryview:
        found, stream, insn = self._found, self._found.stream, records["insn"]
        encode = packets.pack if found.arm.settings.records == "packed" else packets.encode
        time = perf_time(found, records["t_select"]).astype(np.uint64)
        made = encode(records, stream.static_pc[insn], stream.static_class[insn], time)
        return memoryview(made.view(np.uint8).data)
