"""What `report spe` and `import spe` say of how a capture came about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.sweeps.sweeping import read_result as read_sweep
from sim.scenario.files.loader import stock_folder
from sim.workload.capture import profile
from sim.workload.capture.profile import ProfileError
from sim.workload.spestream import read_spestream, write_spestream
from tests.reports import drawing
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import load, variable
from tests.rigs.tiny import call

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(autouse=True)
def in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without figures: what is looked for is said in words."""
    drawing.only(monkeypatch)
    drawing.of_sweep(monkeypatch, 0)


HEAD = [pf.time_conv(), pf.INFO_V2, pf.comm(42, b"x")]


def capture(times: list[int], *records: bytes, name: str = "perf.data", **options: Any) -> str:
    """A file of loads at these times; returns its name."""
    stream = b"".join(variable(load(0x400100, t)) for t in times)
    made = [*HEAD, pf.aux(0, len(stream), 0), pf.auxtrace(stream, 0), *records]
    Path(name).write_bytes(pf.perf_data(made, config=1 | 1 << 16, **options))
    return name


TIMES = [1000 + 300 * k for k in range(100)]


def findings(name: str = "perf.data") -> tuple[str, str, dict[str, Any]]:
    """(text of the report, stderr of the import, JSON of the report)."""
    text = call("report", "spe", name)
    imported = call("import", "spe", name, "-o", "p.json", "--force", "--interval", "1024ops")
    found = call("report", "spe", name, "--format", "json")
    assert (text.exit_code, imported.exit_code, found.exit_code) == (0, 0, 0), text.output
    return text.stdout, imported.stderr, json.loads(found.stdout)


def test_filters_are_named() -> None:
    """Inverted event and data source filters are said in report, JSON and import."""
    capture(TIMES, later=(0x82, 0x100))
    words = "none with an event of 0x82", "no loads from the data sources of 0x100"
    text, err, found = findings()
    assert "; ".join(words) in text
    assert all(word in err for word in words)
    assert found["events"][0]["filters"] == list(words)


def test_two_spe_events_are_told() -> None:
    """Both events are listed with what was asked of each, and the import says how they differ."""
    other = pf.aux(0, 64, 9, identifier=pf.DUMMY_ID + 1)
    capture(TIMES, other, more=[pf.attr(12, 1, 2048)])
    text, err, found = findings()
    assert "2 SPE events" in text
    assert "PMU type 12: 2,048 ops" in text
    assert "1 of 2 AUX records are TRUNCATED" in text
    assert "1 of 2 AUX records saw a COLLISION" in text
    assert "2 SPE events, which differ in period, jitter" in err
    assert [event["period"] for event in found["events"]] == [1024, 2048]
    unsaid = call("import", "spe", "perf.data", "-o", "q.json")
    assert unsaid.exit_code == 2
    assert "periods of 1,024, 2,048 ops" in unsaid.stderr


def test_a_killed_writer_is_told() -> None:
    """The file is read, and report, JSON and import say that it is not whole."""
    Path("killed").write_bytes(pf.killed(Path(capture(TIMES)).read_bytes()) + b"\1\0\0")
    text, err, found = findings("killed")
    assert "100 records in perf.data" in text
    for said in (text, err):
        assert "the writer was killed" in said
        assert "the 3 bytes after it" in said
    assert (found["unfinished"], found["unread_bytes"]) == (True, 3)


@pytest.mark.parametrize(
    ("times", "equal", "zero"),
    [(TIMES, 0, 0), ([*TIMES[:50], *[TIMES[49]] * 3], 3, 0), ([0, *TIMES], 0, 1), ([0] * 9, 8, 9)],
)
def test_equal_and_zero_timestamps_are_told(times: list[int], equal: int, zero: int) -> None:
    """Each kind is counted and said; ordinary timestamps get no remark."""
    capture(times)
    text, err, found = findings()
    assert (found["sanity"]["time_equal"], found["sanity"]["time_zero"]) == (equal, zero)
    assert ("have their predecessor's timestamp" in text) is bool(equal)
    assert ("have a timestamp of 0" in text) is bool(zero)
    assert (f"{equal} timestamps equal the one before" in err) is bool(equal)
    assert (f"{zero} timestamps are 0" in err) is bool(zero)


@pytest.mark.parametrize(
    ("times", "options", "said"),
    [
        ([0, *TIMES], {}, "1 timestamps are 0"),
        ([*TIMES, TIMES[-1]], {}, "1 timestamps equal the one before"),
        (TIMES, {"later": (0x82, 0x100)}, "no loads from the data sources of 0x100"),
        (TIMES, {"killed": True}, "the writer was killed"),
    ],
)
def test_a_run_of_the_profile_says_it_too(
    times: list[int], options: dict[str, Any], said: str
) -> None:
    """What the import had to remark is in the profile, and in the summary, reports and JSON."""
    killed = options.pop("killed", False)
    path = Path(capture(times, **options))
    if killed:
        path.write_bytes(pf.killed(path.read_bytes()))
    imported = call("import", "spe", str(path), "-o", "p.json", "--interval", "1024ops")
    assert said in " ".join(imported.stderr.split())
    ran = run("workload: {kind: profile, path: p.json}")
    assert " ".join(ran.split()).count(said) == 1  # two arms, told once
    written = Path("out/result.json").read_text()
    assert said in " ".join(json.loads(written)["arms"]["v6"]["setup"]["remarks"])
    for report in ("out/report.html", "out/report.md"):
        assert said in " ".join(Path(report).read_text().split()), report
    assert said in " ".join(call("show", "out").stdout.split())


def run(workload: str) -> str:
    """What a run of it prints, with both reports in `out`."""
    Path("s.yaml").write_text(f"{workload}\nreplications: 1\narms: [baremetal, v6]\n")
    ran = call("run", "s.yaml", "-o", "out", "-q", "--no-band", "--force")
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_remarks_of_strangers_are_bounded_and_text() -> None:
    """A profile with 256 long remarks with escapes says a screenful, made harmless."""
    call("import", "spe", capture(TIMES), "-o", "p.json", "--interval", "1024ops")
    assert "remarks" not in json.loads(Path("p.json").read_text())  # files of before have none
    body = json.loads(Path("p.json").read_text())
    remarks = [f"{k}\x1b]0;x\x07\u202e\n<b>" + "y" * 4000 for k in range(256)]
    Path("many.json").write_text(json.dumps(body | {"remarks": remarks}))
    said = run("workload: {kind: profile, path: many.json}")
    assert "and 224 more remarks" in said
    assert len(said) < 40_000
    assert not any(char in said for char in "\x1b\x07\u202e")
    assert "<b>" not in Path("out/report.html").read_text()
    Path("more.json").write_text(json.dumps(body | {"remarks": ["x"] * 257}))
    with pytest.raises(ProfileError, match="remarks: no list of 0 to 256 entries"):
        profile.load(Path("more.json"))


def test_remarks_of_streams_are_said() -> None:
    """A .spestream carries what its importer found; the run says it."""
    made = read_spestream(stock_folder() / "streams" / "threads.2.spestream")
    write_spestream("s.spestream", replace(made, remarks=("7 of 100 addresses make no sense",)))
    ran = run("workload: {kind: recorded, path: s.spestream}")
    assert "7 of 100 addresses make no sense" in " ".join(ran.split())


DOUBT = "7 of 100 addresses make no sense"


@pytest.mark.parametrize("kind", ["recorded", "profile"])
def test_validate_and_a_sweep_say_it_too(kind: str) -> None:
    """Before the run, on stderr; of a sweep once under its table, in its page and its JSON."""
    if kind == "recorded":
        made = read_spestream(stock_folder() / "streams" / "threads.2.spestream")
        write_spestream("w", replace(made, remarks=(DOUBT,)))
    else:
        call("import", "spe", capture(TIMES), "-o", "w", "--interval", "1024ops")
        Path("w").write_text(json.dumps(json.loads(Path("w").read_text()) | {"remarks": [DOUBT]}))
    Path("s.yaml").write_text(
        f"workload: {{kind: {kind}, path: w}}\nreplications: 1\narms: [baremetal, v6]\n"
        "matrix: {driver.aux: [64KiB, 128KiB]}\n"
    )
    checked = call("validate", "s.yaml")
    assert checked.exit_code == 0
    assert checked.stderr.count(f"w: {DOUBT}\n") == 1
    swept = call("sweep", "s.yaml", "-o", "out", "-q")
    assert swept.exit_code == 0, swept.output
    assert swept.stdout.count(DOUBT) == 1
    assert Path("out/report.html").read_text().count(DOUBT) == 1
    cells = json.loads(Path("out/result.json").read_text())["cells"]
    assert [DOUBT in " ".join(cell["doubts"]) for cell in cells] == [True, True]
    assert [cell.doubts for cell in read_sweep(Path("out")).cells] == [
        tuple(cell["doubts"]) for cell in cells
    ]


def test_validate_looks_into_the_workload() -> None:
    """A file that is no profile is a mistake of the scenario that names it."""
    Path("w").write_text("{}")
    Path("s.yaml").write_text("workload: {kind: profile, path: w}\narms: [baremetal]\n")
    done = call("validate", "s.yaml", "quickstart")
    assert done.exit_code == 2
    assert "s.yaml: " in done.stderr
    assert "w: " in done.stderr
    assert done.stdout.startswith("quickstart: ok, ")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_capture_without_records_is_not_called_good(form: str) -> None:
    """AUX data of no bytes: nothing is right about records that are not there."""
    result = call("report", "spe", capture([]), "--format", form)
    assert result.exit_code == 2
    assert "perf.data: no records: the event gave no data" in result.stderr
    assert not result.stdout


def test_a_files_name_cannot_write_to_the_terminal() -> None:
    """Control characters in a name come out as text."""
    for command in ("report", "import"):
        result = call(command, "spe", "\x07gone")
        assert result.exit_code == 2
        assert "\x07" not in result.output
