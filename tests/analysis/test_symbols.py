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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("_ZNK4calc7history4meanEv", "calc::history::mean() const"),
        (MAP, "std::map<…>::operator[](…)"),
        (
            "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE5rfindEPKcmm",
            "std::__cxx11::basic_string<…>::rfind(…) const",
        ),
        (
            "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE8max_sizeEv",
            "std::__cxx11::basic_string<…>::max_size() const",
        ),
        (
            "_ZSt13__adjust_heapIPmlmPFbmmEEvT_T0_S4_T1_T2_.constprop.0",
            "std::__adjust_heap<…>(…) [clone .constprop.0]",
        ),
        (
            "_ZSt25__unguarded_linear_insertIPlPFbllEEvT_T0_.constprop.0.isra.0",
            "std::__unguarded_linear_insert<…>(…) […]",
        ),
        (
            "_ZN4shop12_GLOBAL__N_16rankedIPlPFbllEEEvT_S5_T0_PKcS8_",
            "void shop::(anonymous namespace)::ranked<…>(…)",
        ),
        (
            "_ZNKSt8functionIFvPKcPlS1_EEcvbEv",
            "std::function<…>::operator bool() const",
        ),
        (
            "_ZThn16_N5qwert8asdfghjk17do_something_longEPKcS2_S2_",
            "non-virtual thunk to qwe…k::do_something_long(…)",
        ),
    ],
)
def test_what_is_long_loses_what_tells_least(name: str, shown: str) -> None:
    """The function's own name stays in sight; what is short stays whole."""
    assert brief(name, 48) == shown


def test_parameters_stay_where_there_is_room() -> None:
    """What templates are of goes first, and alone if that is enough."""
    whole = "std::vector<int, std::allocator<int> >::push_back(int const&)"
    assert brief("_ZNSt6vectorIiSaIiEE9push_backERKi", 70) == whole
    assert (
        brief("_ZNSt6vectorIiSaIiEE9push_backERKi", 40) == "std::vector<…>::push_back(int const&)"
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc",
            "std::basic_ostr…its<char> >(…)",
        ),
        ("a>b<" * 20, "a>b<a>b<a>b<a>b…>b<a>b<a>b<a>b<"),
    ],
)
def test_brackets_that_do_not_pair_are_left(name: str, shown: str) -> None:
    """Operators and names that only look so are cut as they are."""
    assert brief(name, len(shown)) == shown


def test_a_type_is_left_out_of_names_of_templates_only() -> None:
    """A template's function says what it returns; a thunk's words are no type."""
    assert brief("_Z4sortIPlPFbllEEvT_S2_T0_", 10) == "sort<…>(…)"
    thunk = "_ZThn16_N4listIiE4sortEPKcS2_"
    assert brief(thunk, 37) == "non-virtual thunk to list<…>::sort(…)"
    assert brief(thunk, 30) == "non-virtual thu…st<…>::sort(…)"


def test_cut_is_in_the_middle() -> None:
    """Both ends stay; nothing is cut that fits."""
    assert cut("abcdefghij", 10) == "abcdefghij"
    assert cut("abcdefghijk", 5) == "ab…jk"
    assert cut("abcdefghijk", 4) == "ab…k"
