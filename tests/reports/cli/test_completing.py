"""TAB: through click's own completion, and once through bash."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from reports.cli.main import main
from tests.needs import need
from tests.rigs.tiny import scenario


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario, and a folder that looks like its run."""
    monkeypatch.chdir(tmp_path)
    scenario("counters")
    Path("runs/one").mkdir(parents=True)
    Path("runs/one/result.json").write_text(json.dumps({"arm_order": ["baremetal", "v6.cold"]}))
    Path("notes").mkdir()


def offered(*words: str) -> list[str]:
    """What may follow the last word."""
    made = ShellComplete(main, {}, "speskew", "_SPESKEW_COMPLETE")
    return [item.value for item in made.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("words", "some", "never"),
    [
        (("run", ""), {"quickstart", "sweeps/loss-map", "tiny.yaml", "runs/"}, {"runs/one"}),
        (("run", "quick"), {"quickstart"}, {"tiny.yaml"}),
        (("validate", "tiny.yaml", "ti"), {"tiny.yaml"}, set()),
        (("check", "runs/"), {"runs/one"}, set()),
        (("compare", "runs/o"), {"runs/one"}, set()),
        (("report", "run", "runs/"), {"runs/one"}, set()),
        (("export", "perf", "runs/one", "--arm", "v"), {"v6.cold"}, {"baremetal"}),
        (("figure", "runs/one", ""), set(), {"v6.cold"}),
        (("show", "de"), {"design"}, set()),
        (("show", "design", "v7"), {"v7-guest-memfd"}, {"v6"}),
        (("memlock", "--design", "v7"), {"v7-guest-memfd"}, {"v6"}),
        (("explain", "irq_w"), {"irq_wait_for_exit"}, set()),
        (("explain", "thrott"), {"throttling"}, set()),
        (("run", "tiny.yaml", "--set", "host.mem"), {"host.memlock="}, {"host.unmap="}),
        (("run", "tiny.yaml", "--set", "arms.co"), {"arms.cold.host.unmap="}, {"arms.v6.host."}),
        (("run", "tiny.yaml", "--set", "ar"), {"arms.cold.", "arms.v6."}, set()),
        (("run", "nothing.yaml", "--set", "arms."), set(), {"arms.v6."}),
        (("export", "perf", "notes", "--arm", ""), set(), {"v6"}),
    ],
)
def test_what_is_offered(words: tuple[str, ...], some: set[str], never: set[str]) -> None:
    """Scenarios, runs, arms, designs, names, keys; what cannot be read offers nothing."""
    found = offered(*words)
    assert some <= set(found), found
    assert not never & set(found)
    assert len(found) == len(set(found))


def test_bash() -> None:
    """The script that is documented, in bash itself."""
    (bash,) = need("bash")
    command = "from reports.cli.main import main; main(prog_name='speskew')"
    Path("bin").mkdir()
    Path("bin/speskew").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{command}" "$@"\n')
    Path("bin/speskew").chmod(0o755)
    script = (
        'PATH="$PWD/bin:$PATH"; eval "$(_SPESKEW_COMPLETE=bash_source speskew)"\n'
        "COMP_WORDS=(speskew run quick); COMP_CWORD=2; _speskew_completion speskew\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["quickstart"], done.stderr
