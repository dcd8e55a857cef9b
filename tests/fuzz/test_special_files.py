"""Devices, pipes and files of /proc in place of inputs: read if that makes sense, else an error."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("name", ["/dev/zero", "/proc/kmsg", "/proc/self/pagemap", "fifo"])
def test_no_input_hangs_or_fills_the_memory(tmp_path: Path, kind: str, name: str) -> None:
    """Each input of each command ends in a message, within 512 MiB of address space more."""
    if name == "fifo":
        os.mkfifo(tmp_path / name)
    elif not os.access(name, os.R_OK):
        pytest.skip(f"{name} cannot be read here")
    (tmp_path / "t.txt").write_text("")
    for workload in ("stream", "profile"):
        (tmp_path / f"{workload}.yaml").write_text(
            f"workload: {{kind: {'recorded' if workload == 'stream' else workload}, "
            f"path: {name}}}\nreplications: 1\narms: [baremetal]\n"
        )
    script = (
        "import resource, sys\n"
        "from click.testing import CliRunner\n"
        "from reports.cli.main import main\n"
        "import sim.inputs; sim.inputs.WAIT_S = 1\n"
        "result = CliRunner().invoke(main, sys.argv[1:])\n"
        "print(result.output, repr(result.exception))\n"
        # not ru_maxrss, which remembers the parent that it was forked from
        "peak = open('/proc/self/status').read().split('VmHWM:')[1].split()[0]\n"
        "print(result.exit_code, peak)\n"
    )
    command = [sys.executable, "-c", script, *(a.format(name) for a in COMMANDS[kind])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    code, peak = map(int, done.stdout.splitlines()[-1].split())
    assert code == 2, done.stdout
    assert peak < 512 << 10, f"{peak:,} KiB"


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
