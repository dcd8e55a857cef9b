"""What several files of these rooms begin with.

Not in `tests/conftest.py`: it imports the command line, and every process of pytest would wait.
"""

from __future__ import annotations

from tests.tools.captures import synthetic

__all__ = ["synthetic"]
