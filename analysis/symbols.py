"""Names of symbols as people write them; data keep the names that the compiler wrote.

C++ (Itanium ABI) and Rust (v0, and the older one that looks like C++) in the spelling of GNU
c++filt, which perf has too. Other names stay as they are: C has no mangling, and a name that only
looks like one must not be rewritten.
"""

from __future__ import annotations

import re
from functools import cache

_MANGLED = ("_Z", "_R")
_LANGUAGES = ("itanium", "rust")


@cache
def demangled(name: str) -> str:
    """``std::vector<int, …>::push_back(int const&)`` of ``_ZNSt6vector…``; else the name."""
    if not name.startswith(_MANGLED):
        return name
    import demangle

    return demangle.demangle(name, language=_LANGUAGES, style="gnu")


def brief(name: str, width: int) -> str:
    """A name demangled, in at most `width` characters.

    What is too long loses what tells least, as far as it must: what templates are of, the
    parameters, the type that is returned, which clone it is; then its middle.
    """
    shown = demangled(name)
    if shown != name:
        for shorter in (_without_arguments, _without_parameters, _without_type, _without_clone):
            if len(shown) > width:
                shown = shorter(shown)
    return cut(shown, width)


def _without_arguments(text: str) -> str:
    """``std::map<…>::operator[](…)``: what is in angle brackets is left out, if they pair."""
    if re.search(r"operator *[-<>]", text):
        return text
    kept, depth = [], 0
    for char in text:
        depth += char == "<"
        if depth == 0:
            kept.append(char)
        elif depth == 1 and char == "<":
            kept.append("<…>")
        depth -= char == ">"
        if depth < 0:
            return text
    return text if depth else "".join(kept)


def _without_parameters(text: str) -> str:
    """``std::map<…>::find(…) const``: the list at the end, not ``(anonymous namespace)``."""
    start = _parameters(text)
    end = text.rfind(")")
    if start <= 0 or end == start + 1:
        return text
    return f"{text[:start]}(…){text[end + 1 :]}"


def _parameters(text: str) -> int:
    """Where the list of parameters at the end begins; -1 without one."""
    depth = 0
    for k in range(text.rfind(")"), -1, -1):
        depth += (text[k] == ")") - (text[k] == "(")
        if depth == 0:
            return k
    return -1


def _without_type(text: str) -> str:
    """``sort<…>(…)`` of ``void sort<…>(…)``; of templates only (Itanium ABI, 5.1.5.3).

    Names of operators, and of what is made for a function (a thunk to it), have other spaces.
    """
    name = text[: max(_parameters(text), 0)]
    depth, start = 0, 0
    for k, char in enumerate(name):
        depth += (char in "(<{") - (char in ")>}")
        if char == " " and depth == 0:
            start = k + 1
    plain = "<" not in name[start:] or re.search(r"operator| (for|to) ", name)
    return text if plain else text[start:]


def _without_clone(text: str) -> str:
    """``insert<…>(…) […]`` of ``insert<…>(…) [clone .constprop.0]``."""
    return re.sub(r"( \[clone [^]]*])+$", " […]", text)


def cut(text: str, width: int) -> str:
    """At most `width` characters, cut in the middle: C++ names begin alike, and differ later."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"
