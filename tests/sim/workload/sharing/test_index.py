"""Groups as streams: one code, a course for each thread, levels by the directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec, pass_ops, stream_key, stream_of, stream_remarks
from sim.machine.run import Run
from sim.runs import batch, tasks
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.workload.a64 import OpClass
from sim.workload.arrays import OP
from sim.workload.index import index_key
from sim.workload.presets import get_preset
from sim.workload.sharing import index
from sim.workload.sharing.directory import shared_levels
from sim.workload.sharing.group import streams_of, write_group
from sim.workload.sharing.index import accesses_of, group_keys, load_group, unified
from sim.workload.spestream import StreamError, read_spestream, write_spestream
from sim.workload.timing import PEERS

CONTENDED = stock_folder() / "streams" / "contended.threads.json"
CORE = get_preset("neoverse-n1")


def settings(vcpus: int = 4, **more: object) -> Settings:
    """The shipped group on so many vCPUs."""
    return Settings.model_validate(
        {
            "workload": {"kind": "threads", "path": str(CONTENDED), "repeat": 1},
            "vm": {"vcpus": vcpus},
            "spe": {"jitter": "on"},
            "driver": {"aux": "32KiB"},
            **more,
        }
    )


def arm(design: str, given: Settings) -> Arm:
    """An arm of a design."""
    return Arm(name=design, design=design, policies=DESIGNS[design][0], settings=given)


def test_ops_are_the_recorded_ones() -> None:
    """Every thread executes its own instructions, and their accesses have the directory's level."""
    recordings = [read_spestream(file) for file in streams_of(CONTENDED)]
    levels = shared_levels([accesses_of(one, CORE) for one in unified(recordings)], CORE)
    stream = stream_of(settings())
    assert len(stream.threads) == 4
    assert stream.longest == max(one.ops for one in recordings) == pass_ops(settings().workload)
    for vcpu, (recording, wanted) in enumerate(zip(recordings, levels, strict=True)):
        mine = stream.of(vcpu)
        assert mine.ops == recording.ops
        assert np.array_equal(mine.arrays.levels[:-1], wanted)
        assert np.array_equal(mine.addresses, recording.addresses)
        first, length = recording.block_first, recording.block_len
        blocks = recording.ids[5000:5100].tolist()
        op = int(length[recording.ids[:5000]].sum())
        for static in np.concatenate([np.arange(first[b], first[b] + length[b]) for b in blocks]):
            assert mine.static_pc[mine.seek(OP, op).static] == recording.pc[static]
            op += 1


def test_code_is_numbered_once() -> None:
    """Threads of one program have one table of static ops, with each block in it once."""
    recordings = [read_spestream(file) for file in streams_of(CONTENDED)]
    stream = stream_of(settings())
    for thread in stream.siblings:
        assert np.array_equal(thread.static_pc, stream.static_pc)
        assert np.array_equal(thread.static_symbol, stream.static_symbol)
        assert thread.symbols == stream.symbols
    assert stream.statics < 1.3 * max(one.pc.size for one in recordings)
    names = {stream.symbols[k] for k in stream.static_symbol}
    assert {"work", "_start", "add_hot"} <= names


def test_other_code_at_one_place_stays_apart() -> None:
    """Two blocks at one address with other words are two blocks."""
    one = read_spestream(streams_of(CONTENDED)[0])
    word = one.word.copy()
    word[0] ^= 1 << 5
    other = replace(one, word=word)
    both = unified([one, other])
    assert both[0].block_len.size == one.block_len.size + 1
    assert both[0].pc.size == one.pc.size + int(one.block_len[0])
    same = unified([one, one])
    assert np.array_equal(same[1].ids, one.ids)


def test_the_index_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Built once for all threads; other files, cores, clusters or populations have other keys."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path))
    built: list[int] = []
    monkeypatch.setattr(
        index,
        "shared_levels",
        lambda *args: built.append(1) or shared_levels(*args),  # type: ignore[func-returns-value]
    )
    first = load_group(CONTENDED, CORE, False)
    again = load_group(CONTENDED, CORE, False)
    assert built == [1]
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)
    keys = group_keys(CONTENDED, CORE, False)
    assert sorted(keys) == sorted(path.name for path in (tmp_path / "index").iterdir())
    part = tmp_path / "part.threads.json"
    for file in streams_of(CONTENDED)[:2]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_group(part, streams_of(CONTENDED)[:2])
    others = [
        *group_keys(part, CORE, False),
        *group_keys(CONTENDED, CORE, True),
        *group_keys(CONTENDED, replace(CORE, cluster_cores=4), False),
        *(index_key(file, CORE, False) for file in streams_of(CONTENDED)),
    ]
    assert len({*keys, *others}) == len(keys) + len(others)


def test_a_group_follows_its_files(tmp_path: Path) -> None:
    """A stream that is written anew is another workload, for results that are kept too."""
    files = [tmp_path / file.name for file in streams_of(CONTENDED)]
    for file, source in zip(files, streams_of(CONTENDED), strict=True):
        file.write_bytes(source.read_bytes())
    path = tmp_path / "c.threads.json"
    write_group(path, files)
    given = settings(workload={"kind": "threads", "path": str(path)})
    unit = batch.Unit(arm("baremetal", given), 1, 0, "fast", keep_records=False)
    before = stream_key(given), tasks.key(unit)
    recording = read_spestream(files[3])
    write_spestream(files[3], replace(recording, remarks=("cut",)))
    assert stream_remarks(given) == ("cut",)
    assert stream_key(given) != before[0]
    assert tasks.key(unit) != before[1]


@pytest.mark.parametrize("vcpus", [1, 8])
def test_each_thread_wants_a_vcpu(vcpus: int) -> None:
    """As many vCPUs as threads, or what to write."""
    wanted = rf"contended\.threads\.json: 4 threads, but vm\.vcpus is {vcpus}; .*vm\.vcpus: 4"
    for ask in (stream_of, stream_remarks):
        with pytest.raises(StreamError, match=wanted):
            ask(settings(vcpus))


@pytest.mark.parametrize("design", ["baremetal", "v6", "unpinned"])
def test_engines_agree_on_a_group(design: str) -> None:
    """Every record, ledger and lost op of every vCPU."""
    given = settings(switch={"every": "50us", "away": "10us"})
    stream = stream_of(given)
    spec = machine_spec(arm(design, given), stream)
    run = Run("x", 1, 0, keep_records=True, keep_log=True)
    slow = simulate(spec, stream.threads, run, "reference")
    quick = simulate(spec, stream.threads, run, "fast")
    for vcpu, (a, b) in enumerate(zip(slow.vcpus, quick.vcpus, strict=True)):
        assert a.ended_at_op == stream.of(vcpu).ops
        assert len(a.written) > 500
        assert (a.written == b.written).all()
        assert a.log == b.log
        assert a.ledgers == b.ledgers
        assert (a.lost == b.lost).all()


def test_records_say_who_gave_the_line() -> None:
    """A load or atomic has the peer's data source, a store none; addresses are the thread's own."""
    one = arm("baremetal", settings())
    unit = batch.Unit(one, 1, 0, "fast", keep_records=True)
    stream, seen = batch.stream_of(one), 0
    for vcpu, records in enumerate(batch.records(one, 1, batch.run_unit(unit))):
        kinds = stream.static_class[records["insn"]]
        peer = np.isin(records["level"], PEERS)
        loads = peer & np.isin(kinds, (OpClass.LOAD, OpClass.ATOMIC))
        assert np.isin(records["source"][loads], (9, 12)).all()
        assert not records["source"][peer & (kinds == OpClass.STORE)].any()
        assert np.isin(records["va"][loads], stream.of(vcpu).addresses).all()
        assert np.isin(records["insn"], np.flatnonzero(stream.of(vcpu).pass_counts) // 8).all()
        seen += int(np.count_nonzero(loads))
    assert seen > 10
