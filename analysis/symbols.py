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
    """A name demangled, in at most `width` characters: without what templates are of, then cut."""
    whole = demangled(name)
    if len(whole) > width and whole != name:
        whole = _without_arguments(whole)
    return cut(whole, width)


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


def cut(text: str, width: int) -> str:
    """At most `width` characters, cut in the middle: C++ names begin alike, and differ later."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"
