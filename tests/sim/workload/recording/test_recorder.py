"""Recording real programs under qemu-aarch64, built by the cross compiler at test time."""

import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from sim.workload.a64 import Flag, OpClass
from sim.workload.recording import recorder
from sim.workload.recording.recorder import RecorderError, compile_plugin, plugin_api, record
from sim.workload.sharing.group import streams_of
from sim.workload.spestream import Recording, block_taken, read_spestream
from tests.needs import run
from tests.rigs.pages import ROOT
from tests.sim.workload.recording.programs import (
    COUNT_DOWN,
    END,
    EXIT,
    START,
    build,
    executed_ops,
    one,
)

pytestmark = pytest.mark.usefixtures("use_cache")
"""They record: with the tools, and a plugin of today's source."""


def executed_words(stream: Recording) -> list[int]:
    """The instruction words in order of execution."""
    return [int(word) for word in stream.word[executed_ops(stream)]]


def test_every_op_and_branch_of_a_loop(tmp_path: Path) -> None:
    """A loop of known length: ops, taken branches, symbol, names and end are exact."""
    program = build(tmp_path, COUNT_DOWN.format(n=1000))
    out = tmp_path / "loop.spestream"
    result = record([program, "an", "argument"], out)
    stream = one(result)
    assert list(result) == [out]
    assert (result.exit_status, result.signal, result.interrupted) == (0, None, False)
    assert stream.ops == result.ops == 1 + 2 * 1000 + 3
    assert int(block_taken(stream).sum()) == 999
    assert stream.program == "program an argument"
    assert [symbol.name for symbol in stream.symbols] == ["_start"]
    assert stream.symbols[0].start == stream.pc.min()
    assert len(stream.build_id) == 40
    assert stream.discontinuities.size == 0
    assert executed_words(stream)[-1] == 0xD4000001  # svc #0
    assert not any(path.name.startswith(".speskew") for path in tmp_path.iterdir())


def test_one_address_per_memory_instruction(tmp_path: Path) -> None:
    """First address of pairs and structures; zero for a failed exclusive and a prefetch."""
    body = """
        ldr x1, =data
        mov x2, #7
        str x2, [x1, #8]!
        ldr w3, [x1], #16
        stp x2, x3, [x1]
        ldp q0, q1, [x1, #32]
        ld1 {v0.16b-v3.16b}, [x1]
        prfm pldl1keep, [x1]
        ldxr x4, [x1]
        clrex
        stxr w5, x4, [x1]
        ldxr x4, [x1]
        stxr w5, x4, [x1]
        ldadd x2, x3, [x1]
        casal x2, x3, [x1]
        ldar x2, [x1]
        strb w2, [x1, #3]
    """
    stream = one(record([build(tmp_path, START + body + EXIT + END)], tmp_path / "a"))
    slots = (stream.flags[executed_ops(stream)] & Flag.SLOT.value) != 0
    assert stream.addresses.size == np.count_nonzero(slots) == 15
    literal, *rest = stream.addresses.tolist()
    base = rest[0] - 8
    assert stream.pc.max() < literal < stream.pc.max() + 4096
    assert base % 64 == 0
    at = [value - base if value else None for value in rest]
    pairs_and_structures = [8, 8, 24, 56, 24]
    prefetch_and_exclusives = [None, 24, None, 24, 24]
    atomics_and_ordered = [24, 24, 24, 27]
    assert at == pairs_and_structures + prefetch_and_exclusives + atomics_and_ordered


def test_crash_keeps_what_was_executed(tmp_path: Path) -> None:
    """An undefined instruction ends the program; the ops up to it are there."""
    body = " mov x0, #5\n1: subs x0, x0, #1\n b.ne 1b\n udf #0\n"
    result = record([build(tmp_path, START + body + END)], tmp_path / "a")
    stream = one(result)
    assert (result.exit_status, result.signal) == (None, signal.SIGILL)
    assert stream.ops == 1 + 2 * 5 + 1
    assert executed_words(stream)[-1] == 0
    assert not list(tmp_path.glob("*core*"))


def test_program_that_kills_itself(tmp_path: Path) -> None:
    """SIGKILL leaves no time for a last word, and loses no op."""
    body = """
        mov x0, #20000
    1:  subs x0, x0, #1
        b.ne 1b
        mov x8, #172 // getpid
        svc #0
        mov x1, #9
        mov x8, #129 // kill
        svc #0
        b .
    """
    result = record([build(tmp_path, START + body + END)], tmp_path / "a")
    assert result.signal == signal.SIGKILL
    assert one(result).ops == 1 + 2 * 20000 + 5


def test_exit_status_is_reported(tmp_path: Path) -> None:
    """A failing program is recorded all the same."""
    body = " mov x8, #93\n mov x0, #41\n svc #0\n"
    result = record([build(tmp_path, START + body + END)], tmp_path / "a")
    assert (result.exit_status, result.signal, result.ops) == (41, None, 3)


def test_skip_and_limit(tmp_path: Path) -> None:
    """Both act at whole blocks; a limit ends the program and the last branch is known."""
    program = build(tmp_path, COUNT_DOWN.format(n=60000))
    whole = one(record([program], tmp_path / "whole"))
    result = record([program], tmp_path / "part", skip=1001, limit=5000)
    part = one(result)
    assert (result.stopped_at_limit, result.exit_status) == (True, None)
    assert part.ops == 5000
    assert executed_words(part) == executed_words(whole)[1001:6001]
    assert part.taken_last
    assert block_taken(part).all()
    odd = one(record([program], tmp_path / "odd", limit=4))
    assert odd.ops == 5  # mov, subs, b.ne; then a block of two


def test_skip_beyond_the_end(tmp_path: Path) -> None:
    """Skipping more than the program executes is an error that says how much it executed."""
    program = build(tmp_path, COUNT_DOWN.format(n=10))
    with pytest.raises(RecorderError, match="ran 24 ops, none after skip=100; lower skip"):
        record([program], tmp_path / "a", skip=100)
    assert not (tmp_path / "a").exists()


THREADS = r"""
#include <pthread.h>
static long shared;
static void *count(void *n) {
    for (long i = 0; i < (long)n; i++) __atomic_fetch_add(&shared, 1, __ATOMIC_RELAXED);
    return 0;
}
int main(int argc, char **argv) {
    pthread_t thread[70];
    int n = argc > 1 ? 70 : 3;
    for (int i = 0; i < n; i++) pthread_create(&thread[i], 0, count, (void *)(1000L * (i + 1)));
    for (int i = 0; i < n; i++) pthread_join(thread[i], 0);
    return (int)(shared != 500L * n * (n + 1)) + !argv;
}
"""
THREAD_OPTIONS = "-O2 -static -pthread -march=armv8.1-a"


def test_one_file_per_thread(tmp_path: Path) -> None:
    """Threads are told apart by the order of their creation, whatever their number."""
    program = build(tmp_path, THREADS, suffix=".c", options=THREAD_OPTIONS)
    result = record([program], tmp_path / "t.spestream")
    assert result.exit_status == 0
    assert [path.name for path in result] == [f"t.{thread}.spestream" for thread in range(4)]
    assert result.group == tmp_path / "t.threads.json"
    assert list(streams_of(result.group)) == list(result)
    for thread, path in enumerate(result):
        stream = read_spestream(path)
        assert stream.tid == thread
        atomics = np.count_nonzero(stream.op_class[executed_ops(stream)] == OpClass.ATOMIC)
        assert 1000 * thread <= atomics < 1000 * thread + 100


def test_more_than_64_threads(tmp_path: Path) -> None:
    """The 65th living thread ends the recording with an error that says so."""
    meeting = THREADS.replace(
        "static void *count(void *n) {",
        "static pthread_barrier_t all;\nstatic void *count(void *n) { pthread_barrier_wait(&all);",
    ).replace("int n =", "pthread_barrier_init(&all, 0, 70); int n =")
    program = build(tmp_path, meeting, suffix=".c", options=THREAD_OPTIONS)
    with pytest.raises(RecorderError, match=r"more than 64 threads at once.*use fewer"):
        record([program, "many"], tmp_path / "t.spestream")
    assert not list(tmp_path.glob("*.spestream"))


def test_a_forked_child_is_not_recorded(tmp_path: Path) -> None:
    """The child of a fork shares the files and must leave them alone."""
    source = r"""
    #include <sys/wait.h>
    #include <unistd.h>
    __attribute__((noinline)) void child(void) { for (int i = 0; i < 9; i++) __asm__("nop"); }
    __attribute__((noinline)) void parent(void) { for (int i = 0; i < 9; i++) __asm__("nop"); }
    int main(void) {
        int status;
        if (!fork()) { child(); _exit(3); }
        wait(&status);
        parent();
        return WEXITSTATUS(status);
    }
    """
    result = record([build(tmp_path, source, suffix=".c", options="-O1 -static")], tmp_path / "a")
    names = {symbol.name for symbol in one(result).symbols}
    assert result.exit_status == 3
    assert "parent" in names
    assert "child" not in names


def test_interrupt_keeps_what_was_recorded(tmp_path: Path) -> None:
    """Ctrl-C kills a program that would run for ever, and the file is written."""
    forever = "1: mov x8, #124 // sched_yield\n svc #0\n b 1b\n"
    program = build(tmp_path, START + forever + END)
    out = tmp_path / "a.spestream"
    script = f"""
        from pathlib import Path
        from sim.workload.recording.recorder import record
        show = lambda ops: print(ops, flush=True)
        result = record([{program!r}], Path({str(out)!r}), progress=show)
        print(result.interrupted, result.signal, result.exit_status, result.ops)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.send_signal(signal.SIGINT)
        last = process.stdout.read().splitlines()[-1]
    assert process.returncode == 0
    assert last == f"True None None {one([out]).ops}"


def test_progress_counts_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is called with growing counts while the program runs."""
    monkeypatch.setattr(recorder, "_POLL_S", 0.01)
    seen: list[int] = []
    program = build(tmp_path, COUNT_DOWN.format(n=0).replace("mov x0, #0", "ldr x0, =4000000", 1))
    result = record([program], tmp_path / "a", progress=seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= result.ops == 1 + 2 * 4000000 + 3


def test_recordings_are_reproducible(tmp_path: Path) -> None:
    """Two recordings of one program are the same file."""
    program = build(tmp_path, COUNT_DOWN.format(n=5000))
    first, second = (record([program], tmp_path / name)[0] for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_paths_with_commas_and_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU's option syntax does not leak into paths."""
    folder = tmp_path / "a, b,,c"
    folder.mkdir()
    monkeypatch.setenv("SPESKEW_CACHE", str(folder / "cache"))
    program = build(tmp_path, COUNT_DOWN.format(n=3))
    assert one(record([program], folder / "deep" / "out.spestream")).ops == 10


def test_missing_tools_name_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without QEMU or a compiler the error says what to install."""
    program = build(tmp_path, COUNT_DOWN.format(n=3))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RecorderError, match=r"qemu-aarch64 .*apt-get install qemu-user"):
        record([program], tmp_path / "a")
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "empty"))
    with pytest.raises(RecorderError, match=r"gcc .*apt-get install gcc"):
        compile_plugin(tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "No such file or directory; check the path"),
        (b"#!/bin/sh\n", "not an ELF file; give an AArch64 executable"),
        (Path(sys.executable), "built for EM_.*; build it for AArch64"),
    ],
)
def test_program_that_cannot_run(content: bytes | Path | None, text: str, tmp_path: Path) -> None:
    """Missing, foreign and non-ELF programs are refused before QEMU is started."""
    path = tmp_path / "program"
    if isinstance(content, Path):
        path = content
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(RecorderError, match=text):
        record([str(path)], tmp_path / "a")
    with pytest.raises(RecorderError, match="no program is given"):
        record([], tmp_path / "a")


@pytest.mark.parametrize(("limit", "skip"), [(0, None), (-5, None), (None, -1)])
def test_limits_that_make_no_sense(limit: int | None, skip: int | None, tmp_path: Path) -> None:
    """A limit of nothing and negative numbers are refused."""
    program = build(tmp_path, COUNT_DOWN.format(n=3))
    with pytest.raises(RecorderError, match="give a positive number"):
        record([program], tmp_path / "a", limit=limit, skip=skip)


def test_qemu_that_does_not_start(tmp_path: Path) -> None:
    """An unknown processor is QEMU's complaint, passed on as an error."""
    program = build(tmp_path, COUNT_DOWN.format(n=3))
    with pytest.raises(RecorderError, match="QEMU did not start it"):
        record([program], tmp_path / "a", cpu="abacus")


# ------------------------------------------------------------------------------- plugin


def test_plugin_api_follows_the_qemu_version() -> None:
    """The bytes of an instruction are copied from 9.1 on; before 4.2 there are no plugins."""
    versions = [(4, 2), (7, 2), (8, 2), (9, 0), (9, 1), (10, 1), (11, 0)]
    assert [plugin_api(version) for version in versions] == [1, 1, 1, 2, 3, 3, 3]
    with pytest.raises(RecorderError, match=r"QEMU 3\.1 has no plugins; install 4\.2 or later"):
        plugin_api((3, 1))


def test_plugin_is_compiled_once_per_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second use takes the cached file; a changed source or API gets a new one."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "cache"))
    first = compile_plugin(tmp_path)
    written = first.stat().st_ino
    assert compile_plugin(tmp_path) == first
    assert first.stat().st_ino == written
    changed = tmp_path / "spetrace.c"
    changed.write_text(recorder.PLUGIN_SOURCE.read_text() + "/* changed */\n")
    monkeypatch.setattr(recorder, "PLUGIN_SOURCE", changed)
    assert compile_plugin(tmp_path) != first
    changed.write_text("no C\n")
    with pytest.raises(RecorderError, match=r"spetrace\.c does not compile: .*error"):
        compile_plugin(tmp_path)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("api", [1, 2, 3])
def test_plugin_compiles_without_warnings(api: int, tmp_path: Path) -> None:
    """The plugin is clean C for every API version it knows."""
    flags = ["-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", f"-DSPETRACE_API={api}"]
    out = tmp_path / "p.so"
    result = run("gcc", *flags, "-o", out, recorder.PLUGIN_SOURCE, check=False, capture_output=True)
    assert result.stderr == ""
    assert result.returncode == 0


HOST = r"""
/* A stand-in for QEMU of plugin API 3 or later: one thread, one block, executed twice. */
#include "plugin.c"
#include <assert.h>
static tb_cb translate;
static vcpu_cb started;
static exec_cb enter;
static void *entered;
static mem_cb access_cb[4];
static void *rank_of[4];
static const uint32_t code[3] = {0xf9400001, 0xa9400c02, 0xd65f03c0};
#define INSN(i) ((struct qemu_plugin_insn *)(uintptr_t)(i + 1))
#define INDEX(insn) ((uintptr_t)insn - 1)
void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, vcpu_cb f) { (void)id; started = f; }
void qemu_plugin_register_vcpu_exit_cb(qemu_plugin_id_t id, vcpu_cb f) { (void)id; (void)f; }
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_cb f) {
    (void)id; translate = f;
}
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb f, int x, void *d) {
    (void)tb; (void)x; enter = f; entered = d;
}
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *i, mem_cb f, int x, int y, void *d) {
    (void)x; (void)y; access_cb[INDEX(i)] = f; rank_of[INDEX(i)] = d;
}
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb) { (void)tb; return 3; }
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i) {
    (void)tb; return INSN(i);
}
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *i) { return 0x1000 + 4 * INDEX(i); }
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *i, void *to, size_t n) {
    memcpy(to, &code[INDEX(i)], n); return n;
}
int main(int argc, char **argv) {
    qemu_info_t info = {.target_name = "aarch64", .version = {atoi(argv[2]), atoi(argv[3])}};
    if (qemu_plugin_install(1, &info, argc > 4 ? 2 : 1, (char *[]){argv[1], "odd=1"})) return 9;
    started(1, 0);
    translate(1, NULL);
    assert(!access_cb[2]);
    for (int i = 0; i < 2; i++) {
        enter(0, entered);
        access_cb[0](0, 0, 0xa000 + i, rank_of[0]);
        access_cb[1](0, 0, 0xb000, rank_of[1]);
        access_cb[1](0, 0, 0xb008, rank_of[1]);
    }
    return 0;
}
"""


def run_host(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the plugin, built for API 3, inside the stand-in for QEMU."""
    shutil.copy(recorder.PLUGIN_SOURCE, tmp_path / "plugin.c")
    (tmp_path / "host.c").write_text(HOST)
    run("gcc", "-DSPETRACE_API=3", "-pthread", "-o", tmp_path / "host", tmp_path / "host.c")
    raw = tmp_path / "raw"
    raw.mkdir()
    return subprocess.run(
        [str(tmp_path / "host"), f"out={raw}", *arguments], capture_output=True, text=True
    )


def test_plugin_with_a_later_api(tmp_path: Path) -> None:
    """Where instruction bytes are copied out (QEMU 9.1 and later), the same files are written."""
    assert run_host(tmp_path, "2", "4").returncode == 0
    raw = tmp_path / "raw"
    assert np.fromfile(raw / "blocks", "<u4").tolist() == [
        *(0x1000, 0, 3),
        *(0xF9400001, 0xA9400C02, 0xD65F03C0),
    ]
    assert np.fromfile(raw / "0.ids", "<u4")[:2].tolist() == [0, 0]
    assert np.fromfile(raw / "0.slots", "<u8")[:5].tolist() == [0xA000, 0xB000, 0xA001, 0xB000, 0]


@pytest.mark.parametrize(("least", "current"), [("0", "1"), ("0", "2"), ("4", "6")])
def test_plugin_refuses_an_api_it_was_not_built_for(
    least: str, current: str, tmp_path: Path
) -> None:
    """The range that QEMU reports decides, and the message names it."""
    result = run_host(tmp_path, least, current)
    assert result.returncode == 9
    assert f"unsupported plugin API: built for 3, QEMU offers {least} to {current}" in result.stderr


def test_plugin_refuses_unknown_options(tmp_path: Path) -> None:
    """A misspelt option is an error, not ignored."""
    result = run_host(tmp_path, "2", "4", "odd")
    assert result.returncode == 9
    assert "unknown option odd=1" in result.stderr
