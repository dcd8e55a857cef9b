"""What is wrong with a JSON document, and where."""

from __future__ import annotations

import json
from typing import Any

from reports.text import printable

Json = Any
"""What a JSON text says: dict, list, str, int, float, bool or None, and nothing is known of it."""
SHOWN = 60
"""Characters of a wrong key or value in a message."""


class DamagedError(ValueError):
    """A document is not what its class says: where (a path, empty for all of it), and what."""

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(f"{path}: {what}" if path else what)
        self.what = what
        self.path = path

    def under(self, step: str | int) -> DamagedError:
        """The same, seen from one level above."""
        name = f"[{step}]" if isinstance(step, int) else printable(step, SHOWN)
        joint = "" if not self.path or self.path.startswith("[") else "."
        return DamagedError(self.what, f"{name}{joint}{self.path}")


def loads(text: str) -> Json:
    """A JSON text without NaN or infinity; raises DamagedError."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except DamagedError:
        raise
    except RecursionError:
        raise DamagedError("is nested too deeply") from None
    except ValueError as error:
        raise DamagedError(f"is no JSON: {error}") from error


def _refuse(name: str) -> Json:
    raise DamagedError(f"holds {name}, which is no number of JSON")
