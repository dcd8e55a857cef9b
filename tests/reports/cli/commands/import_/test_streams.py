"""`speskew import drmemtrace|tarmac|execlog`: options, messages, exit codes, files."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from sim.workload.importers import threads
from sim.workload.sharing.group import streams_of
from sim.workload.spestream import read_header, read_spestream
from tests.rigs.tiny import command
from tests.rigs.trace_writers import drmemtrace_chunks, elf_file
from tests.sim.workload.importers.texts import EXECLOG, FASTMODEL, GEM5
from tests.sim.workload.importers.traces import LOOP

call = command("import")

HEAVY = ("numpy", "numba", "rich", "elftools", "zstandard")


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with a trace of each kind in it."""
    Path("run.tarmac").write_text(GEM5)
    Path("two.tarmac").write_text(FASTMODEL)
    Path("run.log").write_text(EXECLOG)
    folder = Path("drmemtrace.prog.1.2.dir/trace")
    folder.mkdir(parents=True)
    (folder / "drmemtrace.prog.1.2.trace").write_bytes(drmemtrace_chunks(LOOP)[0])
    Path("prog").write_bytes(elf_file((), "ab" * 20))


def test_each_command_writes_a_stream() -> None:
    """Files on stdout, one line of ops on stderr, the name taken from the input."""
    result = call("drmemtrace", "drmemtrace.prog.1.2.dir")
    assert result.exit_code == 0
    assert result.stderr == (
        "7 ops in 1 stream\n1 of 4 loads, stores and atomics have no address\n"
    )
    assert result.stdout == "drmemtrace.prog.1.2.spestream\n"
    assert read_header(result.stdout.strip()).program == "drmemtrace.prog.1.2"
    assert call("tarmac", "run.tarmac").stdout == "run.spestream\n"
    result = call("execlog", "run.log", "-o", "new/x.spestream")
    assert result.stdout == "new/x.0.spestream\nnew/x.1.spestream\n"
    assert result.stderr == (
        "5 ops in 2 streams\n"
        "1 lines were passed over, the first is line 1: 'the program said this'\n"
    )


def test_threads_of_one_process_are_a_workload() -> None:
    """A drmemtrace's are; CPUs of Tarmac and vCPUs of execlog may run anything."""
    folder = Path("drmemtrace.prog.1.2.dir/trace")
    (folder / "drmemtrace.prog.1.3.trace").write_bytes(drmemtrace_chunks(LOOP)[0])
    result = call("drmemtrace", "drmemtrace.prog.1.2.dir", "-o", "t.spestream", "--anyway")
    assert result.stdout == "t.0.spestream\nt.1.spestream\nt.threads.json\n"
    group = Path("t.threads.json").absolute()
    assert [file.name for file in streams_of(group)] == ["t.0.spestream", "t.1.spestream"]
    assert call("tarmac", "two.tarmac").stdout == "two.0.spestream\ntwo.1.spestream\n"


def test_skip_limit_and_el() -> None:
    """Counts have a unit, as everywhere; --el chooses exception levels."""
    assert call("tarmac", "run.tarmac", "--skip", "1ops", "--limit", "1ops").exit_code == 0
    assert read_spestream("run.spestream").pc.tolist() == [0x1004]
    assert call("tarmac", "run.tarmac", "--el", "0", "-o", "b.spestream").exit_code == 0
    result = call("tarmac", "run.tarmac", "--el", "1", "-o", "c.spestream")
    assert result.exit_code == ExitCode.USAGE
    assert "3 ops of EL0 were left out" in result.stderr
    for wrong in (["--limit", "5"], ["--limit", "0ops"], ["--skip", "-1ops"]):
        result = call("tarmac", "run.tarmac", "-o", "d.spestream", *wrong)
        assert result.exit_code == ExitCode.USAGE
        assert result.stderr.startswith("speskew: ")
    assert not Path("d.spestream").exists()


def test_overwriting_needs_force() -> None:
    """An existing file, numbered ones too, is kept unless --force is given."""
    assert call("tarmac", "two.tarmac").exit_code == 0
    before = Path("two.1.spestream").read_bytes()
    result = call("tarmac", "two.tarmac")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == "speskew: two.0.spestream exists; give --force to overwrite it\n"
    assert call("tarmac", "two.tarmac", "--force").exit_code == 0
    assert Path("two.1.spestream").read_bytes() == before


def test_errors_name_file_and_line() -> None:
    """A bad line and a missing file: exit code 2, one line on stderr, no file."""
    Path("run.tarmac").write_text(GEM5 + "1 clk IT (9) what\n")
    result = call("tarmac", "run.tarmac")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith("speskew: run.tarmac:8: an instruction or access that cannot")
    result = call("execlog", "missing.log")
    assert (
        result.stderr == "speskew: missing.log: cannot be read: No such file or directory; "
        "check the path\n"
    )
    assert not list(Path.cwd().glob("*.spestream"))


def test_symbols_that_do_not_fit_are_pointed_out() -> None:
    """An ELF file without a symbol that fits is said; one that is none is an error."""
    result = call("execlog", "run.log", "--elf", "prog")
    assert result.exit_code == 0
    assert "no symbol of --elf holds an executed pc" in result.stderr
    assert read_header("run.0.spestream").build_id == "ab" * 20
    result = call("execlog", "run.log", "--elf", "run.log", "--force")
    assert result.exit_code == ExitCode.USAGE
    assert "run.log: not a whole ELF file" in result.stderr


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted import says so, exits with 130 and leaves nothing."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threads.Threads, "add", interrupt)
    result = call("tarmac", "run.tarmac")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr == "speskew: interrupted; nothing was written\n"
    assert not [path for path in Path.cwd().iterdir() if "speskew" in path.name]
    assert not list(Path.cwd().glob("*.spestream"))


def test_kill_leaves_nothing_behind() -> None:
    """SIGTERM in the middle of an import ends it as Ctrl-C does: no file, no hidden folder."""
    os.mkfifo("endless")
    there = set(os.listdir())
    program = "from reports.cli.main import main; main()"
    command = [sys.executable, "-c", program, "import", "tarmac", "endless"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        Path("endless").open("w") as fifo,
    ):
        fifo.write(GEM5)
        fifo.flush()
        while set(os.listdir()) == there:
            time.sleep(0.05)
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "speskew: interrupted; nothing was written\n")
    assert set(os.listdir()) == there


def test_a_pipe_can_be_read() -> None:
    """/dev/stdin works, so that a simulator's output need not be stored."""
    code = "from reports.cli.main import main; main(['import', 'tarmac', '/dev/stdin'])"
    done = subprocess.run(
        [sys.executable, "-c", code], input=GEM5.encode(), capture_output=True, check=True
    )
    assert done.stdout == b"stdin.spestream\n"
    assert read_header("stdin.spestream").ops == 3


def test_messages_cannot_control_the_terminal() -> None:
    """Escape sequences in the name of an archive's member are shown, not sent."""
    with zipfile.ZipFile("evil.trace.zip", "w") as archive:
        archive.writestr("\x1b]0;x\x07", b"x" * 12)
    result = call("drmemtrace", "evil.trace.zip")
    assert result.exit_code == ExitCode.USAGE
    assert "\x1b" not in result.stderr
    assert "\\x1b]0;x\\x07):byte 0: no header record" in result.stderr


def test_progress_on_a_terminal_only() -> None:
    """With a terminal as stderr a bar is drawn; without one nothing but the ending."""
    leader, follower = pty.openpty()
    code = "from reports.cli.main import main; main(['import', 'tarmac', 'run.tarmac'])"
    subprocess.run(
        [sys.executable, "-c", code], stderr=follower, stdout=subprocess.DEVNULL, check=True
    )
    os.close(follower)
    shown = os.read(leader, 1 << 16)
    os.close(leader)
    assert b"ops" in shown
    assert b"\x1b[" in shown
    assert call("tarmac", "run.tarmac", "--force").stderr == "3 ops in 1 stream\n"


def test_help_imports_nothing_heavy() -> None:
    """`import --help` and a command's --help answer without the machinery behind them."""
    code = (
        "import sys; from reports.cli.main import main; main(['import', 'tarmac', '--help'], "
        f"standalone_mode=False); sys.exit(any(name in sys.modules for name in {HEAVY}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
