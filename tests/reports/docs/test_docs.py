"""The documentation: its commands run as they are printed, its links lead somewhere."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest

import speskew
from analysis.symbols import demangled
from sim.scenario.files.loader import stock_folder
from sim.scenario.models import designs
from sim.workload.spestream import read_header
from tests.needs import CROSS, CROSS_CXX, RECORDING, need, programs, run
from tests.rigs import perf_file
from tests.rigs import trace_writers as write
from tests.rigs.pages import DOCS, NOT_RUN, ROOT, blocks, fences, in_checkout, session, shell
from tests.rigs.tiny import call
from tests.rigs.trace_writers import elf_file, executed
from tests.sim.workload.importers.traces import shipped

PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
ELSEWHERE = {"how-to/open-in-perf.md": ROOT / "tests" / "tools" / "test_how_to_perf.py"}
"""Pages whose commands another test runs, which also looks at what they print."""
pytestmark = in_checkout


def traces(folder: Path) -> None:
    """What other tools left there: a drmemtrace, Tarmac text, an execlog and an ELF file."""
    stream = shipped("threads.0")
    ops = executed(stream, 200)
    trace = folder / "drmemtrace.prog.4711.0815.dir" / "trace"
    trace.mkdir(parents=True)
    chunks = write.drmemtrace_chunks(ops)
    (trace / "drmemtrace.prog.4711.1.trace.zip").write_bytes(write.zipped(chunks))
    (folder / "fvp.tarmac.gz").write_bytes(gzip.compress("".join(write.fastmodel(ops)).encode()))
    (folder / "prog.log").write_text("".join(write.execlog(ops)))
    (folder / "prog-with-symbols").write_bytes(elf_file(stream.symbols, stream.build_id))


def capture(folder: Path) -> None:
    """What `perf record` left there: 400 loads at an interval of 4,096 with jitter."""
    (folder / "perf.data").write_bytes(perf_file.three_loads())


def nothing(folder: Path) -> None:
    """For pages that need nothing there, or leave nothing to look at."""


def laid_out(folder: Path) -> None:
    """The shipped program that BOLT lays out and clang compiles, and a capture."""
    tools = ("perf2bolt", "llvm-bolt", "clang", "llvm-profdata")
    need(*(f"{tool}-19" for tool in tools), *RECORDING)
    for name in ("branches", "branches.c"):
        shutil.copy(stock_folder() / "streams" / name, folder / name)
    capture(folder)


def both(folder: Path) -> None:
    """Traces and a capture."""
    traces(folder)
    capture(folder)


SHOP = """\
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace shop {
struct Price {
  virtual ~Price() = default;
  virtual long of(long units) const = 0;
};
struct Flat : Price {
  [[gnu::noinline]] long of(long units) const override { return 7 * units; }
};
struct Tiered : Price {
  [[gnu::noinline]] long of(long units) const override {
    long sum = 0;
    for (long unit = 0; unit < units; ++unit) sum += 9 - (unit > 8) - (unit > 32);
    return sum;
  }
};

template <typename Key>
struct Stock {
  std::map<Key, long> units;
  [[gnu::noinline]] void add(const Key& key, long more) { units[key] += more; }
};

template <typename It, typename Less>
[[gnu::noinline]] void ranked(It first, It last, Less less) {
  std::sort(first, last, less);
}
}  // namespace shop

int main() {
  shop::Stock<std::string> stock;
  std::vector<std::unique_ptr<shop::Price>> prices;
  prices.push_back(std::make_unique<shop::Flat>());
  prices.push_back(std::make_unique<shop::Tiered>());
  std::vector<std::pair<std::string, long>> sold;
  unsigned long seed = 1;
  for (int k = 0; k < 1000; ++k) {
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    std::string name = "article " + std::to_string(seed >> 56);
    stock.add(name, 1 + (k & 63));
    sold.emplace_back(name, prices[k & 1]->of(k & 63));
  }
  shop::ranked(sold.begin(), sold.end(), [](auto& a, auto& b) { return a.second > b.second; });
  long sum = 0;
  for (auto& [name, units] : stock.units) sum += units;
  std::printf("%ld %s\\n", sum, sold.front().first.c_str());
}
"""
"""What C++ is made of: templates, lambdas, virtual functions and the standard library's own."""


def compiled(folder: Path) -> None:
    """A program of C++ for AArch64."""
    need(CROSS_CXX, *RECORDING)
    (folder / "prog.cpp").write_text(SHOP)
    run(CROSS_CXX, "-O2", "-static", "-o", folder / "prog", folder / "prog.cpp")


FIDELITY = """\
schema_version: 1
name: my
replications: 4
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 100000}]}
spe: {jitter: on}
driver: {aux: 64KiB, mode: cpu}
arms: [baremetal, v6]
checks:
  - {name: counters, test: exact}
  - {name: v6 loses little, test: bound, metric: arms.v6.loss.total, at_most: 0.4%}
"""


def broken(folder: Path) -> None:
    """A scenario with its baseline, and a change that somebody has made since."""
    (folder / "my.yaml").write_text(FIDELITY)
    assert shell("speskew baseline update my.yaml -q", folder).returncode == 0
    (folder / "my.yaml").write_text(FIDELITY.replace("64KiB", "32KiB"))


BEFORE: dict[str, Callable[[Path], None]] = {
    "how-to/record-your-own-program.md": traces,
    "how-to/predict-your-workload.md": capture,
    "how-to/files-from-elsewhere.md": both,
    "how-to/decide.md": laid_out,
    "how-to/trust-a-top-ten.md": compiled,
    "how-to/failing-build.md": broken,
}
"""What a page supposes to be in the folder, by page."""
KERNEL = "how-to/your-kernel-tree.md"
"""Supposes Linux' sources."""


def recorded_well(folder: Path) -> None:
    """The streams that the text names, of the lengths that it names, and a report."""
    ops = {path.stem: read_header(path).ops for path in folder.glob("*.spestream")}
    assert ops.pop("prog") >= 500_000
    assert ops.pop("part") == 50
    assert set(ops) == {"traced", "fvp", "logged"}
    assert len(set(ops.values())) == 1
    assert (folder / "runs" / "mine" / "report.html").is_file()


def compared_well(folder: Path) -> None:
    """The tutorial's finding: the tight limit makes the one exit per replication it tells of."""
    found = {name: (folder / "runs" / name / "summary.txt").read_text() for name in RUNS}
    assert re.search(r"^v6 .* 4 MiB +0 ", found["walk"], re.MULTILINE)
    assert re.search(r"^v6 .* 80 KiB +1 ", found["tight"], re.MULTILINE)
    # recordings differ with the environment's variables: libc reads them as the program starts
    for arm in ("baremetal", "v6", r"unpinned-cold \(upper bound\)"):
        assert re.search(rf"^{arm} .*%\)?  the same within ±1 %", found["walk"], re.MULTILINE), arm


def predicted_well(folder: Path) -> None:
    """A report of the run."""
    assert (folder / "runs" / "prog" / "report.html").is_file()


def designed_well(folder: Path) -> None:
    """The new design loses what v6 does, locks more and unpins nothing."""
    arms = json.loads((folder / "runs" / "idea" / "result.json").read_text())["arms"]
    v6, mine = arms["v6"], arms["keep-pins"]
    assert mine["ledger"]["selections"] == v6["ledger"]["selections"]
    assert mine["rlimit"]["locked_bytes_peak"] > v6["rlimit"]["locked_bytes_peak"]
    assert mine["ledger"]["time"]["unpin"] == 0 < v6["ledger"]["time"]["unpin"]


def told_well(folder: Path) -> None:
    """A stream, a profile, and a run in whose summary nothing is in doubt."""
    assert read_header(folder / "theirs.spestream").ops > 0
    summary = (folder / "runs" / "theirs" / "summary.txt").read_text()
    assert "In doubt" not in summary


def lost_well(folder: Path) -> None:
    """What the page prints of the sweep's table is in it, and perf's count in a cell's summary."""
    page = DOCS / "how-to" / "lost-aux-data.md"
    (printed,) = blocks(page, "")
    shown = (folder / "lost.txt").read_text().splitlines()
    assert [line for line in printed.splitlines() if line not in shown] == []
    counted = re.search(r"\*(AUX data lost \d+ times out of \d+)\*", page.read_text("utf-8"))
    assert counted is not None
    (cell,) = (folder / "runs" / "auxlost" / "cells").glob("*=300us-*")
    assert f"perf report: {counted[1]}\n" in (cell / "summary.txt").read_text()


def edges_well(folder: Path) -> None:
    """Every line that the page prints of the sweep's table is in it; the figure is there."""
    (printed,) = blocks(DOCS / "how-to" / "cost-of-an-enable.md", "")
    shown = (folder / "enable.txt").read_text().splitlines()
    assert [line for line in printed.splitlines() if line not in shown] == []
    assert "<svg" in (folder / "edges.svg").read_text()


def trusted_well(folder: Path) -> None:
    """The ten in their order, the page's names among them in every arm; as compiled in data."""
    shown = call("show", folder / "runs" / "prog", "--top").stdout
    assert re.search(r"^v6: the same within ±1 %\n  same ten, same order$", shown, re.M)
    page = (DOCS / "how-to" / "trust-a-top-ten.md").read_text("utf-8")
    (printed,) = blocks(DOCS / "how-to" / "trust-a-top-ten.md", "")
    for name in re.findall(r"^  (\S.*?)  +\d[\d.]* %  ", printed, re.M):
        assert shown.count(f"  {name}  ") == 5, f"{name}: not in every arm"
    (long,) = re.findall(r"`(_Z\w+)`", page)
    kept = json.loads((folder / "runs" / "prog" / "result.json").read_text())
    assert long in json.dumps(kept)
    html = (folder / "runs" / "prog" / "report.html").read_text()
    assert escape(demangled(long), quote=False) in html


def sized_well(folder: Path) -> None:
    """What the page prints of `memlock`, and the exits of its table."""
    page = (DOCS / "how-to" / "fleet-memlock.md").read_text("utf-8")
    said = call("memlock", "--vcpus", "16", "--vms", "64", "--aux", "4MiB").stdout.splitlines()
    (printed,) = blocks(DOCS / "how-to" / "fleet-memlock.md", "")
    assert [line for line in printed.splitlines() if line not in said] == []
    for limit, run_of, arm in (("8 MiB", "fleet", "vcpus-16"), ("32.44 MiB", "enough", "vcpus-16")):
        found = json.loads((folder / "runs" / run_of / "result.json").read_text())["arms"][arm]
        exits = found["rlimit"]["exits_per_run"]["mean"]
        assert f"| {limit} | `{arm}` | {exits:g} | {64 * exits:,g} |" in page
    raised = json.loads((folder / "runs" / "fleet" / "result.json").read_text())["arms"]["to-hard"]
    exits = raised["rlimit"]["exits_per_run"]["mean"]
    assert f"| `to-hard` | {exits:g} | {64 * exits:,g} |" in page


def blamed_well(folder: Path) -> None:
    """What the page prints is said of the change; accepted, what is left is the check's own."""
    broken(folder)
    (printed,) = blocks(DOCS / "how-to" / "failing-build.md", "")
    said = shell("speskew check my.yaml -q", folder)
    assert said.returncode == 1
    assert [line for line in printed.splitlines() if line not in said.stdout.splitlines()] == []
    assert shell("speskew baseline update my.yaml -q", folder).returncode == 0
    after = shell("speskew check my.yaml -q", folder).stdout
    assert "not the baseline's" not in after
    assert "2 checks: 1 PASS, 1 FAIL" in after


def decided_well(folder: Path) -> None:
    """What the page prints of the first table is in it, and so are the regrets of the last one."""
    page = (DOCS / "how-to" / "decide.md").read_text("utf-8")
    found = json.loads((folder / "decided.json").read_text())["arms"]
    assert found["unpinned-error"]["decisions"]["hot-pages"]["answer"] == "worse"
    said = call("decide", folder / "runs" / "pages", "-q").stdout
    printed = page.split("```\nhot-pages: ")[1].split("```")[0].splitlines()
    assert [line for line in printed if line not in f"hot-pages: {said}"] == []
    laid = json.loads((folder / "runs" / "layout" / "result.json").read_text())["arms"]
    for arm, percent in (("baremetal", "1.2 %"), ("unpinned-error", "19 %")):
        regret = 100 * laid[arm]["decisions"]["layout"]["regret"]["mean"]
        assert f"{regret:.2g} %" == percent
        assert re.search(rf"^\| {arm}[^|]*\| {percent} \|", page, re.MULTILINE)
    assert (folder / "v6.bolt").is_file()
    for arm in ("baremetal", "unpinned-error"):
        alike = re.search(r"similarity: ([\d.]+)%", (folder / f"{arm}.overlap").read_text())
        shown = re.search(rf"^\| {arm}[^|]*\| [\d,]+ \| ([\d.]+) % \|", page, re.MULTILINE)
        assert alike is not None
        assert shown is not None
        assert abs(float(alike[1]) - float(shown[1])) < 0.5  # the recording's stack moves addresses


def shared_well(folder: Path) -> None:
    """What the page prints of perf c2c and of the decision is there; padding ends contention."""
    page = (DOCS / "how-to" / "find-false-sharing.md").read_text("utf-8")
    table, decision = blocks(DOCS / "how-to" / "find-false-sharing.md", "")
    shown = [line[:77] for line in (folder / "c2c.txt").read_text().splitlines()]
    assert [line for line in table.splitlines() if line not in shown] == []
    said = call("decide", folder / "runs" / "shared", "-q").stdout.splitlines()
    assert [line for line in decision.splitlines() if line not in said] == []
    sources = (folder / "mem.txt").read_text()
    for where, snoop in re.findall(r"^\| `(L\d or L\d hit)`, snoop `(\w+)` \|", page, re.MULTILINE):
        assert re.search(rf"{where}\s+{snoop}\s", sources), (where, snoop)
    together, apart = (
        re.search(r"hits on peer cache or nodes\s*:\s*(\d+)", (folder / name).read_text())
        for name in ("count1.txt", "count8.txt")
    )
    assert together is not None
    assert apart is not None
    assert 500 < int(together[1]) < 2000
    assert int(apart[1]) < 10


def patched_well(folder: Path) -> None:
    """Half the interval that is the least: twice the records, in both designs."""
    arms = json.loads((folder / "runs" / "patch" / "result.json").read_text())["arms"]
    delivered = {name: arm["ledger"]["delivery"]["delivered"] for name, arm in arms.items()}
    for design in ("baremetal", "v6"):
        assert delivered[f"{design}-patched"] == pytest.approx(2 * delivered[design], rel=0.05)


RUNS = ("walk", "tight")
AFTER: dict[str, Callable[[Path], None]] = {
    "how-to/record-your-own-program.md": recorded_well,
    "how-to/predict-your-workload.md": predicted_well,
    "how-to/files-from-elsewhere.md": told_well,
    "how-to/lost-aux-data.md": lost_well,
    "how-to/cost-of-an-enable.md": edges_well,
    "how-to/trust-a-top-ten.md": trusted_well,
    "how-to/fleet-memlock.md": sized_well,
    "how-to/failing-build.md": blamed_well,
    "tutorial.md": compared_well,
    "how-to/add-a-design.md": designed_well,
    "how-to/your-kernel-tree.md": patched_well,
    "how-to/decide.md": decided_well,
    "how-to/find-false-sharing.md": shared_well,
}
"""What must hold afterwards, by page."""


@pytest.mark.deep
@pytest.mark.parametrize(
    "page",
    [
        name
        for page in PAGES[1:]
        if blocks(page, "sh") and (name := str(page.relative_to(DOCS))) not in ELSEWHERE
    ],
)
def test_commands_run(page: str, tmp_path: Path, linux: Callable[[str], Path]) -> None:
    """Every `sh` block of a page, in order, in one folder."""
    script = "\n".join(blocks(DOCS / page, "sh"))
    need(*programs(script))
    if page == KERNEL:
        shutil.copytree(linux("6.12"), tmp_path / "linux")
    BEFORE.get(page, nothing)(tmp_path)
    done = shell(script, tmp_path)
    assert done.returncode == 0, done.stderr
    AFTER.get(page, nothing)(tmp_path)


def history(folder: Path) -> None:
    """A repository in which the third of four commits changes what the scenario simulates."""
    good = (
        "name: my\nreplications: 2\narms: [baremetal]\nspe: {jitter: on}\n"
        "workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 10000}]}\n"
        "checks: [{name: counters, test: exact}]\n"
    )
    done = shell(
        "git init -q . && git config user.name me && git config user.email me@here", folder
    )
    assert done.returncode == 0, done.stderr
    (folder / ".gitignore").write_text("bin\nruns\n")
    for number, text in enumerate((good, good, good.replace("jitter: on", "jitter: off"))):
        (folder / "my.yaml").write_text(text + f"question: version {number}\n")
        update = "speskew baseline update my.yaml -q" if number == 0 else "true"
        script = f"{update} && git add . && git commit -qm {number} && git tag {TAGS[number]}"
        done = shell(script, folder)
        assert done.returncode == 0, done.stderr


TAGS = ("GOOD", "middle", "BAD")


CONSOLES: dict[tuple[str, int], Callable[[Path], None]] = {
    ("how-to/check-fidelity.md", 0): history,
    ("how-to/size-rlimit-memlock.md", 0): nothing,
    ("how-to/size-rlimit-memlock.md", 1): nothing,
}
"""What must be in the folder before a block, by page and number among those that run."""


def consoles() -> list[tuple[str, int, str]]:
    """Every block of other people's tools that does not say why it is not run."""
    return [
        (str(page.relative_to(DOCS)), k, block)
        for page in PAGES[1:]
        for k, block in enumerate(
            text for language, note, text in fences(page) if language == "console" and not note
        )
    ]


@pytest.mark.parametrize(("page", "number", "block"), consoles())
def test_consoles_run_and_print_what_they_show(
    page: str, number: int, block: str, tmp_path: Path
) -> None:
    """Each in a folder of its own; every printed line is in the output."""
    script, expected = session(block)
    tools = programs(script)
    assert tools, "a session shows another tool; ours stand in `sh` blocks"
    need(*tools)
    CONSOLES[page, number](tmp_path)
    done = shell(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line for line in expected if line not in done.stdout.splitlines()] == []


RUN = ("sh", "console")
DATA = ("", "ini", "xml", "yaml")
"""Languages of blocks that hold no commands."""
TESTED = {
    ("add-a-design.md", "python"): "test_the_printed_preset_is_one",
    ("add-a-design.md", "diff"): "test_the_printed_diff_is_all_that_a_new_value_takes",
    ("use-from-python.md", "python"): "test_the_page_of_the_api_runs",
}
"""Blocks that a test of their own evaluates."""


def test_notes_of_fences_are_reasons() -> None:
    """What is not run says why; `sh` and `console` run without one, data needs none."""
    for page in PAGES:
        for language, note, _ in fences(page):
            known = language in (*RUN, *DATA) or (page.name, language) in TESTED
            assert bool(note) != known or language == "console", page
    notes = [(language, note) for page in PAGES for language, note, _ in fences(page) if note]
    assert len(notes) >= 4
    for _, note in notes:
        assert note.startswith(NOT_RUN)
        assert len(note.removeprefix(NOT_RUN).split()) >= 4
    assert set(TESTED.values()) <= set(globals())
    assert "make demo" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_what_is_not_run_can_be_read() -> None:
    """Shell and Python that need what is not here are at least shell and Python."""
    kept = [(kind, text) for page in PAGES for kind, note, text in fences(page) if note]
    assert {kind for kind, _ in kept} == {"bash", "console", "dockerfile", "python"}
    for kind, text in kept:
        if kind == "python":
            compile(text, "docs", "exec")
        elif kind != "dockerfile":
            script = session(text)[0] if kind == "console" else text
            run("bash", "-n", "-c", script)


def test_a_line_that_is_not_printed_is_noticed(tmp_path: Path) -> None:
    """Control: a session whose output differs."""
    script, expected = session("$ echo one\ntwo\n")
    assert (script, expected) == ("echo one", ["two"])
    assert expected[0] not in shell(script, tmp_path).stdout.splitlines()


def test_other_pages_are_run_elsewhere() -> None:
    """Each has its page, and its test."""
    for page, test in ELSEWHERE.items():
        assert blocks(DOCS / page, "sh")
        assert Path(page).name in test.read_text(encoding="utf-8")


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    """Control: a failure in the middle of a block, or before a pipe, fails the page."""
    assert shell("speskew run no-such-scenario\ntrue\n", tmp_path).returncode == 2


@pytest.mark.deep
def test_commands_of_the_readme_run(tmp_path: Path) -> None:
    """In order, in one folder with a program; together they leave what the comments say."""
    need(*RECORDING)
    (tmp_path / "prog.c").write_text("int main(void) { return 0; }\n")
    commands = blocks(ROOT / "README.md", "sh")[1]
    assert all(line.startswith("speskew ") for line in commands.splitlines())
    done = shell(f"{CROSS} -O2 -static -o prog prog.c\n{commands}", tmp_path)
    assert done.returncode == 0, done.stderr
    for left in ("runs/A/report.html", "prog.spestream", "v6.data"):
        assert (tmp_path / left).is_file(), left


def test_options_of_imports_exist() -> None:
    """Options that the how-to names exist, in the commands that it names."""
    text = (DOCS / "how-to" / "record-your-own-program.md").read_text(encoding="utf-8")
    for name in ("drmemtrace", "tarmac", "execlog"):
        assert f"speskew import {name}" in text
        shown = call("import", name, "--help").output
        for option in ("--elf", "--skip", "--limit", "--force"):
            assert option in shown
            assert f"`{option}" in text


def anchor(heading: str) -> str:
    """What a heading is called in a link, as forges do it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file, and a heading of it if it says one."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, heading = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M) if heading else []
        assert not heading or heading in map(anchor, headings), target


def test_the_printed_preset_is_one() -> None:
    """The entry of the how-to is valid where it is said to go, and differs from every preset."""
    (entry,) = blocks(DOCS / "how-to" / "add-a-design.md", "python")
    made = eval(f"{{{entry}}}", vars(designs))
    assert list(made) == ["v6-keep-pins"]
    design = made["v6-keep-pins"]
    assert isinstance(design, designs.Design)
    assert design.policies not in [other.policies for other in designs.DESIGNS.values()]


NEW_VALUE = """\
name: new
question: q
replications: 2
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 6000}]}
spe: {interval: 256ops, min_interval: 256ops}
driver: {aux: 16KiB}
buffer: {initial_s2: cold}
vm: {exits: none}
arms: [baremetal, unpinned, {name: new, design: unpinned, policies: {backing: fault_on_enable}}]
"""


CHANGED = """\
import importlib.util
import sys

name = "sim.policies.backings"
spec = importlib.util.spec_from_file_location(name, f"{name.replace('.', '/')}.py")
sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[name])

from reports.results.build import build
from reports.results.result import dumps
from sim.runs import batch
from sim.scenario.files.document import ScenarioError
from sim.scenario.files.loader import load

try:
    scenario = load("new.yaml")
except ScenarioError as refused:
    sys.exit(str(refused))
fast, reference = (
    dumps(build(scenario, batch.run(scenario, engine=engine), interrupted=False))
    for engine in ("fast", "reference")
)
assert fast == reference
print(fast)
"""
"""A scenario under both engines, with one module from the folder."""


def test_the_printed_diff_is_all_that_a_new_value_takes(tmp_path: Path) -> None:
    """It applies, to one file and without taking a line away; before it a scenario that names the
    value is refused, after it both engines run it alike and the value does what it says."""
    need("git")
    (patch,) = blocks(DOCS / "how-to" / "add-a-design.md", "diff")
    changed = "sim/policies/backings.py"
    (tmp_path / changed).parent.mkdir(parents=True)
    shutil.copy(ROOT / changed, tmp_path / changed)
    for name, text in {"new.yaml": NEW_VALUE, "new.diff": patch, "new.py": CHANGED}.items():
        (tmp_path / name).write_text(text)
    ours = {"PYTHON": sys.executable, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    before = shell('"$PYTHON" new.py', tmp_path, **ours)
    assert "policies.backing: unknown value 'fault_on_enable'" in before.stderr
    applied = shell("git apply --numstat new.diff && git apply new.diff", tmp_path, **ours)
    added, taken, file = applied.stdout.split()
    assert (int(added) > 0, taken, file) == (True, "0", changed)
    after = shell('"$PYTHON" new.py', tmp_path, **ours)
    assert after.returncode == 0, after.stderr
    arms = json.loads(after.stdout)["arms"]
    assert arms["new"]["setup"]["backing"] == "fault_on_enable"
    lost = {name: arm["ledger"]["ops"]["irq_delivery_fault"] for name, arm in arms.items()}
    assert lost["new"] == 0 < lost["unpinned"]


@pytest.mark.deep
def test_the_page_of_the_api_runs(tmp_path: Path) -> None:
    """Its blocks as one script without a guard, in a folder; what it leaves and prints."""
    script = "\n".join(blocks(DOCS / "how-to" / "use-from-python.md", "python"))
    (tmp_path / "mine.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "did you mean 'memlock'?" in done.stdout
    for left in ("runs/A/report.html", "runs/rlimit/report.html", "ledgers.pdf"):
        assert (tmp_path / left).is_file(), left


def test_the_page_of_the_api_names_everything() -> None:
    """Every public name, and every table, property and method of a run and an arm."""
    text = (DOCS / "how-to" / "use-from-python.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", text))
    owners = (speskew.Run, speskew.Arm, speskew.Sweep, speskew.Checks)
    members = {name for owner in owners for name in vars(owner) if not name.startswith("_")}
    inner = {"called", "folder", "scenario", "design"}
    assert sorted({*speskew.__all__, *members} - words - inner) == []


def test_the_readme_is_read_in_two_minutes() -> None:
    """At most 450 words of prose, a figure, and what to type first."""
    text = PAGES[0].read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$|^\|.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) <= 450
    assert re.search(r"!\[[^\]]+\]\(docs/figures/[\w-]+\.png\)", text)
    assert [line.split()[:2] for line in blocks(PAGES[0], "sh")[0].splitlines()] == [
        ["make", "demo"],
        ["make", "test"],
    ]
