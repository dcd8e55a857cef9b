"""Devices, pipes and files of /proc in place of inputs: read if that makes sense, else an error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sim import inputs
from tests.rigs.tiny import TINY, call

COMMANDS = {
    "scenario": ("validate", "{}"),
    "stream": ("run", "stream.yaml"),
    "profile": ("run", "profile.yaml"),
    "report": ("report", "spe", "{}"),
    "import": ("import", "spe", "{}", "--interval", "1024ops"),
    "raw": ("report", "spe", "{}", "--raw"),
    "tarmac": ("import", "tarmac", "{}", "-o", "t.spestream", "--force"),
    "execlog": ("import", "execlog", "{}", "-o", "t.spestream", "--force"),
    "drmemtrace": ("import", "drmemtrace", "{}", "-o", "t.spestream", "--force"),
    "elf": ("import", "tarmac", "t.txt", "--elf", "{}"),
    "record": ("record", "-o", "t.spestream", "--", "{}"),
}


NAMES = ("/dev/zero", "/proc/kmsg", "/proc/self/pagemap", "fifo")
SCRIPT = """\
import json, sys
from click.testing import CliRunner
from reports.cli.main import main
import sim.inputs; sim.inputs.WAIT_S = 0.1
for kind, *args in map(json.loads, sys.argv[1:]):
    open("/proc/self/clear_refs", "w").write("5")  # proc(5): begin the peak anew
    result = CliRunner().invoke(main, args)
    print(args, result.output, repr(result.exception))
    # not ru_maxrss, which remembers the parent that it was forked from
    peak = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]
    print(f"ended {kind} {result.exit_code} {peak}", flush=True)
"""
"""Commands one after another, each with its exit code and what it needed at most."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What all commands print, in one process: it takes longer to begin than they do."""
    folder = tmp_path_factory.mktemp("special")
    os.mkfifo(folder / "fifo")
    (folder / "t.txt").write_text("")
    commands = []
    for number, name in enumerate(read_by_us()):
        own = {}
        for workload, of in (("stream", "recorded"), ("profile", "profile")):
            own[f"{workload}.yaml"] = f"{workload}{number}.yaml"
            (folder / f"{workload}{number}.yaml").write_text(
                f"workload: {{kind: {of}, path: {name}}}\nreplications: 1\narms: [baremetal]\n"
            )
        for kind, words in COMMANDS.items():
            commands.append([kind, *(own.get(word, word).format(name) for word in words)])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(json.dumps, commands)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )
    return done.stdout + done.stderr


def read_by_us() -> list[str]:
    """Those that this user can open."""
    return [name for name in NAMES if name == "fifo" or os.access(name, os.R_OK)]


@pytest.mark.parametrize("kind", COMMANDS)
def test_no_input_hangs_or_fills_the_memory(kind: str, said: str) -> None:
    """Each input of each command ends in a message, within 512 MiB of memory."""
    found = re.findall(rf"^ended {kind} (\d+) (\d+)$", said, re.MULTILINE)
    assert [code for code, _ in found] == ["2"] * len(read_by_us()), said
    assert max(int(peak) for _, peak in found) < 512 << 10, said


def feed(path: Path, text: str) -> threading.Thread:
    """A writer into a pipe, in a thread of its own."""
    thread = threading.Thread(target=path.write_text, args=(text,))
    thread.start()
    return thread


def test_scenarios_come_through_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FIFO is read once, and what came is used wherever the command needs the scenario."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    writer = feed(Path("fifo"), TINY)
    result = call("run", "fifo", "-o", "out", "--no-report", "--no-band")
    writer.join()
    assert result.exit_code == 0, result.output
    assert Path("out/scenario.yaml").read_text() == TINY


def test_a_pipe_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends at the limit, and an error says when nothing comes."""
    monkeypatch.setattr(inputs, "WAIT_S", 0.1)
    assert inputs.read_at_most(Path("/dev/zero"), 1000) == bytes(1001)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(OSError, match="nothing came out of it"):
        inputs.read_at_most(fifo, 1000)
    with pytest.raises(OSError, match="a pipe; copy it"):
        inputs.regular(fifo)


SECRET = {
    "yaml": "password: hunter2\nuser: root\nname: x\n",
    "text": "root:hunter2:0:0\nhunter2 *hunter2\n",
    "anchors": "name: *hunter2\n",
    "list": "- hunter2\n",
    "alike": "name: web\nseed: hunter2\nhost: {memlock: hunter2, x: 1}\nvm: password hunter2\n",
    "keyed": "name: web\nseed: 1\nworkload: {kind: recorded, path: /srv/hunter2/password}\n",
    "twice": "name: web\nseed: 1\npassword: 1\npassword: 2\n",
}


@pytest.mark.parametrize("kind", SECRET)
def test_a_file_that_is_no_scenario_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """`extends` of any file of the machine says that it is no scenario, not what it holds."""
    monkeypatch.chdir(tmp_path)
    Path("secret").write_text(SECRET[kind])
    Path("s.yaml").write_text("extends: secret\narms: [baremetal]\n")
    result = call("validate", "s.yaml")
    assert result.exit_code == 2
    assert "is no scenario" in result.stderr or "is wrong here" in result.stderr
    assert "secret" in result.stderr
    for word in ("hunter2", "password"):
        assert word not in result.output


def test_a_misspelt_key_of_an_extended_scenario_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: an extended scenario has its errors told by place, and in full by itself."""
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(TINY + "sede: 3\n")
    Path("s.yaml").write_text("extends: base.yaml\n")
    result = call("validate", "s.yaml")
    assert result.exit_code == 2
    last = len((TINY + "sede: 3\n").splitlines())
    assert f"base.yaml:{last}:1: is wrong here" in result.stderr
    assert "did you mean 'seed'" in call("validate", "base.yaml").stderr
    assert "sede" not in result.stderr
