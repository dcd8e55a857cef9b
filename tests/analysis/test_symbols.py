"""Names of symbols for people: demangled, brief, never worse than they were."""

from __future__ import annotations

import pytest

from analysis.symbols import brief, cut, demangled

MAP = (
    "_ZNSt3mapINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEiSt4lessIS5_ESaISt4pairIKS5_"
    "iEEEixERS9_"
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            "_ZNSt6vectorIiSaIiEE9push_backERKi",
            "std::vector<int, std::allocator<int> >::push_back(int const&)",
        ),
        ("_ZN4calc12_GLOBAL__N_14hashEm", "calc::(anonymous namespace)::hash(unsigned long)"),
        ("_Z3fooi.isra.0", "foo(int) [clone .isra.0]"),
        ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
        ("_ZN4core3fmt9Formatter3pad17h9b2b3a0e5b4d1b31E", "core::fmt::Formatter::pad"),
    ],
)
def test_mangled_names_are_read(name: str, shown: str) -> None:
    """C++ and Rust, clones too."""
    assert demangled(name) == shown


@pytest.mark.parametrize(
    "name",
    [
        "main",
        "",
        "_Z",
        "_R",
        "_Read_all",
        "_ZN",
        "?f@@YAXH@Z",
        "AddAlignment__9ivTSolverUi",
        "$s4main3FooV",
    ],
)
def test_other_names_stay(name: str) -> None:
    """C, damaged names, and manglings that a C name may look like."""
    assert demangled(name) == name


def test_hostile_names_end() -> None:
    """Neither depth nor length of what a file holds is followed without end."""
    for name in ("_Z" + "N1a" * 50_000, "_Z" + "P" * 200_000 + "i", "_ZNSt" + "S_" * 50_000):
        assert len(demangled(name)) <= 200_100


def test_what_is_long_loses_its_template_arguments_first() -> None:
    """The function's own name stays in sight; what is short stays whole."""
    assert brief("_ZNK4calc7history4meanEv", 40) == "calc::history::mean() const"
    shown = brief(MAP, 48)
    assert len(shown) == 48
    assert shown.startswith("std::map<…>::operator[](")
    assert "…" in shown[25:]


@pytest.mark.parametrize(
    "name", ["_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc", "a>b<" * 20]
)
def test_brackets_that_do_not_pair_are_left(name: str) -> None:
    """Operators and names that only look so are cut as they are."""
    assert brief(name, 30) == cut(demangled(name), 30)


def test_cut_is_in_the_middle() -> None:
    """Both ends stay; nothing is cut that fits."""
    assert cut("abcdefghij", 10) == "abcdefghij"
    assert cut("abcdefghijk", 5) == "ab…jk"
    assert cut("abcdefghijk", 4) == "ab…k"
