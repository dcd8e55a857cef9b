"""What makes no sense in a trace is counted exactly, said, and refuses the import above a share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.workload.a64 import OpClass, branch_targets, classify, takes_slot, unallocated
from sim.workload.importers import drmemtrace, execlog, sense, tarmac
from sim.workload.importers.blocks import Ops, Program, TraceError, Wanted
from sim.workload.importers.sense import Counts, problem
from sim.workload.importers.threads import Imported, Threads, import_trace
from sim.workload.spestream import read_header, read_spestream, write_spestream
from tests.entered import entered
from tests.rigs import trace_writers as write
from tests.rigs.trace_writers import Executed, executed, imported
from tests.sim.workload.importers.traces import LDR, NOP, RET, SVC, few, shipped

quick = settings(max_examples=100, deadline=None)  # the first example compiles
_must_access = entered(sense.must_access)
_leads_to = entered(sense.leads_to)
WORDS = st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=300)
CERTAIN = {
    "ldr": LDR,
    "ldp": 0xA9400C02,
    "ldr (literal)": 0x58000041,
    "ldxr": 0xC85F7C01,
    "ldar": 0x88DFFC01,
    "stlr": 0x889FFC01,
    "casal": 0x88E0FC41,
    "ldaddal": 0x38E00041,
    "ld1": 0x4C407000,
    "str q": 0x3D800000,
    "ldapr": 0xB8BFC041,
}
POSSIBLE = {
    "stxr": 0xC8027C01,
    "stlxr": 0xC802FC01,
    "stxp": 0xC8220C01,
    "caspal": 0x4860FC82,
    "prfm": 0xF9800000,
    "prfm (register)": 0xF8A16800,
    "prfum": 0xF8800000,
    "prfm (literal)": 0xD8000000,
    "stg": 0xD9200800,
    "ldg": 0xD9600000,
    "setp": 0x19C10440,
    "cpyfp": 0x19010440,
    "ld1d (SVE)": 0xA5E0A000,
    "dc zva": 0xD50B7420,
    "nop": NOP,
    "svc": SVC,
    "ret": RET,
}


def test_which_instructions_must_access_memory() -> None:
    """Not those that may fail, do nothing or are hidden from tracers."""
    for name, word in CERTAIN.items():
        assert _must_access(np.uint32(word)), name
    for name, word in POSSIBLE.items():
        assert not _must_access(np.uint32(word)), name


@quick
@given(WORDS)
def test_predicates_agree_with_the_classes(words: list[int]) -> None:
    """What must access takes a slot and is no prefetch; what is unallocated is no instruction."""
    array = np.array(words, np.uint32)
    must = np.array([bool(_must_access(word)) for word in array])
    assert np.all(takes_slot(array)[must])
    hints = classify(array).op_class == OpClass.OTHER
    prefetch = hints & (((array >> 24) == 0xD8) | ((array & 0xFEC00000) == 0xF8800000))
    assert not np.any(must & prefetch)
    nothing = unallocated(array)
    assert not np.any(takes_slot(array)[nothing])
    assert np.all(classify(array).op_class[nothing] == OpClass.OTHER)


@quick
@given(
    st.sampled_from([0x14000000, 0x94000000, 0x54000000, 0x34000000, 0xB5000000, 0x36000000]),
    st.integers(0, (1 << 26) - 1),
    st.integers(1 << 28, 1 << 40),
)
def test_where_branches_lead(kind: int, operand: int, at: int) -> None:
    """To their target, conditional ones also to the next instruction, indirect ones anywhere."""
    mask = {0x14000000: 0x3FFFFFF, 0x94000000: 0x3FFFFFF, 0x54000000: 0xFFFFEF}
    word = np.uint32(kind | operand & mask.get(kind, 0xFFFFFF))
    pc = np.uint64(4 * at)
    target = branch_targets(np.array([pc]), np.array([word]))[0]
    conditional = kind not in (0x14000000, 0x94000000)
    assert _leads_to(pc, word, target)
    for far in (pc + np.uint64(4), target + np.uint64(4), target - np.uint64(4)):
        legal = far == target or (conditional and far == pc + np.uint64(4))
        assert bool(_leads_to(pc, word, far)) == legal
    assert _leads_to(pc, np.uint32(RET), np.uint64(4))


Writer = Callable[[Executed], bytes]
FORMATS: dict[str, tuple[Writer, Callable[..., None]]] = {
    "drmemtrace": (lambda ops: write.drmemtrace_chunks(ops)[0], drmemtrace.read),
    "tarmac": (lambda ops: "".join(write.fastmodel(ops)).encode(), tarmac.read),
    "tarmac es": (lambda ops: "".join(write.es(ops)).encode(), tarmac.read),
    "execlog": (lambda ops: "".join(write.execlog(ops)).encode(), execlog.read),
}


def load(kind: str, truth: Executed, folder: Path, *, anyway: bool = False) -> Imported:
    """Ops as a trace of a format, imported."""
    text, read = FORMATS[kind]
    path = folder / "trace"
    path.write_bytes(text(truth))
    return imported(partial(read, path), folder / "o.spestream", anyway=anyway)


def program() -> Executed:
    """The first ops of a recorded program."""
    return executed(shipped("threads.1"), 2000)


def taken(truth: Executed, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Executed:
    """Only some ops, as a filter leaves them."""
    return Executed(*(getattr(truth, name)[keep] for name in Executed.__dataclass_fields__))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_recorded_program_makes_sense(kind: str, tmp_path: Path) -> None:
    """Nothing is found in a whole trace, nothing is said and the stream says nothing."""
    truth = program()
    done = load(kind, truth, tmp_path)
    accesses = int(np.count_nonzero(truth.address))
    counts = replace(done.counts, distinct=0)
    assert counts == Counts(ops=truth.pc.size, addressed=accesses)
    assert done.remarks == read_header(done.files[0]).remarks == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_trace_without_accesses(kind: str, tmp_path: Path) -> None:
    """It is refused with a cure; with `anyway` it is imported, and the stream says so."""
    truth = program()
    truth = replace(truth, address=np.zeros_like(truth.address))
    must = sum(bool(_must_access(word)) for word in truth.word)
    sentence = f"{must:,} of {must:,} loads, stores and atomics have no address"
    with pytest.raises(TraceError) as caught:
        load(kind, truth, tmp_path)
    assert f"{tmp_path}/trace: not what it claims to be: {sentence}; " in str(caught.value)
    assert "or give --anyway" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["trace"]
    done = load(kind, truth, tmp_path, anyway=True)
    assert done.remarks == (sentence,)
    assert read_header(done.files[0]).remarks == (sentence,)
    again = executed(read_spestream(done.files[0]))
    np.testing.assert_array_equal(again.pc, truth.pc)
    assert not again.address.any()


@pytest.mark.parametrize("kind", ["tarmac", "tarmac es", "execlog"])
def test_addresses_at_the_wrong_instructions(kind: str, tmp_path: Path) -> None:
    """Accesses that slipped by one instruction are refused; all of them are counted."""
    truth = program()
    slipped = replace(truth, address=np.roll(truth.address, 1))
    misplaced = int(np.count_nonzero(slipped.address[~takes_slot(truth.word)]))
    assert misplaced
    with pytest.raises(TraceError, match=f"{misplaced:,} of .* addresses belong to no memory"):
        load(kind, slipped, tmp_path)
    assert load(kind, slipped, tmp_path, anyway=True).lost == misplaced


@pytest.mark.parametrize("kind", FORMATS)
def test_a_filtered_trace(kind: str, tmp_path: Path) -> None:
    """Loads and stores alone are refused as jumps of ops that are none; calls alone as branches
    that lead elsewhere.
    """
    truth = program()
    with pytest.raises(TraceError, match="ops are no branches and are followed by a far pc"):
        load(kind, taken(truth, takes_slot(truth.word)), tmp_path)
    with pytest.raises(TraceError, match="followed by another pc than they lead to"):
        load(kind, taken(truth, (truth.word & 0x7C000000) == 0x14000000), tmp_path)


def test_the_shares_that_refuse() -> None:
    """One in a hundred is borne, more is not; one alone never refuses, but for undefined words."""
    for count, whole, refused in ((2, 200, False), (2, 199, True), (1, 1, False), (9, 9, True)):
        for counts in (
            Counts(bare=count, addressed=whole - count),
            Counts(lost=count, addressed=whole - count),
            Counts(far=count, ops=whole),
            Counts(stray=count, ops=whole),
        ):
            assert bool(problem(counts, {})) is refused, counts
            assert len(list(counts.findings())) == 1
    assert not problem(Counts(distinct=100, undefined=1, example=(0, 0)), {})
    assert problem(Counts(distinct=99, undefined=1, example=(0, 0)), {})
    assert not problem(Counts(ops=10, addressed=5, distinct=9), {})
    both = problem(Counts(ops=9, far=9, stray=9), {"far": "do this", "stray": "do this"})
    assert both.count("do this") == 1


def test_exceptions_and_markers_explain_a_jump(tmp_path: Path) -> None:
    """After SVC, an indirect branch or a marker any pc may follow; after a NOP it may not."""
    explained = few(
        (0x1000, SVC, 0), (0x8000, NOP, 0), (0x9000, RET, 0), (0x4000, NOP, 0), apart=(2,)
    )
    assert load("drmemtrace", explained, tmp_path).remarks == ()
    assert load("drmemtrace", few((0x1000, NOP, 0), (0x8000, NOP, 0)), tmp_path).counts.far == 1


@quick
@given(cuts=st.lists(st.integers(0, 400), max_size=8), skip=st.integers(0, 60))
def test_counts_do_not_depend_on_pieces(cuts: list[int], skip: int) -> None:
    """However a thread's ops arrive, the counts are those of the ops that were wanted."""
    rng = np.random.default_rng(1)
    word = rng.choice(np.array([LDR, NOP, 0x14000002, 0x54000040, RET, 0], np.uint32), 400)
    pc = (0x1000 + 4 * np.cumsum(rng.integers(1, 3, 400))).astype(np.uint64)
    ops = Ops(pc, word, rng.integers(0, 2, 400).astype(np.uint64), rng.random(400) < 0.1)

    def counted(bounds: list[int], tmp: Path) -> Counts:
        def read(them: Threads) -> None:
            for begin, end in zip([0, *bounds], [*bounds, 400], strict=True):
                them.add(0, ops.part(begin, end), "t:1")

        done = import_trace(read, tmp / "o.spestream", Program("p"), Wanted(skip), anyway=True)
        return done.counts

    with tempfile.TemporaryDirectory() as folder:
        whole = counted([], Path(folder))
        assert counted(sorted(cuts), Path(folder)) == whole
    assert 0 not in (whole.bare, whole.lost, whole.far, whole.stray, whole.undefined)


def test_an_undefined_word_is_shown_where_it_stands(tmp_path: Path) -> None:
    """Address and word of the first one, in whatever block it is."""
    ops = few((0x1000, NOP, 0), (0x1004, RET, 0), (0x5000, NOP, 0), (0x5004, 0x1141, 0))
    with pytest.raises(TraceError, match=r"1 of 4 distinct words .* 0x00001141 at 0x5004"):
        load("drmemtrace", ops, tmp_path)


def test_lines_left_out_are_in_the_stream(tmp_path: Path) -> None:
    """With `anyway`, lines that hold an instruction are left out, which the stream says."""
    path = tmp_path / "t"
    path.write_text('0, 0x1000, 0xd503201f, "nop"\nout0, 0x1004, 0xd503201f, "nop"\n')
    done = imported(partial(execlog.read, path), tmp_path / "o.spestream", anyway=True)
    assert "1 lines that hold an instruction were left out" in done.remarks
    assert read_header(done.files[0]).remarks[0].startswith("1 lines that hold an instruction")


def test_remarks_survive_a_copy(tmp_path: Path) -> None:
    """A recording that is read and written again keeps its remarks."""
    stream = replace(shipped("threads.1"), remarks=("one", "two"))
    write_spestream(tmp_path / "a.spestream", stream)
    again = read_spestream(tmp_path / "a.spestream")
    assert again.remarks == read_header(tmp_path / "a.spestream").remarks == ("one", "two")
