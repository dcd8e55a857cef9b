"""What is shipped: names, data, house rules that no other tool checks, the project's pages."""

import ast
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from importlib import import_module, metadata, resources
from pathlib import Path

import pytest

import sim
from tests.needs import run

TESTS = Path(__file__).parent
CHECKOUT = TESTS.parent
PACKAGES = ("speskew", "sim", "analysis", "reports")
INSTALLED = os.environ.get("SPESKEW_INSTALLED") == "1"

needs_checkout = pytest.mark.skipif(INSTALLED, reason="the suite runs on the installed wheel")
needs_wheel = pytest.mark.skipif(not INSTALLED, reason="the suite runs on the checkout")


def home(package: str) -> Path:
    """The folder that holds an imported package."""
    file = import_module(package).__file__
    assert file is not None
    return Path(file).resolve().parent.parent


def hidden_scheduling(source: str) -> Iterator[str]:
    """Every place of a module that puts something on SimPy's agenda and not by `engine.at`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr="timeout" | "Timeout" as name):
                yield f"{node.lineno}: .{name}"
            case ast.Call(func=ast.Attribute(attr="schedule") as call):
                if ast.unparse(call.value).endswith("env"):
                    yield f"{node.lineno}: {ast.unparse(call)}"
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("simpy"):
                yield from (f"{node.lineno}: {n.name}" for n in names if n.name == "Timeout")


# names and data


def test_console_script_resolves() -> None:
    """`speskew` is installed, and its entry point is something to call."""
    (script,) = metadata.entry_points(group="console_scripts", name="speskew")
    assert callable(script.load())
    assert (Path(sysconfig.get_path("scripts")) / "speskew").is_file()


def test_packages_live_together() -> None:
    """No other distribution has put its own `sim`, `analysis` or `reports` in front of ours."""
    assert len({home(package) for package in PACKAGES}) == 1


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    """Each package ships its types."""
    assert (resources.files(package) / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_code_is_a_package(package: str) -> None:
    """A folder without `__init__.py`, or one that .gitignore names, is left out by some tool."""
    root = home(package) / package
    folders = {path.parent for path in root.rglob("*.py")}
    assert root in folders
    assert sorted(f for f in folders if not (f / "__init__.py").is_file()) == []
    if not INSTALLED:
        asked = [str(path) for path in sorted(root.rglob("*.py"))]
        ignored = ["-C", str(CHECKOUT), "check-ignore", "--no-index", *asked]
        done = run("git", *ignored, check=False, capture_output=True)
        assert done.stdout == ""


def test_scenarios_are_found() -> None:
    """Stock scenarios are data, found through importlib, installed or not."""
    assert (resources.files("scenarios") / "quickstart.yaml").is_file()


def test_scenarios_are_data_only() -> None:
    """`scenarios` holds no Python, so nothing can be imported from it."""
    root = home("sim") / "scenarios"
    assert list(root.rglob("*.py")) == []


@needs_wheel
def test_wheel_holds_nothing_else() -> None:
    """The wheel adds five folders, its metadata and the script, and no test."""
    files = metadata.files("speskew") or []
    site = {file.parts[0] for file in files if ".." not in file.parts}
    assert site == {*PACKAGES, "scenarios", f"speskew-{metadata.version('speskew')}.dist-info"}


@needs_wheel
def test_wheel_is_what_is_tested() -> None:
    """The packages come from site-packages, not from a folder that happens to be near."""
    assert home("sim") == Path(sysconfig.get_path("purelib")).resolve()


# house rules


def test_tests_are_no_packages() -> None:
    """An `__init__.py` in tests/sim would hide the package `sim`."""
    assert list(TESTS.rglob("__init__.py")) == []


def test_engine_at_is_the_only_way_to_schedule() -> None:
    """The order within an instant is decided in sim/engine.py: no other module makes a timeout."""
    root = home("sim") / "sim"
    found = [
        f"{path.relative_to(root.parent)}:{place}"
        for path in sorted(root.rglob("*.py"))
        if path != root / "engine.py"
        for place in hidden_scheduling(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "yield env.timeout(5)",
        "wait = self.env.timeout",
        "simpy.Timeout(env, 5)",
        "from simpy.events import Timeout",
        "self.env.schedule(event, delay=5)",
    ],
)
def test_hidden_scheduling_is_seen(line: str) -> None:
    """Positive control: each way round `engine.at` is found."""
    assert len(list(hidden_scheduling(f"def f(self):\n    {line}\n"))) == 1


@pytest.mark.parametrize("line", ["engine.at(5, kind, call)", "plan.schedule(5)", "timeout = 5"])
def test_innocent_lines_pass(line: str) -> None:
    """Negative control: names that only look alike are left alone."""
    assert list(hidden_scheduling(line)) == []


# the project's pages

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


@needs_checkout
def test_editable_install_is_this_checkout() -> None:
    """The code under test is the code beside the tests."""
    assert Path(sim.__file__).resolve().parent.parent == CHECKOUT.resolve()


@needs_checkout
@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of a page names a file of the project."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!\w+://)([^)#]+)", text)
    assert [target for target in targets if not (CHECKOUT / target).exists()] == []


@needs_checkout
def test_make_targets_exist() -> None:
    """Every `make X` that a page names is a rule, and every rule is in `make help`."""
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    rules = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    helped = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    pages = "".join((CHECKOUT / page).read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", pages, re.MULTILINE))
    assert named >= {"demo", "test", "lint"}
    assert named <= rules
    assert rules == helped


def readme_verbs() -> list[str]:
    """The subcommands that README.md shows in its code blocks."""
    page = CHECKOUT / "README.md"
    if INSTALLED or not page.is_file():
        return []
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return sorted(set(re.findall(r"^speskew (\w+)", "\n".join(blocks), re.MULTILINE)))


@needs_checkout
@pytest.mark.parametrize("verb", readme_verbs())
def test_readme_commands_exist(verb: str) -> None:
    """Every command that the README shows is one of the program's."""
    script = Path(sysconfig.get_path("scripts")) / "speskew"
    done = subprocess.run([script, verb, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
