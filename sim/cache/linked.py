"""Functions that only compiled code calls: LLVM's code, to be linked into that of their callers.

numba optimises each function that it compiles with all that it calls, and makes machine code of it.
Of a function that Python cannot call nobody runs that: its callers have a copy, optimised with the
rest of them. So here it stays what numba's lowering has made, and is optimised and translated once
for each function that Python enters: half of the time that LLVM took.

What is numba's own: a pipeline, which it lets one compose, and a library of code, whose inside is
not for others. A numba that is newer than what this was tried with, or whose library looks
otherwise, compiles such functions as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core import codegen, compiler
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes

_lowering: Any = NativeLowering
_Library: Any = codegen.JITCodeLibrary
_Base: Any = compiler.CompilerBase
_Pass: Any = LoweringPass
_registered: Any = register_pass
_passes: Any = compiler.DefaultPassBuilder
_result: Any = compiler.compile_result
NEWEST = (0, 68)
"""Version of numba up to which this was tried; from 0.61 on."""
_INSIDE = (
    "_finalize_dynamic_globals",
    "_get_module_for_linking",
    "serialize_using_bitcode",
)


_NEEDLESS = (InlineClosureLikes, NopythonRewrites)
"""Passes for closures and for arithmetic of whole arrays: there is none, and to look for it took a
twentieth of the time."""


def _starts(library: Any) -> Any:
    """What has to be called before a library's code; older ones of numba know no such thing."""
    return getattr(library, "_reload_init", ())


class Linked(_Library):  # type: ignore[misc]
    """Code that is linked into other code."""

    def finalize(self) -> None:
        """What it calls is a part of it now; no machine code is made."""
        for library in dict.fromkeys(self._linking_libraries):
            if _starts(library):
                self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    @classmethod
    def again(cls, codegen: Any, name: str, bitcode: bytes) -> Linked:
        """From bitcode."""
        library = cls(codegen, name)
        library._final_module = llvm.parse_bitcode(bitcode)
        library._finalize_dynamic_globals()
        library._finalized = True
        return library


class _Name:
    """By which callers know a function without an address."""


@_registered(mutates_CFG=True, analysis_only=False)
class _Link(_Pass):  # type: ignore[misc]
    """After lowering: callers may link it."""

    _name = "speskew_link"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        """In place of making it ready to be run."""
        lowered = state["cr"]
        if lowered.env.consts:
            raise TypeError(f"{state.func_id.func_qualname} holds Python's objects; use njit")
        name = _Name()
        state.targetctx.insert_user_function(name, lowered.fndesc, [state.library])
        state.reload_init.extend(_starts(state.library))
        state["cr"] = lowered._replace(cfunc=name)
        return True


class Inner(_Base):  # type: ignore[misc]
    """numba's own pipeline up to LLVM's code."""

    def define_pipelines(self) -> list[Any]:
        """With a library of ours, and nothing that is ready to be run."""
        state = self.state
        state.library = Linked(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        state.flags.no_compile = True
        passes = _passes.define_nopython_pipeline(state)
        passes.add_pass_after(_Link, _lowering)
        passes.passes = [step for step in passes.passes if step[0] not in _NEEDLESS]
        passes.finalize()
        return [passes]


def options() -> Any:
    """Of `numba.njit` for such functions."""
    known = numba.version_info.short <= NEWEST and all(hasattr(_Library, name) for name in _INSIDE)
    return {"no_cpython_wrapper": True} | ({"pipeline_class": Inner} if known else {})


@dataclass(frozen=True, slots=True)
class Bitcode:
    """Of one function: what is kept of it."""

    name: str
    code: bytes
    described: Any
    environment: Any
    signature: Any
    reload_init: list[Any]


def reduced(result: Any) -> Bitcode | None:
    """What is kept of a function; None if it has machine code."""
    library, described = result.library, result.fndesc
    if not isinstance(library, Linked):
        return None
    described.typemap = described.calltypes = None  # as numba does: they cannot be kept
    code = library.serialize_using_bitcode()[-1]
    return Bitcode(
        library.name, code, described, result.environment, result.signature, result.reload_init
    )


def rebuilt(target: Any, kept: Bitcode) -> Any:
    """The function again."""
    for again in kept.reload_init:
        again()
    return _result(
        typing_context=target.typing_context,
        target_context=target,
        library=Linked.again(target.codegen(), kept.name, kept.code),
        entry_point=_Name(),
        fndesc=kept.described,
        environment=kept.environment,
        signature=kept.signature,
        objectmode=False,
        lifted=(),
        reload_init=kept.reload_init,
    )
