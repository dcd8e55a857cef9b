"""`speskew` and `python -m speskew`: the command line, once it is known whose modules it is.

The package's own import comes first, and says who shadows `reports`, if anybody does.
"""

from __future__ import annotations

from reports.cli.main import main as command


def main() -> None:
    """The command line of `reports.cli`."""
    command(prog_name="speskew")


if __name__ == "__main__":
    main()
