"""Names that people see are those that binutils' c++filt, and so perf, has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from analysis.symbols import demangled
from tests.needs import run

NAMES = (
    "_ZNSt6vectorIiSaIiEE9push_backERKi",
    "_ZN4calc6matrixIdLm4ELm4EE8multiplyERKS1_",
    "_ZN4calc4sortIPlZNS_3runEvEUlllE_EEvT_S3_T0_",
    "_ZNSt3mapINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEiSt4lessIS5_ESaISt4pairIKS5_iEEEixERS9_",
    "_ZN4calc12_GLOBAL__N_14hashEm",
    "_ZTV4Base",
    "_ZThn16_N7Derived1fEv",
    "_ZN3FooC1Ev",
    "_ZN3FooD0Ev",
    "_ZGVZ4mainE1x",
    "_ZNKSt8functionIFivEEclEv",
    "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc",
    "_Z3barPFivE",
    "_ZL4spinv.constprop.0",
    "_Z3fooi.part.0.cold",
    "main",
    "_Z",
    "_ZNSt",
    "_Read",
)
"""Of each kind, and some that are none."""


def filtered(names: list[str]) -> list[str]:
    """As c++filt has them."""
    done = run("c++filt", input="\n".join(names), stdout=subprocess.PIPE)
    return str(done.stdout).splitlines()


def test_as_cxxfilt_has_them() -> None:
    """One of each kind."""
    assert list(map(demangled, NAMES)) == filtered(list(NAMES))


RUST = (
    "_RNvNtCs1234_7mycrate3foo3bar",
    "_RINvNtC3std3mem8align_ofjE",
    "_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate",
    "_ZN4core3fmt9Formatter3pad17h9b2b3a0e5b4d1b31E",
)


def test_rust_without_its_hashes() -> None:
    """c++filt shows what tells two builds of a crate apart; a person does not want it."""
    expected = [re.sub(r"\[[0-9a-f]+\]|::h[0-9a-f]+$", "", name) for name in filtered(list(RUST))]
    assert list(map(demangled, RUST)) == expected


def test_every_name_of_a_library() -> None:
    """All that libstdc++ exports: thousands of names, every one the same."""
    found = run("gcc", "-print-file-name=libstdc++.so.6", stdout=subprocess.PIPE).stdout.strip()
    if not Path(found).is_file():
        pytest.skip("gcc came without libstdc++.so.6")
    with Path(found).open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        assert isinstance(table, SymbolTableSection)
        names = sorted({symbol.name for symbol in table.iter_symbols()})
    mangled = [name for name in names if name.startswith("_Z")]
    assert len(mangled) > 3000
    ours = list(map(demangled, mangled))
    assert [x for x in zip(mangled, ours, filtered(mangled), strict=True) if x[1] != x[2]] == []
