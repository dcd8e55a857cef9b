"""The commands of docs/how-to/record-your-own-program.md run as they are printed."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sim.workload.spestream import read_header
from tests.sim import trace_writers as write
from tests.sim.test_import_drmemtrace import shipped
from tests.sim.trace_writers import elf_file, executed

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "record-your-own-program.md"
NEEDS = ("aarch64-linux-gnu-gcc", "qemu-aarch64", "gcc", "bash")

pytestmark = pytest.mark.skipif(
    os.environ.get("SPESKEW_INSTALLED") == "1", reason="the how-to is part of the checkout"
)


def blocks(language: str) -> list[str]:
    """The fenced blocks of the how-to in a language."""
    text = HOW_TO.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def traces(folder: Path) -> None:
    """What the how-to supposes to be there from other tools."""
    stream = shipped("threads.0")
    ops = executed(stream, 200)
    trace = folder / "drmemtrace.prog.4711.0815.dir" / "trace"
    trace.mkdir(parents=True)
    chunks = write.drmemtrace_chunks(ops)
    (trace / "drmemtrace.prog.4711.1.trace.zip").write_bytes(write.zipped(chunks))
    (folder / "fvp.tarmac.gz").write_bytes(gzip.compress("".join(write.fastmodel(ops)).encode()))
    (folder / "prog.log").write_text("".join(write.execlog(ops)))
    (folder / "prog-with-symbols").write_bytes(elf_file(stream.symbols, stream.build_id))


def test_commands_run(tmp_path: Path) -> None:
    """Every `sh` block, in order, in one folder; the streams that the text names come out."""
    missing = [tool for tool in NEEDS if shutil.which(tool) is None]
    if missing:
        assert not os.environ.get("CI"), f"missing: {missing}"
        pytest.skip(f"missing: {missing}")
    traces(tmp_path)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "speskew"
    command.write_text(f"#!{sys.executable}\nfrom reports.cli import main\nmain()\n")
    command.chmod(0o755)
    script = "set -eu\n" + "\n".join(blocks("sh"))
    environment = os.environ | {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(HOW_TO.parents[2]),
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ops = {path.stem: read_header(path).ops for path in tmp_path.glob("*.spestream")}
    assert ops.pop("prog") >= 500_000
    assert ops.pop("part") == 50
    assert set(ops) == {"traced", "fvp", "logged"}
    assert len(set(ops.values())) == 1
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()


def test_options_exist() -> None:
    """Options that the text names exist, in the commands that it names."""
    from click.testing import CliRunner

    from reports.cli import main

    text = HOW_TO.read_text(encoding="utf-8")
    for name in ("drmemtrace", "tarmac", "execlog"):
        assert f"speskew import {name}" in text
        shown = CliRunner().invoke(main, ["import", name, "--help"]).output
        for option in ("--elf", "--skip", "--limit", "--force"):
            assert option in shown
            assert f"`{option}" in text
