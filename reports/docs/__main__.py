"""`python -m reports.docs DIR`: every page of docs/reference."""

from __future__ import annotations

import sys
from pathlib import Path

from reports.docs.pages import write

write(Path(sys.argv[1]))
