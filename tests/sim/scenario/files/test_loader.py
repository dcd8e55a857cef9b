"""Loading: each kind of error at its place, in words that help; extends, --set, origins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sim.scenario.files.loader import ScenarioError, find, load, origins, stock_folder
from sim.scenario.models.host import PoissonUnmap
from sim.scenario.models.quantities import UNLIMITED, ConstantTime
from tests.sim.scenario.files.written import ARMS, GOOD, problems, written

# --- one line is wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("replication: 3", "5:1: replication: unknown key; did you mean 'replications'?"),
        ("memlock: 8MiB", "5:1: memlock: unknown key; did you mean 'host.memlock'?"),
        ("host.memlock: 8MiB", "5:1: host.memlock: unknown key; nest it: host: {memlock: …}"),
        ("spe: {jiter: on}", "5:7: spe.jiter: unknown key; did you mean 'jitter'?"),
        ("spe:\n filter:\n  lod: true", "7:3: spe.filter.lod: unknown key; did you mean 'load'?"),
        (
            "buffer: {zzz: 1}",
            "5:10: buffer.zzz: unknown key; keys here: initial_s2, physical, va",
        ),
        ("spe: {jitter: onn}", "5:15: spe.jitter: unknown value 'onn'; did you mean 'on'?"),
        (
            "spe: {jitter: true}",
            "5:15: spe.jitter: must be a word, not true; one of off, on, ernd",
        ),
        ("vm: {granule: 4kiB}", "5:15: vm.granule: unknown value '4kiB'; did you mean '4KiB'?"),
        (
            "cpu: {core: z80}",
            "5:13: cpu.core: unknown value 'z80'; "
            "one of neoverse-n1, neoverse-v1, neoverse-v2, kunpeng-920",
        ),
        (
            "host: {unmap: often}",
            "5:15: host.unmap: unknown value 'often'; "
            "one of never, published, per_window, per_record",
        ),
        (
            "host: {unmap: {poisson: 3}}",
            "5:25: host.unmap.poisson: needs a rate with its unit, e.g. '1000/s'; got 3",
        ),
        (
            "spe: {interval: 1024}",
            "5:17: spe.interval: needs a number of ops with its unit, e.g. '1024ops'; got 1024",
        ),
        (
            "vm: {exits: 1000}",
            "5:13: vm.exits: needs a rate with its unit, e.g. '1000/s'; got 1000",
        ),
        (
            "vm: {exits: 1e30/s}",
            "5:13: vm.exits: '1e30/s' is out of range: a rate is 0/s, or 0.001/s to 10000000/s",
        ),
        (
            "host: {memlock: 8MB}",
            "5:17: host.memlock: cannot read '8MB' as a size: "
            "MB is ambiguous; use MiB (powers of 1024)",
        ),
        (
            "host: {memlock: 64kB}",
            "5:17: host.memlock: cannot read '64kB' as a size: "
            "kB is ambiguous; use KiB (powers of 1024)",
        ),
        (
            "cpu: {clock: 3Ghz}",
            "5:14: cpu.clock: cannot read '3Ghz' as a frequency: did you mean 'GHz'? "
            "(units: Hz, kHz, MHz, GHz)",
        ),
        (
            "cpu: {clock: 0Hz}",
            "5:14: cpu.clock: '0Hz' is out of range: a core frequency is 1MHz to 100GHz",
        ),
        (
            "switch: {every: 0ms, away: 1ms}",
            "5:17: switch.every: '0ms' is out of range: a time slice is 1us to 1000000s",
        ),
        (
            "switch: {every: 4ms, away: 1e999ms}",
            "5:28: switch.away: '1e999ms' is too long for a time; write it like '4ms', "
            "with at most 20 digits",
        ),
        ("switch: {every: 4ms}", "5:1: switch.away: is missing"),
        ("vm: {vcpus: 0}", "5:13: vm.vcpus: must be greater than or equal to 1; got 0"),
        ("vm: {vcpus: 513}", "5:13: vm.vcpus: must be less than or equal to 512; got 513"),
        (
            "vm: {vcpus: '1'}",
            "5:13: vm.vcpus: must be a whole number, without quotes or unit; got '1'",
        ),
        (
            "vm: {vcpus: 1.5}",
            "5:13: vm.vcpus: must be a whole number, without quotes or unit; got 1.5",
        ),
        ("seed: true", "5:7: seed: must be a whole number, without quotes or unit; got true"),
        ("seed: -1", "5:7: seed: must be greater than or equal to 0; got -1"),
        (
            "host: {cap_ipc_lock: yes}",
            "5:22: host.cap_ipc_lock: must be true or false; got 'yes'",
        ),
        ("name: 5", "5:7: name: must be text; put it in quotes; got 5"),
        ("name: ''", "5:7: name: must have at least 1 character; got ''"),
        ("host:", "5:1: host: must be a mapping, e.g. {key: value}; got nothing"),
        ("host: 5", "5:7: host: must be a mapping, e.g. {key: value}; got 5"),
        ("schema_version: 2", "5:17: schema_version: this version reads schema_version 1; got 2"),
        (
            "driver: {aux: 3MiB}",
            "5:15: driver.aux: must be a power of two and at least two pages of 4KiB (8 KiB)",
        ),
        (
            "vm: {granule: 64KiB}\ndriver: {aux: 64KiB}",
            "6:15: driver.aux: must be a power of two and at least two pages of 64KiB (128 KiB)",
        ),
        ("driver: {aux: 8GiB}", "5:15: driver.aux: at most 4 GiB"),
        (
            "driver: {watermark: 8MiB}",
            "5:21: driver.watermark: above the AUX area, so that no interrupt would come; "
            "0 means half of it",
        ),
        (
            "driver: {capture: snapshot, reader: {kind: process}}",
            "5:37: driver.reader: in snapshot mode nobody reads the ring while it fills; remove "
            "`reader` or use capture: full",
        ),
        (
            "driver: {capture: discard, watermark: 8KiB}",
            "5:39: driver.watermark: in discard mode there is no wake-up; remove `watermark`",
        ),
        (
            "driver: {reader: {cpu: same}}",
            "5:18: driver.reader: a reader that keeps up takes no time on any CPU; "
            "use kind: process, or remove `cpu`",
        ),
        (
            "driver: {aux: default}",
            "5:15: driver.aux: unknown 'default'; one of default-privileged, default-unprivileged, "
            "or a number with its unit",
        ),
        (
            "vm: {exits: fast}",
            "5:13: vm.exits: unknown 'fast'; one of none, quiet, light, heavy, busiest, "
            "or a number with its unit",
        ),
        (
            "driver: {mode: cpu}\nswitch: {every: 4ms, away: 1ms}",
            "5:16: driver.mode: cpu profiles whatever runs on the CPU, but the stream is one task; "
            "remove `switch` or use mode: task",
        ),
        (
            "buffer: {va: 5}",
            "5:14: buffer.va: must be a multiple of the granule 4KiB, with driver.aux bytes above",
        ),
        (
            "vm: {memory: 1MiB}",
            "5:14: vm.memory: less guest memory than AUX areas; each vCPU has one of driver.aux",
        ),
        (
            "host: {memlock_hard: 1MiB}",
            "5:22: host.memlock: a soft limit is at most the hard one; raise host.memlock_hard",
        ),
        (
            "spe: {min_interval: 1000ops}",
            "5:21: spe.min_interval: PMSIDR_EL1.Interval knows "
            "256, 512, 768, 1024, 1536, 2048, 3072, 4096 ops only",
        ),
        ("spe: {interval: 0ops}", "5:17: spe.interval: a sample period is 1ops to 4294967040ops"),
        (
            "parameters: {t_pinn: 3ns}",
            "5:14: parameters.t_pinn: unknown parameter 't_pinn'; did you mean 't_pin'?",
        ),
        (
            "parameters: {t_pin: 5}",
            "5:21: parameters.t_pin: needs a time with its unit, e.g. '4ms'; got 5",
        ),
        (
            "parameters: {min_interval: 256ns}",
            "5:14: parameters.min_interval: is no time of the model; set spe.min_interval instead",
        ),
        (
            "parameters: {t_irq_latency: {kind: unifrm, low: 1ns, high: 2ns}}",
            "5:36: parameters.t_irq_latency.kind: unknown value 'unifrm'; did you mean 'uniform'?",
        ),
        (
            "parameters: {t_irq_latency: {kind: uniform, low: 9ns, high: 2ns}}",
            "5:14: parameters.t_irq_latency: low is above high; exchange them",
        ),
        (
            "parameters: {t_irq_latency: {low: 9ns, high: 2ns}}",
            "5:14: parameters.t_irq_latency.kind: is missing; "
            "it says what parameters.t_irq_latency is",
        ),
        (
            "spe: {jitter: on}\nspe: {jitter: off}",
            "6:1: spe: is given twice (first at line 5); remove one",
        ),
        (
            "vm: &b {vcpus: 1}\nhost: {<<: *b}",
            "6:8: <<: YAML 1.2 has no merge keys; use `extends: base.yaml`",
        ),
        ("? [a]\n: 3", "5:3: a key must be a plain word"),
        ("name: !foo x", "5:7: has the tag '!foo'; a scenario has plain values only"),
        (
            'name: "\\ud800"',
            "5:7: holds half of a surrogate pair, which is no character; remove it",
        ),
        (
            "extends: nothing.yaml",
            "5:10: extends: no file 'nothing.yaml' beside s.yaml or in the stock",
        ),
        ("extends: s.yaml", "5:10: extends: 's.yaml' extends itself"),
        ("extends: 5", "5:10: extends: must be the path of another scenario"),
    ],
)
def test_one_wrong_line(tmp_path: Path, line: str, found: str) -> None:
    """Where it is, what is wrong, and what would be right; nothing else is blamed."""
    path = written(tmp_path, GOOD + line + "\n")
    assert problems(path) == [found]


@pytest.mark.parametrize(
    ("arms", "found"),
    [
        ("", "4:1: arms: must be a list with at least one arm, e.g. - design: v6"),
        ("[]", "4:7: arms: must be a list with at least one arm, e.g. - design: v6"),
        ("[5]", "4:8: arms: an arm is a mapping with a design, e.g. - design: v6"),
        ("[baremetl]", "4:8: design: unknown value 'baremetl'; did you mean 'baremetal'?"),
        (
            "[v7]",
            "4:8: design: unknown value 'v7'; one of baremetal, unpinned, unpinned-error,",
        ),
        ("[{design: 6}]", "4:17: design: unknown value 6; did you mean 'v6'?"),
        (
            "[{name: x}]",
            "4:8: design: is missing; one of baremetal, unpinned, unpinned-error, first-fault",
        ),
        ("[v6, v6]", "4:12: arms: two arms are called 'v6'; give one a name of its own"),
        ("[v6, {name: v6, design: unpinned}]", "4:12: arms: two arms are called 'v6'"),
        ("[{name: a b, design: v6}]", "4:15: name: must be letters, digits, '.', '_' and '-' only"),
        ("[{design: v6, polices: {}}]", "4:21: polices: unknown key; did you mean 'policies'?"),
        ("[{design: v6, policies: x}]", "4:31: policies: must be a mapping, e.g. unpin: never"),
        (
            "[{design: v6, overrides: [x]}]",
            "4:32: overrides: must be a mapping, e.g. host.unmap: per_window",
        ),
        (
            "[{design: v6, policies: {unpin: neverr}}]",
            "4:39: policies.unpin: unknown value 'neverr'; did you mean 'never'?",
        ),
        (
            "[{design: v6, overrides: {policies.unpn: never}}]",
            "4:33: policies.unpn: unknown key; did you mean 'unpin'?",
        ),
        (
            "[{design: v6, overrides: {policies: 5}}]",
            "4:43: policies: must be a mapping, e.g. unpin: never",
        ),
        (
            "[{design: v6, overrides: {host.unmap: often}}]",
            "4:45: host.unmap: unknown value 'often'; one of never",
        ),
        (
            "[{design: v6, overrides: {host: {unmp: never}}}]",
            "4:40: host.unmp: unknown key; did you mean 'unmap'?",
        ),
        (
            "[{design: v6, overrides: {host..unmap: never}}]",
            "4:33: host..unmap: a dotted key is names with dots between, e.g. host.unmap",
        ),
        (
            "[{design: v6, overrides: {driver.aux: 3MiB}}]",
            "4:45: driver.aux: must be a power of two",
        ),
        (
            "[{design: v6, overrides: {parameters.t_pinn: 3ns}}]",
            "4:33: parameters.t_pinn: unknown parameter 't_pinn'; did you mean 't_pin'?",
        ),
    ],
)
def test_wrong_arms(tmp_path: Path, arms: str, found: str) -> None:
    """Designs, policies and overrides are checked like settings, inside their arm."""
    found_all = problems(written(tmp_path, GOOD.replace("[baremetal]", arms)))
    assert len(found_all) == 1
    assert found_all[0].startswith(found)


def test_missing_arms_are_missed(tmp_path: Path) -> None:
    """No `arms` at all."""
    path = written(tmp_path, GOOD.replace(ARMS, ""))
    assert problems(path) == ["1:1: arms: is missing; list at least one, e.g. - design: v6"]


def test_settings_are_checked_without_arms(tmp_path: Path) -> None:
    """What is missing does not hide what is wrong."""
    path = written(tmp_path, GOOD.replace(ARMS, "spe: {jiter: on}\n"))
    assert [p.split(": ")[1] for p in problems(path)] == ["arms", "spe.jiter"]


def test_all_errors_at_once(tmp_path: Path) -> None:
    """Document, keys, values, arms and `--set`: sorted by place, each once for all arms."""
    text = """\
workload: {kind: synthetic, phases: [{name: loop, length: 10, iterations: 100}]}
arms: [v8, v6, {design: unpinned, polices: {}}, v6]
spe: {jiter: on, interval: 3}
host: {memlock: 1MB, memlock: 2MiB}
extends: none.yaml
seed: -1
"""
    path = written(tmp_path, text)
    places = [p.split(":")[:2] for p in problems(path, "vm.vcpu=3", "nothing")]
    assert places == [
        ["--set nothing", " write KEY=VALUE, e.g. host.memlock=64KiB"],
        ["--set vm.vcpu=3", " vm.vcpu"],
        ["2", "8"],
        ["2", "35"],
        ["2", "49"],
        ["3", "7"],
        ["3", "28"],
        ["4", "17"],
        ["4", "22"],
        ["5", "10"],
        ["6", "7"],
    ]


def test_the_name_is_the_files(tmp_path: Path) -> None:
    """Unless it is given."""
    assert load(written(tmp_path, GOOD, "my study.yaml")).name == "my study"
    assert load(written(tmp_path, GOOD + "name: x\n")).name == "x"


# --- arms ------------------------------------------------------------------------------------


def test_arms_override_settings_and_policies(tmp_path: Path) -> None:
    """Dotted, nested or mixed; policies in either place; the others keep the shared value."""
    arms = """
  - v6
  - {name: a, design: v6, overrides: {host.unmap: {poisson: 5/s}, spe: {jitter: ernd}}}
  - {name: b, design: v6, policies: {unpin: never}, overrides: {policies.charge: incremental}}
  - {name: c, design: v6, overrides: {policies: {retry: pending_on_entry}, parameters.t_pin: 1us}}
"""
    made = load(written(tmp_path, GOOD.replace(" [baremetal]", arms)))
    plain, a, b, c = made.arms
    assert plain.name == plain.design == "v6"
    assert a.settings.host.unmap == PoissonUnmap.model_validate({"poisson": "5/s"})
    assert (a.settings.spe.jitter, plain.settings.spe.jitter) == ("ernd", "off")
    assert (b.policies.unpin, b.policies.charge) == ("never", "incremental")
    assert c.policies.retry == "pending_on_entry"
    assert c.settings.parameters == {"t_pin": ConstantTime.model_validate({"value": "1us"})}
    assert a.policies == c.policies.model_copy(update={"retry": "reexecute"}) == plain.policies
    assert b.settings == plain.settings


def test_an_override_of_another_kind_replaces_the_whole(tmp_path: Path) -> None:
    """A recorded workload does not inherit phases."""
    arms = "[{design: v6, overrides: {workload: {kind: recorded, path: streams/mix.spestream}}}]"
    made = load(written(tmp_path, GOOD.replace("[baremetal]", arms)))
    assert made.arms[0].settings.workload.kind == "recorded"


def test_lists_are_replaced(tmp_path: Path) -> None:
    """An arm's phases are its own."""
    arms = "[{design: v6, overrides: {workload.phases: [{name: y, length: 3, iterations: 2}]}}]"
    workload = load(written(tmp_path, GOOD.replace("[baremetal]", arms))).arms[0].settings.workload
    assert workload.kind == "synthetic"
    assert [phase.name for phase in workload.phases] == ["y"]


# --- extends ---------------------------------------------------------------------------------


def test_extends_merges_deeply(tmp_path: Path) -> None:
    """Through two levels, from another folder; the nearest file wins."""
    (tmp_path / "base").mkdir()
    written(tmp_path, GOOD + "spe: {interval: 4096ops, jitter: on}\nseed: 1\n", "base/a.yaml")
    written(tmp_path, "extends: a.yaml\nspe: {jitter: ernd}\nseed: 2\n", "base/b.yaml")
    made = load(written(tmp_path, "extends: base/b.yaml\nseed: 3\n"))
    spe = made.arms[0].settings.spe
    assert (spe.interval, spe.jitter, made.seed, made.name) == (4096, "ernd", 3, "s")


def test_extends_finds_the_stock(tmp_path: Path) -> None:
    """A stock scenario may be extended from anywhere, its stream found where it is."""
    made = load(written(tmp_path, "extends: quickstart.yaml\nvm: {vcpus: 2}\n"))
    assert len(made.arms) == 5
    assert {arm.settings.vm.vcpus for arm in made.arms} == {2}


def test_extends_in_a_circle(tmp_path: Path) -> None:
    """The link that closes it is named."""
    written(tmp_path, GOOD + "extends: s.yaml\n", "b.yaml")
    with pytest.raises(ScenarioError, match=r"b\.yaml:5:10: extends: 's.yaml' extends itself"):
        load(written(tmp_path, "extends: b.yaml\n"))


def test_extends_too_far(tmp_path: Path) -> None:
    """A chain has an end."""
    for number in range(20):
        written(tmp_path, f"extends: {number + 1}.yaml\n", f"{number}.yaml")
    written(tmp_path, GOOD, "20.yaml")
    with pytest.raises(ScenarioError, match="more than 10 files"):
        load(tmp_path / "0.yaml")


def test_errors_stand_in_the_file_that_has_them(tmp_path: Path) -> None:
    """A bad value of the base is the base's."""
    base = written(tmp_path, GOOD + "spe: {jitter: onn}\n", "base.yaml")
    with pytest.raises(ScenarioError) as caught:
        load(written(tmp_path, "extends: base.yaml\nvm: {vcpus: 0}\n"))
    assert [(p.file, p.line) for p in caught.value.problems] == [
        (str(base), 5),
        (str(tmp_path / "s.yaml"), 2),
    ]


def test_streams_stand_beside_the_file_that_names_them(tmp_path: Path) -> None:
    """`workload.path` is relative to its own file, first; then to the stock."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "own.spestream").write_bytes(b"")
    written(
        tmp_path, "workload: {kind: recorded, path: own.spestream}\narms: [v6]\n", "base/a.yaml"
    )
    workload = load(written(tmp_path, "extends: base/a.yaml\n")).arms[0].settings.workload
    assert workload.kind == "recorded"
    assert Path(workload.path) == (tmp_path / "base" / "own.spestream").resolve()


# --- --set -----------------------------------------------------------------------------------


def test_set_beats_the_file_and_loses_to_arms(tmp_path: Path) -> None:
    """Dotted keys, YAML values, the last one wins; an arm's override is what the arm is."""
    arms = "[v6, {name: own, design: v6, overrides: {host.memlock: 1MiB}}]"
    path = written(tmp_path, GOOD.replace("[baremetal]", arms) + "host: {memlock: 2MiB}\n")
    sets = [
        "host.memlock=4MiB",
        "host.memlock=64KiB",
        "vm.max_buffer=unlimited",
        "spe.jitter=on",
        "switch={every: 4ms, away: 0}",
        "question=a # b?",
    ]
    made = load(path, sets, replications=3, seed=7)
    first, own = (arm.settings for arm in made.arms)
    assert (first.host.memlock, own.host.memlock) == (64 << 10, 1 << 20)
    assert first.vm.max_buffer == UNLIMITED
    assert first.spe.jitter == "on"
    assert first.switch is not None
    assert (made.replications, made.seed, made.question) == (3, 7, "a")


def test_set_unsets(tmp_path: Path) -> None:
    """`null` where nothing is a value."""
    path = written(tmp_path, GOOD + "switch: {every: 4ms, away: 1ms}\n")
    assert load(path, ["switch=null"]).arms[0].settings.switch is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nothing", "--set nothing: write KEY=VALUE, e.g. host.memlock=64KiB"),
        ("=3", "--set =3: write KEY=VALUE, e.g. host.memlock=64KiB"),
        ("host..x=3", "--set host..x=3: KEY is names with dots between, e.g. host.memlock"),
        ("x.x." * 30 + "x=3", "names with dots between"),
        ("host.memlok=1MiB", "--set host.memlok=1MiB: host.memlok: unknown key; did you mean"),
        ("host.memlock=8MB", "--set host.memlock=8MB: host.memlock: cannot read '8MB'"),
        ("host.memlock=", "--set host.memlock=: host.memlock: cannot read ''"),
        ("host=[", "--set host=[: the value is not valid YAML"),
        ("host={a: 1, a: 2}", "--set host={a: 1, a: 2}: the value a: is given twice"),
        ("arms=v6", "--set arms=v6: arms: must be a list"),
        ("extends=x.yaml", "--set extends=x.yaml: extends: can be given in a file only"),
        ("driver.aux=3MiB", "--set driver.aux=3MiB: driver.aux: must be a power of two"),
        ("workload={kind: recorded, path: x}", "workload.path: no file 'x'"),
        ("\udcff=\udcff", "--set \\udcff=\\udcff: the value is not valid YAML"),
    ],
)
def test_wrong_sets(tmp_path: Path, text: str, found: str) -> None:
    """A problem of an option points at the option."""
    (problem,) = problems(written(tmp_path, GOOD), text)
    assert found in problem
    assert problem.startswith("--set ")


def test_options_point_at_themselves(tmp_path: Path) -> None:
    """--replications and --seed too."""
    with pytest.raises(ScenarioError, match=r"^--seed: seed: must be greater"):
        load(written(tmp_path, GOOD), seed=-1)


# --- finding and telling ---------------------------------------------------------------------


def test_bare_names_are_stock_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of that name does not hide it; a file does."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    assert find("quickstart") == stock_folder() / "quickstart.yaml"
    (tmp_path / "rlimit").write_text(GOOD)
    assert load("rlimit").arms[0].name == "baremetal"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("quikstart", "did you mean 'quickstart'"),
        ("zzz", "stock scenarios: ageing, always-cold, designs"),
        ("x" * 300, "stock scenarios"),
        ("a\0", "stock scenarios"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    """A misspelt stock name gets the nearest one."""
    with pytest.raises(ScenarioError, match=hint):
        load(name)


@pytest.mark.parametrize("kind", ["recorded", "profile", "threads"])
def test_a_folder_is_no_stream(tmp_path: Path, kind: str) -> None:
    """Nor is it missing."""
    (tmp_path / "a.threads.json").mkdir()
    text = f"workload: {{kind: {kind}, path: a.threads.json}}\narms: [v6]\n"
    (problem,) = problems(written(tmp_path, text))
    assert "workload.path: 'a.threads.json' is a folder; give a file in it" in problem


@pytest.mark.parametrize("kind", ["recorded", "profile"])
def test_a_pipe_is_no_stream(tmp_path: Path, kind: str) -> None:
    """It is there, so that it is not said to be missing."""
    os.mkfifo(tmp_path / "pipe")
    text = f"workload: {{kind: {kind}, path: pipe}}\narms: [v6]\n"
    (problem,) = problems(written(tmp_path, text))
    assert "workload.path: 'pipe' is no regular file (a pipe or a device)" in problem
    assert "copy it into a file first" in problem


def test_origins(tmp_path: Path) -> None:
    """Each value that is not a default, and where it comes from."""
    base = written(tmp_path, GOOD + "spe: {jitter: on, interval: 2048ops}\n", "base.yaml")
    arms = "arms: [v6, {name: a, design: v6, overrides: {host.unmap: never}}]\n"
    path = written(tmp_path, f"extends: base.yaml\nspe: {{jitter: off}}\n{arms}")
    found = origins(path, ["vm.vcpus=2"])
    assert found["spe.jitter"] == f"{path}:2:15"
    assert found["spe.interval"] == f"{base}:5:29"
    assert found["vm.vcpus"] == "--set vm.vcpus=2"
    assert found["arms.a.overrides.host.unmap"] == f"{path}:3:58"
    assert "vm.granule" not in found


def test_a_file_that_is_read_again(tmp_path: Path) -> None:
    """What was found in it is found each time; overrides leave no trace; a change is seen."""
    file = tmp_path / "s.yaml"
    text = (
        "workload: {kind: synthetic, phases: [{name: a, length: 10, iterations: 10}]}\n"
        "arms: [{design: v6}]\nvm: {vcpus: 1}\n"
    )
    file.write_text(f"{text}seed: 1\nseed: 2\n")
    said = []
    for _ in range(2):
        with pytest.raises(ScenarioError) as error:
            load(file)
        said.append(str(error.value))
    assert said[0] == said[1]
    assert "given twice" in said[0]
    file.write_text(text)
    assert load(file, ["vm.vcpus=4"]).arms[0].settings.vm.vcpus == 4
    assert load(file).arms[0].settings.vm.vcpus == 1
    file.write_text(text.replace("vcpus: 1", "vcpus: 2"))
    assert load(file).arms[0].settings.vm.vcpus == 2


# --- driver.kernel_tree ----------------------------------------------------------------------


def test_a_kernel_tree_is_found_beside_the_scenario(own_folder: Path) -> None:
    """Relative to the file, or with --set to the current folder; what is no tree is said."""
    for name in ("here/linux", "below/linux"):
        (own_folder / name / "drivers" / "perf").mkdir(parents=True)
        (own_folder / name / "Makefile").touch()
        (own_folder / name / "drivers" / "perf" / "arm_spe_pmu.c").touch()
    text = GOOD + "driver: {kernel_tree: linux}\n"
    path = written(own_folder / "below", text)
    assert load(path).arms[0].settings.driver.kernel_tree == str(own_folder / "below" / "linux")
    chosen = load(path, ["driver.kernel_tree=here/linux"]).arms[0].settings.driver
    assert chosen.kernel_tree == str(own_folder / "here" / "linux")
    assert load(path, ["driver.kernel_tree=''"]).arms[0].settings.driver.kernel_tree == ""
    with pytest.raises(ScenarioError, match=r"--set .*: 'here' is no kernel tree"):
        load(path, ["driver.kernel_tree=here"])


def test_a_watermark_has_32_bits(tmp_path: Path) -> None:
    """attr.aux_watermark is a __u32; 4 GiB would be 0."""
    path = written(tmp_path, GOOD + "driver: {aux: 4GiB, watermark: 4GiB}\n")
    assert any("driver.watermark: attr.aux_watermark has 32 bits" in one for one in problems(path))
    path = written(tmp_path, GOOD + "driver: {aux: 4GiB, watermark: 4095MiB}\n")
    assert load(path).arms[0].settings.driver.watermark == 4095 << 20
