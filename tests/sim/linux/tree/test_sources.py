"""What is taken from a kernel tree: versions, functions with what they call, register fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.linux.tree import sources
from sim.linux.tree.sources import TreeError

RING = """\
#define PERF_AUX_GFP (GFP_KERNEL | \\
		__GFP_ZERO)

struct unrelated {
	int one;
};

/* says begin */
static int helper(struct perf_buffer *rb)
{
	return rb->aux_nest;
}

static int
never_called(void)
{
	return 0;
}
"""
WANTED = "\n".join(
    f"int {name}(struct perf_output_handle *handle,\n\t\t\tunsigned long size)\n"
    "{\n\treturn helper(handle->rb);\n}\nEXPORT_SYMBOL_GPL(x);\n"
    for name in sources._WANTED
)
INTERNAL = """\
struct perf_buffer {
	unsigned int aux_nest;
};

static inline bool rb_has_aux(struct perf_buffer *rb)
{
	return true;
}
"""
TABLE = """\
# comment
Sysreg	PMSCR_EL1	3	0	9	9	0
Res0	63:8
Field	7:6	PCT
Field	0	E0SPE
EndSysreg
Sysreg	TCR_EL1	3	0	2	0	2
Field	0	DS
EndSysreg
Sysreg	ID_AA64DFR0_EL1	3	0	0	5	0
UnsignedEnum	35:32	PMSVer
	0b0000	NI
	0b0011	V1P2
EndEnum
EndSysreg
"""
HEADER = "#define SYS_PMSCR_EL1 0\n#define PMSEVFR_EL1_RES0_IMP	\\\n	(BIT(0) | \\\n BIT(2))\n"


def made(folder: Path, **changed: str) -> Path:
    """A tree of a few lines; `changed` by file, as a word."""
    texts = {
        "Makefile": "VERSION = 6\nPATCHLEVEL = 99\nSUBLEVEL = 3\nEXTRAVERSION = -rc1\nNAME = x\n",
        "arm_spe_pmu": '#include <linux/bug.h>\n#include "own.h"\nint driver;\n',
        "ring_buffer": RING + WANTED,
        "internal": INTERNAL,
        "tools_sysreg": TABLE,
        "sysreg": HEADER,
    } | changed
    names = dict(
        zip(
            texts,
            (
                sources.MAKEFILE,
                sources.DRIVER,
                sources.RING,
                sources.INTERNAL,
                sources.SYSREG_TABLE,
                sources.SYSREG_HEADER,
            ),
            strict=True,
        )
    )
    for word, text in texts.items():
        path = folder / names[word]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_version_and_place(tmp_path: Path) -> None:
    """As the Makefile says it."""
    tree = sources.read(made(tmp_path))
    assert (tree.version, tree.name, tree.release) == ("6.99.3-rc1", "Linux 6.99.3-rc1", (6, 99))
    assert not tree.discards
    known = made(tmp_path, arm_spe_pmu="#define ATTR_CFG_FLD_discard_CFG config\n")
    assert sources.read(known).discards


def test_the_driver_keeps_its_lines(tmp_path: Path) -> None:
    """Headers of the kernel go, lines stay where they were."""
    driver = sources.read(made(tmp_path)).driver
    assert driver == f'#line 1 "{sources.DRIVER}"\n\n#include "own.h"\nint driver;\n\n'


def test_functions_come_with_what_they_call(tmp_path: Path) -> None:
    """A helper that a patch adds is taken along; the rest of the file is not."""
    ring = sources.read(made(tmp_path)).ring
    assert "static int helper(struct perf_buffer *rb);\n" in ring
    assert f'#line 9 "{sources.RING}"\nstatic int helper(struct perf_buffer *rb)\n{{' in ring
    assert "never_called" not in ring
    assert "struct unrelated" not in ring
    assert f'#line 1 "{sources.RING}"\n#define PERF_AUX_GFP (GFP_KERNEL | \\\n' in ring
    assert "#define perf_aux_output_begin tree_aux_output_begin\n" in ring
    for name in sources._WANTED:
        assert f"int {name}(struct perf_output_handle *handle," in ring


def test_the_buffer_and_its_accessors(tmp_path: Path) -> None:
    """struct perf_buffer is the tree's own."""
    buffer = sources.read(made(tmp_path)).buffer
    assert (
        f'#line 1 "{sources.INTERNAL}"\nstruct perf_buffer {{\n\tunsigned int aux_nest;' in buffer
    )
    assert "rb_has_aux" in buffer
    assert "perf_aux_size" not in buffer


def test_registers(tmp_path: Path) -> None:
    """Those of SPE, from the table; what the header has besides comes after it."""
    lines = sources.read(made(tmp_path)).registers.splitlines()
    assert "#define SYS_PMSCR_EL1 sys_reg(3, 0, 9, 9, 0)" in lines
    assert "#define PMSCR_EL1_PCT GENMASK_ULL(7, 6)" in lines
    assert "#define PMSCR_EL1_PCT_SHIFT 6" in lines
    assert "#define PMSCR_EL1_E0SPE GENMASK_ULL(0, 0)" in lines
    assert "#define ID_AA64DFR0_EL1_PMSVer_V1P2 UL(3)" in lines
    assert not [line for line in lines if "TCR" in line]
    assert lines.index("#ifndef SYS_PMSCR_EL1") > lines.index("#define PMSCR_EL1_E0SPE_SHIFT 0")
    at = lines.index("#define PMSEVFR_EL1_RES0_IMP \\")
    assert lines[at + 1 : at + 4] == ["\t(BIT(0) | \\", " BIT(2))", "#endif"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"Makefile": "all:\n"}, "names no version of Linux"),
        ({"ring_buffer": RING}, "of Linux 6.99.3-rc1 has no function perf_aux_output_flag, "),
        ({"internal": "struct other {\n};\n"}, "has no struct perf_buffer"),
    ],
)
def test_what_is_no_tree(changed: dict[str, str], said: str, tmp_path: Path) -> None:
    """What is missing, and of which version."""
    with pytest.raises(TreeError, match=said):
        sources.read(made(tmp_path, **changed))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """The file that is not there."""
    with pytest.raises(TreeError, match="no kernel tree that can be used: Makefile: No such file"):
        sources.read(tmp_path)


@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_a_true_tree(version: str, linux: Callable[[str], Path]) -> None:
    """Debian's sources: the version, and every function that is wanted."""
    tree = sources.read(linux(version))
    assert tree.version.startswith(f"{version}.")
    assert "tree_aux_output_begin" in tree.ring
    assert "rb_need_aux_wakeup" in tree.ring
