"""Every verb that the command line has, each with arguments that make it succeed."""

from __future__ import annotations

import gzip
import importlib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from reports.captures import calibrating
from reports.captures.loops import loops_of
from reports.cli.main import main
from sim.workload.recording.recorder import record
from tests.faults.victim import CHECK
from tests.needs import CROSS, RECORDING, need, run
from tests.rigs import perf_file
from tests.rigs import trace_writers as write
from tests.rigs.spe_bytes import load, variable
from tests.rigs.swept import MATRIX
from tests.rigs.tiny import TINY, call
from tests.sim.runs.shipped import small_recording
from tests.sim.workload.importers.traces import shipped

OUT = "{out}"
"""Stands for a file or folder that a verb writes."""
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "baseline migrate": ("disk/b.json",),
    "baseline show": ("disk/b.json",),
    "baseline update": ("s.yaml", "--baseline", OUT),
    "cache": (),
    "cache clear": ("--kind", "left-over"),
    "calibrate": ("calibrate.data", "--program", "calibrate", "-o", OUT),
    "check": ("s.yaml",),
    "compare": ("disk/run", "disk/run:v6", "--figures", OUT),
    "decide": ("disk/run", "--kind", "hot-functions"),
    "explain": ("lost",),
    "export autofdo": ("disk/lines", "--arm", "baremetal", "-o", OUT),
    "export bolt": ("disk/recorded", "--arm", "baremetal", "-o", OUT),
    "export pages": ("disk/recorded", "-o", OUT),
    "export perf": ("disk/run", "--arm", "v6", "-o", OUT),
    "export perfetto": ("disk/run", "-o", OUT),
    "export tables": ("disk/run", "--arm", "v6", "-o", OUT),
    "figure": ("disk/run", "losses", "-o", OUT),
    "import drmemtrace": ("drmemtrace.prog.1.2.dir", "-o", OUT),
    "import execlog": ("prog.log", "-o", OUT),
    "import spe": ("perf.data", "-o", OUT),
    "import tarmac": ("fvp.tarmac.gz", "-o", OUT),
    "list": ("designs",),
    "memlock": ("--vcpus", "4", "--aux", "4MiB"),
    "record": ("-o", OUT, "./prog"),
    "report index": ("disk",),
    "report run": ("disk/run",),
    "report spe": ("perf.data",),
    "run": ("s.yaml", "-o", OUT, "--no-band", "--no-report"),
    "schema": (),
    "show": ("disk/run",),
    "sweep": ("sweep.yaml", "-o", OUT, "--no-report"),
    "validate": ("s.yaml",),
}
"""Words behind a verb. A verb without a line here fails `test_every_verb_is_here`."""
WORK: dict[str, tuple[str, ...]] = {
    "baseline update": ("reports.runs.replicating:simulate",),
    "export autofdo": ("reports.rerunning:rerun",),
    "export bolt": ("reports.rerunning:rerun",),
    "export pages": ("reports.rerunning:rerun",),
    "export perf": ("reports.rerunning:rerun",),
    "export perfetto": ("reports.rerunning:rerun",),
    "export tables": ("reports.rerunning:rerun",),
    "calibrate": ("reports.captures.opening:open_any",),
    "compare": ("reports.runs.compare_page:write_figures",),
    "figure": ("reports.figures.alone:files",),
    "import drmemtrace": ("sim.workload.importers.threads:import_trace",),
    "import execlog": ("sim.workload.importers.threads:import_trace",),
    "import spe": ("reports.captures.opening:open_any",),
    "import tarmac": ("sim.workload.importers.threads:import_trace",),
    "record": ("sim.workload.recording.recorder:compile_plugin",),
    "run": ("reports.runs.simulating:simulate",),
    "sweep": ("reports.sweeps.sweeping:run",),
}
"""What a verb with an output must not have begun when it finds that there can be none."""
SILENT = (
    "baseline migrate",
    "export autofdo",
    "export bolt",
    "export pages",
    "export perf",
    "export perfetto",
    "export tables",
)
"""Verbs that print nothing on stdout, as they are called here."""
WRITES_BESIDE = ("baseline migrate", "report index", "report run")
"""Verbs that write into what they read, in the folder `disk`."""
OTHERWISE = {"--baseline", "--source"}
"""Options with an output of another way to call a verb."""
INPUTS = {"--binary", "--program", "--symfs", "--sysroot", "--tls-ca", "--tls-cert", "--tls-key"}
"""Options with a path that is read."""


def leaves(command: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every verb that does something, by its words, from the tree of commands."""
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    if command.invoke_without_command:
        yield " ".join(path)
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, (*path, name))


def paths_of(verb: str) -> set[str]:
    """The options of a verb that take a path."""
    command: click.Command = main
    for word in verb.split():
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), word)
        assert inner is not None
        command = inner
    return {
        option.opts[-1]
        for option in command.params
        if isinstance(option, click.Option) and isinstance(option.type, click.Path)
    }


def words(verb: str, out: str) -> tuple[str, ...]:
    """A verb and its words, with a name for its output."""
    return (*verb.split(), *(out if word == OUT else word for word in ARGUMENTS[verb]))


def prepare() -> None:
    """What verbs read, in the current folder; `disk` holds what may be written to."""
    Path("s.yaml").write_text(TINY.replace("repeat: 40", "repeat: 10") + CHECK)
    Path("sweep.yaml").write_text(TINY.replace("repeat: 40", "repeat: 10") + MATRIX)
    Path("disk").mkdir()
    done = call("run", "s.yaml", "-o", "disk/run", "-q", "--no-band", "--no-report")
    assert done.exit_code == 0, done.output
    assert call("baseline", "update", "s.yaml", "--baseline", "disk/b.json").exit_code == 0
    _foreign()


def prepare_more(verb: str) -> None:
    """What needs other people's tools."""
    if verb in ("export bolt", "export pages") and not Path("disk/recorded").exists():
        _recorded(small_recording(Path.cwd()), "disk/recorded")
    if verb in ("export autofdo", "record"):
        need(*RECORDING)
        Path("prog.c").write_text("int main(void) { for (volatile int k = 0; k < 999; k++); }\n")
        run(CROSS, "-static", "-O1", "-g", "-o", "prog", "prog.c")
    if verb == "export autofdo" and not Path("disk/lines").exists():
        (stream,) = record([str(Path("prog").resolve())], Path.cwd() / "prog.spestream")
        _recorded(stream, "disk/lines")
    if verb == "calibrate":
        Path("calibrate.c").write_bytes(calibrating.source_text())
        run(CROSS, "-O1", "-no-pie", "-o", "calibrate", "calibrate.c")
        loops = loops_of(Path("calibrate"))
        pcs = [pc for loop in loops for pc in range(loop.address, loop.end, 4)]
        Path("calibrate.data").write_bytes(_capture(b"".join(variable(load(pc, 9)) for pc in pcs)))


def _recorded(stream: Path, folder: str) -> None:
    """A run with a recorded stream."""
    Path("recorded.yaml").write_text(
        "replications: 1\narms: [baremetal]\nspe: {jitter: on, interval: 256ops}\n"
        f"workload: {{kind: recorded, path: {stream}, repeat: 10}}\n"
    )
    done = call("run", "recorded.yaml", "-o", folder, "-q", "--no-band", "--no-report")
    assert done.exit_code == 0, done.output


def _foreign() -> None:
    ops = write.executed(shipped("threads.0"), 200)
    trace = Path("drmemtrace.prog.1.2.dir", "trace")
    trace.mkdir(parents=True)
    chunks = write.zipped(write.drmemtrace_chunks(ops))
    (trace / "drmemtrace.prog.1.1.trace.zip").write_bytes(chunks)
    Path("fvp.tarmac.gz").write_bytes(gzip.compress("".join(write.fastmodel(ops)).encode()))
    Path("prog.log").write_text("".join(write.execlog(ops)))
    records = b"".join(variable(load(0x400100 + 4 * (k % 3), 1000 + 300 * k)) for k in range(400))
    Path("perf.data").write_bytes(_capture(records))


def _capture(records: bytes) -> bytes:
    """A perf.data with these records."""
    events = [
        perf_file.time_conv(),
        perf_file.INFO_V2,
        perf_file.comm(42, b"prog"),
        perf_file.aux(0, len(records), 0),
        perf_file.auxtrace(records, 0),
    ]
    return perf_file.perf_data(events, config=1, period=4096)


def forbid(verb: str, patch: pytest.MonkeyPatch) -> None:
    """A call of the verb's work is a defect of speskew, exit code 70."""
    for place in WORK[verb]:
        module, _, name = place.partition(":")
        patch.setattr(importlib.import_module(module), name, None)
