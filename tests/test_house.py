"""The house: tests stand where the code stands, under its names; no room holds too many files."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGES = ("sim", "analysis", "reports", "speskew")
SMALL = 30
"""Lines of code up to which a module needs no test file of its own."""
ROOM = 15
"""Python files that a folder may hold."""

_FIGURES = "drawn, read and compared with all others in test_figures.py of this room"
_ENGINES = "tests/exact: both engines, the per-op model and seeded mutations"
ELSEWHERE = {
    "analysis/agreement/forms.py": "tests/theory/test_conditions.py and test_loss.py",
    "reports/captures/opening.py": "reports/cli/commands/import_/test_spe.py opens every kind",
    "reports/captures/profiled.py": "reports/cli/commands/import_/test_spe.py runs what it makes",
    "reports/cli/commands/compare.py": "reports/runs/test_comparing.py; test_compare_page.py",
    "reports/cli/commands/report/spe.py": "reports/captures/test_survey.py: all it prints",
    "reports/cli/commands/validate.py": "reports/cli/test_asked.py; captures/test_survey.py",
    "reports/cli/options.py": "the test of each verb that has them; reports/docs/test_pages.py",
    "reports/figures/perturbation.py": _FIGURES,
    "reports/figures/theory.py": _FIGURES,
    "reports/pages/memlock.py": "reports/cli/commands/test_memlock.py: the verb is this page",
    "reports/perf/header.py": "tests/tools/test_perf.py: perf itself reads it",
    "reports/perf/writer.py": "tests/tools/test_perf.py: perf itself reads it",
    "reports/results/compared.py": "reports/pages/test_page.py shows every field of it",
    "reports/runs/datasets.py": "reports/cli/commands/test_run.py; the rig `samples` makes tables",
    "reports/runs/recording.py": "sim/workload/recording/test_recorder.py and test_record.py",
    "reports/runs/simulating.py": "reports/runs/test_running.py and cli/commands/test_run.py",
    "reports/traces/perfetto.py": "tests/tools/test_perfetto.py: Perfetto's own library reads it",
    "reports/validation/figures.py": "tests/theory/test_validation.py",
    "reports/validation/losing.py": "tests/theory/test_validation.py",
    "reports/validation/power.py": "tests/theory/test_verdict_rates.py",
    "reports/validation/rows.py": "tests/theory/test_validation.py",
    "reports/validation/sampling.py": "tests/theory/test_validation.py",
    "reports/validation/statistics.py": "tests/theory/test_verdict_rates.py",
    "sim/cache/keeping.py": "reports/cli/commands/test_cache.py: what is in use stays",
    "sim/cpu/ports.py": "protocols, and what every machine of tests/sim goes through",
    "sim/machine/compiled.py": "tests/exact/test_fused.py",
    "sim/machine/machine.py": "tests/exact/test_stateful.py, and every machine of tests/sim",
    "sim/machine/rounds.py": "tests/exact/test_fused.py",
    "sim/machine/spec.py": "fields only; machine/test_resolve.py says what they become",
    "sim/policies/backings.py": "policies/test_pins.py, test_new_policy_value.py",
    "sim/policies/bundle.py": "policies/test_pins.py, test_every_value_matters.py",
    "sim/policies/stages.py": "fields only; policies/test_pins.py plays them",
    "sim/scenario/models/scenario.py": "sim/scenario/files/test_loader.py: each key and its errors",
    "sim/runs/cluster.py": "tests/tools/test_dask.py: on Dask itself",
    "sim/spe/compiled.py": _ENGINES,
    "sim/spe/fast.py": _ENGINES,
    "sim/spe/register_port.py": "sim/linux/test_driver.py: every access of the driver",
    "sim/spe/reference.py": _ENGINES,
    "sim/spe/spu.py": _ENGINES,
    "sim/workload/capture/survey.py": "reports/captures/test_survey.py: every finding",
    "sim/workload/dynamic.py": "sim/workload/recording/test_recorder_limits.py",
    "sim/workload/elfread.py": "tests/fuzz/test_elf_hostile.py; recording/test_elfsymbols.py",
}
"""Modules that files of another name test: where."""


UNTYPED = {
    "sim/scenario/files/schema.py": "a JSON Schema, whose keys are of another vocabulary",
    "reports/docs/pages.py": "the same schema, made into a page",
}
"""Modules that have mappings of anything, and why; everything else that goes from one room to
another is a class, or a document that is checked where it is read."""


def home(package: str) -> Path:
    """The folder of an imported package."""
    return Path(next(iter(import_module(package).__path__)))


def lines_of_code(source: str) -> int:
    """Lines that are neither empty nor comment nor docstring."""
    said = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
    silent |= {tokenize.INDENT, tokenize.DEDENT}
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in silent
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - said)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module with more than a few lines: its path from above its package, and its file."""
    for package in PACKAGES:
        root = home(package)
        for path in sorted(root.rglob("*.py")):
            if lines_of_code(path.read_text(encoding="utf-8")) > SMALL:
                yield str(path.relative_to(root.parent)), path


def test_of(module: str) -> Path:
    """Where a module's tests are: its folder below tests/; of a package, the package's name."""
    path = Path(module)
    name = path.parent.name if path.stem == "__init__" else path.stem.strip("_")
    return TESTS / path.parent / f"test_{name}.py"


test_of.__test__ = False  # type: ignore[attr-defined]


def crowded(files: Iterator[Path]) -> dict[Path, int]:
    """Folders with more Python files than a room may hold."""
    counts: dict[Path, int] = {}
    for path in files:
        counts[path.parent] = counts.get(path.parent, 0) + 1
    return {folder: count for folder, count in counts.items() if count > ROOM}


def test_every_module_has_its_tests() -> None:
    """`tests/sim/spe/test_packets.py` for `sim/spe/packets.py`; else ELSEWHERE says where."""
    lacking = {module for module, _ in modules() if not test_of(module).is_file()}
    assert sorted(lacking - set(ELSEWHERE)) == [], "write its tests, or say where they are"
    assert sorted(set(ELSEWHERE) - lacking) == [], "these have tests of their own, or are gone"


@pytest.mark.parametrize("module", ELSEWHERE)
def test_what_tests_it_elsewhere_exists(module: str) -> None:
    """Every file that ELSEWHERE names is there."""
    words = ELSEWHERE[module].replace(",", " ").replace(";", " ").replace(":", " ").split()
    for word in (word for word in words if word.endswith(".py")):
        name = word.removeprefix("tests/")
        found = [path for path in TESTS.rglob(Path(name).name) if str(path).endswith(name)]
        assert found, f"{module}: {word}"


def test_no_room_is_crowded() -> None:
    """A folder that a reader takes in at a glance."""
    folders = [home(package) for package in PACKAGES]
    assert crowded(path for folder in (*folders, TESTS) for path in folder.rglob("*.py")) == {}


def test_a_crowd_is_seen() -> None:
    """Control: one file too many."""
    files = [Path("a", f"{k}.py") for k in range(ROOM)]
    assert crowded(iter(files)) == {}
    assert crowded(iter([*files, Path("a/more.py")])) == {Path("a"): ROOM + 1}


def test_lines_are_those_of_code() -> None:
    """Control: a docstring, a comment and an empty line are none; a call of two lines is two."""
    assert lines_of_code('"""x\ny"""\n\n# z\na = (\n    1)\n') == 2


def mappings_of_anything(source: str) -> list[int]:
    """Lines on which `dict[str, Any]` or `Mapping[str, Any]` stands."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript)
        and ast.unparse(node).lower().endswith(("dict[str, any]", "mapping[str, any]"))
    ]


def test_rooms_hand_each_other_classes() -> None:
    """A misspelt key of a mapping of anything is found when a user gets there, not before."""
    found = {
        str(path.relative_to(home(package).parent))
        for package in PACKAGES
        for path in home(package).rglob("*.py")
        if mappings_of_anything(path.read_text(encoding="utf-8"))
    }
    assert sorted(found - set(UNTYPED)) == [], "make it a class, or say why not"
    assert sorted(set(UNTYPED) - found) == [], "these have none any more"


def test_a_mapping_of_anything_is_seen() -> None:
    """Control: in a signature, in an alias, inside another type."""
    source = "Row = dict[str, Any]\ndef f(x: list[Mapping[str, Any]]) -> dict[str, int]: ...\n"
    assert mappings_of_anything(source) == [1, 2]


def test_sources_are_public() -> None:
    """A section sign points into some document: cite a mail, a file of Linux, an Arm ARM rule."""
    pointing = [
        path.as_posix()
        for package in PACKAGES
        for path in sorted(Path(str(import_module(package).__file__)).parent.rglob("*"))
        if path.suffix in (".py", ".toml", ".j2") and "\N{SECTION SIGN}" in path.read_text("utf-8")
    ]
    assert pointing == []
